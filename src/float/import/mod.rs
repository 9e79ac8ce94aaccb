//! Trained VGGs from elsewhere: torchvision state dicts (`.safetensors`, `.pth`) and ONNX.
//!
//! | file | reader | mapping |
//! |---|---|---|
//! | `.safetensors` | the `safetensors` crate | `state_dict` |
//! | `.pth`, `.pt` | `torch` (zip), `pickle` (nothing is executed) | `state_dict` |
//! | `.onnx` | [`onnx`] (protobuf through `prost`) | `onnx::build`, node by node |
//!
//! Whatever cannot be mapped exactly onto the chain of [`FloatModel`] is refused with its name and the reason.

mod average;
pub mod onnx;
mod options;
mod pickle;
mod state_dict;
mod tensors;
mod torch;

pub use options::Options;

use crate::float::FloatModel;
use crate::{Error, Result};
use std::path::Path;

/// The float network in the file at `path`, batch norm folded.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::BadFile`] when it is damaged or holds something else than a
/// VGG-like chain, [`Error::BadLayer`] (inside the reason) naming the tensor or node that cannot be mapped.
pub fn import(path: &Path, options: &Options) -> Result<FloatModel> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new("."));
    let model = from_bytes(&bytes, &name, folder, options).map_err(|reason| Error::bad_file(path, reason))?;
    model.validate().map_err(|e| Error::bad_file(path, e.to_string()))?;
    Ok(model)
}

/// As [`import`] for a file's bytes; `folder` is where an ONNX file's external data lie.
pub fn from_bytes(
    bytes: &[u8],
    name: &str,
    folder: &Path,
    options: &Options,
) -> std::result::Result<FloatModel, String> {
    match kind(bytes)? {
        Kind::Zip => state_dict::model(torch::read(bytes)?, name, options),
        Kind::Safetensors => state_dict::model(tensors::read_safetensors(bytes)?, name, options),
        Kind::Onnx => onnx::model(bytes, name, folder, options),
    }
}

enum Kind {
    Zip,
    Safetensors,
    Onnx,
}

/// Found from the first bytes: the file's name does not matter.
fn kind(bytes: &[u8]) -> std::result::Result<Kind, String> {
    match bytes {
        [] => Err("the file is empty".into()),
        [b'P', b'K', 3, 4, ..] => Ok(Kind::Zip),
        // A safetensors file starts with the header's length in 8 bytes, then JSON.
        [_, _, _, _, _, _, _, _, b'{', ..] => Ok(Kind::Safetensors),
        // An ONNX file starts with field 1 (IR version, a varint), or seldom another field below 16.
        [0x08, ..] | [0x3a, ..] | [0x12, ..] => Ok(Kind::Onnx),
        [0x80, ..] => Err("a pickle without a zip around it: save it again with PyTorch 1.6 or later".into()),
        _ => Err("neither .safetensors, nor a .pth zip, nor ONNX".into()),
    }
}
