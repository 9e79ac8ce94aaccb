//! Arrays of numpy: `.npy`, and the `.npz` zip of them.

use super::blob::Blob;
use npyz::{DType, NpyFile, Order, TypeChar};
use std::io::{BufReader, Read};

/// An array of floats or integers, as f32.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// Most numbers of a file, 1 GiB: a compressed file could otherwise claim any size.
const MOST_VALUES: u64 = 1 << 28;

/// The arrays of a `.npz` file by name, in its order.
pub fn read_npz(blob: &Blob) -> Result<Vec<(String, Array)>, String> {
    let zip = zip::ZipArchive::new(BufReader::new(blob.reader()));
    let mut zip = zip.map_err(|e| format!("not a whole .npz file: {e}"))?;
    let mut arrays = vec![];
    let mut left = MOST_VALUES;
    for i in 0..zip.len() {
        let file = zip.by_index(i).map_err(|e| e.to_string())?;
        let name = file.name().map_err(|e| e.to_string())?.to_string();
        let Some(stem) = name.strip_suffix(".npy") else { continue };
        arrays.push((stem.to_string(), read(file, &mut left).map_err(|e| format!("array {stem}: {e}"))?));
    }
    Ok(arrays)
}

/// The array of a `.npy` file.
pub fn read_npy(reader: impl Read) -> Result<Array, String> {
    read(reader, &mut { MOST_VALUES })
}

/// An array of at most `left` numbers.
fn read(reader: impl Read, left: &mut u64) -> Result<Array, String> {
    let file = NpyFile::new(reader).map_err(|e| e.to_string())?;
    let shape = file.shape().iter().map(|&s| usize::try_from(s).map_err(|e| e.to_string()));
    let shape = shape.collect::<Result<Vec<_>, _>>()?;
    let count = file.shape().iter().try_fold(1u64, |n, &s| n.checked_mul(s));
    let rest = count.and_then(|n| left.checked_sub(n));
    *left = rest.ok_or_else(|| format!("of shape {shape:?} is too large"))?;
    let fortran = file.order() == Order::Fortran && shape.len() > 1;
    let values = numbers(file)?;
    match fortran {
        true => Err("in Fortran's order: numpy.ascontiguousarray makes it C's".into()),
        false => Ok(Array { shape, values }),
    }
}

fn numbers<R: Read>(file: NpyFile<R>) -> Result<Vec<f32>, String> {
    let DType::Plain(plain) = file.dtype() else { return Err("of records, must be of numbers".into()) };
    let bad = |e: std::io::Error| e.to_string();
    match (plain.type_char(), plain.size_field()) {
        (TypeChar::Float, 4) => file.into_vec::<f32>().map_err(bad),
        (TypeChar::Float, 8) => {
            Ok(file.into_vec::<f64>().map_err(bad)?.into_iter().map(|v| v as f32).collect())
        }
        (TypeChar::Int, 8) => {
            Ok(file.into_vec::<i64>().map_err(bad)?.into_iter().map(|v| v as f32).collect())
        }
        (TypeChar::Int, 4) => {
            Ok(file.into_vec::<i32>().map_err(bad)?.into_iter().map(|v| v as f32).collect())
        }
        (TypeChar::Uint, 1) => Ok(file.into_vec::<u8>().map_err(bad)?.into_iter().map(f32::from).collect()),
        _ => Err(format!("of type {plain}, must be float32")),
    }
}
