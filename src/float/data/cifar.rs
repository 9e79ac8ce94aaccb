//! CIFAR-10 and CIFAR-100, binary versions: records of a label byte (CIFAR-100: two, the second is the fine class) and 3072
//! bytes, a plane each of red, green and blue.
//!
//! Format: <https://www.cs.toronto.edu/~kriz/cifar.html>, "Binary version".

use super::found::{Found, Reader};
use super::set::{DataSet, Layout, Pictures};
use crate::{Error, Result, store};
use std::path::{Path, PathBuf};

pub(super) const LAYOUT: Layout = Layout { height: 32, width: 32, channels: 3, planar: true };
const PIXELS: usize = 32 * 32 * 3;
const NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// CIFAR-10's class names.
pub fn classes() -> Vec<String> {
    NAMES.map(String::from).into()
}

/// The batches in a folder; `None` where it has none.
pub fn find(folder: &Path) -> Result<Option<Found>> {
    let there = |names: Vec<String>, kind: fn(&[PathBuf]) -> Result<DataSet>| -> Option<Reader> {
        let files: Vec<PathBuf> = names.iter().map(|n| folder.join(n)).filter(|p| p.is_file()).collect();
        (!files.is_empty()).then(|| Box::new(move || kind(&files)) as Reader)
    };
    let train = there((1..=5).map(|i| format!("data_batch_{i}.bin")).collect(), open_10);
    let test = there(vec!["test_batch.bin".into()], open_10);
    if train.is_some() || test.is_some() {
        return Ok(Some(Found::Parts { train, test }));
    }
    let train = there(vec!["train.bin".into()], open_100);
    let test = there(vec!["test.bin".into()], open_100);
    Ok((train.is_some() || test.is_some()).then_some(Found::Parts { train, test }))
}

/// One file of either, by the size of its records.
pub fn open_file(path: &Path) -> Result<DataSet> {
    let size = std::fs::metadata(path).map_err(Error::io(path))?.len();
    match (size % (1 + PIXELS as u64), size % (2 + PIXELS as u64)) {
        (1.., 0) => open_100(&[path.into()]),
        _ => open_10(&[path.into()]),
    }
}

fn open_10(files: &[PathBuf]) -> Result<DataSet> {
    open(files, 1, classes())
}

/// CIFAR-100, whose class names lie beside it.
fn open_100(files: &[PathBuf]) -> Result<DataSet> {
    let names = files.first().map(|f| f.with_file_name("fine_label_names.txt")).filter(|p| p.is_file());
    let names = names.map(|path| store::read_text(&path)).transpose()?;
    let names = names.unwrap_or_default().split_whitespace().map(String::from).collect();
    open(files, 2, names)
}

/// The records of `files`, one file after the other, of which each begins with `labels` bytes; the last of them counts.
fn open(files: &[PathBuf], labels: usize, classes: Vec<String>) -> Result<DataSet> {
    let record = labels + PIXELS;
    let most = if labels == 1 { 10 } else { 100 };
    let (mut bytes, mut found) = (vec![], vec![]);
    for path in files {
        let file = store::read_file(path)?;
        if file.is_empty() || file.len() % record != 0 {
            let reason =
                format!("{} bytes are no whole number of CIFAR-{most} records of {record}", file.len());
            return Err(Error::bad_file(path, reason));
        }
        for (i, record) in file.chunks_exact(record).enumerate() {
            let label = usize::from(record[labels - 1]);
            if label >= most {
                let reason = format!("record {i} has label {label}, there are {most} classes");
                return Err(Error::bad_file(path, reason));
            }
            found.push(label);
            bytes.extend_from_slice(&record[labels..]);
        }
    }
    let path = files.first().cloned().unwrap_or_default();
    Ok(DataSet::new(&path, Pictures::Memory { layout: LAYOUT, bytes }, found, classes))
}
