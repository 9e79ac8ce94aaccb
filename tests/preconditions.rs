//! What a check accepts must run: whatever the model's `validate` lets through, golden model, schedule, export and the
//! accelerator's program run, and agree; and every kind of model that they could not run is refused with a reason.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use vgg2rtl::arith::{Levels, Multiplier, Step};
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::cosim::{Cache, InProcess, MemoryOptions, Network};
use vgg2rtl::export;
use vgg2rtl::float::{FloatLayer, FloatModel};
use vgg2rtl::int::{Golden, IntModel, Output, random, reference};
use vgg2rtl::net::{Header, Op, Preprocessing, Shape};
use vgg2rtl::schedule::{fit, interpret, schedule};

#[path = "common/description.rs"]
mod description;

const INT: &str = "tests/fixtures/golden/w8a8-scale.model.safetensors";
const FLOAT: &str = "models/vgg16-small-fashion.safetensors";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn recipe(input: Shape, ops: &[Op], seed: u64) -> random::Recipe {
    random::Recipe { input, ops: ops.into(), w: 4, a: 5, power_of_two: false, per_channel: true, seed }
}

fn conv(co: usize, pool: bool) -> Op {
    Op::Conv { co, pool }
}

const SMALL: Shape = Shape { c: 3, h: 5, w: 4 };

/// The float network of the same shape, all weights 0.25.
fn float_model(input: Shape, ops: &[Op]) -> FloatModel {
    let shapes = vgg2rtl::net::shapes(input, ops.iter().copied());
    let layer = |(i, (&op, x)): (usize, (&Op, &Shape))| FloatLayer {
        name: format!("layer{i}"),
        op,
        weight: vec![0.25; op.weight_shape(*x).iter().product()],
        bias: vec![0.0; op.co()],
        batch_norm: None,
        quantizer: None,
        saturation: None,
    };
    let preprocessing = Preprocessing::unit(input.c);
    let header = Header { name: "even".into(), input, preprocessing, classes: vec![] };
    FloatModel { header, layers: ops.iter().zip(&shapes).enumerate().map(layer).collect() }
}

#[test]
fn a_network_ends_in_logits_of_one_position() {
    let dense = Op::Dense { co: 3 };
    let cases: [(&[Op], &str); 6] = [
        (&[conv(4, false)], "layer conv1: the network ends in maps of 4×5×4"),
        (&[conv(4, true), conv(3, false)], "layer conv2: the network ends in maps of 3×2×2"),
        (&[conv(4, true), conv(3, true)], "layer conv2: its sums are the logits, no pool can follow"),
        (&[dense, conv(4, false)], "layer conv2: a convolution after a dense layer"),
        (
            &[conv(4, true), conv(4, true), conv(4, true)],
            "layer conv3: its feature map 4×1×1 → 4×0×0 is empty",
        ),
        (&[], "layer -: the network has no layers"),
    ];
    for (ops, want) in cases {
        let refused =
            |result: vgg2rtl::Result<()>| result.unwrap_err().to_string().replace("layer0", "conv1");
        let int = if ops.is_empty() {
            let mut model = random::model(&recipe(SMALL, &[dense], 1));
            model.layers.clear();
            model
        } else {
            random::model(&recipe(SMALL, ops, 1))
        };
        let found = refused(int.validate());
        assert!(found.starts_with(want), "{ops:?}: {found}");
        let found =
            refused(float_model(SMALL, ops).validate()).replace("layer1", "conv2").replace("layer2", "conv3");
        assert!(found.starts_with(want), "{ops:?}: {found}");
    }
}

/// One change of a valid model, and how its refusal begins.
type Change = (fn(&mut IntModel), &'static str);

fn first_output(model: &mut IntModel) -> (&mut vgg2rtl::int::Quantizer, &mut Vec<Multiplier>) {
    match &mut model.layers[0].output {
        Output::Requantized { quantizer, by } => (quantizer, by),
        Output::Logits => panic!("the first layer is not the last one"),
    }
}

#[test]
fn integer_models_that_could_not_run_are_refused() {
    let step = |s: f32| Step::new(s).unwrap();
    assert_eq!(step(0.5).get(), 0.5);
    let cases: [Change; 18] = [
        (
            |m| m.layers[1].weight_steps = [0.5, 0.25, 0.5, 0.5].map(|s| Step::new(s).unwrap()).into(),
            "layer fc2: its sums are the logits, which are compared with one another",
        ),
        (|m| m.layers[0].name.clear(), "layer -: a layer has the name \"\""),
        (|m| m.layers[0].name = "a\nb".into(), "layer -: a layer has the name \"a\\nb\": only letters"),
        (|m| m.layers[0].name = "a\"b".into(), "layer -: a layer has the name"),
        (|m| m.layers[0].name = "a\\".into(), "layer -: a layer has the name"),
        (|m| m.layers[0].name = "<b>".into(), "layer -: a layer has the name"),
        (|m| m.layers[0].name = "x".repeat(65), "layer -: a layer has the name"),
        (|m| m.layers[0].name = "input".into(), "layer -: a layer has the name \"input\": it is kept"),
        (
            |m| m.layers[0].name = "fc2.weights".into(),
            "layer -: a layer has the name \"fc2.weights\": it is kept",
        ),
        (|m| m.layers[0].name = m.layers[1].name.clone(), "layer -: two layers have the name"),
        (|m| m.header.name = "a\nb".into(), "layer -: the name \"a\\nb\" has control"),
        (|m| m.header.classes = vec!["\u{7}".into(); 4], "layer -: the class"),
        (|m| m.header.input.h = 0, "layer conv1: its feature map 3×0×4 → 5×0×4 is empty"),
        (|m| m.header.input.w = 1 << 40, "layer conv1: a feature map of"),
        (|m| first_output(m).1[2].m -= 1, "layer conv1: channel 2 requantizes by"),
        (|m| first_output(m).0.step = Step::new(0.07).unwrap(), "layer conv1: channel 0 requantizes by"),
        (|m| m.layers[0].weight_steps[1] = Step::new(0.5).unwrap(), "layer conv1: channel 1 requantizes by"),
        (|m| m.layers[1].weight_steps[0] = Step::new(1e-37).unwrap(), "layer fc2: weight step 1e-37 times"),
    ];
    for (change, want) in cases {
        let mut model = random::model(&recipe(SMALL, &[conv(5, false), Op::Dense { co: 4 }], 1));
        model.validate().unwrap();
        change(&mut model);
        let found = model.validate().unwrap_err().to_string();
        assert!(found.starts_with(want), "{want}: {found}");
    }
}

#[test]
fn descriptions_say_nothing_that_is_not_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("m.safetensors");
    let refused = |original: &[u8], at: &str, key: &str, value: Value| {
        let changed = description::changed(original, |d| {
            d.pointer_mut(at).unwrap().as_object_mut().unwrap().insert(key.into(), value.clone());
        });
        std::fs::write(&path, changed).unwrap();
        let loaded = [FloatModel::load(&path).map(drop), IntModel::load(&path).map(drop)];
        loaded.map(|l| l.unwrap_err().to_string()).join(" ")
    };
    let (int, float) = (fixture(INT), fixture(FLOAT));
    for original in [&int, &float] {
        for (at, key, want) in [
            ("", "sclae", "unknown key sclae"),
            ("/input", "d", "unknown key input.d"),
            ("/preprocessing", "gamma", "unknown key preprocessing.gamma"),
            ("/layers/1", "stride", "unknown key layers[1].stride"),
        ] {
            let found = refused(original, at, key, json!(2));
            assert!(found.contains(want), "{want}: {found}");
        }
    }
    for (at, key, value, want) in [
        (
            "/layers/0",
            "weight_bits",
            json!(4_000_000),
            "layer conv0: weight_bits 4000000 where levels -128 … 127 take 8",
        ),
        ("/layers/0", "weight_bits", json!(0), "layer conv0: weight_bits 0"),
        ("/layers/0", "weight_bits", json!(9), "layer conv0: weight_bits 9"),
        (
            "/layers/1",
            "accumulator_bits",
            json!(0),
            "layer conv1: accumulator_bits 0 where its integers need",
        ),
        (
            "/layers/1",
            "accumulator_bits",
            json!(49),
            "layer conv1: accumulator_bits 49 where its integers need",
        ),
        ("/input_quantizer", "step", json!(0.3), "layer conv0: channel 0 requantizes by"),
        ("/layers/0/output_quantizer", "step", json!(0.3), "layer conv0: channel 0 requantizes by"),
        ("/layers/0", "name", json!("a\nb"), "only letters, digits and _ - . are possible"),
    ] {
        let found = refused(&int, at, key, value);
        assert!(found.contains(want), "{want}: {found}");
    }
    // A layer that loses its batch norm leaves tensors behind.
    let mut normalised = float_model(SMALL, &[Op::Dense { co: 3 }]);
    let channel = || vec![1.0; 3];
    let norm = vgg2rtl::float::BatchNorm {
        gamma: channel(),
        beta: channel(),
        mean: channel(),
        var: channel(),
        eps: 0.1,
    };
    normalised.layers[0].batch_norm = Some(norm);
    normalised.save(&path).unwrap();
    let changed = description::changed(&std::fs::read(&path).unwrap(), |d| {
        d["layers"][0].as_object_mut().unwrap().remove("batch_norm_eps");
    });
    std::fs::write(&path, changed).unwrap();
    let found = FloatModel::load(&path).unwrap_err().to_string();
    assert!(found.contains("tensor layer0.beta belongs to no layer"), "{found}");
}

/// A random network of any kind; half of them with something changed that may or may not be allowed.
fn candidate(rng: &mut ChaCha8Rng) -> IntModel {
    let input = Shape { c: rng.random_range(1..=5), h: rng.random_range(1..=7), w: rng.random_range(1..=7) };
    let (mut ops, mut shape) = (vec![], input);
    for _ in 0..rng.random_range(0..=3) {
        ops.push(conv(rng.random_range(1..=9), shape.h.min(shape.w) > 1 && rng.random_bool(0.3)));
        shape = ops[ops.len() - 1].output(shape);
    }
    ops.extend((0..rng.random_range(0..=2)).map(|_| Op::Dense { co: rng.random_range(1..=9) }));
    if ops.is_empty() {
        ops.push(conv(3, false));
    }
    let mut model = random::model(&random::Recipe {
        input,
        ops,
        w: rng.random_range(2..=16),
        a: rng.random_range(2..=16),
        power_of_two: rng.random(),
        per_channel: rng.random(),
        seed: rng.random(),
    });
    for _ in 0..rng.random_range(0..=2) {
        change(&mut model, rng);
    }
    model
}

fn change(model: &mut IntModel, rng: &mut ChaCha8Rng) {
    let count = model.layers.len();
    let layer = &mut model.layers[rng.random_range(0..count)];
    let extreme = *[0, 1, -1, 2, 127, i64::from(i32::MAX) + 1, 1 << 46, -(1 << 46), 1 << 62, i64::MIN]
        .choose(rng)
        .unwrap();
    match rng.random_range(0..16) {
        0 => layer.bias[0] = extreme,
        1 => layer.weight[0] = extreme as i16,
        2 => layer.weight_levels = Levels { a: extreme as i32, b: 1 },
        3 => layer.weight_levels = Levels { a: 0, b: 1 },
        4 => {
            layer.weight_steps =
                vec![Step::new(*[1e-37, 1e-30, 0.5, 1e30, 3e38].choose(rng).unwrap()).unwrap()]
        }
        5 => layer.op = conv(layer.op.co(), rng.random()),
        6 => drop(layer.bias.pop()),
        7 => drop(layer.weight.pop()),
        8 => layer.output = Output::Logits,
        9 => model.input.levels = Levels { a: 0, b: rng.random_range(0..=70_000) },
        10 => model.input.step = Step::new(*[1e-37, 0.5, 1e30].choose(rng).unwrap()).unwrap(),
        11 => {
            layer.name = (*["a.b-c", "x", "a_codes", "logits", "program", "a b"].choose(rng).unwrap()).into()
        }
        12 if count > 1 => drop(model.layers.pop()),
        13 => model.header.classes = vec!["one".into(); rng.random_range(0..3)],
        _ => {
            if let Output::Requantized { quantizer, by } = &mut layer.output {
                match rng.random_range(0..4) {
                    0 => quantizer.levels.b = rng.random_range(0..=66_000),
                    1 => quantizer.step = Step::new(0.125).unwrap(),
                    2 => by[0] = Multiplier { m: rng.random(), s: rng.random_range(0..64) },
                    _ => drop(by.pop()),
                }
            }
        }
    }
}

/// Runs `model` everywhere; what disagrees is a panic.
fn run_everywhere(model: &IntModel, seed: u64, cache: &Cache) {
    let codes = random::images(model, 2, seed);
    let golden = Golden::new(model).unwrap().trace(codes.view()).unwrap();
    assert_eq!(golden, reference::trace(model, codes.view()).unwrap());
    let folder = cache.path("");
    export::onnx(model, &folder.join("m.onnx")).unwrap();
    model.save(&folder.join("m.safetensors")).unwrap();
    let deep = ArrayConfig {
        act_depth: 4096,
        acc_depth: 256,
        requantizers: 1,
        ..ArrayConfig::preset("tiny").unwrap()
    };
    let config = fit(model, &deep);
    let schedule = schedule(model, &config, 2).unwrap();
    let mut memory = schedule.memory.clone();
    schedule.put_images(&mut memory, codes.view());
    interpret::execute(&schedule, &mut memory).unwrap();
    assert_eq!(schedule.trace(&memory), golden, "the program's functional model differs");
    if seed.is_multiple_of(25) {
        let (simulator, memory) = (InProcess::new(&config).unwrap(), MemoryOptions::default());
        let network =
            Network { simulator: &simulator, schedule: &schedule, cache, memory, jobs: 1, resume: false };
        let layers = network.chain(codes.view(), &golden, &|_| ()).unwrap();
        assert!(layers.iter().all(|l| l.comparison.mismatches == 0), "{layers:?}");
    }
}

/// `VGG2RTL_MODELS` sets how many (`sim/nightly.sh` takes more).
#[test]
fn whatever_validate_accepts_runs_and_agrees() {
    let count =
        std::env::var("VGG2RTL_MODELS").map_or(600, |n| n.parse().expect("VGG2RTL_MODELS is a number"));
    let folder = TempDir::new().unwrap();
    let cache = Cache::open(Some(folder.path())).unwrap();
    let (mut accepted, mut refused, mut failures) = (0, 0, vec![]);
    for seed in 0..count {
        let model = candidate(&mut ChaCha8Rng::seed_from_u64(seed));
        match catch_unwind(AssertUnwindSafe(|| model.validate())) {
            Ok(Ok(())) => {
                accepted += 1;
                if catch_unwind(AssertUnwindSafe(|| run_everywhere(&model, seed, &cache))).is_err() {
                    failures.push(seed);
                }
            }
            Ok(Err(_)) => refused += 1,
            Err(_) => failures.push(seed),
        }
    }
    println!("{accepted} models accepted, all run; {refused} refused");
    assert!(failures.is_empty(), "seeds {failures:?}");
    assert!(accepted * 5 > count && refused * 5 > count, "{accepted} accepted, {refused} refused");
}

#[test]
fn a_file_that_is_saved_is_accepted_again() {
    let folder = TempDir::new().unwrap();
    let path: PathBuf = folder.path().join("m.safetensors");
    for seed in 0..60 {
        let mut model = candidate(&mut ChaCha8Rng::seed_from_u64(seed));
        model.header.input.c = 3;
        if model.layers[0].op.weight_shape(model.header.input).iter().product::<usize>()
            != model.layers[0].weight.len()
        {
            continue; // pictures have one channel or three
        }
        if model.validate().is_ok() {
            model.save(&path).unwrap();
            assert_eq!(IntModel::load(&path).unwrap(), model, "seed {seed}");
        }
    }
}
