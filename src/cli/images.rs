//! Images for the verbs that run networks: which ones, and in batches.

use super::progress;
use ndarray::Array4;
use std::path::Path;
use vgg2rtl::float::DataSet;
use vgg2rtl::int::{IntModel, random};
use vgg2rtl::net::Header;
use vgg2rtl::quantize::input_codes;
use vgg2rtl::{Error, Result};

/// Input values that a batch holds at most.
const BATCH_VALUES: usize = 1 << 20;

/// Preprocessed images with their labels, `None` where there is none.
pub type Batch = (Array4<f32>, Vec<Option<usize>>);

/// `count` images spread evenly over the set (all when `None` or more than there are), batch by batch, with a
/// progress bar.
pub fn batches<'a>(
    data: &'a DataSet,
    count: Option<usize>,
    header: &'a Header,
) -> impl Iterator<Item = Result<Batch>> + 'a {
    let count = count.unwrap_or(data.len()).min(data.len());
    let indices: Vec<usize> = (0..count).map(|i| i * data.len() / count).collect();
    let size = (BATCH_VALUES / header.input.len().max(1)).clamp(1, 256);
    let bar = progress::bar(count, "images");
    let starts = (0..count).step_by(size);
    starts.map(move |start| {
        let part = &indices[start..(start + size).min(count)];
        let batch = data.batch(part.iter().copied(), header)?;
        bar.inc(part.len() as u64);
        Ok((batch, part.iter().map(|&i| data.label(i)).collect()))
    })
}

/// Most codes of all layers together that are held at a time, 1 GiB.
const MOST_CODES: usize = 1 << 28;

/// Refuses more images than whose codes of every layer fit into memory.
pub fn check_memory(option: &str, model: &IntModel, count: usize) -> Result<()> {
    let codes = model.shapes().iter().map(|s| s.len()).sum::<usize>().max(1);
    match MOST_CODES / codes {
        most if count > most => {
            let reason = format!("{count} images of {codes} codes are too many; {most} are possible");
            Err(Error::usage(option, reason))
        }
        _ => Ok(()),
    }
}

/// Codes of `count` images spread evenly over `data`; random ones where there is no data.
pub fn codes(model: &IntModel, data: Option<&Path>, count: usize, seed: u64) -> Result<Array4<i32>> {
    let Some(path) = data else { return Ok(random::images(model, count, seed)) };
    let mut data = DataSet::open(path)?;
    data.align(&model.header, model.shapes().last().map_or(0, |s| s.len()))?;
    if count > data.len() {
        return Err(Error::usage("--images", format!("{count} images, there are {}", data.len())));
    }
    let indices = (0..count).map(|i| i * data.len() / count);
    Ok(input_codes(model, &data.batch(indices, &model.header)?))
}
