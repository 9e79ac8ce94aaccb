//! Model files: safetensors with a JSON description in the metadata.
//!
//! A model file is a `.safetensors` file whose metadata holds one key, [`KEY`], with the JSON description
//! `{"format": "vgg2rtl-float" | "vgg2rtl-int", "version": 2, …}`. `docs/model-format.md` describes it.

use crate::{Error, Result, output};
use bytemuck::NoUninit;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorInfo};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};

mod hash;
mod input;
mod keys;
mod packed;
mod seal;
mod spool;

pub use hash::{digest, sha256};
pub use input::{open_file, read_file, read_text};
pub use spool::{Spool, write_spooled};

/// Metadata key of the JSON description.
pub const KEY: &str = "vgg2rtl";
/// Version of the model file format that is written; older ones are read.
pub const VERSION: u32 = 2;

/// A multiple of this many bytes stands before the tensors.
const ALIGNMENT: usize = 8;

/// Element types of the project's tensors.
pub trait Element: Copy {
    /// The safetensors type.
    const DTYPE: Dtype;
    /// Appends the little-endian bytes.
    fn put(self, out: &mut Vec<u8>);
    /// Reads one element from exactly its bytes.
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! element {
    ($($t:ty => $d:ident),*) => {$(
        impl Element for $t {
            const DTYPE: Dtype = Dtype::$d;
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                <$t>::from_le_bytes(bytes.try_into().expect("the caller passes one element"))
            }
        }
    )*};
}
element!(f32 => F32, i8 => I8, u8 => U8, i16 => I16, u16 => U16, i32 => I32, i64 => I64);

/// One tensor to write: large ones are borrowed, so that a network is never in memory twice.
pub struct Tensor<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Cow<'a, [u8]>,
}

impl<'a> Tensor<'a> {
    /// A tensor of `shape` with the elements in row-major order.
    pub fn new<T: Element>(shape: impl Into<Vec<usize>>, elements: impl IntoIterator<Item = T>) -> Self {
        let mut bytes = Vec::new();
        elements.into_iter().for_each(|e| e.put(&mut bytes));
        Self { dtype: T::DTYPE, shape: shape.into(), bytes: bytes.into() }
    }

    /// As [`Tensor::new`], without a copy where the machine's byte order is the file's.
    pub fn borrowed<T: Element + NoUninit>(shape: impl Into<Vec<usize>>, elements: &'a [T]) -> Self {
        if cfg!(target_endian = "big") {
            return Self::new(shape, elements.iter().copied());
        }
        Self { dtype: T::DTYPE, shape: shape.into(), bytes: bytemuck::cast_slice(elements).into() }
    }

    /// Integers in I8 where it holds them all, else I16.
    pub fn shorts(shape: impl Into<Vec<usize>>, elements: &'a [i16]) -> Self {
        if elements.iter().all(|&e| i8::try_from(e).is_ok()) {
            Self::new(shape, elements.iter().map(|&e| e as i8))
        } else {
            Self::borrowed(shape, elements)
        }
    }

    /// Integers that fit `bits` bits: packed where a byte holds more than one, else as [`Tensor::shorts`].
    pub fn codes(shape: impl Into<Vec<usize>>, elements: &'a [i16], bits: u32) -> Self {
        if !packed::BITS.contains(&bits) {
            return Self::shorts(shape, elements);
        }
        let bytes = packed::pack(elements, bits);
        Self { dtype: Dtype::U8, shape: vec![bytes.len()], bytes: bytes.into() }
    }

    /// Element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Sizes, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Little-endian, row-major.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Integers in the narrowest of I8, I16, I32, I64 that holds them all.
    pub fn integers(shape: impl Into<Vec<usize>>, elements: &[i64]) -> Self {
        let fits = |lo: i64, hi: i64| elements.iter().all(|e| (lo..=hi).contains(e));
        let all = elements.iter().copied();
        if fits(i8::MIN.into(), i8::MAX.into()) {
            Self::new(shape, all.map(|e| e as i8))
        } else if fits(i16::MIN.into(), i16::MAX.into()) {
            Self::new(shape, all.map(|e| e as i16))
        } else if fits(i32::MIN.into(), i32::MAX.into()) {
            Self::new(shape, all.map(|e| e as i32))
        } else {
            Self::new(shape, all)
        }
    }
}

/// Writes named tensors and the description `header` to a `.safetensors` file.
pub fn write<H: Serialize>(path: &Path, header: &H, tensors: &[(String, Tensor)]) -> Result<()> {
    let json = serde_json::to_string(header).map_err(|e| Error::bad_file(path, e.to_string()))?;
    let (head, tensors) = layout(path, json, borrowed(tensors))?;
    output::write_with(path, |to| {
        to.write_all(&head)?;
        tensors.iter().try_for_each(|tensor| to.write_all(&tensor.bytes))
    })
}

/// As [`write()`], with a checksum that [`File::sealed_header`] wants to see.
pub fn write_sealed<H: Serialize>(path: &Path, header: &H, tensors: &[(String, Tensor)]) -> Result<()> {
    let mut json = serde_json::to_value(header).map_err(|e| Error::bad_file(path, e.to_string()))?;
    json[seal::KEY] = seal::blank().into();
    let (mut bytes, tensors) = layout(path, json.to_string(), borrowed(tensors))?;
    tensors.iter().for_each(|tensor| bytes.extend_from_slice(&tensor.bytes));
    seal::seal(&mut bytes);
    output::write(path, &bytes)
}

fn borrowed<'t, 'a>(tensors: &'t [(String, Tensor<'a>)]) -> Vec<(String, &'t Tensor<'a>)> {
    tensors.iter().map(|(name, tensor)| (name.clone(), tensor)).collect()
}

/// What the index of a file says of a tensor.
trait Indexed {
    /// Element type, sizes and bytes.
    fn info(&self) -> (Dtype, &[usize], usize);
}

impl Indexed for &Tensor<'_> {
    fn info(&self) -> (Dtype, &[usize], usize) {
        (self.dtype, &self.shape, self.bytes.len())
    }
}

/// What stands before the tensors in the file, and their order in it: by falling alignment, then by name.
fn layout<T: Indexed>(
    path: &Path,
    description: String,
    mut tensors: Vec<(String, T)>,
) -> Result<(Vec<u8>, Vec<T>)> {
    tensors.sort_by(|(name, a), (other, b)| b.info().0.cmp(&a.info().0).then(name.cmp(other)));
    let mut at = 0;
    let info = |(name, tensor): &(String, T)| {
        let (dtype, shape, bytes) = tensor.info();
        let from = at;
        at += bytes;
        (name.clone(), TensorInfo { dtype, shape: shape.to_vec(), data_offsets: (from, at) })
    };
    let infos = tensors.iter().map(info).collect();
    let metadata = HashMap::from([(KEY.to_string(), description)]);
    let bad = |e: String| Error::bad_file(path, e);
    let index = Metadata::new(Some(metadata), infos).map_err(|e| bad(e.to_string()))?;
    let mut json = serde_json::to_vec(&index).map_err(|e| bad(e.to_string()))?;
    json.resize(json.len().next_multiple_of(ALIGNMENT), b' ');
    let head = [&(json.len() as u64).to_le_bytes()[..], &json].concat();
    Ok((head, tensors.into_iter().map(|(_, tensor)| tensor).collect()))
}

/// A `.safetensors` file in memory.
pub struct File {
    path: PathBuf,
    bytes: Vec<u8>,
    /// The description, and types, shapes and places of the tensors.
    index: Metadata,
    /// Where the tensors begin.
    data_at: usize,
    /// Tensors that nobody has read yet.
    unread: RefCell<BTreeSet<String>>,
}

impl File {
    /// Reads the whole file and its index; the rest of what it holds is checked by the other functions.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = read_file(path)?;
        let (header, index) = SafeTensors::read_metadata(&bytes)
            .map_err(|e| Error::bad_file(path, format!("not a safetensors file: {e}")))?;
        let unread = RefCell::new(index.offset_keys().into_iter().collect());
        Ok(Self { path: path.into(), data_at: size_of::<u64>() + header, bytes, index, unread })
    }

    /// The shape of tensor `name`, if there is one.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.index.info(name).map(|info| &info.shape[..])
    }

    /// The JSON description, whatever its format is; `None` when the file is not one of ours.
    pub fn description(&self) -> Result<Option<Value>> {
        let Some(json) = self.index.metadata().as_ref().and_then(|m| m.get(KEY)) else { return Ok(None) };
        serde_json::from_str(json).map(Some).map_err(|e| self.bad(format!("metadata {KEY}: {e}")))
    }

    /// The description of a file of format `format`; a key that it does not know is an error.
    pub fn header<H: Serialize + DeserializeOwned>(&self, format: &str) -> Result<H> {
        self.typed(self.described(format)?)
    }

    /// As [`File::header`], of a file that [`write_sealed`] wrote and nothing has changed since.
    pub fn sealed_header<H: Serialize + DeserializeOwned>(&self, format: &str) -> Result<H> {
        let mut json = self.described(format)?;
        seal::check(&self.path, &self.bytes)?;
        json.as_object_mut().map(|keys| keys.remove(seal::KEY));
        self.typed(json)
    }

    /// The description of a file of format `format` as JSON.
    fn described(&self, format: &str) -> Result<Value> {
        let json = self.description()?.ok_or_else(|| {
            self.bad(format!("no {KEY} description in its metadata; run `vgg2rtl import` on it first"))
        })?;
        let found = json.get("format").and_then(|f| f.as_str()).unwrap_or("none");
        if found != format {
            return Err(self.bad(format!("holds a {found} model where a {format} model is needed")));
        }
        let version = json.get("version").and_then(|v| v.as_u64());
        if !version.is_some_and(|version| (1..=VERSION.into()).contains(&version)) {
            let version = json.get("version").map_or("none".into(), |v| v.to_string());
            return Err(self.bad(format!("format version {version}, this program reads 1 to {VERSION}")));
        }
        Ok(json)
    }

    fn typed<H: Serialize + DeserializeOwned>(&self, json: Value) -> Result<H> {
        let bad = |e: serde_json::Error| self.bad(format!("metadata {KEY}: {e}"));
        let header: H = serde_json::from_value(json.clone()).map_err(bad)?;
        match keys::unknown(&json, &serde_json::to_value(&header).map_err(bad)?) {
            Some(key) => Err(self.bad(format!("metadata {KEY}: unknown key {key}"))),
            None => Ok(header),
        }
    }

    /// Fails where the file holds a tensor that has not been read.
    pub fn all_read(&self) -> Result<()> {
        match self.unread.borrow().first() {
            Some(name) => Err(self.bad(format!("tensor {name} belongs to no layer of its description"))),
            None => Ok(()),
        }
    }

    /// Tensor `name` of exactly `shape` as f32, every element finite.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let (dtype, data) = self.tensor(name, shape)?;
        let values: Vec<f32> = match dtype {
            Dtype::F32 => data.chunks_exact(4).map(f32::get).collect(),
            other => return Err(self.bad(format!("tensor {name} is {other:?}, must be F32"))),
        };
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(self.bad(format!("tensor {name} holds {} at element {i}", values[i]))),
            None => Ok(values),
        }
    }

    /// Tensor `name` of exactly `shape`, of any signed integer type.
    pub fn integers(&self, name: &str, shape: &[usize]) -> Result<Vec<i64>> {
        let (dtype, data) = self.tensor(name, shape)?;
        Ok(match dtype {
            Dtype::I8 => data.iter().map(|&b| b as i8 as i64).collect(),
            Dtype::I16 => data.chunks_exact(2).map(|b| i16::get(b) as i64).collect(),
            Dtype::I32 => data.chunks_exact(4).map(|b| i32::get(b) as i64).collect(),
            Dtype::I64 => data.chunks_exact(8).map(i64::get).collect(),
            other => return Err(self.bad(format!("tensor {name} is {other:?}, must be a signed integer"))),
        })
    }

    /// Tensor `name` of exactly `shape`, of I8 or I16: large tensors without a 64-bit copy.
    pub fn shorts(&self, name: &str, shape: &[usize]) -> Result<Vec<i16>> {
        let (dtype, data) = self.tensor(name, shape)?;
        match dtype {
            Dtype::I8 => Ok(data.iter().map(|&b| (b as i8).into()).collect()),
            Dtype::I16 => Ok(data.chunks_exact(2).map(i16::get).collect()),
            other => Err(self.bad(format!("tensor {name} is {other:?}, must be I8 or I16"))),
        }
    }

    /// Tensor `name` of `shape`: packed codes of `bits` bits, or as [`File::shorts`].
    pub fn codes(&self, name: &str, shape: &[usize], bits: u32) -> Result<Vec<i16>> {
        if self.index.info(name).is_none_or(|info| info.dtype != Dtype::U8) {
            return self.shorts(name, shape);
        }
        if !packed::BITS.contains(&bits) {
            let (least, most) = packed::BITS.into_inner();
            return Err(self.bad(format!(
                "tensor {name} is packed, its codes have {bits} bits, must have {least} to {most}"
            )));
        }
        let count = shape.iter().fold(1usize, |n, &size| n.saturating_mul(size)).min(usize::MAX / 8); // no file has more
        let (_, bytes) = self.tensor(name, &[packed::size(count, bits)])?;
        packed::unpack(bytes, bits, count)
            .ok_or_else(|| self.bad(format!("tensor {name}: the last byte is not filled up with zeros")))
    }

    /// An error that names this file.
    pub fn bad(&self, reason: impl Into<String>) -> Error {
        Error::bad_file(&self.path, reason)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<(Dtype, &[u8])> {
        let info = self.index.info(name).ok_or_else(|| self.bad(format!("tensor {name} is missing")))?;
        if info.shape != shape {
            return Err(self.bad(format!("tensor {name} has shape {:?}, must be {shape:?}", info.shape)));
        }
        self.unread.borrow_mut().remove(name);
        let (from, to) = info.data_offsets;
        Ok((info.dtype, &self.bytes[self.data_at..][from..to]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::TensorView;

    /// What is written piece by piece is what the safetensors crate makes of the same tensors.
    #[test]
    fn a_file_is_the_crate_s() {
        let (floats, shorts) = ([1.5f32, -2.0, 3.25, 0.0, 7.0, -0.5], [300i16, -1]);
        let tensors = [
            ("b".to_string(), Tensor::new([2], [5i8, -5])),
            ("c".to_string(), Tensor::borrowed([2, 3], &floats)),
            ("a".to_string(), Tensor::borrowed([1, 1], &floats[..1])),
            ("d".to_string(), Tensor::shorts([2], &shorts)),
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), &serde_json::json!({"format": "test"}), &tensors).unwrap();
        let view = |(n, t): &(String, Tensor)| {
            let bytes = t.bytes.clone().into_owned();
            (n.clone(), t.dtype, t.shape.clone(), bytes)
        };
        let owned: Vec<_> = tensors.iter().map(view).collect();
        let views = owned.iter().map(|(n, d, s, b)| (n.as_str(), TensorView::new(*d, s.clone(), b).unwrap()));
        let metadata = HashMap::from([(KEY.to_string(), r#"{"format":"test"}"#.to_string())]);
        let want = safetensors::serialize(views, Some(metadata)).unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), want);
        let back = File::open(file.path()).unwrap();
        assert_eq!(back.floats("c", &[2, 3]).unwrap(), floats);
        assert_eq!(back.shorts("d", &[2]).unwrap(), shorts);
    }
}
