//! Lowering: a folded float network and a plan become integers.

use super::{LayerPlan, Mode, Plan};
use crate::arith::{self, Multiplier, Step};
use crate::float::{FloatLayer, FloatModel};
use crate::int::{IntLayer, IntModel, Output, Quantizer};
use crate::{Error, Result};

/// The integers of `model` under `plan`: the contract's formulas and nothing else.
///
/// # Errors
/// A plan that does not fit the model, a bias or a multiplier outside the contract's range, an accumulator of
/// more than 48 bits: each with the layer's name.
pub fn lower(model: &FloatModel, plan: &Plan) -> Result<IntModel> {
    model.validate()?;
    plan.validate(model)?;
    let inputs = plan.input_quantizers();
    let zipped = model.layers.iter().zip(&plan.layers).zip(inputs);
    let layers = zipped.map(|((layer, choice), x)| {
        lower_layer(layer, choice, x.step, plan.mode).map_err(|reason| Error::bad_layer(&layer.name, reason))
    });
    let lowered =
        IntModel { header: model.header.clone(), input: plan.input, layers: layers.collect::<Result<_>>()? };
    lowered.validate()?;
    Ok(lowered)
}

/// The integers of one layer that reads codes of step `x`.
pub(super) fn lower_layer(layer: &FloatLayer, plan: &LayerPlan, x: Step, mode: Mode) -> Reasoned<IntLayer> {
    let output = match plan.output {
        None => Output::Logits,
        Some(quantizer) => Output::Requantized { quantizer, by: multipliers(plan, x, quantizer, mode)? },
    };
    Ok(IntLayer {
        name: layer.name.clone(),
        op: layer.op,
        weight: weight_codes(layer, plan),
        weight_levels: plan.weight_levels,
        weight_steps: plan.weight_steps.clone(),
        bias: bias_codes(&layer.bias, plan, x)?,
        output,
    })
}

/// A result whose error is the reason alone; the caller knows the layer's name.
pub(super) type Reasoned<T> = std::result::Result<T, String>;

/// Codes of the weights, in the order of the float weights.
pub(super) fn weight_codes(layer: &FloatLayer, plan: &LayerPlan) -> Vec<i16> {
    let per_channel = layer.weight.len() / layer.op.co();
    let channels = layer.weight.chunks_exact(per_channel).enumerate();
    let code = |w, c| arith::quantize(w, plan.weight_step(c), plan.weight_levels) as i16;
    channels.flat_map(|(c, weights)| weights.iter().map(move |&w| code(w, c))).collect()
}

/// Codes of the biases, one an output channel, for inputs of step `x`.
pub(super) fn bias_codes(bias: &[f32], plan: &LayerPlan, x: Step) -> Reasoned<Vec<i64>> {
    let code = |(c, &bias): (usize, &f32)| {
        let step = plan.weight_step(c);
        arith::quantize_bias(bias, step, x).ok_or_else(|| {
            format!("bias {bias:e} of channel {c} over step {} · {} needs over 48 bits", step.get(), x.get())
        })
    };
    bias.iter().enumerate().map(code).collect()
}

/// `step_w · step_x / step_y` as m / 2^s, one a weight step.
pub(super) fn multipliers(plan: &LayerPlan, x: Step, y: Quantizer, mode: Mode) -> Reasoned<Vec<Multiplier>> {
    let multiplier = |&w: &Step| {
        let ratio = arith::ratio(w, x, y.step);
        let fraction = match mode {
            Mode::Free => Multiplier::nearest(ratio),
            Mode::Pow2 => Multiplier::power_of_two(ratio),
        };
        fraction.ok_or_else(|| {
            let (w, x, y) = (w.get(), x.get(), y.step.get());
            format!("steps of weights {w}, input {x} and output {y} give a factor of {ratio:e}, out of range")
        })
    };
    plan.weight_steps.iter().map(multiplier).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::Levels;
    use crate::net::{Header, Op, Preprocessing, Shape};

    fn step(s: f32) -> Step {
        Step::new(s).unwrap()
    }

    fn model() -> FloatModel {
        let input = Shape { c: 1, h: 1, w: 2 };
        let preprocessing = Preprocessing::unit(1);
        let layer = |name: &str, weight: &[f32], bias: &[f32]| FloatLayer {
            name: name.into(),
            op: Op::Dense { co: 2 },
            weight: weight.into(),
            bias: bias.into(),
            batch_norm: None,
            quantizer: None,
            saturation: None,
        };
        FloatModel {
            header: Header { name: "two".into(), input, preprocessing, classes: vec![] },
            layers: vec![
                layer("fc1", &[0.25, -0.75, 1.3, 9.0], &[0.375, -0.625]),
                layer("fc2", &[1.0, 0.0, 0.0, -1.0], &[0.0, 1.0]),
            ],
        }
    }

    fn plan(mode: Mode) -> Plan {
        let layer = |steps: &[f32], output| LayerPlan {
            weight_levels: Levels::signed(4),
            weight_steps: steps.iter().map(|&s| step(s)).collect(),
            output,
        };
        let output = Quantizer { step: step(1.0), levels: Levels::unsigned(4) };
        Plan {
            mode,
            input: Quantizer { step: step(0.5), levels: Levels::signed(4) },
            layers: vec![layer(&[0.5, 1.0], Some(output)), layer(&[0.5], None)],
        }
    }

    /// Worked by hand from the contract.
    #[test]
    fn codes_by_hand() {
        let lowered = lower(&model(), &plan(Mode::Pow2)).unwrap();
        let [fc1, fc2] = &lowered.layers[..] else { panic!("two layers") };
        assert_eq!(fc1.weight, [0, -2, 1, 7]); // 0.5, −1.5, 1.3, 9 (clipped)
        assert_eq!(fc1.bias, [2, -1]); // 0.375 / 0.25 = 1.5; −0.625 / 0.5 = −1.25
        let by = |m: [(u16, u8); 2]| m.map(|(m, s)| Multiplier { m, s }).to_vec();
        let quantizer = Quantizer { step: step(1.0), levels: Levels::unsigned(4) };
        assert_eq!(fc1.output, Output::Requantized { quantizer, by: by([(1, 2), (1, 1)]) });
        assert_eq!((&fc2.weight[..], &fc2.bias[..]), (&[2, 0, 0, -2][..], &[0, 2][..]));
        assert_eq!(fc2.output, Output::Logits);
    }

    #[test]
    fn free_steps_use_all_bits_of_m() {
        let lowered = lower(&model(), &plan(Mode::Free)).unwrap();
        assert_eq!(lowered.layers[0].multiplier(0), Some(Multiplier { m: 1 << 15, s: 17 }));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let refused = |change: fn(&mut FloatModel, &mut Plan), words: &str| {
            let (mut m, mut p) = (model(), plan(Mode::Pow2));
            change(&mut m, &mut p);
            let error = lower(&m, &p).unwrap_err().to_string();
            assert!(error.contains(words), "{error:?} lacks {words:?}");
        };
        refused(|_, p| drop(p.layers.pop()), "1 layers for a network of 2");
        refused(|_, p| p.layers[0].output = None, "layer fc1: every layer but the last");
        refused(|_, p| p.layers[0].weight_steps = vec![step(0.5); 3], "layer fc1: 3 weight steps");
        refused(|_, p| p.layers[0].weight_steps[1] = step(0.3), "layer fc1: step 0.3 is not a power of two");
        refused(|_, p| p.layers[1].weight_steps = vec![step(0.5); 2], "layer fc2: logits are compared");
        refused(|_, p| p.layers[0].weight_levels = Levels { a: 1, b: 3 }, "layer fc1: levels 1 … 3");
        refused(|_, p| p.input.levels.b = 1 << 20, "layer input: levels");
        refused(|_, p| p.layers[0].weight_steps[0] = step(4.0), "layer fc1: steps of weights 4");
        refused(|m, _| m.layers[1].bias[0] = 1e30, "layer fc2: bias 1e30");
        refused(|m, _| m.layers[0].weight[0] = f32::NAN, "layer fc1: holds NaN");
    }
}
