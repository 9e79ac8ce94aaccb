//! Which code a weight gets.
//!
//! The nearest code is best for the weight alone, not for the sum that it is a part of: errors of weights that multiply
//! like inputs add up. GPTQ (Frantar, Ashkboos, Hoefler, Alistarh 2022) rounds the weights of a sum one after the other and
//! lets those that are left make up for the errors so far, by the second moments of what the layer reads.
//!
//! | file | what |
//! |---|---|
//! | `sample` | terms of a layer's sums at some positions of its output |
//! | `moments` | their moments |
//! | `plane` | the quadratic form of the sums' errors, and the rounding |
//! | `cholesky` | the factors that it needs |
//! | `steps` | steps that are tried, and what is best so far |

mod cholesky;
mod moments;
mod plane;
mod sample;
mod steps;

#[cfg(test)]
mod tests;

use super::lower::lower_layer;
use super::{LayerPlan, Observed, Plan, Recipe, Rounding, correct_biases};
use crate::arith::{self, Step};
use crate::float::{FloatLayer, FloatModel};
use crate::int::{Golden, IntModel};
use crate::net::Shape;
use crate::{Error, Result};
use moments::{Moments, Second};
use ndarray::{Array2, Array4, ArrayView2, Axis, linalg::general_mat_mul};
use plane::{Plane, Way};
use rayon::prelude::*;
use sample::{Positions, terms};
use steps::{By, Coded};

/// A folded network whose weights are what their codes stand for: lowering it by its plan gives these codes.
pub struct Rounded {
    /// The weights.
    pub float: FloatModel,
    /// Their steps, and all other choices.
    pub plan: Plan,
}

/// Folded `model` with the weights' codes, and steps near those of `plan`, that the rounding of `recipe` chooses.
/// `observed` is what the layers of `model` read for `images`. With weights that were trained for their codes, all are
/// rounded to nearest.
///
/// # Errors
/// Those of [`super::lower`].
pub fn rounded(
    model: &FloatModel,
    plan: Plan,
    recipe: &Recipe,
    observed: &[Observed],
    images: &[Array4<f32>],
) -> Result<Rounded> {
    match recipe.rounding.of(model) {
        Rounding::Gptq => gptq(model, plan, recipe, images),
        Rounding::Nearest => {
            let mut float = model.clone();
            if recipe.correct_biases {
                correct_biases(&mut float, &plan, observed);
            }
            Ok(Rounded { float, plan })
        }
    }
}

/// Share of the mean second moment of a layer's inputs that is added to each: the paper's.
const DAMPING: f64 = 0.01;
/// Values of the feature maps that are kept, codes and floats each; those of larger layers are computed again.
const MOST_KEPT: usize = 1 << 27;
/// Images that run together.
const TOGETHER: usize = 16;
/// Positions whose sums one task computes.
const SUMMED: usize = 256;

/// Codes and floats that a layer reads for some images.
struct Maps {
    codes: Array4<i32>,
    floats: Array4<f32>,
}

/// Rounds the weights of folded `model`, layer by layer, to what codes stand for. A layer's moments are those of the codes that
/// the integer layers before it make of `images`.
///
/// An output whose nearest codes are nearer to its goal keeps these. With [`Recipe::correct_biases`] each bias takes the mean
/// error of its sums, the error of what the layer reads included.
///
/// # Errors
/// Those of [`super::lower`].
pub fn gptq(model: &FloatModel, mut plan: Plan, recipe: &Recipe, images: &[Array4<f32>]) -> Result<Rounded> {
    let parts = || images.iter().flat_map(|images| images.axis_chunks_iter(Axis(0), TOGETHER));
    let code = |&x: &f32| arith::quantize(x, plan.input.step, plan.input.levels);
    let mut kept: Vec<Maps> = parts().map(|x| Maps { codes: x.map(code), floats: x.to_owned() }).collect();
    let count = parts().map(|x| x.dim().0).sum();
    // Layers from the one that reads what is kept.
    let (mut first, mut part) =
        (0, IntModel { header: model.header.clone(), input: plan.input, layers: vec![] });
    let mut float = FloatModel { header: model.header.clone(), layers: vec![] };
    let inputs: Vec<_> = model.shapes().into_iter().zip(plan.input_quantizers()).collect();
    for (i, (layer, (shape, x))) in model.layers.iter().zip(inputs).enumerate() {
        let keep = count * shape.len() <= MOST_KEPT;
        let before = &model.layers[first..i];
        let moments = observe(&mut kept, &part, before, layer, (shape, x.step, count), keep);
        if keep {
            (first, part.header.input, part.input) = (i, shape, x);
            part.layers.clear();
        }
        let by =
            By { mode: plan.mode, input: x, step_a_channel: recipe.step_a_channel(i, model.layers.len()) };
        let choice = &mut plan.layers[i];
        let new = with_codes(layer, choice, by, moments, recipe.correct_biases);
        let codes = lower_layer(&new, choice, x.step, plan.mode);
        part.layers.push(codes.map_err(|reason| Error::bad_layer(&layer.name, reason))?);
        float.layers.push(new);
    }
    Ok(Rounded { float, plan })
}

/// Moments of what `layer` reads behind the integer layers of `part` and behind the float layers `before`, which read
/// `kept`; with `keep` what it reads is kept instead.
fn observe(
    kept: &mut [Maps],
    part: &IntModel,
    before: &[FloatLayer],
    layer: &FloatLayer,
    (shape, step, images): (Shape, Step, usize),
    keep: bool,
) -> Moments {
    let golden = Golden::unfinished(part);
    let inputs = layer.op.reduction(shape);
    let positions = Positions::draw(layer.op, images, (shape.h, shape.w), Moments::enough(inputs));
    let mut moments = Moments::new(positions.len(), inputs, layer.op.co());
    let mut first = 0;
    for maps in kept {
        let codes = golden.hidden(maps.codes.view());
        let floats = before.iter().fold(maps.floats.clone(), |x, layer| layer.hidden(x.view()));
        let places = positions.of(first..first + codes.dim().0);
        first += codes.dim().0;
        let read = codes.mapv(|code| arith::dequantize(code, step));
        let read = terms(layer.op, read.view(), &places);
        let lost = terms(layer.op, floats.view(), &places) - &read;
        moments.add(&read, &sums(matrix(layer), &lost));
        if keep {
            *maps = Maps { codes, floats };
        }
    }
    moments
}

/// Σ w·x `(position, output)` of terms x `(position, input)`.
fn sums(weight: ArrayView2<f32>, x: &Array2<f32>) -> Array2<f32> {
    let mut sums = Array2::zeros((x.nrows(), weight.nrows()));
    let parts = sums.axis_chunks_iter_mut(Axis(0), SUMMED).into_par_iter();
    parts.zip(x.axis_chunks_iter(Axis(0), SUMMED)).for_each(|(mut sums, x)| {
        general_mat_mul(1.0, &x, &weight.t(), 0.0, &mut sums);
    });
    sums
}

/// `layer` with the codes whose sums lose least, and `plan` with the steps of these. What the sums should be is the float
/// network's sums of what its inputs were: as far as the inputs' errors follow from what the layer reads, its weights make up for
/// them (asymmetric calibration, Li et al. 2025). The bias makes up for the mean.
fn with_codes(
    layer: &FloatLayer,
    plan: &mut LayerPlan,
    by: By,
    mut moments: Moments,
    correct_bias: bool,
) -> FloatLayer {
    if correct_bias {
        moments.centre();
    }
    let plane = Plane::new(&moments.second, DAMPING);
    let weight = matrix(layer);
    let mut goal = weight.to_owned();
    if let Some((cross, share)) = moments.regression() {
        goal.scaled_add(share as f32, &plane.regress(cross));
    }
    let tried = |steps: &[Step], way| {
        let (codes, losses) = plane.codes(goal.view(), steps, plan.weight_levels, way);
        Coded { codes, losses, steps: steps.to_vec() }
    };
    let steps: Vec<Step> = (0..layer.op.co()).map(|c| plan.weight_step(c)).collect();
    let mut best = tried(&steps, Way::Together);
    if matches!(moments.second, Second::Products(_)) && by.tries_steps(plan.weight_levels) {
        best.improve(tried(&steps, Way::Alone(weight)), by.step_a_channel);
        for steps in by.steps(layer, plan.weight_levels, &steps) {
            best.improve(tried(&steps, Way::Together), by.step_a_channel);
        }
    }
    best.improve(tried(&best.steps, Way::Alone(weight)), true);
    plan.weight_steps = best.steps[..plan.weight_steps.len()].to_vec();
    coded(layer, &best.codes, &best.steps, correct_bias.then_some(&moments))
}

/// `layer` with weights of `codes`; its biases make the mean sums those of the float network where `moments` are given.
fn coded(layer: &FloatLayer, codes: &Array2<i32>, steps: &[Step], moments: Option<&Moments>) -> FloatLayer {
    let mut new = layer.clone();
    for (c, weights) in new.weight.chunks_exact_mut(codes.ncols()).enumerate() {
        let mut shift = moments.map_or(0.0, |m| m.lost[c]);
        for (i, (w, &code)) in weights.iter_mut().zip(codes.row(c)).enumerate() {
            let before = std::mem::replace(w, arith::dequantize(code, steps[c]));
            shift += moments.map_or(0.0, |m| (f64::from(before) - f64::from(*w)) * m.read[i]);
        }
        new.bias[c] = (f64::from(new.bias[c]) + shift) as f32;
    }
    new
}

/// Weights `(output, input)`.
fn matrix(layer: &FloatLayer) -> ArrayView2<'_, f32> {
    let co = layer.op.co();
    ArrayView2::from_shape((co, layer.weight.len() / co), &layer.weight).expect("a validated layer")
}
