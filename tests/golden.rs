//! The golden model against an execution in numpy: committed traces, and fresh networks where Python is present.

use ndarray::{Array4, Axis, Dimension};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use vgg2rtl::int::{Golden, IntModel, TraceFile, random};
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::store;

const WIDTHS: [u32; 7] = [2, 3, 4, 5, 8, 12, 16];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn wide<D: Dimension>(x: &ndarray::Array<i32, D>) -> Vec<i64> {
    x.iter().map(|&v| v.into()).collect()
}

/// Runs the model of a fixture and compares every layer with the trace that numpy wrote.
fn check_fixture(model_path: &Path, trace_path: &Path) {
    let model = IntModel::load(model_path).unwrap();
    let file = store::File::open(trace_path).unwrap();
    let shape = file.shape("input").unwrap().to_vec();
    let codes = file.integers("input", &shape).unwrap().into_iter().map(|v| v as i32).collect();
    let codes = Array4::from_shape_vec((shape[0], shape[1], shape[2], shape[3]), codes).unwrap();
    let trace = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
    let mut alive = BTreeSet::new();
    for (layer, got) in model.layers.iter().zip(&trace.activations) {
        let want = file.integers(&layer.name, got.shape()).unwrap();
        assert_eq!(wide(got), want, "{}: {}", model_path.display(), layer.name);
        alive.extend(want);
    }
    assert!(alive.len() > 2, "{}: every code is alike", trace_path.display());
    let last = &model.layers.last().unwrap().name;
    let logits: Vec<i64> = trace.logits.iter().copied().collect();
    assert_eq!(logits, file.integers(last, trace.logits.shape()).unwrap(), "{}", model_path.display());
}

#[test]
fn equals_the_committed_traces() {
    let folder = root().join("tests/fixtures/golden");
    let files = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let models: Vec<PathBuf> =
        files.filter(|p| p.to_str().unwrap().ends_with(".model.safetensors")).collect();
    assert_eq!(models.len(), 20);
    for model in models {
        let trace = model.to_str().unwrap().replace(".model.", ".trace.");
        check_fixture(&model, Path::new(&trace));
    }
}

/// A Python with numpy: `$VGG2RTL_PYTHON`, else `python3`.
fn python() -> Option<String> {
    let python = std::env::var("VGG2RTL_PYTHON").unwrap_or_else(|_| "python3".into());
    let probe = Command::new(&python).args(["-c", "import numpy"]).output();
    if probe.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    assert!(std::env::var_os("CI").is_none(), "{python} has not numpy");
    eprintln!("skipped: {python} has not numpy; set VGG2RTL_PYTHON to one that has");
    None
}

/// Has numpy execute every `X.model.safetensors` of `folder` and compare with `X.trace.safetensors`.
fn numpy_compares(python: &str, folder: &Path, want: &str) {
    let script = root().join("tests/golden_numpy.py");
    let output = Command::new(python).arg(script).arg("compare").arg(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains(want), "{said}");
}

#[test]
fn numpy_finds_the_same_integers() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let widths = WIDTHS.into_iter().flat_map(|w| WIDTHS.map(|a| (w, a)));
    let modes = widths.flat_map(|widths| [false, true].map(|power_of_two| (widths, power_of_two)));
    for (seed, ((w, a), power_of_two)) in modes.enumerate() {
        let model = random::model(&random::Recipe {
            input: Shape { c: 3, h: 8, w: 11 },
            ops: vec![
                Op::Conv { co: 18, pool: false },
                Op::Conv { co: 16, pool: true },
                Op::Conv { co: 7, pool: true },
                Op::Dense { co: 21 },
                Op::Dense { co: 10 },
            ],
            w,
            a,
            power_of_two,
            per_channel: seed % 3 == 0,
            seed: seed as u64,
        });
        let codes = random::images(&model, 2, seed as u64);
        let golden = Golden::new(&model).unwrap();
        let file = |what| folder.path().join(format!("{seed}.{what}.safetensors"));
        model.save(&file("model")).unwrap();
        // Image by image: the file holds both.
        let mut traces = TraceFile::new(&model).unwrap();
        for image in codes.axis_chunks_iter(Axis(0), 1) {
            traces.add(image, &golden.trace(image).unwrap()).unwrap();
        }
        traces.save(&file("trace")).unwrap();
    }
    numpy_compares(&python, folder.path(), "98 models, 588 tensors equal");
}
