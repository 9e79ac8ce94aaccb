//! The exported QDQ model gives the golden integers in ONNX Runtime.

use ndarray::Array4;
use std::path::Path;
use std::process::Command;
use vgg2rtl::arith::dequantize;
use vgg2rtl::int::random::{self, Recipe};
use vgg2rtl::int::{Golden, IntModel, Output, Quantizer};
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::store::{self, Tensor};
use vgg2rtl::{arith::Step, export};

/// A random network whose steps are what its multipliers say: `step_y = step_w · step_x · 2^s / m`.
fn network(w: u32, a: u32, power_of_two: bool, seed: u64) -> IntModel {
    let ops = vec![
        Op::Conv { co: 8, pool: true },
        Op::Conv { co: 6, pool: false },
        Op::Dense { co: 10 },
        Op::Dense { co: 5 },
    ];
    let input = Shape { c: 3, h: 11, w: 8 };
    let recipe = Recipe { input, ops, w, a, power_of_two, per_channel: false, seed };
    let mut model = random::model(&recipe);
    let mut x = model.input.step;
    for layer in &mut model.layers {
        let sums = f64::from(layer.weight_steps[0].get()) * f64::from(x.get());
        if let Output::Requantized { quantizer, by } = &mut layer.output {
            let step = sums * f64::from(by[0].s).exp2() / f64::from(by[0].m);
            *quantizer = Quantizer { step: Step::new(step as f32).unwrap(), ..*quantizer };
            x = quantizer.step;
        }
    }
    model
}

/// Exports `model`, and lets (unoptimised, with the meaning that the standard gives every node) ONNX Runtime run it on 200 images.
fn compare(python: &str, model: &IntModel, flags: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (onnx, case) = (folder.path().join("m.onnx"), folder.path().join("case.safetensors"));
    export::onnx(model, &onnx).unwrap();
    let codes = random::images(model, 200, 3);
    let trace = Golden::new(model).unwrap().trace(codes.view()).unwrap();
    let x: Array4<f32> = codes.mapv(|q| dequantize(q, model.input.step));
    let mut tensors = vec![("x".to_string(), Tensor::new(x.shape(), x.iter().copied()))];
    for (layer, y) in model.layers.iter().zip(&trace.activations) {
        tensors.push((layer.name.clone(), Tensor::new(y.shape(), y.iter().copied())));
    }
    tensors.push(("logits".into(), Tensor::new(trace.logits.shape(), trace.logits.iter().copied())));
    store::write(&case, &"case", &tensors).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/qdq.py");
    let run = Command::new(python).arg(script).args([&onnx, &case]).args(flags).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    println!("{out}");
    assert!(run.status.success(), "{out}{err}");
}

#[test]
fn onnx_runtime_computes_the_golden_integers() {
    let Some(python) = super::python() else { return };
    for (w, a) in [(8, 8), (4, 4), (2, 3), (5, 8)] {
        compare(&python, &network(w, a, true, 1), &["--exact", "--plain"]);
        compare(&python, &network(w, a, false, 2), &["--plain"]);
    }
    compare(&python, &network(12, 10, true, 4), &["--plain"]);
}
