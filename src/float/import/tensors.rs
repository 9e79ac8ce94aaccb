//! Named float tensors of a file, decoded when they are taken.

use super::blob::Blob;
use super::element::Float;
use super::natural;
use safetensors::tensor::{Dtype, Metadata};

/// A file's tensors, in the order of its network's modules as far as the file knows one.
pub struct Tensors<'a> {
    blobs: Vec<Blob<'a>>,
    /// Names are unique.
    list: Vec<(String, Tensor)>,
    /// Bytes that tensors may still take: views can overlap, but not multiply a file without end.
    left: u64,
}

/// One tensor.
pub struct Tensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Its numbers.
    pub data: Data,
}

/// Where a tensor's numbers are.
pub enum Data {
    /// Here, row-major.
    Values(Vec<f32>),
    /// In the file.
    Stored(Stored),
    /// Of a type that is no float type, whose name this is, and where its integers are, if they are such.
    NoFloat(String, Option<Stored>),
}

/// A strided view of a file's bytes.
pub struct Stored {
    /// Index of the file.
    pub blob: usize,
    /// Its first byte: of element 0 of the storage.
    pub at: u64,
    /// Element type.
    pub float: Float,
    /// Elements from the storage's start.
    pub offset: usize,
    /// Elements from one index to the next, for each size.
    pub stride: Vec<usize>,
}

/// How often the bytes of a file may be taken in all: tied weights and views share storages.
const MOST_SHARING: u64 = 4;

impl<'a> Tensors<'a> {
    /// The tensors `list` in `blobs`; of two with one name the later counts.
    pub fn new(blobs: Vec<Blob<'a>>, list: Vec<(String, Tensor)>) -> Self {
        let left = blobs.iter().map(Blob::len).sum::<u64>().saturating_mul(MOST_SHARING);
        let mut tensors = Self { blobs, list: vec![], left };
        let mut places = std::collections::HashMap::new();
        for (name, tensor) in list {
            match places.get(&name) {
                Some(&i) => tensors.list[i] = (name, tensor),
                None => {
                    places.insert(name.clone(), tensors.list.len());
                    tensors.list.push((name, tensor));
                }
            }
        }
        tensors
    }

    /// Names and shapes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.list.iter().map(|(name, t)| (name.as_str(), t.shape.as_slice()))
    }

    /// Removes tensor `name`.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        let at = self.list.iter().position(|(n, _)| n == name)?;
        Some(self.list.remove(at).1)
    }

    /// Place of tensor `name` in the order; the end where there is none.
    pub fn place(&self, name: &str) -> usize {
        self.list.iter().position(|(n, _)| n == name).unwrap_or(self.list.len())
    }

    /// Adds tensor `name` at a place.
    pub fn insert(&mut self, place: usize, name: String, tensor: Tensor) {
        self.list.insert(place.min(self.list.len()), (name, tensor));
    }

    /// Sorts by name, numbers by their value.
    pub fn sort(&mut self) {
        self.list.sort_by_cached_key(|(name, _)| natural::key(name));
    }

    /// Takes the numbers of tensor `name`, row-major, every one finite.
    pub fn take(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        let tensor = self.remove(name).ok_or_else(|| format!("tensor {name} is missing"))?;
        let values = match tensor.data {
            Data::Values(values) => values,
            Data::Stored(stored) => {
                self.decode(&tensor.shape, &stored).map_err(|e| format!("tensor {name}: {e}"))?
            }
            Data::NoFloat(kind, _) => return Err(format!("tensor {name} is {kind}, must be a float type")),
        };
        match values.iter().find(|v| !v.is_finite()) {
            Some(v) => Err(format!("tensor {name} holds {v}")),
            None => Ok((tensor.shape, values)),
        }
    }

    /// As [`Tensors::take`], of integers too.
    pub fn take_numbers(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        let place = self.list.iter_mut().find(|(n, _)| n == name);
        if let Some((_, Tensor { data, .. })) = place
            && let Data::NoFloat(_, stored @ Some(_)) = data
            && let Some(stored) = stored.take()
        {
            *data = Data::Stored(stored);
        }
        self.take(name)
    }

    /// Takes the integers of tensor `name`, row-major.
    pub fn take_integers(&mut self, name: &str) -> Result<(Vec<usize>, Vec<i64>), String> {
        let tensor = self.remove(name).ok_or_else(|| format!("tensor {name} is missing"))?;
        let Data::NoFloat(_, Some(stored)) = tensor.data else {
            return Err(format!("tensor {name} is of no integer type"));
        };
        let mut read = || {
            let (from, count, _) = self.place_of(&tensor.shape, &stored)?;
            if !is_row_major(&tensor.shape, &stored.stride) {
                return Err("is not contiguous".to_string());
            }
            let bytes = self.blobs[stored.blob].read(from, count * stored.float.size())?;
            stored.float.integers(&bytes).ok_or("is of no integer type".into())
        };
        Ok((tensor.shape.clone(), read().map_err(|e| format!("tensor {name}: {e}"))?))
    }

    /// First byte of a tensor, its number of elements, and the storage elements that they reach.
    fn place_of(&mut self, shape: &[usize], stored: &Stored) -> Result<(u64, usize, usize), String> {
        let size = stored.float.size();
        let (count, reach) = extent(shape, stored).ok_or("its size, stride and offset make no sense")?;
        let bytes = (count as u64).checked_mul(size as u64);
        self.left = bytes.and_then(|b| self.left.checked_sub(b)).ok_or("more data than the file holds")?;
        let from = stored.offset.checked_mul(size).and_then(|b| stored.at.checked_add(b as u64));
        Ok((from.ok_or("its storage is too large")?, count, reach))
    }

    fn decode(&mut self, shape: &[usize], stored: &Stored) -> Result<Vec<f32>, String> {
        let (from, count, reach) = self.place_of(shape, stored)?;
        let size = stored.float.size();
        let blob = &self.blobs[stored.blob];
        if is_row_major(shape, &stored.stride) {
            return stream(blob, from, count, stored.float);
        }
        let span = (reach - stored.offset).checked_mul(size).ok_or("its storage is too large")?;
        let storage = stored.float.decode(&blob.read(from, span)?);
        Ok(gather(&storage, shape, &stored.stride, count))
    }
}

/// Bytes decoded at a time.
const CHUNK: usize = 1 << 20;

/// `count` numbers from byte `at`.
fn stream(blob: &Blob, at: u64, count: usize, float: Float) -> Result<Vec<f32>, String> {
    let bytes = count.checked_mul(float.size()).ok_or("its storage is too large")?;
    if at.checked_add(bytes as u64).is_none_or(|end| end > blob.len()) {
        return Err(format!("needs {bytes} bytes at {at}, the file has {}: it is cut short", blob.len()));
    }
    let mut values = Vec::with_capacity(count);
    for start in (0..bytes).step_by(CHUNK) {
        float.decode_into(&blob.read(at + start as u64, CHUNK.min(bytes - start))?, &mut values);
    }
    Ok(values)
}

/// Number of elements, and the storage elements that they reach; `None` where these contradict each other.
fn extent(shape: &[usize], stored: &Stored) -> Option<(usize, usize)> {
    if shape.len() != stored.stride.len() {
        return None;
    }
    let count = shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s))?;
    if count == 0 {
        return Some((0, stored.offset));
    }
    let mut last = stored.offset;
    for (&size, &stride) in shape.iter().zip(&stored.stride) {
        last = last.checked_add((size - 1).checked_mul(stride)?)?;
    }
    let reach = last.checked_add(1)?;
    // A stride of 0 repeats elements: no weight does, and it would let a small file claim any size.
    (count <= reach - stored.offset).then_some((count, reach))
}

fn is_row_major(shape: &[usize], stride: &[usize]) -> bool {
    let mut expected = 1usize;
    shape.iter().zip(stride).rev().all(|(&size, &stride)| {
        let fits = size <= 1 || stride == expected;
        expected = expected.saturating_mul(size);
        fits
    })
}

/// The elements in row-major order: strides differ from it in channels-last tensors.
fn gather(storage: &[f32], shape: &[usize], stride: &[usize], count: usize) -> Vec<f32> {
    let at = |mut i: usize| {
        let mut from = 0;
        for (&size, &stride) in shape.iter().zip(stride).rev() {
            from += i % size * stride;
            i /= size;
        }
        storage[from]
    };
    (0..count).map(at).collect()
}

/// Row-major strides of `shape`.
pub fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i]);
    }
    strides
}

/// Longest header of a `.safetensors` file that is read.
const LONGEST_HEADER: u64 = 100_000_000;

/// Every tensor of `.safetensors` files, sorted by name: the format keeps no order.
pub fn read_safetensors(blobs: Vec<Blob>) -> Result<Tensors, String> {
    let mut list = vec![];
    for (index, blob) in blobs.iter().enumerate() {
        list.extend(
            safetensors_of(blob, index).map_err(|e| format!("not a safetensors file of weights: {e}"))?,
        );
    }
    let mut tensors = Tensors::new(blobs, list);
    tensors.sort();
    Ok(tensors)
}

fn safetensors_of(blob: &Blob, index: usize) -> Result<Vec<(String, Tensor)>, String> {
    let size = blob.read(0, 8)?[..].try_into().map(u64::from_le_bytes).unwrap_or(0);
    if size > LONGEST_HEADER {
        return Err(format!("a header of {size} bytes"));
    }
    let metadata: Metadata =
        serde_json::from_slice(&blob.read(8, size as usize)?).map_err(|e| format!("its header: {e}"))?;
    if metadata.metadata().as_ref().is_some_and(|m| m.contains_key(crate::store::KEY)) {
        return Err("it is a model file of this program already".into());
    }
    let start = 8 + size;
    let read = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let float = match info.dtype {
            Dtype::F16 => Some(Float::F16),
            Dtype::BF16 => Some(Float::Bf16),
            Dtype::F32 => Some(Float::F32),
            Dtype::F64 => Some(Float::F64),
            Dtype::I32 => Some(Float::I32),
            Dtype::I64 => Some(Float::I64),
            _ => None,
        };
        let whole = [Dtype::I32, Dtype::I64].contains(&info.dtype);
        let (from, to) = info.data_offsets;
        let count = info.shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
        let data = match float {
            None => Data::NoFloat(format!("{:?}", info.dtype), None),
            Some(float) => {
                let bytes = count.and_then(|n| n.checked_mul(float.size()));
                if to.checked_sub(from) != bytes {
                    return Err(format!("tensor {name} of shape {:?} lies at {from} … {to}", info.shape));
                }
                let stride = row_major(&info.shape);
                let stored = Stored { blob: index, at: start + from as u64, float, offset: 0, stride };
                if whole {
                    Data::NoFloat(format!("{:?}", info.dtype), Some(stored))
                } else {
                    Data::Stored(stored)
                }
            }
        };
        Ok((name, Tensor { shape: info.shape.clone(), data }))
    };
    let end = metadata.tensors().values().map(|i| i.data_offsets.1).max().unwrap_or(0) as u64;
    if end > blob.len() - start {
        return Err(format!(
            "it ends at byte {}, its tensors at {}: it is cut short",
            blob.len(),
            start + end
        ));
    }
    metadata.tensors().into_iter().map(read).collect()
}
