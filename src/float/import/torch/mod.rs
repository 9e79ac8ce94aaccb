//! What `torch.save` writes: since PyTorch 1.6 a zip of stored entries, before that pickles with the storages behind.
//!
//! Format: `torch/serialization.py` and the notes "Serialization semantics" of PyTorch's documentation.

mod checkpoint;
mod legacy;
mod opened;
pub mod own;
mod zipped;

pub use legacy::MAGIC;

use super::blob::Blob;
use super::element::Float;
use super::facts::Facts;
use super::pickle;
use super::tensors::{Data, Stored, Tensor, Tensors};
use opened::{Opened, element};
use own::Own;

/// The state dict in `.pth` zips: one, or the shards of one network. With it what `export --torch` has written beside it.
pub fn read_zip<'a>(
    blobs: Vec<Blob<'a>>,
    key: Option<&str>,
    facts: &mut Facts,
) -> Result<(Tensors<'a>, Option<Own>), String> {
    let opened = blobs.iter().map(zipped::open).collect::<Result<Vec<_>, _>>()?;
    let own = Own::of(&opened[0].machine)?;
    let key = if own.is_some() { Some(own::STATE_DICT) } else { key };
    Ok((read(blobs, opened, key, facts)?, own))
}

/// The state dict in a file of PyTorch before 1.6.
pub fn read_legacy<'a>(blob: Blob<'a>, key: Option<&str>, facts: &mut Facts) -> Result<Tensors<'a>, String> {
    let opened = legacy::open(&blob)?;
    read(vec![blob], vec![opened], key, facts)
}

fn read<'a>(
    blobs: Vec<Blob<'a>>,
    opened: Vec<Opened>,
    key: Option<&str>,
    facts: &mut Facts,
) -> Result<Tensors<'a>, String> {
    let mut list = vec![];
    for (blob, opened) in opened.iter().enumerate() {
        for (name, t) in checkpoint::state_dict(&opened.machine, key, facts)? {
            let tensor = tensor(opened, blob, &t).map_err(|e| format!("tensor {name}: {e}"))?;
            list.push((name, tensor));
        }
    }
    Ok(Tensors::new(blobs, list))
}

/// A tensor whose numbers are taken later.
fn tensor(opened: &Opened, blob: usize, t: &pickle::Tensor) -> Result<Tensor, String> {
    let shape = t.size.clone();
    let (size, float) = element(&t.storage.kind);
    let kind = t.storage.kind.clone();
    let data = match float {
        None => Data::NoFloat(kind, None),
        // Counters of all sorts, which nobody may need.
        Some(float) if float.is_integer() => Data::NoFloat(kind, stored(opened, blob, t, size, float).ok()),
        Some(float) => Data::Stored(stored(opened, blob, t, size, float)?),
    };
    Ok(Tensor { shape, data })
}

/// The place of a tensor; its size, stride and offset are checked when it is taken.
fn stored(
    opened: &Opened,
    blob: usize,
    t: &pickle::Tensor,
    size: usize,
    float: Float,
) -> Result<Stored, String> {
    let storage = opened.storages.get(&t.storage.key);
    let (at, bytes) = storage.ok_or_else(|| format!("its storage {} is missing", t.storage.key))?.clone()?;
    let last = t
        .size
        .iter()
        .zip(&t.stride)
        .try_fold(0usize, |sum, (&n, &stride)| sum.checked_add(n.saturating_sub(1).checked_mul(stride)?));
    let offset = t.offset.checked_add(t.storage.start).ok_or("its offset makes no sense")?;
    let needed = last.and_then(|l| l.checked_add(offset)?.checked_add(1)?.checked_mul(size));
    let needed = if t.size.contains(&0) { 0 } else { needed.ok_or("its size and stride make no sense")? };
    if needed as u64 > bytes || t.offset >= t.storage.len.max(1) {
        return Err(format!("its storage has {bytes} bytes where {needed} are needed"));
    }
    Ok(Stored { blob, at, float, offset, stride: t.stride.clone() })
}
