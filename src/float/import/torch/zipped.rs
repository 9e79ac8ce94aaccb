//! A `.pth` zip: `…/data.pkl` with the names and shapes, `…/data/KEY` with the bytes.

use super::opened::Opened;
use crate::float::import::blob::Blob;
use crate::float::import::pickle::{Machine, Value};
use std::collections::HashMap;
use std::io::{BufReader, Read};
use zip::{CompressionMethod, ZipArchive};

/// Largest pickle that is read; those of networks have a few kilobytes.
const LARGEST_PICKLE: u64 = 1 << 26;

/// The pickle and the places of its storages.
pub fn open(blob: &Blob) -> Result<Opened, String> {
    let reader = BufReader::new(blob.reader());
    let mut zip = ZipArchive::new(reader).map_err(|e| format!("not a whole zip file: {e}"))?;
    let is_pickle = |n: &str| n.ends_with("/data.pkl") || n == "data.pkl";
    let pickle = zip.file_names().filter_map(Result::ok).find(|n| is_pickle(n)).map(String::from);
    let pickle = pickle.ok_or("a zip without data.pkl: not made by torch.save")?;
    let root = pickle.trim_end_matches("data.pkl").to_string();
    let mut entry = |name: &str, most: u64| -> Result<Vec<u8>, String> {
        let file = zip.by_name(name).map_err(|e| format!("zip entry {name}: {e}"))?;
        let mut bytes = vec![];
        file.take(most).read_to_end(&mut bytes).map_err(|e| format!("zip entry {name}: {e}"))?;
        Ok(bytes)
    };
    if entry(&format!("{root}byteorder"), 16).is_ok_and(|order| order == b"big") {
        return Err("its tensors are big-endian".into());
    }
    let machine = Machine::run(&entry(&pickle, LARGEST_PICKLE)?).map_err(|e| format!("data.pkl: {e}"))?;
    let mut storages = HashMap::new();
    for value in machine.values() {
        if let Value::Storage(s) = value
            && !storages.contains_key(&s.key)
        {
            storages.insert(s.key.clone(), place(&mut zip, &format!("{root}data/{}", s.key)));
        }
    }
    Ok(Opened { machine, storages })
}

/// First byte and bytes of a stored entry.
fn place<R: Read + std::io::Seek>(zip: &mut ZipArchive<R>, name: &str) -> Result<(u64, u64), String> {
    let file = zip.by_name(name).map_err(|e| format!("zip entry {name}: {e}"))?;
    if file.compression() != CompressionMethod::Stored {
        return Err(format!("zip entry {name} is compressed, as torch.save never does: save it again"));
    }
    let at = file.data_start().ok_or_else(|| format!("zip entry {name} has no data"))?;
    Ok((at, file.size()))
}
