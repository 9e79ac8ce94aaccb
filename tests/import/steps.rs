//! State dicts with the steps that their weights were trained for: every code is kept.

use ndarray::Array4;
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;
use vgg2rtl::arith::Levels;
use vgg2rtl::float::FloatModel;
use vgg2rtl::float::import::{Imported, Options, from_bytes};
use vgg2rtl::net::Shape;
use vgg2rtl::quantize::qat::Net;
use vgg2rtl::quantize::{Method, Mode, Quantized, Recipe, Rounding, Trained, Widths, quantize};

/// Tensors of a state dict, in the making.
#[derive(Default)]
struct State(Vec<(String, Dtype, Vec<usize>, Vec<u8>)>);

impl State {
    fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.0.push((name.into(), Dtype::F32, shape.into(), bytes));
    }

    fn whole(&mut self, name: &str, value: i64) {
        self.0.push((name.into(), Dtype::I64, vec![1], value.to_le_bytes().into()));
    }

    fn bytes(&self) -> Vec<u8> {
        let mut views = vec![];
        for (name, dtype, shape, bytes) in &self.0 {
            views.push((name.clone(), TensorView::new(*dtype, shape.clone(), bytes).unwrap()));
        }
        safetensors::serialize(views, None).unwrap()
    }
}

const SHAPES: [&[usize]; 4] = [&[4, 3, 3, 3], &[6, 4, 3, 3], &[7, 96], &[5, 7]];
const STEPS: [f32; 4] = [0.031, 0.0173, 0.25, 0.011];

/// Weights with values between codes, on ties, and beyond the last code.
fn weight(i: usize) -> Vec<f32> {
    let count: usize = SHAPES[i].iter().product();
    (0..count)
        .map(|k| ((k * 7919 + i * 31) % 1013) as f32 / 1013.0 - 0.5)
        .map(|v| v * STEPS[i] * 290.0)
        .collect()
}

/// `clip(round(w / step), a, b)` as PyTorch computes it, in single precision.
fn codes(i: usize, [a, b]: [f32; 2]) -> Vec<i16> {
    weight(i).iter().map(|w| (w / STEPS[i]).round_ties_even().clamp(a, b) as i16).collect()
}

/// A network whose layers are called `layers`; `with` adds what stands beside layer i.
fn state(layers: [&str; 4], with: impl Fn(&mut State, usize)) -> State {
    let mut state = State::default();
    for (i, name) in layers.iter().enumerate() {
        with(&mut state, i);
        state.floats(&format!("{name}.weight"), SHAPES[i], &weight(i));
        let bias: Vec<f32> = (0..SHAPES[i][0]).map(|c| c as f32 * 0.1 - 0.2).collect();
        state.floats(&format!("{name}.bias"), &[bias.len()], &bias);
    }
    state
}

/// In the file's order of tensors, so that names alone decide.
fn imported(state: &State, levels: Option<Levels>) -> Result<Imported, String> {
    let pools = Some(vgg2rtl::float::import::options::Pools::Stages(vec![1]));
    let input = Some(Shape { c: 3, h: 8, w: 8 });
    let options = Options { input, pools, weight_levels: levels, ..Options::default() };
    from_bytes(&state.bytes(), "steps", Path::new("."), &options)
}

fn images() -> Array4<f32> {
    Array4::from_shape_fn((8, 3, 8, 8), |(n, c, i, j)| {
        ((n * 31 + c * 17 + i * 7 + j * 5) % 23) as f32 / 11.0 - 0.7
    })
}

/// Everything that would change a code without steps.
fn quantized(model: &FloatModel, mode: Mode) -> Quantized {
    let recipe = Recipe {
        mode,
        per_channel: true,
        method: Method::Mse,
        widths: Widths::bits(3, 8),
        equalise: true,
        rounding: Rounding::Gptq,
        correct_biases: true,
    };
    quantize(model, &recipe, [Ok(images())]).unwrap()
}

#[test]
fn trained_codes_are_kept_whatever_the_modules_are_called() {
    let inside = ["features.0", "features.3", "classifier.0", "classifier.2"];
    let between = ["features.1", "features.5", "classifier.1", "classifier.4"];
    let wrapped = ["block.0.conv", "block.1.conv", "head.0.fc", "head.1.fc"];
    let forms: [([&str; 4], [&str; 4]); 4] = [
        (inside, ["features.0.quant", "features.3.quant", "classifier.0.quant", "classifier.2.quant"]),
        (inside, inside),
        (between, ["features.0", "features.4", "classifier.0", "classifier.3"]),
        (wrapped, ["block.0.quant", "block.1.quant", "head.0.quant", "head.1.quant"]),
    ];
    for (layers, quantizers) in forms {
        let state =
            state(layers, |s, i| s.floats(&format!("{}.step_size", quantizers[i]), &[1], &STEPS[i..=i]));
        let taken = imported(&state, None).unwrap_or_else(|e| panic!("{quantizers:?}: {e}"));
        let assumed: Vec<_> = taken.facts.assumed().map(|f| (f.what, f.taken.as_str())).collect();
        assert!(assumed.contains(&("weight levels", "-128..127")), "{assumed:?}");
        let result = quantized(&taken.model, Mode::Free);
        for (i, layer) in result.int.layers.iter().enumerate() {
            assert_eq!(layer.weight, codes(i, [-128.0, 127.0]), "{quantizers:?}, layer {i}");
            assert_eq!(layer.weight_steps.iter().map(|s| s.get()).collect::<Vec<_>>(), [STEPS[i]]);
        }
        let all: usize = (0..4).map(|i| weight(i).len()).sum();
        assert_eq!(result.trained, Some(Trained { layers: 4, weights: all, kept: all }));
    }
}

#[test]
fn levels_come_from_the_file_or_the_user() {
    let layers = ["features.0", "features.3", "classifier.0", "classifier.2"];
    let step =
        |s: &mut State, i: usize| s.floats(&format!("{}.quant.step_size", layers[i]), &[], &STEPS[i..=i]);
    let found = |state: &State, levels| {
        let taken = imported(state, levels).unwrap();
        let result = quantized(&taken.model, Mode::Free);
        (0..4).map(|i| result.int.layers[i].weight.clone()).collect::<Vec<_>>()
    };
    let wanted = |range| (0..4).map(|i| codes(i, range)).collect::<Vec<_>>();
    let bits = state(layers, |s, i| {
        step(s, i);
        s.whole(&format!("{}.quant.bit_width", layers[i]), 5);
    });
    assert_eq!(found(&bits, None), wanted([-16.0, 15.0]));
    let range = state(layers, |s, i| {
        step(s, i);
        s.floats(&format!("{}.quant.a", layers[i]), &[1], &[-7.0]);
        s.floats(&format!("{}.quant.b", layers[i]), &[1], &[7.0]);
    });
    assert_eq!(found(&range, None), wanted([-7.0, 7.0]));
    assert_eq!(found(&range, Some(Levels { a: -3, b: 4 })), wanted([-3.0, 4.0]));
}

/// `prepare_qat` of torch.ao: weights a channel, activations beside them.
#[test]
fn fake_quantizers_of_torch_ao() {
    let layers = ["features.0", "features.3", "classifier.0", "classifier.2"];
    let state = state(layers, |s, i| {
        let count = if i == 3 { 1 } else { SHAPES[i][0] };
        let fake = format!("{}.weight_fake_quant", layers[i]);
        s.floats(&format!("{fake}.scale"), &[count], &vec![STEPS[i]; count]);
        s.floats(&format!("{fake}.zero_point"), &[count], &vec![0.0; count]);
        s.whole(&format!("{fake}.fake_quant_enabled"), 1);
        s.floats(&format!("{fake}.activation_post_process.min_val"), &[1], &[-1.0]);
        s.floats(&format!("{}.activation_post_process.scale", layers[i]), &[1], &[0.1]);
        s.whole(&format!("{}.activation_post_process.zero_point", layers[i]), 64);
    });
    let taken = imported(&state, None).unwrap();
    let result = quantized(&taken.model, Mode::Free);
    for (i, layer) in result.int.layers.iter().enumerate() {
        assert_eq!(layer.weight, codes(i, [-128.0, 127.0]), "layer {i}");
    }
    assert!(taken.facts.0.iter().any(|f| f.what == "activation scales" && f.taken.starts_with("4 left")));
}

#[test]
fn a_model_with_steps_survives_its_file_computes_its_codes_and_starts_training_from_them() {
    let layers = ["features.0", "features.3", "classifier.0", "classifier.2"];
    let state =
        state(layers, |s, i| s.floats(&format!("{}.quant.step_size", layers[i]), &[1], &STEPS[i..=i]));
    let model = imported(&state, None).unwrap().model;
    let file = tempfile::NamedTempFile::new().unwrap();
    model.save(file.path()).unwrap();
    assert_eq!(FloatModel::load(file.path()).unwrap(), model);
    let mut rounded = model.clone();
    rounded.layers.iter_mut().for_each(|l| l.round_weights());
    assert_ne!(rounded.layers[0].weight, model.layers[0].weight);
    assert_eq!(rounded.forward(&images()).unwrap(), model.forward(&images()).unwrap());
    let spec = vgg2rtl::quantize::qat::Spec::new(vgg2rtl::quantize::qat::Learn::Lsq, 4, 8);
    let net = Net::quantized_from(&model, &spec, images().view()).unwrap();
    let int = net.lower().unwrap();
    for (i, layer) in int.layers.iter().enumerate() {
        assert_eq!(layer.weight, codes(i, [-128.0, 127.0]), "layer {i}");
    }
}

#[test]
fn steps_that_are_none_are_refused_by_name() {
    let layers = ["features.0", "features.3", "classifier.0", "classifier.2"];
    let with = |value: &[f32]| {
        imported(
            &state(layers, |s, i| {
                let value = if i == 1 { value } else { &STEPS[i..=i] };
                s.floats(&format!("{}.quant.step_size", layers[i]), &[value.len()], value)
            }),
            None,
        )
        .map(|m| m.model.layers.len())
        .unwrap_err()
    };
    assert!(with(&[0.0]).contains("the step 0 of features.3.quant is not a positive number"));
    assert!(with(&[f32::NAN]).contains("tensor features.3.quant.step_size holds NaN"));
    assert!(with(&[0.1; 3]).contains("features.3.quant has 3 steps; 1 or 6 are needed"));
    let shifted = state(layers, |s, i| {
        s.floats(&format!("{}.weight_fake_quant.scale", layers[i]), &[1], &STEPS[i..=i]);
        s.whole(&format!("{}.weight_fake_quant.zero_point", layers[i]), 3);
    });
    let reason = imported(&shifted, None).unwrap_err();
    assert!(reason.contains("weight_fake_quant.zero_point is not 0"), "{reason}");
    let plain = state(layers, |_, _| {});
    let reason = imported(&plain, Some(Levels::signed(4))).unwrap_err();
    assert!(reason.contains("--weight-levels: the file has no steps of weights"), "{reason}");
    let stray = state(layers, |s, i| {
        if i < 3 {
            s.floats(&format!("q{i}.step_size"), &[1], &STEPS[i..=i]);
        }
    });
    let reason = imported(&stray, None).unwrap_err();
    assert!(reason.contains("cannot be told to belong to which layer"), "{reason}");
}
