//! Numpy's `.npy` and `.npz`: arrays of bytes `(picture, row, column)`, with three colours last or after the picture, and arrays
//! of integers with their labels.
//!
//! Format: numpy's `numpy/lib/format.py`. The head is a Python literal, of which only what numpy itself writes is read.

use super::source::{Found, Reader};
use super::{DataSet, Layout, Pictures};
use crate::{Error, Result};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Most bytes of an array.
const MOST_BYTES: u64 = 1 << 32;

/// An array in memory, its first index running slowest.
struct Array {
    /// As numpy writes it: `|u1`, `<i8`.
    kind: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

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
    parts(folder, names, |path| read(path, &mut File::open(path).map_err(Error::io(path))?))
}

/// One file: an `.npz` in parts or not, or pictures in an `.npy` without labels.
pub fn open(path: &Path) -> Result<Found> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        let path = path.to_path_buf();
        let reader =
            move || set(&path, read(&path, &mut File::open(&path).map_err(Error::io(&path))?)?, None);
        return Ok(Found::Whole(Box::new(reader)));
    }
    let bad = |e: zip::result::ZipError| Error::bad_file(path, format!("is no readable .npz: {e}"));
    let archive = || {
        let file = File::open(path).map_err(Error::io(path))?;
        zip::ZipArchive::new(BufReader::new(file)).map_err(bad)
    };
    let names = archive()?.file_names().map(|name| name.map(|n| n.into_owned())).collect::<Vec<_>>();
    let names = names.into_iter().collect::<std::result::Result<Vec<String>, _>>().map_err(bad)?;
    let plain = |name: &String| (name.trim_end_matches(".npy").to_lowercase(), name.clone());
    let file = path.to_path_buf();
    let member = move |name: &String| {
        let bad = |e: zip::result::ZipError| Error::bad_file(&file, format!("is no readable .npz: {e}"));
        let open = File::open(&file).map_err(Error::io(&file))?;
        let mut archive = zip::ZipArchive::new(BufReader::new(open)).map_err(bad)?;
        read(&file, &mut archive.by_name(name).map_err(bad)?)
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
    let bad = |reason: String| Error::bad_file(path, reason);
    let (count, layout) = layout(&pictures).map_err(bad)?;
    let labels = match labels {
        None => vec![],
        Some(array) => {
            let found = integers(&array).map_err(bad)?;
            if found.len() != count {
                return Err(bad(format!("{} labels for {count} pictures", found.len())));
            }
            found
        }
    };
    Ok(DataSet::new(path, Pictures::Memory { layout, bytes: pictures.bytes }, labels, vec![]))
}

fn layout(array: &Array) -> std::result::Result<(usize, Layout), String> {
    if array.kind != "|u1" {
        let kind = &array.kind;
        return Err(format!(
            "pictures are {kind}, bytes 0 … 255 are needed: in numpy, x.round().astype('uint8')"
        ));
    }
    let colours = |n: &usize| [1, 3].contains(n);
    let (count, height, width, channels, planar) = match array.shape[..] {
        [count, height, width] => (count, height, width, 1, false),
        [count, h, w, c] if colours(&c) && !colours(&h) => (count, h, w, c, false),
        [count, c, h, w] if colours(&c) && !colours(&w) => (count, h, w, c, true),
        _ => (0, 0, 0, 0, false),
    };
    if height * width == 0 {
        let shape = &array.shape;
        return Err(format!(
            "pictures of shape {shape:?}: (N, rows, columns) are needed, colours last or second"
        ));
    }
    Ok((count, Layout { height, width, channels, planar }))
}

fn integers(array: &Array) -> std::result::Result<Vec<usize>, String> {
    let count = array.shape.first().copied().unwrap_or(0);
    let size = array.kind[2..].parse().unwrap_or(0);
    if !matches!(&array.kind[1..2], "i" | "u")
        || array.kind.starts_with('>')
        || array.bytes.len() != count * size
    {
        return Err(format!(
            "labels are {} of shape {:?}, integers (N,) are needed",
            array.kind, array.shape
        ));
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    let label = |bytes: &[u8]| usize::try_from(number(bytes)).ok().filter(|&n| n < 1 << 24);
    let labels: Option<Vec<usize>> = array.bytes.chunks_exact(size.max(1)).map(label).collect();
    labels.ok_or_else(|| "a label is negative or above 16777215".into())
}

fn read(path: &Path, file: &mut impl Read) -> Result<Array> {
    let bad = |reason: String| Error::bad_file(path, reason);
    let io = |e: std::io::Error| bad(format!("cannot be read as .npy: {e}"));
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(io)?;
    let [magic @ .., major, _] = start;
    if &magic != b"\x93NUMPY" || !(1..=3).contains(&major) {
        return Err(bad("does not start as a .npy of version 1 to 3".into()));
    }
    let mut len = [0; 4];
    file.read_exact(&mut len[..if major == 1 { 2 } else { 4 }]).map_err(io)?;
    let mut head = vec![];
    file.by_ref().take(u32::from_le_bytes(len).into()).read_to_end(&mut head).map_err(io)?;
    let (kind, shape) = head_of(&String::from_utf8_lossy(&head)).map_err(bad)?;
    let size: u64 = kind[2..].parse().map_err(|_| bad(format!("holds {kind}, no numbers")))?;
    let bytes = shape.iter().try_fold(size, |n, &s| n.checked_mul(s as u64)).filter(|&n| n <= MOST_BYTES);
    let count = bytes.ok_or_else(|| bad(format!("its head promises {shape:?} elements")))?;
    let mut bytes = vec![];
    file.take(count + 1).read_to_end(&mut bytes).map_err(io)?;
    match bytes.len() as u64 == count {
        true => Ok(Array { kind, shape, bytes }),
        false => Err(bad(format!("does not hold the {count} bytes that its head promises"))),
    }
}

/// `{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }`.
fn head_of(head: &str) -> std::result::Result<(String, Vec<usize>), String> {
    let after = |key: &str| head.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let kind = after("descr").and_then(|t| t.strip_prefix('\'')?.split_once('\'')).map(|(kind, _)| kind);
    let shape = after("shape").and_then(|t| t.strip_prefix('(')?.split_once(')')).map(|(shape, _)| shape);
    let fortran = after("fortran_order").is_some_and(|t| t.starts_with("True"));
    let (Some(kind), Some(shape)) = (kind.filter(|k| k.len() > 2 && k.is_ascii()), shape) else {
        return Err(format!("its head makes no sense: {}", head.trim()));
    };
    if fortran {
        return Err("is in Fortran's order: in numpy, numpy.ascontiguousarray(x)".into());
    }
    let sizes = shape.split(',').map(str::trim).filter(|s| !s.is_empty()).map(|s| s.parse().ok());
    let sizes =
        sizes.collect::<Option<Vec<usize>>>().ok_or_else(|| format!("its shape ({shape}) makes no sense"))?;
    Ok((kind.into(), sizes))
}
