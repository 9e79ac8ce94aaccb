//! CIFAR-10's binary version: records of one label byte and 3072 bytes, a plane each of red, green and blue.
//!
//! Format: <https://www.cs.toronto.edu/~kriz/cifar.html>, "Binary version".

use super::{DataSet, Layout, Pictures, Split};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

const LAYOUT: Layout = Layout { height: 32, width: 32, channels: 3, planar: true };
const RECORD: usize = 1 + 32 * 32 * 3;
const NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The data set's class names.
pub fn classes() -> Vec<String> {
    NAMES.map(String::from).into()
}

/// The batches of `split` in a folder; `None` where it has no CIFAR-10 file at all.
pub fn open_folder(folder: &Path, split: Split) -> Result<Option<DataSet>> {
    let train = (1..=5).map(|i| folder.join(format!("data_batch_{i}.bin"))).filter(|p| p.is_file());
    let train: Vec<PathBuf> = train.collect();
    let test: Vec<PathBuf> = [folder.join("test_batch.bin")].into_iter().filter(|p| p.is_file()).collect();
    let files = match split {
        Split::Train if !train.is_empty() => train,
        Split::Test if !test.is_empty() => test,
        _ if train.is_empty() && test.is_empty() => return Ok(None),
        _ => return Err(Error::bad_file(folder, format!("has no CIFAR-10 {split:?} batch").to_lowercase())),
    };
    open(&files, classes()).map(Some)
}

/// The records of `files`, one file after the other.
pub fn open(files: &[PathBuf], classes: Vec<String>) -> Result<DataSet> {
    let (mut bytes, mut labels) = (vec![], vec![]);
    for path in files {
        let file = std::fs::read(path).map_err(Error::io(path))?;
        if file.is_empty() || file.len() % RECORD != 0 {
            let reason = format!("{} bytes are no whole number of CIFAR-10 records of {RECORD}", file.len());
            return Err(Error::bad_file(path, reason));
        }
        for (i, record) in file.chunks_exact(RECORD).enumerate() {
            let label = usize::from(record[0]);
            if label >= classes.len() {
                let reason = format!("record {i} has label {label}, there are {} classes", classes.len());
                return Err(Error::bad_file(path, reason));
            }
            labels.push(label);
            bytes.extend_from_slice(&record[1..]);
        }
    }
    let path = files.first().cloned().unwrap_or_default();
    Ok(DataSet { path, pictures: Pictures::Memory { layout: LAYOUT, bytes }, labels, classes })
}
