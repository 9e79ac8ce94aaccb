//! Trained VGGs from elsewhere: state dicts of PyTorch (`.safetensors`, `.pth`), ONNX, Keras, numpy, Caffe.
//!
//! | file | reader | mapping |
//! |---|---|---|
//! | `.safetensors`, their shards, a model hub's folder | `tensors`, `folder` | `state_dict` |
//! | `.pth`, `.pt`, `.bin` of any age | `torch`, `pickle` (nothing is executed) | `state_dict` |
//! | `.onnx` | [`onnx`] (protobuf through `prost`) | `onnx::build`, node by node |
//! | `.h5`, `.keras`, `.weights.h5` | `keras`, HDF5 through `hdf5-reader` | `onnx::build`, as a graph; weights alone: `state_dict` |
//! | `.npz`, `.npy` of a dict | `numpy`, `pickle` | `state_dict` |
//! | `.caffemodel` | `caffe` (protobuf through `prost`) | `onnx::build`, as a graph |
//! | a quantized `.onnx` | the same | [`quantized::Quantized`]: its integers |
//! | anything else | `foreign` names it | - |
//!
//! Whatever cannot be mapped exactly onto the chain of [`crate::float::FloatModel`] is refused with its name and the reason. What
//! a file does not say is a fact of origin [`facts::Origin::Assumed`]; [`check`](mod@check) compares with the source.

mod affine;
mod average;
mod blob;
mod caffe;
pub mod check;
mod element;
pub mod facts;
mod folder;
mod foreign;
mod imported;
mod keras;
mod layout;
mod natural;
pub(super) mod npy;
mod numpy;
pub mod onnx;
pub mod options;
pub mod pickle;
pub mod quantized;
mod reparam;
mod state_dict;
pub mod taps;
mod tensors;
pub mod torch;

pub use folder::files;
pub use imported::Imported;
pub use options::Options;

use crate::{Error, Result, store};
use blob::Blob;
use facts::Facts;
use foreign::Kind;
use imported::Outcome;
use options::Habits;
use std::path::Path;

/// The float network in the file or folder at `path`.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::BadFile`] when it is damaged or holds something else than a
/// VGG-like chain, naming the tensor or node that cannot be mapped, [`Error::Usage`] for preprocessing that does not
/// fit the input and names of classes that are not as many as the outputs.
pub fn import(path: &Path, options: &Options) -> Result<Imported> {
    let bad = |reason: String| Error::bad_file(path, reason);
    let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let files = folder::files(path)?;
    let blobs = files.iter().map(|file| Blob::of_file(store::open_file(file)?).map_err(Error::io(file)));
    let blobs = blobs.collect::<Result<Vec<_>>>()?;
    let imported = from_blobs(blobs, &name, &files[0], options).map_err(bad)?;
    let header = &imported.model.header;
    header
        .preprocessing
        .check(header.input)
        .map_err(|reason| Error::usage("--mean, --std, --colour", reason))?;
    let (names, outputs) = (header.classes.len(), imported.model.outputs());
    if ![0, outputs].contains(&names) {
        return Err(Error::usage("--classes", format!("{names} names for {outputs} outputs")));
    }
    imported.model.validate().map_err(|e| bad(e.to_string()))?;
    Ok(imported)
}

/// As [`import`] for a file's bytes; `path` is where external data of an ONNX file lie beside.
pub fn from_bytes(bytes: &[u8], name: &str, path: &Path, options: &Options) -> Outcome<Imported> {
    from_blobs(vec![Blob::Memory(bytes)], name, path, options)
}

/// One file, or the shards of one network.
fn from_blobs(mut blobs: Vec<Blob>, name: &str, path: &Path, options: &Options) -> Outcome<Imported> {
    let mut facts = Facts::default();
    let key = options.key.as_deref();
    let kind = foreign::kind(&blobs[0], path)?;
    let (tensors, habits) = match kind {
        Kind::Onnx => {
            let bytes = blobs[0].read_up_to(0, usize::MAX)?;
            return onnx::model(&bytes, name, path.parent().unwrap_or(Path::new(".")), options);
        }
        Kind::Hdf5 => return keras::of_hdf5(blobs.remove(0), name, options),
        Kind::Keras => return keras::of_zip(&blobs[0], name, options),
        Kind::Caffe => return caffe::model(&blobs[0].read_up_to(0, usize::MAX)?, name, options),
        Kind::Npz => numpy::of_npz(&blobs[0], &mut facts)?,
        Kind::Npy => numpy::of_npy(&blobs[0], &mut facts)?,
        Kind::Safetensors => (tensors::read_safetensors(blobs)?, Habits::TORCH),
        Kind::Torch => match torch::read_zip(blobs, key, &mut facts)? {
            (tensors, Some(own)) => return own.model(tensors, name, options),
            (tensors, None) => (tensors, Habits::TORCH),
        },
        Kind::LegacyTorch => (torch::read_legacy(blobs.remove(0), key, &mut facts)?, Habits::TORCH),
    };
    state_dict::model(tensors, name, options, habits, facts)
}
