//! Model files: safetensors with a JSON description in the metadata.
//!
//! A model file is a `.safetensors` file whose metadata holds one key, [`KEY`], with the JSON description
//! `{"format": "vgg2rtl-float" | "vgg2rtl-int", "version": 1, …}`. `docs/model-format.md` describes it.

use crate::{Error, Result, output};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// Metadata key of the JSON description.
pub const KEY: &str = "vgg2rtl";
/// Version of the model file format.
pub const VERSION: u32 = 1;

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

/// One tensor to write.
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// A tensor of `shape` with the elements in row-major order.
    pub fn new<T: Element>(shape: impl Into<Vec<usize>>, elements: impl IntoIterator<Item = T>) -> Self {
        let mut bytes = Vec::new();
        elements.into_iter().for_each(|e| e.put(&mut bytes));
        Self { dtype: T::DTYPE, shape: shape.into(), bytes }
    }

    /// Integers in I8 where it holds them all, else I16.
    pub fn shorts(shape: impl Into<Vec<usize>>, elements: &[i16]) -> Self {
        if elements.iter().all(|&e| i8::try_from(e).is_ok()) {
            Self::new(shape, elements.iter().map(|&e| e as i8))
        } else {
            Self::new(shape, elements.iter().copied())
        }
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

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        (&self.bytes[..]).into()
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// SHA-256 of `parts` in hexadecimal digits; their borders count.
pub fn digest<P: AsRef<[u8]>>(parts: impl IntoIterator<Item = P>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.as_ref().len() as u64).to_le_bytes());
        hash.update(part.as_ref());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes named tensors and the description `header` to a `.safetensors` file.
pub fn write<H: Serialize>(path: &Path, header: &H, tensors: &[(String, Tensor)]) -> Result<()> {
    let json = serde_json::to_string(header).map_err(|e| Error::bad_file(path, e.to_string()))?;
    let metadata = HashMap::from([(KEY.to_string(), json)]);
    let bytes = safetensors::serialize(tensors.iter().map(|(n, t)| (n, t)), Some(metadata))
        .map_err(|e| Error::bad_file(path, e.to_string()))?;
    output::write(path, &bytes)
}

/// A `.safetensors` file in memory.
pub struct File {
    path: std::path::PathBuf,
    bytes: Vec<u8>,
}

impl File {
    /// Reads the whole file; what it holds is checked by the other functions.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { path: path.into(), bytes: std::fs::read(path).map_err(Error::io(path))? })
    }

    /// The tensors of the file.
    pub fn tensors(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|e| self.bad(format!("not a safetensors file: {e}")))
    }

    /// The JSON description, whatever its format is; `None` when the file is not one of ours.
    pub fn description(&self) -> Result<Option<serde_json::Value>> {
        let (_, meta) = SafeTensors::read_metadata(&self.bytes)
            .map_err(|e| self.bad(format!("not a safetensors file: {e}")))?;
        let Some(json) = meta.metadata().as_ref().and_then(|m| m.get(KEY)) else { return Ok(None) };
        serde_json::from_str(json).map(Some).map_err(|e| self.bad(format!("metadata {KEY}: {e}")))
    }

    /// The description of a file of format `format`.
    pub fn header<H: DeserializeOwned>(&self, format: &str) -> Result<H> {
        let json = self.description()?.ok_or_else(|| {
            self.bad(format!("no {KEY} description in its metadata; run `vgg2rtl import` on it first"))
        })?;
        let found = json.get("format").and_then(|f| f.as_str()).unwrap_or("none");
        if found != format {
            return Err(self.bad(format!("holds a {found} model where a {format} model is needed")));
        }
        let version = json.get("version").and_then(|v| v.as_u64());
        if version != Some(VERSION.into()) {
            return Err(self.bad(format!("format version {version:?}, this program reads {VERSION}")));
        }
        serde_json::from_value(json).map_err(|e| self.bad(format!("metadata {KEY}: {e}")))
    }

    /// Tensor `name` of exactly `shape` as f32, every element finite.
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let t = self.tensor(name, shape)?;
        let values: Vec<f32> = match t.dtype() {
            Dtype::F32 => t.data().chunks_exact(4).map(f32::get).collect(),
            other => return Err(self.bad(format!("tensor {name} is {other:?}, must be F32"))),
        };
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(self.bad(format!("tensor {name} holds {} at element {i}", values[i]))),
            None => Ok(values),
        }
    }

    /// Tensor `name` of exactly `shape`, of any signed integer type.
    pub fn integers(&self, name: &str, shape: &[usize]) -> Result<Vec<i64>> {
        let t = self.tensor(name, shape)?;
        let data = t.data();
        Ok(match t.dtype() {
            Dtype::I8 => data.iter().map(|&b| b as i8 as i64).collect(),
            Dtype::I16 => data.chunks_exact(2).map(|b| i16::get(b) as i64).collect(),
            Dtype::I32 => data.chunks_exact(4).map(|b| i32::get(b) as i64).collect(),
            Dtype::I64 => data.chunks_exact(8).map(i64::get).collect(),
            other => return Err(self.bad(format!("tensor {name} is {other:?}, must be a signed integer"))),
        })
    }

    /// Tensor `name` of exactly `shape`, of I8 or I16: large tensors without a 64-bit copy.
    pub fn shorts(&self, name: &str, shape: &[usize]) -> Result<Vec<i16>> {
        let t = self.tensor(name, shape)?;
        match t.dtype() {
            Dtype::I8 => Ok(t.data().iter().map(|&b| (b as i8).into()).collect()),
            Dtype::I16 => Ok(t.data().chunks_exact(2).map(i16::get).collect()),
            other => Err(self.bad(format!("tensor {name} is {other:?}, must be I8 or I16"))),
        }
    }

    /// An error that names this file.
    pub fn bad(&self, reason: impl Into<String>) -> Error {
        Error::bad_file(&self.path, reason)
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<safetensors::tensor::TensorView<'_>> {
        let tensors = self.tensors()?;
        let view = tensors.tensor(name).map_err(|_| self.bad(format!("tensor {name} is missing")))?;
        if view.shape() != shape {
            return Err(self.bad(format!("tensor {name} has shape {:?}, must be {shape:?}", view.shape())));
        }
        Ok(view)
    }
}
