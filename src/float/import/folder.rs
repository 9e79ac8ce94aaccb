//! The files of one network: a single file, the shards that an index names, or a model hub's folder.

use crate::{Error, Result, store};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Names under which model hubs keep a network in its folder, the better first.
const NAMES: [&str; 6] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.pth",
    "model.onnx",
];
/// Largest index that is read, and most shards.
const LARGEST_INDEX: u64 = 1 << 24;
const MOST_SHARDS: usize = 1024;

/// The files of the network at `path`, at least one.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return match path.to_string_lossy().ends_with(".index.json") {
            true => shards(path),
            false => Ok(vec![path.into()]),
        };
    }
    if path.join("saved_model.pb").is_file() {
        let reason = "a TensorFlow SavedModel: `python -m tf2onnx.convert --saved-model FOLDER --output MODEL.onnx` makes ONNX of it";
        return Err(Error::bad_file(path, reason));
    }
    match NAMES.iter().map(|name| path.join(name)).find(|file| file.is_file()) {
        Some(file) => files(&file),
        None => Err(Error::bad_file(path, format!("a folder without any of {}", NAMES.join(", ")))),
    }
}

/// The files in `weight_map`, which lie beside the index.
fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let bad = |reason: &str| Error::bad_file(index, reason);
    if std::fs::metadata(index).map_err(Error::io(index))?.len() > LARGEST_INDEX {
        return Err(bad("too large for an index of shards"));
    }
    let text = store::read_file(index)?;
    let json: serde_json::Value = serde_json::from_slice(&text).map_err(|e| bad(&e.to_string()))?;
    let map = json["weight_map"].as_object().ok_or_else(|| bad("has no weight_map of tensors to files"))?;
    let names: BTreeSet<&str> = map.values().filter_map(|v| v.as_str()).collect();
    let plain = |name: &&str| Path::new(name).file_name().is_some_and(|n| n == *name);
    if names.is_empty() || names.len() > MOST_SHARDS || !names.iter().all(plain) {
        return Err(bad("its weight_map must name files beside it"));
    }
    let folder = index.parent().unwrap_or(Path::new("."));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
