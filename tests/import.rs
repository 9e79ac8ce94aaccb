//! Imported networks give the logits that PyTorch and ONNX Runtime gave for the same files.
//!
//! `tests/data/import` holds small files with images and logits, made by `tests/import/torch_files.py --small`.
//! Where Python with torch, onnx, onnxruntime and safetensors is at hand (`VGG2RTL_PYTHON` or `python3`), the
//! same script makes more and larger ones. `tests/data/import/zoo` holds a part of what `tests/import/zoo.py` makes,
//! `tests/data/import/keras` what `tests/import/keras_files.py` makes, `arrays` what `array_files.py` makes.

use ndarray::{Array2, Array4};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use vgg2rtl::arith::Levels;
use vgg2rtl::float::import::check::{self, Named};
use vgg2rtl::float::import::import;
use vgg2rtl::float::import::options::{Activation, Head, Options, Pools};
use vgg2rtl::net::Shape;

#[path = "import/bad_input.rs"]
mod bad_input;
#[path = "import/checked.rs"]
mod checked;
#[path = "import/exported.rs"]
mod exported;
#[path = "import/mutate.rs"]
mod mutate;
#[path = "import/qdq.rs"]
mod qdq;
#[path = "import/quantized.rs"]
mod quantized;
#[path = "import/quantized_bad.rs"]
mod quantized_bad;
#[path = "import/steps.rs"]
mod steps;

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import")
}

/// Images, logits and import options of a `.case.safetensors` file.
struct Case {
    x: Array4<f32>,
    y: Array2<f32>,
    options: Options,
    /// Words of the reason why the import must refuse the file.
    refused: Option<String>,
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
        let json: Value = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["options"]).unwrap();
        Self {
            x: Array4::from_shape_vec((xs[0], xs[1], xs[2], xs[3]), x).unwrap(),
            y: Array2::from_shape_vec((ys[0], ys[1]), y).unwrap(),
            options: options(&json),
            refused: json["refused"].as_str().map(String::from),
        }
    }
}

/// The options of a case's JSON.
fn options(json: &Value) -> Options {
    let size = |v: &Value| v.as_u64().map(|s| s as usize);
    let sizes = |name: &str| json[name].as_array().map(|list| list.iter().map(size).collect::<Vec<_>>());
    let input = sizes("input").filter(|s| s.len() == 3).map(|s| s.into_iter().flatten().collect::<Vec<_>>());
    let stages = sizes("pools").map(|s| Pools::Stages(s.into_iter().flatten().collect()));
    Options {
        input: input.map(|s| Shape { c: s[0], h: s[1], w: s[2] }),
        key: json["key"].as_str().map(String::from),
        bn_eps: json["bn_eps"].as_f64().map(|eps| eps as f32),
        pools: stages.or(sizes("cfg").map(Pools::Configuration)),
        weight_levels: json["weight_levels"].as_array().map(|ab| {
            let [a, b] = [0, 1].map(|i| ab[i].as_i64().unwrap() as i32);
            Levels { a, b }
        }),
        activation: (json["activation"] == "relu6").then_some(Activation::Relu6),
        head: (json["head"] == "max").then_some(Head::Max),
        ..Options::default()
    }
}

/// Imports every file of `folder` that has a case, and compares its logits or the reason why it is refused; returns
/// how many there were.
fn check_folder(folder: &Path) -> usize {
    let mut cases = 0;
    let mut wrong = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(model) = path.to_str().unwrap().strip_suffix(".case.safetensors") else { continue };
        wrong.extend(fault(Path::new(model), &Case::read(&path)).map(|fault| format!("{model}: {fault}")));
        cases += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    cases
}

/// Largest relative difference of logits from their source.
const TOLERANCE: f32 = 1e-5;

/// What is wrong with the import of `model`.
fn fault(model: &Path, case: &Case) -> Option<String> {
    let imported = match (import(model, &case.options), &case.refused) {
        (Ok(imported), None) => imported,
        (Ok(_), Some(words)) => return Some(format!("is taken, must be refused: {words}")),
        (Err(e), Some(words)) if e.to_string().contains(words) => return None,
        (Err(e), _) => return Some(e.to_string()),
    };
    let named =
        |shape: &[usize], values: Vec<f32>| Named { name: String::new(), shape: shape.into(), values };
    let x = named(case.x.shape(), case.x.iter().copied().collect());
    let y = named(case.y.shape(), case.y.iter().copied().collect());
    let saved = check::Case { x, y, outputs: vec![], ordered: false };
    let x = match check::images_and_logits(&imported, &saved) {
        Ok((x, _)) => x,
        Err(reason) => return Some(reason),
    };
    let logits = imported.model.forward(&x).unwrap();
    let scale = case.y.iter().fold(1e-6f32, |m, v| m.max(v.abs()));
    let difference = logits.iter().zip(&case.y).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    (difference > TOLERANCE * scale).then(|| format!("logits differ by {difference} of {scale}"))
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
    assert_eq!(check_folder(&data()), 4);
    assert_eq!(check_folder(&data().join("zoo")), 31);
    assert_eq!(check_folder(&data().join("keras")), 18);
    assert_eq!(check_folder(&data().join("arrays")), 6);
}

#[test]
fn fresh_files_from_pytorch_give_their_logits() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/torch_files.py");
    let made = Command::new(&python).arg(script).arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(check_folder(folder.path()), 20);
}

/// `tests/import/zoo.py`: needs torch and safetensors only.
#[test]
fn every_form_of_a_file_is_taken_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let python = std::env::var("VGG2RTL_PYTHON").unwrap_or("python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/zoo.py");
    let found = Command::new(&python).args(["-c", "import torch, safetensors"]).output();
    if !found.is_ok_and(|o| o.status.success()) {
        println!("skipped: {python} lacks torch or safetensors");
        assert!(std::env::var("VGG2RTL_ZOO").is_err(), "VGG2RTL_ZOO asks for it");
        return;
    }
    let made = Command::new(&python).arg(script).arg(folder.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(check_folder(folder.path()) >= 40);
}

#[test]
fn an_imported_model_survives_its_file() {
    let model = import(&data().join("keras.onnx"), &Options::default()).unwrap().model;
    let path = tempfile::NamedTempFile::new().unwrap();
    model.save(path.path()).unwrap();
    assert_eq!(vgg2rtl::float::FloatModel::load(path.path()).unwrap(), model);
}
