//! The verbs quantize, eval and inspect on the small VGG16 of this repository.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn models(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

fn float() -> PathBuf {
    models("vgg16-small-fashion.safetensors")
}

fn images() -> PathBuf {
    models("fashion-test-256-images-idx3-ubyte.gz")
}

fn vgg2rtl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vgg2rtl")).args(arguments).output().unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let output = vgg2rtl(&[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Quantizes the float model, calibrated on a part of the test images, and returns the file.
fn quantized(folder: &TempDir, options: &[&str]) -> PathBuf {
    let to = folder.path().join("int.safetensors");
    let (float, images) = (float(), images());
    let base = ["quantize", path(&float), "--calib", path(&images), "--images", "64", "-o", path(&to)];
    json(&[&base, options].concat());
    to
}

fn path(p: &Path) -> &str {
    p.to_str().unwrap()
}

fn eval(model: &Path, engine: &str) -> Value {
    let (images, float) = (images(), float());
    json(&["eval", path(model), "--engine", engine, "--data", path(&images), "--float-model", path(&float)])
}

#[test]
fn float_accuracy_is_the_trained_one() {
    let found = eval(&float(), "float");
    assert!(found["accuracy"].as_f64().unwrap() > 0.91, "{found}");
    assert!(found["top5"].as_f64().unwrap() > 0.99, "{found}");
    assert_eq!((&found["images"], &found["agreement"]), (&256.into(), &1.0.into()));
}

#[test]
fn eight_bits_agree_with_float() {
    let folder = TempDir::new().unwrap();
    for (options, least) in
        [(&["--requantize", "scale"][..], 0.985), (&["--requantize", "pow2", "--per-tensor"], 0.97)]
    {
        let found = eval(&quantized(&folder, options), "golden");
        assert!(found["agreement"].as_f64().unwrap() >= least, "{options:?}: {found}");
    }
}

#[test]
fn inspect_shows_both_kinds() {
    let folder = TempDir::new().unwrap();
    let exceptions = ["--weights", "4", "--acts", "3", "--layer", "conv2_1=5:6", "--scale", "pow2"];
    let int = quantized(&folder, &exceptions);
    let (int, float) = (json(&["inspect", path(&int)]), json(&["inspect", path(&float())]));
    assert_eq!((&int["macs"], &int["weights"]), (&float["macs"], &float["weights"]));
    let column =
        |name: &str| int["layers"].as_array().unwrap().iter().map(|l| l[name].as_u64()).collect::<Vec<_>>();
    let bits = |n: u64| Some(n);
    assert_eq!(column("weight_bits")[..4], [bits(8), bits(4), bits(5), bits(4)]);
    assert_eq!(column("act_bits")[..4], [bits(3), bits(3), bits(6), bits(3)]);
    assert_eq!(
        (column("weight_bits")[15], column("act_bits")[15], column("act_bits")[14]),
        (bits(8), None, bits(8))
    );
    let (proven, by_type) = (column("accumulator_bits"), column("accumulator_bits_by_type"));
    assert!(proven.iter().zip(&by_type).all(|(p, t)| p.unwrap() <= t.unwrap() + 1), "{proven:?} {by_type:?}");
}

/// A Python with numpy: `$VGG2RTL_PYTHON`, else `python3`.
fn python() -> String {
    std::env::var("VGG2RTL_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn has_numpy() -> bool {
    let numpy = Command::new(python()).args(["-c", "import numpy"]).output();
    let found = numpy.is_ok_and(|o| o.status.success());
    assert!(found || std::env::var_os("CI").is_none(), "python3 with numpy is missing");
    if !found {
        eprintln!("skipped: python3 with numpy is missing");
    }
    found
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The keys of docs/reports.md, which scripts may rely on.
#[test]
fn reports_keep_their_keys() {
    let folder = TempDir::new().unwrap();
    let (float, images, to) = (float(), images(), folder.path().join("int.safetensors"));
    let base = ["quantize", path(&float), "--calib", path(&images), "--images", "16", "-o", path(&to)];
    let report = json(&base);
    let want = ["accumulator_bits", "biases_corrected", "calibration_images", "equalised", "method", "mode"];
    assert_eq!(
        keys(&report),
        [&want[..], &["output", "per_channel", "rounding", "tensors", "trained_codes"]].concat()
    );
    let want = ["bits", "clipped", "layer", "levels", "range", "sqnr_db", "steps", "tensor"];
    assert_eq!(keys(&report["tensors"][0]), want);
    let found = eval(&to, "golden");
    let want =
        ["accuracy", "accuracy_interval", "agreement", "agreement_interval", "confusion", "engine", "images"];
    let rest = ["images_per_second", "labelled", "model", "top5", "top5_interval"];
    assert_eq!(keys(&found), [&want[..], &rest].concat());
    let counts = found["confusion"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    assert_eq!(counts.map(|n| n.as_u64().unwrap()).sum::<u64>(), 256);
    assert_eq!(found["engine"], "golden");
    let model = json(&["inspect", path(&to)]);
    let want = ["input", "input_quantizer", "kind", "layers", "macs", "name", "weights"];
    assert_eq!(keys(&model), want);
    let want =
        ["accumulator_bits", "accumulator_bits_by_type", "act_bits", "act_step", "co", "layer", "macs"];
    let rest = ["op", "output", "pool", "weight_bits", "weight_levels", "weight_steps", "weights"];
    assert_eq!(keys(&model["layers"][0]), [&want[..], &rest].concat());
}

/// Every layer's integers of the trained network, executed again in numpy from the model file alone.
#[test]
fn traces_equal_numpys() {
    if !has_numpy() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (i, bits) in ["2", "3", "4", "5", "8", "12", "16"].into_iter().enumerate() {
        for scale in ["free", "pow2"] {
            let options = ["--weights", bits, "--acts", bits, "--ends", "2", "--scale", scale];
            let int = quantized(&folder, &options);
            let trace = at(&format!("{i}{scale}.trace.safetensors"));
            let images = images();
            let base = ["eval", path(&int), "--engine", "golden", "--data", path(&images), "--images", "5"];
            json(&[&base[..], &["--trace", path(&trace)]].concat());
            std::fs::rename(int, at(&format!("{i}{scale}.model.safetensors"))).unwrap();
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_numpy.py");
    let check = Command::new(python()).arg(script).arg("compare").arg(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&check.stdout) + String::from_utf8_lossy(&check.stderr);
    assert!(said.contains("14 models, 238 tensors equal"), "{said}");
}

/// Both engines write the same bytes.
#[test]
fn traces_of_fake_and_golden_are_one() {
    let folder = TempDir::new().unwrap();
    let (int, images) = (quantized(&folder, &["--weights", "4", "--acts", "4"]), images());
    let written = ["golden", "fake"].map(|engine| {
        let trace = folder.path().join(format!("{engine}.safetensors"));
        let base = ["eval", path(&int), "--engine", engine, "--data", path(&images), "--images", "4"];
        json(&[&base[..], &["--trace", path(&trace)]].concat());
        std::fs::read(trace).unwrap()
    });
    assert!(written[0].len() > 10_000 && written[0] == written[1]);
}

/// Weights of few bits with float activations: one network, be it written as such or looked at in an integer model.
#[test]
fn weights_alone_are_measured_without_activations() {
    let folder = TempDir::new().unwrap();
    let images = images();
    let right = |model: &Path, more: &[&str]| {
        let base = ["eval", path(model), "--data", path(&images)];
        json(&[&base[..], more].concat())["accuracy"].as_f64().unwrap()
    };
    let only = quantized(&folder, &["--weights", "3", "--acts", "float"]);
    assert!(right(&only, &[]) > 0.88, "{}", right(&only, &[]));
    let refused = vgg2rtl(&["eval", path(&only), "--data", path(&images), "--engine", "golden"]);
    assert_eq!(refused.status.code(), Some(5));
    // Two bits of the activations cost something; weights that GPTQ rounds make up for it, and lack it without.
    let options = ["--rounding", "nearest", "--weights", "4", "--acts", "2", "--ends", "2"];
    let int = quantized(&folder, &options);
    let (float, golden) = (right(&int, &["--acts", "float"]), right(&int, &[]));
    assert!(float > golden + 0.05, "{float} {golden}");
}

/// Training with powers of two starts where `quantize --requantize pow2` ends, and the image has the same levels.
#[test]
fn quantizers_to_train_start_where_calibration_ends() {
    use vgg2rtl::float::{DataSet, FloatModel};
    use vgg2rtl::int::{Golden, IntModel};
    use vgg2rtl::quantize::qat::{Learn, Net, Spec};
    use vgg2rtl::quantize::{Score, Widths, golden_logits};
    let folder = TempDir::new().unwrap();
    let (calibration, test) = DataSet::open(images()).unwrap().split(0.25);
    let mut float = FloatModel::load(&float()).unwrap();
    float.fold_batch_norm();
    let first = calibration.batch(0..calibration.len(), &float.header).unwrap();
    let x = test.batch(0..test.len(), &float.header).unwrap();
    let labels: Vec<_> = (0..test.len()).map(|i| test.label(i)).collect();
    let right = |model: &IntModel| {
        let golden = Golden::new(model).unwrap();
        let mut score = Score::default();
        score.add(&x, &labels, &|x| golden_logits(model, &golden, x), None).unwrap();
        score.correct
    };
    for (bits, scale, learn) in
        [("8", "pow2", Learn::Tqt), ("4", "free", Learn::Lsq), ("4", "pow2", Learn::Tqt)]
    {
        let options = ["--scale", scale, "--weights", bits, "--acts", bits];
        let after = IntModel::load(&quantized(&folder, &options)).unwrap();
        let bits = bits.parse().unwrap();
        let spec = Spec { widths: Widths::bits(bits, bits), ..Spec::new(learn, bits, bits) };
        let start = Net::quantized_from(&float, &spec, first.view()).unwrap().lower().unwrap();
        let levels = |m: &IntModel| {
            let weights = m.layers.iter().map(|l| l.weight_levels).collect::<Vec<_>>();
            (weights, m.input_quantizers().iter().map(|q| q.levels).collect::<Vec<_>>())
        };
        assert_eq!(levels(&start), levels(&after), "{bits} {scale}");
        let (start, after) = (right(&start), right(&after));
        assert!(start + 6 >= after, "{bits} {scale}: {start} where quantize has {after} of {}", test.len());
    }
}

/// Wrong preprocessing answers at chance, and that is said; every accuracy has its interval.
#[test]
fn an_accuracy_at_chance_is_doubted() {
    let folder = TempDir::new().unwrap();
    let images = images();
    let run = |model: &Path| {
        let output = vgg2rtl(&["eval", path(model), "--data", path(&images)]);
        assert!(output.status.success());
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let [said, warned] = run(&float());
    assert!(said.contains("; 95 %: ") && !warned.contains("warning"), "{said}{warned}");
    let mut model = vgg2rtl::float::FloatModel::load(&float()).unwrap();
    (model.header.preprocessing.mean, model.header.preprocessing.std) = (vec![30.0], vec![0.01]);
    let wrong = folder.path().join("wrong.safetensors");
    model.save(&wrong).unwrap();
    let [_, warned] = run(&wrong);
    assert!(
        warned.contains("not above chance, 1 of 10 classes") && warned.contains("− [30.0]) / [0.01]"),
        "{warned}"
    );
}

#[test]
fn a_trace_needs_the_golden_model() {
    let (float, images) = (float(), images());
    let base = ["eval", path(&float), "--engine", "float", "--data", path(&images), "--trace", "never"];
    let output = vgg2rtl(&base);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--trace: only --engine golden"));
}

/// Whoever reads the first line only is no reason to panic.
#[test]
fn a_reader_may_leave() {
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
    let inspect = inspect.arg("inspect").arg(float()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut inspect = inspect.spawn().unwrap();
    drop(inspect.stdout.take());
    let output = inspect.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(141));
}

/// The formulas again, in another language.
#[test]
fn integers_equal_numpys() {
    if !has_numpy() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/quantize_numpy.py");
    for bits in ["2", "3", "4", "5", "8", "12", "16"] {
        for scale in ["free", "pow2"] {
            let plain = ["--rounding", "nearest", "--equalise", "off", "--bias-correction", "off"];
            let plain = [&plain[..], &["--scale", scale, "--ends", "2"]].concat();
            let int = quantized(&folder, &[&plain[..], &["--weights", bits, "--acts", bits]].concat());
            let check = Command::new(python()).arg(&script).arg(float()).arg(int).output().unwrap();
            assert!(check.status.success(), "{bits} {scale}: {}", String::from_utf8_lossy(&check.stderr));
        }
    }
}

#[test]
fn options_that_make_no_sense_are_usage_errors() {
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("never.safetensors");
    let (float, images) = (float(), images());
    let base = ["quantize", path(&float), "--calib", path(&images), "-o", path(&to)];
    let table: [(&[&str], &str); 7] = [
        (&["--weights", "17"], "--weights: \"17\" is neither 2 to 16 bits nor codes A..B"),
        (&["--weights", "1..3"], "--weights: levels 1..3"),
        (&["--levels", "-70000..7"], "levels -70000..7 need 18 bits"),
        (&["--acts", "-4..3"], "activations after a ReLU start at 0"),
        (&["--layer", "conv9=8"], "no layer \"conv9\"; the model has conv1_1, conv1_2"),
        (&["--layer", "conv1_1"], "not of the form NAME=W"),
        (&["--images", "0"], "invalid value '0' for '--images <N>'"),
    ];
    for (options, want) in table {
        let output = vgg2rtl(&[&base, options].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(errors.contains(want), "{options:?}: {errors}");
        assert_eq!(output.status.code(), Some(2), "{options:?}");
        assert!(!to.exists(), "{options:?} wrote a file");
    }
}

/// What `--predictions` says of every picture adds up to what `eval` counts; `classify` says the same of a picture.
#[test]
fn predictions_and_classes() {
    let folder = TempDir::new().unwrap();
    let (int, images) = (quantized(&folder, &[]), images());
    let mut model = vgg2rtl::int::IntModel::load(&int).unwrap();
    model.header.classes = (0..10).map(|c| format!("kind {c}, \"quoted\"")).collect();
    model.save(&int).unwrap();
    let (table, trace) = (folder.path().join("answers.csv"), folder.path().join("trace.safetensors"));
    let base = ["eval", path(&int), "--data", path(&images), "--images", "40"];
    let report = json(&[&base[..], &["--predictions", path(&table), "--trace", path(&trace)]].concat());
    let trace = vgg2rtl::store::File::open(&trace).unwrap();
    let mut lines = csv::Reader::from_path(&table).unwrap();
    let head = lines.headers().unwrap().clone();
    assert_eq!((&head[0], &head[2], &head[4]), ("picture", "answer", "logit kind 1, \"quoted\""));
    let (mut right, mut logits) = (0, vec![]);
    for line in lines.records() {
        let line = line.unwrap();
        let values: Vec<i64> = line.iter().skip(3).map(|v| v.parse().unwrap()).collect();
        let answer: usize = line[2].parse().unwrap();
        assert!(values.iter().all(|&v| v <= values[answer]) && line[0].contains("picture "));
        right += (line[1] == line[2]) as usize;
        logits.extend(values);
    }
    assert_eq!(logits.len(), 400);
    assert_eq!(right as f64 / 40.0, report["accuracy"].as_f64().unwrap());
    let last = vgg2rtl::int::IntModel::load(&int).unwrap().layers.last().unwrap().name.clone();
    assert_eq!(trace.integers(&last, &[40, 10]).unwrap(), logits, "those of the trace");

    let said = json(&["classify", path(&int), path(&images), "--top", "3"]);
    let first = &said["pictures"][0];
    let (best, second) = (&first["answers"][0], &first["answers"][1]);
    assert_eq!(said["pictures"].as_array().unwrap().len(), 256);
    assert_eq!(first["answers"].as_array().unwrap().len(), 3);
    assert!(best["probability"].as_f64() > second["probability"].as_f64());
    let float = json(&["classify", path(&float()), path(&images), "--top", "1"]);
    let answers = |report: &Value| -> Vec<Value> {
        let pictures = report["pictures"].as_array().unwrap();
        pictures.iter().map(|p| p["answers"][0]["class"].clone()).collect()
    };
    let same = answers(&said).iter().zip(&answers(&float)).filter(|(a, b)| a == b).count();
    assert!(same >= 250, "{same} of 256 as the float network says");
    let difference =
        best["logit"].as_f64().unwrap() - float["pictures"][0]["answers"][0]["logit"].as_f64().unwrap();
    assert!(difference.abs() < 1.0, "logits of one unit: {difference}");
}
