//! Files of PyTorch before 1.6 (and of `_use_new_zipfile_serialization=False`): five pickles in a row (magic number,
//! protocol version, system, the object, the sorted keys of its storages), then for every key the number of elements
//! in 8 bytes and the elements.

use super::opened::{Opened, element};
use crate::float::import::blob::Blob;
use crate::float::import::pickle::{Machine, Value};
use std::collections::HashMap;

/// How a legacy file begins: protocol 2, then the magic number 0x1950a86a20f9469cfc6c as LONG1.
pub const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// Protocol version of the format.
const PROTOCOL: i64 = 1001;
/// Sizes of the pieces in which a pickle of unknown length is read; the last is the largest pickle.
const PIECES: [usize; 3] = [1 << 16, 1 << 21, 1 << 26];

/// The pickle and the places of its storages.
pub fn open(blob: &Blob) -> Result<Opened, String> {
    let mut at = MAGIC.len() as u64;
    let protocol = next(blob, &mut at)?;
    if !matches!(protocol.top(), Value::Int(PROTOCOL)) {
        return Err(format!("a file of torch.save with another protocol than {PROTOCOL}"));
    }
    let system = next(blob, &mut at)?;
    if matches!(system.get(system.top(), "little_endian"), Some(Value::Int(0))) {
        return Err("its tensors are big-endian".into());
    }
    let machine = next(blob, &mut at)?;
    let keys = next(blob, &mut at)?;
    let mut sizes = HashMap::new();
    for value in machine.values() {
        if let Value::Storage(s) = value {
            sizes.insert(s.key.as_str(), element(&s.kind).0);
        }
    }
    let mut storages = HashMap::new();
    for key in keys.elements(keys.top()) {
        let Value::Str(key) = key else { return Err("its list of storages makes no sense".into()) };
        let size = *sizes.get(key.as_str()).ok_or_else(|| format!("nothing reads storage {key}"))?;
        let len = blob.read(at, 8).map_err(|_| format!("storage {key} is missing: the file is cut short"))?;
        let len = len[..].try_into().map(u64::from_le_bytes).unwrap_or(0);
        let bytes = len.checked_mul(size as u64).filter(|&b| b <= blob.len() - at - 8);
        let cut = || format!("storage {key} claims {len} elements: the file is cut short");
        let bytes = bytes.ok_or_else(cut)?;
        storages.insert(key.clone(), Ok((at + 8, bytes)));
        at += 8 + bytes;
    }
    drop(sizes);
    Ok(Opened { machine, storages })
}

/// The pickle at `at`, which moves behind it.
fn next(blob: &Blob, at: &mut u64) -> Result<Machine, String> {
    let mut outcome = Err("the file is cut short".into());
    for piece in PIECES {
        let bytes = blob.read_up_to(*at, piece)?;
        outcome = Machine::run(&bytes);
        if outcome.is_ok() || bytes.len() < piece {
            break;
        }
    }
    let machine = outcome?;
    *at += machine.consumed() as u64;
    Ok(machine)
}
