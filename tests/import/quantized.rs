//! Networks that others quantized: the file's integers, and the codes that ONNX Runtime computes with them.
//!
//! `tests/data/import/quantized` holds small files made by `tests/import/quantized.py`. Where Python with onnx and
//! onnxruntime is at hand, the same script makes them anew, and with `VGG2RTL_ZOO` set a trained network in every form.

use ndarray::{Array2, Array4, ArrayD, Axis, Ix2, Ix4};
use safetensors::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};
use std::process::Command;
use vgg2rtl::arith;
use vgg2rtl::export;
use vgg2rtl::float::import::{Options, from_bytes, import};
use vgg2rtl::int::random::{self, Recipe};
use vgg2rtl::int::{Golden, IntModel};
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::quantize::{given, input_codes};

/// Forms whose steps are powers of two: every code must be ONNX Runtime's.
const EXACT: [&str; 6] = ["pow2_8", "pow2_4", "pow2_12", "brevitas_qcdq", "qonnx_quant", "qonnx_bias"];
const FORMS: usize = 18;

/// The integer model of a quantized file.
pub fn read(path: &Path, common_step: bool) -> Result<IntModel, String> {
    let options = Options { common_step, ..Options::default() };
    let imported = import(path, &options).map_err(|e| e.to_string())?;
    let codes = imported.quantized.ok_or("no integers")?;
    given(&imported.model, &codes).map_err(|e| e.to_string())
}

/// What ONNX Runtime said of a file.
struct Case(Vec<u8>);

impl Case {
    fn array(&self, name: &str) -> ArrayD<f64> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let t = file.tensor(name).unwrap_or_else(|_| panic!("no {name}"));
        let words = t.data().as_chunks::<4>().0.iter();
        let values: Vec<f64> = match t.dtype() {
            Dtype::F32 => words.map(|b| f32::from_le_bytes(*b).into()).collect(),
            Dtype::I32 => words.map(|b| i32::from_le_bytes(*b).into()).collect(),
            other => panic!("{name} is {other:?}"),
        };
        ArrayD::from_shape_vec(t.shape(), values).unwrap()
    }

    fn x(&self) -> Array4<f32> {
        self.array("x").mapv(|v| v as f32).into_dimensionality::<Ix4>().unwrap()
    }

    fn matrix(&self, name: &str) -> Array2<f64> {
        self.array(name).into_dimensionality::<Ix2>().unwrap()
    }
}

/// Shares of equal codes of each layer, and of images with the file's answer.
struct Agreement {
    codes: Vec<f64>,
    /// Largest difference of a code.
    apart: f64,
    answers: f64,
    /// Largest difference of a logit from ONNX Runtime's sums, of the largest.
    logits: f64,
}

fn agreement(model: &IntModel, case: &Case) -> Agreement {
    let golden = Golden::new(model).unwrap();
    let x = case.x();
    let (mut equal, mut apart, mut right, mut off) =
        (vec![0usize; model.layers.len() - 1], 0f64, 0usize, 0f64);
    let (sums, last) = (case.matrix("y"), case.matrix("final"));
    let wanted: Vec<Array2<f64>> = (0..equal.len()).map(|i| case.matrix(&format!("codes.{i}"))).collect();
    let unit = f64::from(model.layers.last().unwrap().weight_steps[0].get())
        * f64::from(model.input_quantizers().last().unwrap().step.get());
    let largest = sums.iter().fold(0f64, |m, v| m.max(v.abs()));
    const TOGETHER: usize = 32;
    for (part, images) in x.axis_chunks_iter(Axis(0), TOGETHER).enumerate() {
        let trace = golden.trace(input_codes(model, &images.to_owned()).view()).unwrap();
        let first = part * TOGETHER;
        for (i, codes) in trace.activations.iter().enumerate() {
            let rows = wanted[i].slice_axis(Axis(0), (first..first + images.dim().0).into());
            for (code, want) in codes.iter().zip(rows.iter()) {
                let difference = (f64::from(*code) - want).abs();
                equal[i] += usize::from(difference == 0.0);
                apart = apart.max(difference);
            }
        }
        for (n, logits) in trace.logits.outer_iter().enumerate() {
            let row = last.row(first + n);
            let best = logits.iter().enumerate().max_by_key(|(c, v)| (**v, usize::MAX - c)).unwrap().0;
            right += usize::from(row.iter().all(|v| *v <= row[best]));
            let differences =
                logits.iter().zip(sums.row(first + n)).map(|(l, y)| (*l as f64 * unit - y).abs());
            off = differences.fold(off, f64::max);
        }
    }
    let codes = equal.iter().zip(&wanted).map(|(e, w)| *e as f64 / w.len() as f64).collect();
    Agreement { codes, apart, answers: right as f64 / x.dim().0 as f64, logits: off / largest }
}

/// What must agree where multipliers are not exact.
struct Limits {
    /// Share of answers.
    answers: f64,
    /// Mean share of equal codes of a layer.
    codes: f64,
    /// Difference of logits, of the largest.
    logits: f64,
}

const SMALL: Limits = Limits { answers: 1.0, codes: 0.95, logits: 0.02 };
/// 16 layers: codes that differ make others differ behind them.
const TRAINED: Limits = Limits { answers: 0.998, codes: 0.85, logits: 0.05 };

/// Compares every file of `folder` with its case; how many there were.
fn check(folder: &Path, limits: &Limits) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().unwrap().to_str().unwrap().strip_suffix(".onnx") else { continue };
        let case = Case(std::fs::read(path.with_extension("case.safetensors")).unwrap());
        let common = name.ends_with("all_channels") || name == "ort_operators_channels";
        if common {
            let reason = read(&path, false).unwrap_err();
            assert!(
                reason.contains("the logits need one: quantize this layer per tensor"),
                "{name}: {reason}"
            );
        }
        let model = read(&path, common).unwrap_or_else(|e| panic!("{name}: {e}"));
        let last = model.layers.len() - 1;
        for (i, layer) in model.layers.iter().enumerate().filter(|(i, _)| !common || *i < last) {
            let same = |part: &str, own: Vec<f64>| {
                let want: Vec<f64> = case.array(&format!("{part}.{i}")).iter().copied().collect();
                assert_eq!(own, want, "{name}: {part} of layer {i}");
            };
            same("weight", layer.weight.iter().map(|&w| w.into()).collect());
            same("bias", layer.bias.iter().map(|&b| b as f64).collect());
        }
        let found = agreement(&model, &case);
        let least = found.codes.iter().copied().fold(1.0, f64::min);
        let mean = found.codes.iter().sum::<f64>() / found.codes.len() as f64;
        println!(
            "{name:24} codes {:8.4} %, {:8.4} % of the worst layer, {} apart at most, answers {:7.3} %, logits off by {:.1e}",
            100.0 * mean,
            100.0 * least,
            found.apart,
            100.0 * found.answers,
            found.logits
        );
        if EXACT.contains(&name) {
            assert_eq!((least, found.answers), (1.0, 1.0), "{name}");
            assert!(found.logits < 1e-6, "{name}: {}", found.logits);
        }
        // m is 2⁻¹⁶ off at most, so that codes next to ties are one apart, and codes behind them by what these make of it.
        assert!(
            found.answers >= limits.answers && found.logits < limits.logits,
            "{name}: {} {}",
            found.answers,
            found.logits
        );
        assert!(name == "ort_16_bits" || mean > limits.codes, "{name}: {mean}");
        count += 1;
    }
    count
}

fn committed() -> PathBuf {
    super::data().join("quantized")
}

#[test]
fn integers_and_codes_are_those_of_the_file() {
    assert_eq!(check(&committed(), &SMALL), FORMS);
}

#[test]
fn fresh_files_from_onnx_runtime() {
    let python = std::env::var("VGG2RTL_PYTHON").unwrap_or("python3".into());
    let found = Command::new(&python).args(["-c", "import onnx, onnxruntime, safetensors"]).output();
    if !found.is_ok_and(|o| o.status.success()) {
        println!("skipped: {python} lacks onnx, onnxruntime or safetensors");
        assert!(std::env::var("VGG2RTL_ZOO").is_err(), "VGG2RTL_ZOO asks for it");
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(&python);
    command.arg(root.join("tests/import/quantized.py")).arg(folder.path());
    let trained = std::env::var("VGG2RTL_ZOO").is_ok();
    if trained {
        command.arg("--float").arg(root.join("models/vgg16-small-fashion.safetensors"));
        command.arg("--images").arg(root.join("models/fashion-test-256-images-idx3-ubyte.gz"));
    }
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(check(folder.path(), if trained { &TRAINED } else { &SMALL }), FORMS);
}

/// Bytes of `model`'s file.
fn bytes(model: &IntModel) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    model.save(file.path()).unwrap();
    std::fs::read(file.path()).unwrap()
}

#[test]
fn what_is_exported_comes_back_bit_by_bit() {
    let conv = |co, pool| Op::Conv { co, pool };
    let networks = [
        (
            Shape { c: 3, h: 11, w: 8 },
            vec![conv(8, true), conv(6, false), Op::Dense { co: 10 }, Op::Dense { co: 5 }],
        ),
        (Shape { c: 1, h: 1, w: 1 }, vec![conv(4, false), conv(3, false)]),
        (Shape { c: 3, h: 4, w: 3 }, vec![Op::Dense { co: 4 }, Op::Dense { co: 2 }]),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    for (w, a) in [(2, 2), (3, 8), (4, 4), (8, 8), (8, 16), (9, 3), (16, 16)] {
        for (input, ops) in &networks {
            for (power_of_two, per_channel) in [(true, false), (true, true), (false, false), (false, true)] {
                let (input, ops, seed) = (*input, ops.clone(), 5);
                let mut model = random::model(&Recipe { input, ops, w, a, power_of_two, per_channel, seed });
                model.header.classes =
                    (0..model.layers.last().unwrap().op.co()).map(|c| format!("class {c}")).collect();
                model.header.preprocessing.std[0] = 0.3;
                if w == 3 {
                    model.layers[0].weight_levels = arith::Levels { a: -4, b: 7 };
                    model.input.levels = arith::Levels { a: -5, b: 9 };
                }
                if w == 16 {
                    model.layers[0].bias[0] = 1 << 35;
                }
                export::onnx(&model, &path).unwrap();
                let back = read(&path, false).unwrap_or_else(|e| panic!("W{w}A{a}: {e}"));
                assert_eq!(back, model);
                assert_eq!(bytes(&back), bytes(&model));
            }
        }
    }
}

/// As a stranger's file: everything that the graph itself says.
#[test]
fn an_export_without_its_metadata_computes_the_same() {
    use prost::Message;
    use vgg2rtl::float::import::onnx::proto::ModelProto;
    let ops = vec![Op::Conv { co: 4, pool: true }, Op::Conv { co: 4, pool: false }, Op::Dense { co: 3 }];
    let input = Shape { c: 3, h: 6, w: 6 };
    let (w, a, power_of_two, per_channel, seed) = (4, 5, true, true, 9);
    let model = random::model(&Recipe { input, ops, w, a, power_of_two, per_channel, seed });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    export::onnx(&model, &path).unwrap();
    let mut file = ModelProto::decode(&std::fs::read(&path).unwrap()[..]).unwrap();
    file.metadata_props.clear();
    let imported = from_bytes(&file.encode_to_vec(), "m", &path, &Options::default()).unwrap();
    let back = given(&imported.model, imported.quantized.as_ref().unwrap()).unwrap();
    for (a, b) in back.layers.iter().zip(&model.layers) {
        assert_eq!((&a.weight, &a.bias, &a.output), (&b.weight, &b.bias, &b.output));
    }
    assert_eq!(back.input, model.input);
}
