//! Images for the verbs that run networks: which ones, and in batches.

use super::progress;
use ndarray::Array4;
use vgg2rtl::Result;
use vgg2rtl::float::DataSet;
use vgg2rtl::net::Header;

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
