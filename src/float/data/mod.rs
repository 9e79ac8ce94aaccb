//! Labelled pictures: CIFAR, IDX (MNIST and its kin), STL-10, numpy arrays and folders of pictures, read as the network
//! needs them.

mod archive;
mod arrays;
mod cifar;
mod files;
mod folder;
mod idx;
mod labels;
mod pickled;
mod picture;
mod preprocess;
mod sample;
mod source;
mod stl10;

pub use files::data_files;
pub use picture::Picture;
pub use preprocess::{byte_inputs, fitted, preprocess};
pub use sample::SEED;

use crate::net::Header;
use crate::{Error, Result};
use ndarray::{Array4, Axis};
use rayon::prelude::*;
use source::Found;
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
    path: PathBuf,
    part: Option<Split>,
    pictures: Arc<Pictures>,
    /// Which of `pictures` the set has, in its order.
    places: Vec<usize>,
    /// One a picture, or none at all.
    labels: Vec<usize>,
    classes: Vec<String>,
    notes: Vec<String>,
    /// Whether pictures are turned as their EXIF orientation says.
    turned: bool,
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

impl Pictures {
    fn len(&self) -> usize {
        match self {
            Pictures::Memory { layout, bytes } => bytes.len() / layout.len(),
            Pictures::Files(files) => files.len(),
        }
    }

    /// The bytes of the picture at `place`, or its file.
    fn bytes(&self, place: usize) -> std::result::Result<&[u8], &Path> {
        match self {
            Pictures::Memory { layout, bytes } => Ok(&bytes[place * layout.len()..][..layout.len()]),
            Pictures::Files(files) => Err(&files[place]),
        }
    }
}

impl DataSet {
    /// All of `pictures`, in their order.
    fn new(path: &Path, pictures: Pictures, labels: Vec<usize>, classes: Vec<String>) -> Self {
        let places = (0..pictures.len()).collect();
        let (path, pictures) = (path.into(), Arc::new(pictures));
        Self { path, part: None, pictures, places, labels, classes, notes: vec![], turned: false }
    }

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

    /// What a user should know about how the pictures were read.
    pub fn notes(&self) -> impl Iterator<Item = String> + '_ {
        self.notes.iter().map(|note| format!("{}: {note}", self.path.display()))
    }

    /// Which part of a data set in two parts this is; `None`: all of one that is not in parts.
    pub fn part(&self) -> Option<Split> {
        self.part
    }

    /// Whether the pictures are read already, and their files may go.
    fn is_in_memory(&self) -> bool {
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

    /// Takes labels from `file`, in which a line is `PICTURE,LABEL` or, for a set with class names, `CLASS,OUTPUT`; a label or
    /// output is a number from 0, or one of the `names` of the network's outputs.
    ///
    /// # Errors
    /// A picture or a class without a line, and names that are not among `names`.
    pub fn relabel(&mut self, file: &Path, names: &[String]) -> Result<()> {
        let lines = labels::read(file)?;
        let output = |label: &String| {
            let found = labels::number(label).or_else(|| names.iter().position(|n| n == label));
            found.ok_or_else(|| Error::bad_file(file, format!("{label:?} is no number and no output's name")))
        };
        let line = |class: &String| lines.iter().find(|(key, _)| key == class);
        if self.classes.iter().any(|class| line(class).is_some()) {
            let to = |class: &String| match line(class) {
                Some((_, label)) => output(label),
                None => Err(Error::bad_file(file, format!("has no line for class {class:?}"))),
            };
            let to = self.classes.iter().map(to).collect::<Result<Vec<_>>>()?;
            self.labels.iter_mut().for_each(|l| *l = to[*l]);
        } else {
            let Pictures::Files(files) = &*self.pictures else {
                return Err(Error::bad_file(file, format!("names no class of {}", self.path.display())));
            };
            let pictures = self.places.iter().map(|&i| files[i].clone()).collect();
            let labelled = labels::of_pictures(file, &lines, pictures)?;
            self.labels = labelled.iter().map(|(_, label)| output(label)).collect::<Result<_>>()?;
        }
        self.classes = names.to_vec();
        Ok(())
    }

    /// Makes the labels mean the outputs of the network of `header`: by class names where both have some. Where the network
    /// has none, as many names as outputs are taken to be in their order, and a note says so.
    ///
    /// # Errors
    /// Names that the network does not have or has twice, more or fewer classes than outputs where only their order could
    /// tell, labels that are no outputs, and a network of one output, which is right whatever it says.
    pub fn align(&mut self, header: &Header, outputs: usize) -> Result<()> {
        if !self.is_labelled() {
            return Ok(());
        }
        if outputs < 2 {
            return Err(self.bad(format!("labels mean nothing to a network of {outputs} outputs")));
        }
        match (self.classes.is_empty(), header.classes.is_empty()) {
            (false, false) if self.classes != header.classes => self.rename(&header.classes)?,
            (false, true) if self.classes.len() != outputs => {
                let (classes, names) = (self.classes.len(), listed(&self.classes));
                return Err(self.bad(format!(
                    "{classes} classes ({names}) for a network of {outputs} outputs without names: \
                     say with --labels FILE which output each is, a line each: CLASS,OUTPUT"
                )));
            }
            (false, true) => self.notes.push(format!(
                "the network has no class names: its outputs are taken for {} in this order",
                listed(&self.classes)
            )),
            _ => {}
        }
        match self.labels.iter().position(|&l| l >= outputs) {
            None => Ok(()),
            Some(i) => {
                let label = self.labels[i];
                let reason =
                    format!("label {label} of picture {i} is not below the network's {outputs} outputs");
                Err(self.bad(reason))
            }
        }
    }

    /// Changes labels to the places of their classes' names among `names`.
    fn rename(&mut self, names: &[String]) -> Result<()> {
        let place = |name: &String| {
            let mut found = names.iter().enumerate().filter(|(_, n)| *n == name).map(|(i, _)| i);
            match (found.next(), found.next()) {
                (Some(place), None) => Ok(place),
                (None, _) => {
                    Err(self.bad(format!("the network knows no class {name:?}, only {}", listed(names))))
                }
                (Some(one), Some(other)) => {
                    Err(self
                        .bad(format!("outputs {one} and {other} of the network both have the name {name:?}")))
                }
            }
        };
        let to = self.classes.iter().map(place).collect::<Result<Vec<_>>>()?;
        self.labels.iter_mut().for_each(|l| *l = to[*l]);
        self.classes = names.to_vec();
        Ok(())
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

/// Names that a message gives at most.
const MOST_NAMES: usize = 8;

/// `a, b, c`, or some of them and how many more there are.
pub fn listed(names: &[String]) -> String {
    let (shown, more) = (names.len().min(MOST_NAMES), names.len().saturating_sub(MOST_NAMES));
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    names[..shown].join(", ") + &rest
}

#[cfg(test)]
mod tests;
