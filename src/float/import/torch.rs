//! PyTorch's `.pth`: a zip of stored entries, `…/data.pkl` with the names and shapes, `…/data/KEY` with the bytes.
//!
//! Format: `torch/serialization.py` and the notes "Serialization semantics" of PyTorch's documentation.

use super::pickle::{self, Machine, Value};
use super::tensors::{Float, Tensor, Tensors};
use std::io::{Cursor, Read};
use zip::ZipArchive;

/// Keys under which training scripts keep the state dict in a checkpoint.
const NESTED: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];
/// Largest pickle that is read; those of networks have a few kilobytes.
const LARGEST_PICKLE: u64 = 1 << 26;

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

/// Every tensor of the state dict in a `.pth` file.
pub fn read(bytes: &[u8]) -> Result<Tensors, String> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| format!("not a whole zip file: {e}"))?;
    let is_pickle = |n: &str| n.ends_with("/data.pkl") || n == "data.pkl";
    let pickle = zip.file_names().filter_map(Result::ok).find(|n| is_pickle(n)).map(String::from);
    let pickle = pickle.ok_or("a zip without data.pkl: not made by torch.save")?;
    let root = pickle.trim_end_matches("data.pkl");
    if entry(&mut zip, &format!("{root}byteorder"), 16).is_ok_and(|order| order == b"big") {
        return Err("its tensors are big-endian".into());
    }
    let machine = Machine::run(&entry(&mut zip, &pickle, LARGEST_PICKLE)?)?;
    let mut reader = Reader { zip, root: root.into(), left: bytes.len() };
    let tensors = state_dict(&machine)?.into_iter().map(|(name, t)| {
        let tensor = reader.tensor(&t).map_err(|e| format!("tensor {name}: {e}"))?;
        Ok((name, tensor))
    });
    tensors.collect()
}

/// The named tensors of the pickle, at its top or under one of [`NESTED`].
fn state_dict(machine: &Machine) -> Result<Vec<(String, pickle::Tensor)>, String> {
    let tensors = |value: &Value| -> Vec<(String, pickle::Tensor)> {
        let pairs = machine.items(value).into_iter();
        let tensor = |(k, v): (&Value, &Value)| match (k, v) {
            (Value::Str(k), Value::Tensor(t)) if pickle::short(k) => Some((k.clone(), t.clone())),
            _ => None,
        };
        pairs.filter_map(tensor).collect()
    };
    let top = machine.top();
    let found = tensors(top);
    if !found.is_empty() {
        return Ok(found);
    }
    for (k, v) in machine.items(top) {
        if matches!(k, Value::Str(k) if NESTED.contains(&k.as_str())) && !tensors(v).is_empty() {
            return Ok(tensors(v));
        }
    }
    Err("holds no state dict: save model.state_dict(), not the model".into())
}

struct Reader<'a> {
    zip: Zip<'a>,
    root: String,
    /// Bytes of tensors that the file can still hold.
    left: usize,
}

impl Reader<'_> {
    fn tensor(&mut self, t: &pickle::Tensor) -> Result<Tensor, String> {
        let shape = t.size.clone();
        let Some(float) = float(&t.storage.kind) else {
            return Ok(Tensor { shape, data: Err(t.storage.kind.clone()) });
        };
        let (count, reach) = extent(t).ok_or("its size, stride and offset make no sense")?;
        let bytes = reach.checked_mul(float.size()).ok_or("its storage is too large")?;
        self.left = self.left.checked_sub(bytes).ok_or("more data than the file holds")?;
        let name = format!("{}data/{}", self.root, t.storage.key);
        let mut data = entry(&mut self.zip, &name, u64::MAX)?;
        if data.len() < bytes {
            return Err(format!("its storage has {} bytes where {bytes} are needed", data.len()));
        }
        data.truncate(bytes);
        let storage = float.decode(&data);
        Ok(Tensor { shape, data: Ok(gather(&storage, t, count)) })
    }
}

/// Number of elements, and the storage elements that they reach; `None` where these contradict each other.
fn extent(t: &pickle::Tensor) -> Option<(usize, usize)> {
    if t.size.len() != t.stride.len() {
        return None;
    }
    let count = t.size.iter().try_fold(1usize, |n, &s| n.checked_mul(s))?;
    if count == 0 {
        return Some((0, 0));
    }
    let mut last = t.offset;
    for (&size, &stride) in t.size.iter().zip(&t.stride) {
        last = last.checked_add((size - 1).checked_mul(stride)?)?;
    }
    let reach = last.checked_add(1)?;
    // A stride of 0 repeats elements: no weight does, and it would let a small file claim any size.
    (count <= reach && reach <= t.storage.len).then_some((count, reach))
}

/// The elements in row-major order: strides differ from it in channels-last tensors.
fn gather(storage: &[f32], t: &pickle::Tensor, count: usize) -> Vec<f32> {
    let at = |mut i: usize| {
        let mut from = t.offset;
        for (&size, &stride) in t.size.iter().zip(&t.stride).rev() {
            from += i % size * stride;
            i /= size;
        }
        storage[from]
    };
    (0..count).map(at).collect()
}

fn float(storage: &str) -> Option<Float> {
    match storage {
        "HalfStorage" => Some(Float::F16),
        "BFloat16Storage" => Some(Float::Bf16),
        "FloatStorage" => Some(Float::F32),
        "DoubleStorage" => Some(Float::F64),
        _ => None,
    }
}

/// Bytes of a zip entry of at most `most` bytes.
fn entry(zip: &mut Zip, name: &str, most: u64) -> Result<Vec<u8>, String> {
    let file = zip.by_name(name).map_err(|e| format!("zip entry {name}: {e}"))?;
    let mut bytes = vec![];
    file.take(most).read_to_end(&mut bytes).map_err(|e| format!("zip entry {name}: {e}"))?;
    Ok(bytes)
}
