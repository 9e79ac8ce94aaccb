//! What a file is, found from its content: the kinds that are read, and by name those that are not, each with the
//! line that makes a good one.

use super::blob::Blob;
use super::{numpy, torch};
use std::io::BufReader;
use std::path::Path;

/// Kinds of files that are read.
#[derive(Debug, PartialEq)]
pub enum Kind {
    /// ONNX.
    Onnx,
    /// `.safetensors`.
    Safetensors,
    /// The zip of `torch.save`.
    Torch,
    /// `torch.save` before PyTorch 1.6.
    LegacyTorch,
    /// HDF5: Keras.
    Hdf5,
    /// Keras 3's zip.
    Keras,
    /// Arrays of numpy by name.
    Npz,
    /// One array of numpy, or a dict of them.
    Npy,
    /// Caffe.
    Caffe,
}

const SAVE: &str = "torch.save(model.state_dict(), \"model.pth\") makes a good one";
/// First entries in the tar of PyTorch before 0.1.10.
const OLDEST: [&[u8]; 4] = [b"sys_info\0", b"pickle\0", b"tensors\0", b"storages\0"];
/// How an HDF5 file begins.
const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Bytes that are looked at.
const HEAD: usize = 1024;

/// The kind of the file; the error says what else it is. Its name matters only for what cannot be read anyway.
pub fn kind(blob: &Blob, path: &Path) -> Result<Kind, String> {
    let head = blob.read_up_to(0, HEAD)?;
    match &head[..] {
        [] => Err("the file is empty".into()),
        [b'P', b'K', 3, 4, ..] => zip(blob),
        bytes if bytes.starts_with(torch::MAGIC) => Ok(Kind::LegacyTorch),
        bytes if bytes.starts_with(HDF5) => Ok(Kind::Hdf5),
        bytes if bytes.starts_with(numpy::MAGIC) => Ok(Kind::Npy),
        // A safetensors file starts with the header's length in 8 bytes, then JSON.
        [_, _, _, _, _, _, _, _, b'{', ..] if !text(&head) => Ok(Kind::Safetensors),
        bytes => match foreign(bytes, path) {
            Some(reason) => Err(reason),
            // A Caffe file starts with field 1, the network's name, or has layers of version 1 only.
            None if bytes[0] == 0x0a || path.extension().is_some_and(|e| e == "caffemodel") => {
                Ok(Kind::Caffe)
            }
            // An ONNX file starts with field 1 (IR version, a varint), or seldom another field below 16.
            None if [0x08, 0x3a, 0x12].contains(&bytes[0]) => Ok(Kind::Onnx),
            None => {
                Err("neither .safetensors, nor torch.save's .pth, nor ONNX, Keras, numpy or Caffe".into())
            }
        },
    }
}

/// Whether the file begins like text of several lines or words, as a JSON of weights never does.
fn text(head: &[u8]) -> bool {
    head.iter().take(8).all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace())
}

fn foreign(head: &[u8], path: &Path) -> Option<String> {
    let start = |magic: &[u8]| head.starts_with(magic);
    let name = path.to_string_lossy().to_lowercase();
    let page = head.trim_ascii_start().to_ascii_lowercase();
    let tar = head.get(257..262).is_some_and(|magic| magic == b"ustar");
    let reason = match () {
        _ if start(b"version https://git-lfs") => {
            "a Git LFS pointer, not the file itself: `git lfs pull` fetches it".into()
        }
        _ if page.starts_with(b"<!doctype") || page.starts_with(b"<html") || page.starts_with(b"<?xml") => {
            "an HTML page, not the file itself: the download gave a page instead; follow its link".into()
        }
        _ if start(b"\x1f\x8b") => "compressed with gzip: `gunzip` (or `tar xzf`) unpacks it".into(),
        _ if start(b"\xfd7zXZ") => "compressed with xz: `unxz` (or `tar xJf`) unpacks it".into(),
        _ if start(b"BZh") => "compressed with bzip2: `bunzip2` (or `tar xjf`) unpacks it".into(),
        _ if start(b"\x28\xb5\x2f\xfd") => "compressed with zstd: `unzstd` unpacks it".into(),
        _ if start(b"Rar!") => "a RAR archive: `unrar x` unpacks it".into(),
        _ if start(b"7z\xbc\xaf") => "a 7z archive: `7z x` unpacks it".into(),
        _ if tar && OLDEST.iter().any(|name| start(name)) => {
            format!("a tar of PyTorch before 0.1.10: load it with torch.load and save it again; {SAVE}")
        }
        _ if tar => "a tar archive: `tar xf` unpacks it".into(),
        _ if start(b"\x80") => format!("a pickle, but not one of torch.save: {SAVE}"),
        _ if head.get(4..8) == Some(b"TFL3") => {
            "a TFLite file: `python -m tf2onnx.convert --tflite MODEL --output MODEL.onnx` makes ONNX of it"
                .into()
        }
        _ if name.ends_with(".mlmodel") || name.ends_with(".mlpackage") => {
            format!("a Core ML file, which cannot be read back: take its source; {SAVE}")
        }
        _ if start(b"GGUF") => format!("a GGUF file: {SAVE}"),
        _ => return None,
    };
    Some(reason)
}

/// Which zip it is, from the names in it.
fn zip(blob: &Blob) -> Result<Kind, String> {
    let archive = zip::ZipArchive::new(BufReader::new(blob.reader()));
    let archive = archive.map_err(|e| format!("not a whole zip file, the download may be cut short: {e}"))?;
    let names: Vec<String> = archive.file_names().filter_map(Result::ok).map(String::from).collect();
    let ends = |end: &str| names.iter().find(|n| n.ends_with(end));
    if ends("constants.pkl").is_some() || names.iter().any(|n| n.contains("/code/__torch__")) {
        return Err(format!("a TorchScript file (torch.jit.save): {SAVE}, of torch.jit.load's model"));
    }
    if names.iter().any(|n| n.ends_with("exported_program.json") || n.ends_with("archive_format")) {
        return Err(format!("a .pt2 file (torch.export.save): {SAVE}"));
    }
    if ends("/data.pkl").is_some() || names.iter().any(|n| n == "data.pkl") {
        return Ok(Kind::Torch);
    }
    if names.iter().any(|n| n == "model.weights.h5") {
        return Ok(Kind::Keras);
    }
    let found = |what: &str| Err(format!("a zip with {what}"));
    match () {
        _ if ends(".npy").is_some() => Ok(Kind::Npz),
        _ if ends(".mlmodel").is_some() => Err(format!("a Core ML package: take its source; {SAVE}")),
        _ => {
            match [".pth", ".pt", ".bin", ".safetensors", ".onnx", ".h5", ".zip"].iter().find_map(|e| ends(e))
            {
                Some(name) => found(&format!("{name} in it: `unzip` it first")),
                None => found(&format!(
                    "{}: not made by torch.save (without data.pkl)",
                    names.first().map_or("nothing", |n| n)
                )),
            }
        }
    }
}
