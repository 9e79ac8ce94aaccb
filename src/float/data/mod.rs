//! Labelled pictures: CIFAR-10 binary, IDX (MNIST and its kin) and image folders, read as the network needs them.

mod cifar;
mod files;
mod folder;
mod idx;
mod picture;
mod preprocess;

pub use files::data_files;
pub use picture::Picture;
pub use preprocess::preprocess;

use crate::net::Header;
use crate::{Error, Result};
use ndarray::{Array4, Axis};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Which part of a data set to read where a folder holds both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// The pictures to learn and calibrate from.
    Train,
    /// The pictures to measure on.
    #[default]
    Test,
}

/// Pictures with or without labels. Image folders are read from disk when asked for, the rest lies in memory.
#[derive(Debug)]
pub struct DataSet {
    path: PathBuf,
    pictures: Pictures,
    /// One a picture, or none at all.
    labels: Vec<usize>,
    classes: Vec<String>,
}

#[derive(Debug)]
enum Pictures {
    /// All of one size, one after the other.
    Memory { layout: Layout, bytes: Vec<u8> },
    /// One file each.
    Files(Vec<PathBuf>),
}

/// Size and order of the bytes of one picture.
#[derive(Clone, Copy, Debug)]
struct Layout {
    height: usize,
    width: usize,
    channels: usize,
    /// All bytes of a channel together (CIFAR) rather than all channels of a pixel.
    planar: bool,
}

/// Where Debian's package dataset-fashion-mnist puts its files.
const FASHION_MNIST: &str = "/usr/share/datasets/fashion-mnist";

impl DataSet {
    /// The test pictures at `path`; see [`DataSet::open_split`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_split(path, Split::Test)
    }

    /// The pictures at `path`, whose kind is found out from what is there:
    ///
    /// | `path` | kind |
    /// |---|---|
    /// | folder with `test_batch.bin` or `data_batch_N.bin`, or one such file | CIFAR-10 binary |
    /// | folder with `t10k-images-idx3-ubyte[.gz]` and the like, or one such file | IDX |
    /// | folder with `train` and `test` (or `val`) folders | the one that `split` names |
    /// | folder of class folders of PNG and JPEG files | labelled images |
    /// | folder of PNG and JPEG files, or one such file | images without labels |
    /// | the word `fashion-mnist`, where there is no such path | what Debian's package of it installs |
    ///
    /// # Errors
    /// Nothing of the above, and files that do not keep what their headers promise.
    pub fn open_split(path: impl AsRef<Path>, split: Split) -> Result<Self> {
        let named = path.as_ref() == Path::new("fashion-mnist") && !path.as_ref().exists();
        let path = if named { Path::new(FASHION_MNIST) } else { path.as_ref() };
        if named && !path.is_dir() {
            return Err(Error::bad_file(path, "is not there: apt-get install dataset-fashion-mnist"));
        }
        let set = if path.is_dir() { Self::open_folder(path, split)? } else { Self::open_file(path)? };
        match set.is_empty() {
            true => Err(Error::bad_file(path, "holds no pictures")),
            false => Ok(set),
        }
    }

    fn open_folder(path: &Path, split: Split) -> Result<Self> {
        if let Some(set) = cifar::open_folder(path, split)? {
            return Ok(set);
        }
        if let Some(set) = idx::open_folder(path, split)? {
            return Ok(set);
        }
        folder::open(path, split)
    }

    fn open_file(path: &Path) -> Result<Self> {
        if folder::is_picture(path) {
            return folder::one(path);
        }
        match path.extension().and_then(|e| e.to_str()) {
            Some("bin") => cifar::open(&[path.into()], cifar::classes()),
            _ => idx::open(path),
        }
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        match &self.pictures {
            Pictures::Memory { layout, bytes } => bytes.len() / layout.len(),
            Pictures::Files(files) => files.len(),
        }
    }

    /// Whether there are no pictures; [`DataSet::open`] refuses that.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Class of picture `i`; `None` where the set has no labels or no such picture.
    pub fn label(&self, i: usize) -> Option<usize> {
        self.labels.get(i).copied()
    }

    /// Whether every picture has a label.
    pub fn is_labelled(&self) -> bool {
        !self.labels.is_empty()
    }

    /// Class names in the order of the labels; empty where unknown.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Makes the labels mean the network's outputs: class names that both know are matched by name, and every
    /// label must be below `outputs`.
    pub fn align(&mut self, header: &Header, outputs: usize) -> Result<()> {
        if !self.classes.is_empty() && !header.classes.is_empty() && self.classes != header.classes {
            let place = |name: &String| {
                let found = header.classes.iter().position(|c| c == name);
                found.ok_or_else(|| self.bad(format!("the network knows no class {name:?}")))
            };
            let to = self.classes.iter().map(place).collect::<Result<Vec<_>>>()?;
            self.labels.iter_mut().for_each(|l| *l = to[*l]);
            self.classes = header.classes.clone();
        }
        match self.labels.iter().position(|&l| l >= outputs) {
            None => Ok(()),
            Some(i) => {
                let label = self.labels[i];
                Err(self.bad(format!(
                    "label {label} of picture {i} is not below the network's {outputs} outputs"
                )))
            }
        }
    }

    /// Picture `i` as it is stored.
    pub fn picture(&self, i: usize) -> Result<Picture> {
        if i >= self.len() {
            return Err(self.bad(format!("has no picture {i}, only {}", self.len())));
        }
        match &self.pictures {
            Pictures::Memory { layout, bytes } => {
                Ok(layout.picture(&bytes[i * layout.len()..][..layout.len()]))
            }
            Pictures::Files(files) => Picture::read(&files[i]),
        }
    }

    /// Name of picture `i`'s file, or the set's name and the number, for messages.
    fn name(&self, i: usize) -> PathBuf {
        match &self.pictures {
            Pictures::Files(files) => files[i].clone(),
            Pictures::Memory { .. } => format!("{}, picture {i}", self.path.display()).into(),
        }
    }

    /// The network's input `(image, channel, row, column)` for the pictures `indices`, in parallel.
    pub fn batch(&self, indices: impl IntoIterator<Item = usize>, header: &Header) -> Result<Array4<f32>> {
        let indices: Vec<usize> = indices.into_iter().collect();
        let shape = header.input;
        let mut x = Array4::zeros((indices.len(), shape.c, shape.h, shape.w));
        x.axis_iter_mut(Axis(0)).into_par_iter().zip(&indices).try_for_each(|(mut x, &i)| {
            let picture = self.picture(i)?;
            let values =
                preprocess(&picture, header).map_err(|reason| Error::bad_file(self.name(i), reason))?;
            x.assign(&values);
            Ok(())
        })?;
        Ok(x)
    }

    fn bad(&self, reason: impl Into<String>) -> Error {
        Error::bad_file(&self.path, reason)
    }
}

impl Layout {
    /// Bytes of one picture.
    fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    fn picture(self, bytes: &[u8]) -> Picture {
        let Layout { height, width, channels, planar } = self;
        let pixels = height * width;
        let bytes = match planar {
            false => bytes.to_vec(),
            true => (0..bytes.len()).map(|i| bytes[i % channels * pixels + i / channels]).collect(),
        };
        Picture { height, width, channels, bytes }
    }
}

#[cfg(test)]
mod tests;
