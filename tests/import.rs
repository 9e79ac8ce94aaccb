//! Imported networks give the logits that PyTorch and ONNX Runtime gave for the same files.
//!
//! `tests/data/import` holds small files with images and logits, made by `tests/import/torch_files.py --small`.
//! Where Python with torch, onnx, onnxruntime and safetensors is at hand (`VGG2RTL_PYTHON` or `python3`), the
//! same script makes more and larger ones.

use ndarray::{Array2, Array4};
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};
use std::process::Command;
use vgg2rtl::float::import::{Options, import};
use vgg2rtl::net::Shape;

#[path = "import/bad_input.rs"]
mod bad_input;
#[path = "import/mutate.rs"]
mod mutate;
#[path = "import/qdq.rs"]
mod qdq;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import")
}

/// Images, logits and import options of a `.case.safetensors` file.
struct Case {
    x: Array4<f32>,
    y: Array2<f32>,
    options: Options,
}

impl Case {
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let floats = |name: &str| {
            let t = file.tensor(name).unwrap();
            let data: Vec<f32> = t.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            (t.shape().to_vec(), data)
        };
        let ((xs, x), (ys, y)) = (floats("x"), floats("y"));
        let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
        let json = &metadata.metadata().as_ref().unwrap()["options"];
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        let size = |i: usize| json["input"][i].as_u64().map(|s| s as usize);
        let input = size(0).map(|c| Shape { c, h: size(1).unwrap(), w: size(2).unwrap() });
        Self {
            x: Array4::from_shape_vec((xs[0], xs[1], xs[2], xs[3]), x).unwrap(),
            y: Array2::from_shape_vec((ys[0], ys[1]), y).unwrap(),
            options: Options { input, ..Options::default() },
        }
    }
}

/// Imports every file of `folder` that has a case, and compares its logits; returns how many there were.
fn check(folder: &Path) -> usize {
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(model) = path.to_str().unwrap().strip_suffix(".case.safetensors") else { continue };
        let case = Case::read(&path);
        let model = import(Path::new(model), &case.options).unwrap();
        let logits = model.forward(&case.x).unwrap();
        assert_eq!(logits.dim(), case.y.dim(), "{}", path.display());
        let scale = case.y.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
        for (found, want) in logits.iter().zip(&case.y) {
            assert!((found - want).abs() <= 2e-5 * scale, "{}: {logits} {}", path.display(), case.y);
        }
        cases += 1;
    }
    cases
}

/// Python with the modules that the scripts need; prints why not.
fn python() -> Option<String> {
    let python = std::env::var("VGG2RTL_PYTHON").unwrap_or("python3".into());
    let modules = "import torch, onnx, onnxruntime, safetensors";
    let found = Command::new(&python).args(["-c", modules]).output();
    if found.is_ok_and(|o| o.status.success()) {
        return Some(python);
    }
    println!("skipped: {python} lacks torch, onnx, onnxruntime or safetensors");
    None
}

#[test]
fn committed_files_give_their_logits() {
    assert_eq!(check(&data()), 4);
}

#[test]
fn fresh_files_from_pytorch_give_their_logits() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/torch_files.py");
    let made = Command::new(&python).arg(script).arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(check(folder.path()), 20);
}

#[test]
fn an_imported_model_survives_its_file() {
    let model = import(&data().join("keras.onnx"), &Options::default()).unwrap();
    let path = tempfile::NamedTempFile::new().unwrap();
    model.save(path.path()).unwrap();
    assert_eq!(vgg2rtl::float::FloatModel::load(path.path()).unwrap(), model);
}
