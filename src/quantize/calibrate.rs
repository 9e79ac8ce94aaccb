//! Post-training quantization: from a float model and calibration images to a plan and integers.

use super::equalise::{equalise_activations, equalise_weights};
use super::lower::lower;
use super::weights::Choice;
use super::{LayerPlan, Mode, Observed, Plan, Recipe, Rounded, TensorReport, observe, report, rounded};
use crate::arith::{self, Levels, Step};
use crate::float::{FloatLayer, FloatModel};
use crate::int::{IntModel, Quantizer};
use crate::{Error, Result};
use ndarray::Array4;
use serde::Serialize;

/// The result of post-training quantization.
#[derive(Clone, Debug)]
pub struct Quantized {
    /// The float model as it was lowered: folded, equalised, its biases corrected.
    pub float: FloatModel,
    /// Every choice.
    pub plan: Plan,
    /// The integers.
    pub int: IntModel,
    /// What each quantizer does to its tensor.
    pub report: Vec<TensorReport>,
    /// Trained codes, where the model's weights have such.
    pub trained: Option<Trained>,
}

/// Weights that came with their codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Trained {
    /// Layers of such weights.
    pub layers: usize,
    /// The weights.
    pub weights: usize,
    /// Those whose code is the trained one.
    pub kept: usize,
}

impl Trained {
    /// Counts the codes of `int` that are those of `model`'s quantizers.
    fn of(model: &FloatModel, int: &IntModel) -> Option<Self> {
        let mut all = Self::default();
        for (layer, codes) in model.layers.iter().zip(&int.layers) {
            let Some(quantizer) = &layer.quantizer else { continue };
            let row = layer.weight.len() / layer.op.co();
            let pairs = layer.weight.iter().zip(&codes.weight).enumerate();
            all.kept +=
                pairs.filter(|(i, (w, code))| quantizer.code(**w, i / row) == i32::from(**code)).count();
            (all.layers, all.weights) = (all.layers + 1, all.weights + layer.weight.len());
        }
        (all.layers > 0).then_some(all)
    }
}

/// Folds, equalises, observes, calibrates, corrects and lowers `model`. Weights that have codes keep them: with such, nothing
/// is equalised, and all weights are rounded to nearest.
///
/// # Errors
/// Those of [`super::Widths::resolve`], [`observe`] and [`lower`].
pub fn quantize(
    model: &FloatModel,
    recipe: &Recipe,
    batches: impl IntoIterator<Item = Result<Array4<f32>>>,
) -> Result<Quantized> {
    let mut float = model.clone();
    float.validate()?;
    recipe.widths.resolve(&float)?; // before the long work
    float.fold_batch_norm();
    // Weights that have codes are what these stand for: no choice is left, and none of the others may disturb it.
    let before = float.clone();
    let given = float.layers.iter().any(|l| l.quantizer.is_some());
    float.layers.iter_mut().for_each(FloatLayer::round_weights);
    let images = batches.into_iter().collect::<Result<Vec<_>>>()?;
    let observed = match recipe.equalise && !given {
        true => equalised(&mut float, recipe.per_channel, &images)?,
        false => observe(&float, &images)?,
    };
    let plan = calibrate(&float, recipe, &observed)?;
    let rounded = rounded(&float, plan, recipe, &observed, &images)?;
    let report = report(&float, &rounded.plan, &observed);
    let Rounded { float, plan } = rounded;
    let int = lower(&float, &plan)?;
    let trained = Trained::of(&before, &int);
    Ok(Quantized { float, plan, int, report, trained })
}

/// Equalises folded `model` for weight steps of its own a channel, or for one a layer; what its layers then read of `images`.
///
/// # Errors
/// Those of [`observe`].
pub fn equalised(model: &mut FloatModel, per_channel: bool, images: &[Array4<f32>]) -> Result<Vec<Observed>> {
    match per_channel {
        true => equalise_activations(model, &observe(model, images)?),
        false => equalise_weights(model),
    }
    observe(model, images)
}

/// Chooses the steps of every layer of a folded `model` from what its layers read.
pub fn calibrate(model: &FloatModel, recipe: &Recipe, observed: &[Observed]) -> Result<Plan> {
    let levels = recipe.widths.resolve(model)?;
    let input = input(recipe, &observed[0])?;
    let mut layers = vec![];
    let mut x = input;
    for (i, (layer, levels)) in model.layers.iter().zip(levels).enumerate() {
        let Recipe { method, mode, .. } = *recipe;
        let per_channel = recipe.step_a_channel(i, model.layers.len());
        let (weight_levels, weight_steps) = match &layer.quantizer {
            Some(given) => (given.levels, given.steps.clone()),
            None => {
                let choice = Choice { method, mode, per_channel, levels: levels.weights, input: x };
                (levels.weights, choice.steps(layer))
            }
        };
        let output = observed
            .get(i + 1)
            .map(|read| saturated(layer, output(recipe, read, levels.output, x.step, &weight_steps)))
            .transpose()?;
        layers.push(LayerPlan { weight_levels, weight_steps, output });
        x = output.unwrap_or(x);
    }
    Ok(Plan { mode: recipe.mode, input, layers })
}

fn input(recipe: &Recipe, images: &Observed) -> Result<Quantizer> {
    let values = images.values.distribution().expect("observed images have values");
    let levels = recipe.widths.input(values.min < 0.0);
    match recipe.method.step(&values, levels, recipe.mode) {
        Some(step) => Ok(Quantizer { step, levels }),
        None => Err(Error::bad_layer("input", "calibration images hold nothing but 0")),
    }
}

/// The quantizer of a layer's output, which the next layer reads as `read`.
///
/// With power-of-two steps, the output step is no finer than the accumulator's: a shift to the right.
fn output(recipe: &Recipe, read: &Observed, levels: Levels, x: Step, weights: &[Step]) -> Quantizer {
    let accumulator = weights.iter().fold(0.0, |m: f32, w| m.max(w.get())) * x.get();
    let finest = Step::new(accumulator);
    let best = read.values.distribution().and_then(|d| recipe.method.step(&d, levels, recipe.mode));
    let step = match (best, finest) {
        (Some(best), Some(finest)) if recipe.mode == Mode::Pow2 && finest > best => finest,
        (Some(best), _) => best,
        (None, finest) => finest.unwrap_or(x), // the layer's output is always 0
    };
    Quantizer { step, levels }
}

/// Clips the codes of a layer whose ReLU saturates there: rounding keeps order, so that this is exact.
fn saturated(layer: &FloatLayer, Quantizer { step, levels }: Quantizer) -> Result<Quantizer> {
    let Some(most) = layer.saturation else { return Ok(Quantizer { step, levels }) };
    let levels = Levels { b: arith::quantize(most, step, levels), ..levels };
    match levels.b {
        0 => {
            Err(Error::bad_layer(&layer.name, format!("saturates at {most}, below half of its step {step}")))
        }
        _ => Ok(Quantizer { step, levels }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int::Golden;
    use crate::net::{Op, Shape};
    use crate::quantize::tests::network;
    use crate::quantize::{Method, Rounding, Widths};

    const INPUT: Shape = Shape { c: 3, h: 8, w: 6 };

    fn recipe(mode: Mode, weights: u32, acts: u32) -> Recipe {
        Recipe {
            mode,
            per_channel: true,
            method: Method::Mse,
            widths: Widths::bits(weights, acts),
            equalise: false,
            rounding: Rounding::Gptq,
            correct_biases: true,
        }
    }

    fn model() -> FloatModel {
        let conv = |co, pool| Op::Conv { co, pool };
        network(INPUT, &[conv(8, true), conv(8, false), Op::Dense { co: 8 }, Op::Dense { co: 5 }])
    }

    fn images() -> Array4<f32> {
        Array4::from_shape_fn((16, 3, 8, 6), |(n, c, i, j)| {
            ((n * 31 + c * 17 + i * 7 + j * n) % 23) as f32 / 11.0 - 1.0
        })
    }

    /// ReLU6 and the like: the requantizer clips where the float network does.
    #[test]
    fn a_relu_that_saturates_clips_codes() {
        let mut model = model();
        model.layers[..3].iter_mut().for_each(|layer| layer.saturation = Some(0.4));
        for mode in [Mode::Free, Mode::Pow2] {
            let recipe = Recipe { equalise: true, per_channel: false, ..recipe(mode, 8, 8) };
            let int = quantize(&model, &recipe, [Ok(images())]).unwrap().int;
            for q in &int.input_quantizers()[1..] {
                let want = arith::quantize(0.4, q.step, Levels::unsigned(8));
                assert_eq!(q.levels, Levels { a: 0, b: want });
                assert!((f32::from(want as i16) * q.step.get() - 0.4).abs() <= q.step.get() / 2.0);
            }
            let found = sqnr_of(&model, &recipe);
            assert!(found > 25.0, "{mode:?}: {found} dB");
        }
    }

    /// Signal to noise of the integer network's logits against the float network's, in dB.
    fn sqnr(recipe: &Recipe) -> f64 {
        sqnr_of(&model(), recipe)
    }

    fn sqnr_of(model: &FloatModel, recipe: &Recipe) -> f64 {
        let x = images();
        let quantized = quantize(model, recipe, [Ok(x.clone())]).unwrap();
        let codes = x.mapv(|x| arith::quantize(x, quantized.plan.input.step, quantized.plan.input.levels));
        let logits = Golden::new(&quantized.int).unwrap().logits(codes.view()).unwrap();
        let last = quantized.plan.layers.last().unwrap();
        let read = quantized.plan.input_quantizers().last().unwrap().step.get();
        let (mut signal, mut noise) = (0.0, 0.0);
        for ((n, c), want) in model.forward(&x).unwrap().indexed_iter() {
            let got = logits[[n, c]] as f64 * f64::from(last.weight_step(c).get()) * f64::from(read);
            signal += f64::from(*want).powi(2);
            noise += (f64::from(*want) - got).powi(2);
        }
        10.0 * (signal / noise).log10()
    }

    #[test]
    fn more_bits_are_closer_to_float() {
        for mode in [Mode::Free, Mode::Pow2] {
            let by_bits = [4, 8, 12, 16].map(|bits| sqnr(&recipe(mode, bits, bits)));
            assert!(by_bits.is_sorted(), "{mode:?}: {by_bits:?}");
            assert!(by_bits[1] > 30.0 && by_bits[3] > 70.0, "{mode:?}: {by_bits:?}");
        }
    }

    /// As batch norm behind a dense layer's ReLU leaves it: weights of one output that differ by what they read.
    #[test]
    fn unequal_columns_are_equalised() {
        let mut model = model();
        let factor = |c: usize| [30.0, 1.0, 0.1, 5.0][c % 4];
        let inputs = model.layers[2].weight.len() / 8;
        model.layers[2].weight.iter_mut().enumerate().for_each(|(k, w)| *w /= factor(k / inputs));
        model.layers[2].bias.iter_mut().enumerate().for_each(|(c, b)| *b /= factor(c));
        model.layers[3].weight.iter_mut().enumerate().for_each(|(k, w)| *w *= factor(k % 8));
        let plain = recipe(Mode::Free, 8, 8);
        let equalised = Recipe { equalise: true, ..plain.clone() };
        let (plain, equalised) = (sqnr_of(&model, &plain), sqnr_of(&model, &equalised));
        assert!(equalised > 30.0 && equalised > plain + 6.0, "{plain} {equalised}");
    }

    #[test]
    fn every_recipe_lowers() {
        for (weights, acts) in [(2, 2), (2, 16), (16, 2), (5, 3)] {
            for mode in [Mode::Free, Mode::Pow2] {
                for method in [Method::MinMax, Method::Percentile(99.0), Method::Mse] {
                    let mut recipe = recipe(mode, weights, acts);
                    recipe.widths.ends = 2;
                    (recipe.method, recipe.per_channel, recipe.equalise) = (method, weights == 2, acts == 2);
                    assert!(sqnr(&recipe) > -10.0, "{recipe:?}");
                }
            }
        }
    }

    #[test]
    fn bad_images_are_refused() {
        let refused = |batches: Vec<Result<Array4<f32>>>, want: &str| {
            let error = quantize(&model(), &recipe(Mode::Free, 8, 8), batches).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        };
        refused(vec![], "--calib: no calibration images");
        let mut nan = images();
        nan[[1, 0, 2, 3]] = f32::NAN;
        refused(vec![Ok(nan)], "layer conv1: calibration images make it read NaN");
        refused(vec![Ok(Array4::zeros((2, 3, 8, 6)))], "layer input: calibration images hold nothing but 0");
    }

    #[test]
    fn every_quantizer_is_reported() {
        let quantized = quantize(&model(), &recipe(Mode::Free, 8, 8), [Ok(images())]).unwrap();
        let rows: Vec<_> = quantized.report.iter().map(|r| (r.layer.as_str(), r.tensor)).collect();
        let want = [("input", "output"), ("conv1", "weights"), ("conv1", "output"), ("conv2", "weights")];
        assert_eq!((&rows[..4], rows.len(), rows[7]), (&want[..], 8, ("fc4", "weights")));
        let sqnr = quantized.report.iter().map(|r| r.loss.sqnr_db.unwrap_or(f64::INFINITY));
        assert!(sqnr.clone().all(|db| db > 35.0), "{:?}", sqnr.collect::<Vec<_>>());
    }
}
