//! Pictures with or without labels.

use super::picture::Picture;
use super::preprocess::preprocess;
use crate::net::Header;
use crate::{Error, Result};
use ndarray::{Array4, Axis};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which part of a data set to read where a folder holds both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// The pictures to learn and calibrate from.
    Train,
    /// The pictures to measure on.
    #[default]
    Test,
}

/// Pictures with or without labels, all of a source or some ([`DataSet::sample`]). Image folders are read from disk when asked for, the rest lies in memory.
#[derive(Clone, Debug)]
pub struct DataSet {
    pub(super) path: PathBuf,
    pub(super) part: Option<Split>,
    pub(super) pictures: Arc<Pictures>,
    /// Which of `pictures` the set has, in its order.
    pub(super) places: Vec<usize>,
    /// One a picture, or none at all.
    pub(super) labels: Vec<usize>,
    pub(super) classes: Vec<String>,
    pub(super) notes: Vec<String>,
    /// Whether pictures are turned as their EXIF orientation says.
    pub(super) turned: bool,
}

#[derive(Debug)]
pub(super) enum Pictures {
    /// All of one size, one after the other.
    Memory { layout: Layout, bytes: Vec<u8> },
    /// One file each.
    Files(Vec<PathBuf>),
}

/// Size and order of the bytes of one picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
    /// All bytes of a channel together (CIFAR) rather than all channels of a pixel.
    pub(super) planar: bool,
}

impl Pictures {
    pub(super) fn len(&self) -> usize {
        match self {
            Pictures::Memory { layout, bytes } => bytes.len() / layout.len(),
            Pictures::Files(files) => files.len(),
        }
    }

    /// The bytes of the picture at `place`, or its file.
    pub(super) fn bytes(&self, place: usize) -> std::result::Result<&[u8], &Path> {
        match self {
            Pictures::Memory { layout, bytes } => Ok(&bytes[place * layout.len()..][..layout.len()]),
            Pictures::Files(files) => Err(&files[place]),
        }
    }
}

impl DataSet {
    /// All of `pictures`, in their order.
    pub(super) fn new(path: &Path, pictures: Pictures, labels: Vec<usize>, classes: Vec<String>) -> Self {
        let places = (0..pictures.len()).collect();
        let (path, pictures) = (path.into(), Arc::new(pictures));
        Self { path, part: None, pictures, places, labels, classes, notes: vec![], turned: false }
    }

    /// What a user should know about how the pictures were read.
    pub fn notes(&self) -> impl Iterator<Item = String> + '_ {
        self.notes.iter().map(|note| format!("{}: {note}", self.path.display()))
    }

    /// Which part of a data set in two parts this is; `None`: all of one that is not in parts.
    pub fn part(&self) -> Option<Split> {
        self.part
    }

    /// Whether the pictures are read already, and their files may go.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(*self.pictures, Pictures::Memory { .. })
    }

    /// Number of pictures.
    pub fn len(&self) -> usize {
        self.places.len()
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

    /// Turns pictures from now on as their EXIF orientation says.
    pub fn turned(self) -> Self {
        Self { turned: true, ..self }
    }

    /// Picture `i` as it is stored.
    pub fn picture(&self, i: usize) -> Result<Picture> {
        if i >= self.len() {
            return Err(self.bad(format!("has no picture {i}, only {}", self.len())));
        }
        match &*self.pictures {
            Pictures::Memory { layout, bytes } => {
                Ok(layout.picture(&bytes[self.places[i] * layout.len()..][..layout.len()]))
            }
            Pictures::Files(files) => Picture::read(&files[self.places[i]], self.turned),
        }
    }

    /// Name of picture `i`'s file, or the set's name and the number.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn name(&self, i: usize) -> PathBuf {
        match &*self.pictures {
            Pictures::Files(files) => files[self.places[i]].clone(),
            Pictures::Memory { .. } => format!("{}, picture {}", self.path.display(), self.places[i]).into(),
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

    pub(super) fn bad(&self, reason: impl Into<String>) -> Error {
        Error::bad_file(&self.path, reason)
    }
}

impl Layout {
    /// Bytes of one picture.
    pub(super) fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    pub(super) fn picture(self, bytes: &[u8]) -> Picture {
        let Layout { height, width, channels, planar } = self;
        let pixels = height * width;
        let bytes = match planar {
            false => bytes.to_vec(),
            true => (0..bytes.len()).map(|i| bytes[i % channels * pixels + i / channels]).collect(),
        };
        Picture { height, width, channels, bytes }
    }
}

/// Names that a message gives at most.
const MOST_NAMES: usize = 8;

/// `a, b, c`, or some of them and how many more there are.
pub fn listed(names: &[String]) -> String {
    let (shown, more) = (names.len().min(MOST_NAMES), names.len().saturating_sub(MOST_NAMES));
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    names[..shown].join(", ") + &rest
}
