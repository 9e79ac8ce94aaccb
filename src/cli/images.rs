//! Images for the verbs that run networks: which ones, and in batches.

use super::print::note;
use super::progress;
use ndarray::{Array4, ArrayView1};
use std::path::{Path, PathBuf};
use vgg2rtl::float::data::{fitted, listed};
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::int::{IntModel, random};
use vgg2rtl::net::Header;
use vgg2rtl::quantize::{Widths, input_codes};
use vgg2rtl::{Error, Result};

/// Input values that a batch holds at most.
const BATCH_VALUES: usize = 1 << 20;

/// Preprocessed images with their labels, `None` where there is none.
pub type Batch = (Array4<f32>, Vec<Option<usize>>);

/// How the pictures and the labels of a data set are read.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Reading {
    /// Labels from a file of lines PICTURE,LABEL or CLASS,OUTPUT; labels and outputs are numbers from 0 or the network's names.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Turn pictures as their EXIF orientation says.
    #[arg(long)]
    pub turn: bool,
}

impl Reading {
    /// `data` with labels that mean the `outputs` of the network of `header`.
    pub fn apply(&self, data: DataSet, header: &Header, outputs: usize) -> Result<DataSet> {
        let mut data = if self.turn { data.turned() } else { data };
        if let Some(file) = &self.labels {
            data.relabel(file, &header.classes)?;
        }
        data.align(header, outputs)?;
        Ok(data)
    }
}

/// Says on standard error what becomes of pictures.
pub fn say_input(header: &Header) {
    note!("{}: reads {}", header.name, header.described());
}

/// Says on standard error which parts of `model` in these widths are wider than they say, and how the accelerator runs them.
pub fn say_wider(widths: &Widths, model: &FloatModel) -> Result<()> {
    let wider = widths.wider_parts(model)?;
    wider.iter().for_each(|why| note!("{why}; a build of the other layers' widths runs them by digits"));
    Ok(())
}

/// All of `data`, or a sample of `count` of its images. What a user should know about them goes to standard error: notes
/// of their reader, and classes of a network of `outputs` of which there is none.
pub fn sample(data: &DataSet, count: Option<usize>, seed: u64, outputs: usize) -> DataSet {
    let some = match count.filter(|&count| count < data.len()) {
        Some(count) => data.sample(count, seed),
        None => data.clone(),
    };
    some.notes().for_each(|note| note!("{note}"));
    let missing = some.lacks(outputs);
    if !missing.is_empty() {
        let (path, count) = (data.path().display(), some.len());
        note!("warning: {path}: {count} images, and none of class {}", listed(&missing));
    }
    some
}

/// The images of `data` in its order, batch by batch, with a progress bar.
pub fn batches<'a>(data: &'a DataSet, header: &'a Header) -> impl Iterator<Item = Result<Batch>> + 'a {
    let size = (BATCH_VALUES / header.input.len().max(1)).clamp(1, 256);
    let bar = progress::bar(data.len(), "images");
    (0..data.len()).step_by(size).map(move |start| {
        let part = start..(start + size).min(data.len());
        let batch = data.batch(part.clone(), header)?;
        bar.inc(part.len() as u64);
        Ok((batch, part.map(|i| data.label(i)).collect()))
    })
}

/// The name of output `class`, or its number where the network has no names.
pub fn class_name(classes: &[String], class: usize) -> String {
    classes.get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// Outputs by falling logit, the first of equals in front.
pub fn ranked(logits: ArrayView1<f64>) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..logits.len()).collect();
    ranked.sort_by(|&a, &b| logits[b].total_cmp(&logits[a])); // stable
    ranked
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

/// A sample of `count` images of `data`; `None` where none is named.
pub fn drawn(data: Option<&Path>, count: usize, seed: u64) -> Result<Option<DataSet>> {
    let Some(path) = data else { return Ok(None) };
    let data = DataSet::open(path)?;
    if count > data.len() {
        return Err(Error::usage("--images", format!("{count} images, there are {}", data.len())));
    }
    Ok(Some(data.sample(count, seed)))
}

/// Codes of the images of `data`; `count` random ones where there is none.
pub fn codes(model: &IntModel, data: Option<&DataSet>, count: usize, seed: u64) -> Result<Array4<i32>> {
    let Some(data) = data else { return Ok(random::images(model, count, seed)) };
    Ok(input_codes(model, &data.batch(0..data.len(), &model.header)?))
}

/// The pictures of `data` at the size of the network's input, bytes `(image, row, column, channel)`.
pub fn bytes(header: &Header, data: &DataSet) -> Result<Vec<u8>> {
    let fit =
        |i: usize| fitted(&data.picture(i)?, header).map_err(|reason| Error::bad_file(data.name(i), reason));
    let pictures = (0..data.len()).map(fit).collect::<Result<Vec<_>>>()?;
    Ok(pictures.into_iter().flat_map(|picture| picture.bytes).collect())
}
