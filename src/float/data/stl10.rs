//! STL-10, binary version: 96×96 pictures, a plane each of red, green and blue, column by column; labels from 1.
//!
//! Format: <https://cs.stanford.edu/~acoates/stl10/>.

use super::found::{Found, Reader};
use super::set::{DataSet, Layout, Pictures};
use crate::{Error, Result, store};
use std::path::{Path, PathBuf};

const SIDE: usize = 96;
const LAYOUT: Layout = Layout { height: SIDE, width: SIDE, channels: 3, planar: true };

/// The parts in a folder; `None` where it has none.
pub fn find(folder: &Path) -> Result<Option<Found>> {
    let there = |part: &str| -> Option<Reader> {
        let (x, y) = (folder.join(format!("{part}_X.bin")), folder.join(format!("{part}_y.bin")));
        (x.is_file() && y.is_file()).then(|| Box::new(move || open(&x, &y)) as Reader)
    };
    let (train, test) = (there("train"), there("test"));
    Ok((train.is_some() || test.is_some()).then_some(Found::Parts { train, test }))
}

fn open(pictures: &PathBuf, labels: &Path) -> Result<DataSet> {
    let mut bytes = store::read_file(pictures)?;
    let found = store::read_file(labels)?;
    if bytes.len() != found.len() * LAYOUT.len() {
        let reason = format!("{} bytes for {} labels of 96×96 pictures", bytes.len(), found.len());
        return Err(Error::bad_file(pictures, reason));
    }
    if let Some(i) = found.iter().position(|l| !(1..=10).contains(l)) {
        return Err(Error::bad_file(labels, format!("label {} of picture {i} is not 1 to 10", found[i])));
    }
    for plane in bytes.chunks_exact_mut(SIDE * SIDE) {
        for (i, j) in (0..SIDE).flat_map(|i| (0..i).map(move |j| (i, j))) {
            plane.swap(i * SIDE + j, j * SIDE + i);
        }
    }
    let names = pictures.with_file_name("class_names.txt");
    let names = store::read_text(&names).unwrap_or_default();
    let names: Vec<String> = names.split_whitespace().map(String::from).collect();
    let names = if names.len() == 10 { names } else { vec![] };
    let found = found.into_iter().map(|l| usize::from(l) - 1).collect();
    Ok(DataSet::new(pictures, Pictures::Memory { layout: LAYOUT, bytes }, found, names))
}
