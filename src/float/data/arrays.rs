//! Numpy's `.npy` and `.npz`: arrays of bytes `(picture, row, column)`, with three colours last or after the picture, and arrays
//! of whole numbers with their labels.

use super::found::{Found, Reader};
use super::set::{DataSet, Layout, Pictures};
use crate::float::import::npy::{Array, read_npy};
use crate::{Error, Result, store};
use std::io::{BufReader, Read};
use std::path::Path;

/// What an array's name says about it.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Pictures,
    Labels,
}

fn role(name: &str) -> Option<Role> {
    let has = |words: &[&str]| words.iter().any(|w| name.contains(w));
    match name {
        _ if name.starts_with('y') || has(&["label", "target"]) => Some(Role::Labels),
        _ if name.starts_with('x') || has(&["image", "data", "picture"]) => Some(Role::Pictures),
        _ => None,
    }
}

/// `x_train.npy`, `y_train.npy` and the like in a folder; `None` where no name says so.
pub fn find(folder: &Path) -> Result<Option<Found>> {
    let mut names = vec![];
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path.extension().is_some_and(|e| e == "npy") {
            names.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), path));
        }
    }
    names.sort();
    parts(folder, names, |path| read(path, store::open_file(path)?))
}

/// One file: an `.npz` in parts or not, or pictures in an `.npy` without labels.
pub fn open(path: &Path) -> Result<Found> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        let path = path.to_path_buf();
        let reader = move || set(&path, read(&path, store::open_file(&path)?)?, None);
        return Ok(Found::Whole(Box::new(reader)));
    }
    let bad = |e: zip::result::ZipError| Error::bad_file(path, format!("is no readable .npz: {e}"));
    let archive = || {
        let file = store::open_file(path)?;
        zip::ZipArchive::new(BufReader::new(file)).map_err(bad)
    };
    let names = archive()?.file_names().map(|name| name.map(|n| n.into_owned())).collect::<Vec<_>>();
    let names = names.into_iter().collect::<std::result::Result<Vec<String>, _>>().map_err(bad)?;
    let plain = |name: &String| (name.trim_end_matches(".npy").to_lowercase(), name.clone());
    let file = path.to_path_buf();
    let member = move |name: &String| {
        let bad = |e: zip::result::ZipError| Error::bad_file(&file, format!("is no readable .npz: {e}"));
        let open = store::open_file(&file)?;
        let mut archive = zip::ZipArchive::new(BufReader::new(open)).map_err(bad)?;
        read(&file, archive.by_name(name).map_err(bad)?)
    };
    let found = parts(path, names.iter().map(plain).collect(), member)?;
    found.ok_or_else(|| {
        Error::bad_file(path, format!("has arrays {}; pictures should be x, labels y", names.join(", ")))
    })
}

/// The parts among named arrays, of which each is read by `read`.
fn parts<T: Clone + 'static>(
    path: &Path,
    names: Vec<(String, T)>,
    read: impl Fn(&T) -> Result<Array> + Clone + 'static,
) -> Result<Option<Found>> {
    let of = |words: &[&str], role_of: Role| {
        let named =
            |(name, _): &&(String, T)| role(name) == Some(role_of) && words.iter().any(|w| name.contains(w));
        names.iter().find(named).map(|(_, at)| at.clone())
    };
    let part = |words: &[&str]| -> Option<Reader> {
        let (pictures, labels) = (of(words, Role::Pictures)?, of(words, Role::Labels));
        let (read, path) = (read.clone(), path.to_path_buf());
        Some(Box::new(move || set(&path, read(&pictures)?, labels.map(|l| read(&l)).transpose()?)))
    };
    let test = part(&["test"]).or_else(|| part(&["val"]));
    match (part(&["train"]), test) {
        (None, None) => Ok(part(&[""]).map(Found::Whole)),
        (train, test) => Ok(Some(Found::Parts { train, test })),
    }
}

fn set(path: &Path, pictures: Array, labels: Option<Array>) -> Result<DataSet> {
    let bad = |reason: &str| Error::bad_file(path, reason);
    let (count, layout) = layout(&pictures.shape).map_err(|reason| bad(&reason))?;
    let bytes = whole_numbers(&pictures, 255, |n| n as u8);
    let bytes = bytes
        .ok_or_else(|| bad("pictures hold more than bytes 0 … 255: in numpy, x.round().astype('uint8')"))?;
    let labels = labels.map_or(Some(vec![]), |l| whole_numbers(&l, 1 << 24, |n| n as usize));
    let labels = labels.ok_or_else(|| bad("labels are not whole numbers from 0 to 16777216"))?;
    if ![0, count].contains(&labels.len()) {
        return Err(bad(&format!("{} labels for {count} pictures", labels.len())));
    }
    Ok(DataSet::new(path, Pictures::Memory { layout, bytes }, labels, vec![]))
}

/// Number of pictures, and the layout of one, of an array of this shape.
fn layout(shape: &[usize]) -> std::result::Result<(usize, Layout), String> {
    let colours = |n: &usize| [1, 3].contains(n);
    let (count, height, width, channels, planar) = match shape[..] {
        [count, height, width] => (count, height, width, 1, false),
        [count, h, w, c] if colours(&c) && !colours(&h) => (count, h, w, c, false),
        [count, c, h, w] if colours(&c) && !colours(&w) => (count, h, w, c, true),
        _ => (0, 0, 0, 0, false),
    };
    if height * width == 0 {
        return Err(format!(
            "pictures of shape {shape:?}: (N, rows, columns) are needed, colours last or second"
        ));
    }
    Ok((count, Layout { height, width, channels, planar }))
}

/// The elements as whole numbers up to `most`; `None` where one is none.
fn whole_numbers<T>(array: &Array, most: u32, number: fn(u32) -> T) -> Option<Vec<T>> {
    let is_whole = |v: f32| v.fract() == 0.0 && (0.0..=most as f32).contains(&v);
    array.values.iter().map(|&v| is_whole(v).then(|| number(v as u32))).collect()
}

fn read(path: &Path, file: impl Read) -> Result<Array> {
    read_npy(file).map_err(|reason| Error::bad_file(path, format!("cannot be read as an array: {reason}")))
}
