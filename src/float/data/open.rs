//! From a path to a data set.

use super::found::Found;
use super::set::{DataSet, Split};
use super::source;
use crate::{Error, Result};
use std::path::Path;

/// Where Debian's package dataset-fashion-mnist puts its files.
const FASHION_MNIST: &str = "/usr/share/datasets/fashion-mnist";

/// `path`, or what the name of a data set stands for.
fn named(path: &Path) -> Result<&Path> {
    if path != Path::new("fashion-mnist") || path.exists() {
        return Ok(path);
    }
    let path = Path::new(FASHION_MNIST);
    match path.is_dir() {
        true => Ok(path),
        false => Err(Error::bad_file(path, "is not there: apt-get install dataset-fashion-mnist")),
    }
}

impl DataSet {
    /// The test pictures at `path`; see [`DataSet::open_split`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_split(path, Split::Test)
    }

    /// The part `split` of the pictures at `path`, or all of them where they are not in parts. The kind is found out from
    /// what is there:
    ///
    /// | `path` | kind |
    /// |---|---|
    /// | folder with `test_batch.bin` or `data_batch_N.bin`, or one such file | CIFAR-10 binary |
    /// | folder with `train.bin`, `test.bin`, or one such file | CIFAR-100 binary, fine classes |
    /// | folder with `data_batch_N`, or `train` beside `meta` | CIFAR-10 and CIFAR-100, pickles |
    /// | folder with `train_X.bin`, `test_X.bin` and labels | STL-10 |
    /// | `.npz`, or folder of `.npy`, with `x_train`, `y_train`, … or `x`, `y` | numpy arrays of bytes |
    /// | folder around one of these: torchvision's roots | that one |
    /// | `.tar.gz` of one of these | that one |
    /// | folder with `t10k-images-idx3-ubyte[.gz]` and the like, or one such file | IDX |
    /// | folder with `train` and `test` folders (or `Training`, `valid`, `val`, `seg_test`, …), or one of them | parts |
    /// | folder of class folders of picture files | labelled images |
    /// | folder of picture files with `labels.csv` (`NAME,LABEL`) or the like | labelled images |
    /// | folder of picture files, or one such file | images without labels |
    /// | the word `fashion-mnist`, where there is no such path | what Debian's package of it installs |
    ///
    /// # Errors
    /// Nothing of the above, no such part, and files that do not keep what their headers promise.
    pub fn open_split(path: impl AsRef<Path>, split: Split) -> Result<Self> {
        let path = path.as_ref();
        let name = if split == Split::Train { "training" } else { "test" };
        Self::open_part(path, split)?
            .ok_or_else(|| Error::bad_file(path, format!("has no {name} part, only the other one")))
    }

    /// As [`DataSet::open_split`]; `None` where the pictures are in parts and this one is not there.
    pub fn open_part(path: impl AsRef<Path>, split: Split) -> Result<Option<Self>> {
        let path = named(path.as_ref())?;
        let found = if path.is_dir() { source::find(path)? } else { source::file(path)? };
        let (reader, part) = match (found, split) {
            (Found::Whole(all), _) => (Some(all), None),
            (Found::Parts { train, .. }, Split::Train) => (train, Some(split)),
            (Found::Parts { test, .. }, Split::Test) => (test, Some(split)),
        };
        let Some(reader) = reader else { return Ok(None) };
        let set = reader()?;
        match set.is_empty() {
            true => Err(Error::bad_file(path, "holds no pictures")),
            false => Ok(Some(Self { part, ..set })),
        }
    }

    /// What calibrates: the training part, or all pictures where they are not in parts; the test part where it is the only
    /// one, and a note says so.
    pub fn open_to_calibrate(path: impl AsRef<Path>) -> Result<Self> {
        if let Some(train) = Self::open_part(&path, Split::Train)? {
            return Ok(train);
        }
        let mut test = Self::open(path)?;
        test.notes.push("there is no training part: the test part calibrates".into());
        Ok(test)
    }
}
