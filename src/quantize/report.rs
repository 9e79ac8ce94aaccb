//! What quantization does to each tensor: for the table that users read.

use super::histogram::Distribution;
use super::method::{Loss, Tally};
use super::weights::distribution;
use super::{Observed, Plan};
use crate::arith::{Levels, Step};
use crate::float::{FloatLayer, FloatModel};
use crate::quantize::LayerPlan;
use serde::Serialize;

/// One quantized tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorReport {
    /// Layer, or `input`.
    pub layer: String,
    /// `weights` or `output` (after ReLU and pool).
    pub tensor: &'static str,
    /// Bits of a code.
    pub bits: u32,
    /// Range of the codes.
    pub levels: Levels,
    /// Least and greatest step; equal when there is one for all channels.
    pub steps: (Step, Step),
    /// Least and greatest value.
    pub range: (f32, f32),
    /// Clipped share and signal-to-noise ratio.
    #[serde(flatten)]
    pub loss: Loss,
}

/// The image's row, then weights and output of each layer; the last layer's output stays as it is.
pub fn report(model: &FloatModel, plan: &Plan, observed: &[Observed]) -> Vec<TensorReport> {
    let values: Vec<_> = observed.iter().map(|o| o.values.distribution()).collect();
    let activations = |layer: &str, x: usize| {
        let (quantizer, values) = (plan.input_quantizers()[x], values[x].as_ref()?);
        Some(row(layer, "output", quantizer.levels, &[(quantizer.step, values)]))
    };
    let mut rows: Vec<_> = activations("input", 0).into_iter().collect();
    for (i, (layer, choice)) in model.layers.iter().zip(&plan.layers).enumerate() {
        rows.push(weights(layer, choice));
        rows.extend(choice.output.and_then(|_| activations(&layer.name, i + 1)));
    }
    rows
}

fn weights(layer: &FloatLayer, plan: &LayerPlan) -> TensorReport {
    let row_length = layer.weight.len() / plan.weight_steps.len();
    let channels: Vec<_> = layer.weight.chunks_exact(row_length).filter_map(distribution).collect();
    let parts: Vec<_> = plan.weight_steps.iter().copied().zip(&channels).collect();
    row(&layer.name, "weights", plan.weight_levels, &parts)
}

fn row(layer: &str, tensor: &'static str, levels: Levels, parts: &[(Step, &Distribution)]) -> TensorReport {
    let mut tally = Tally::default();
    parts.iter().for_each(|(step, values)| tally.add(&values.points, *step, levels));
    let ends = |a: (f32, f32), b: (f32, f32)| (a.0.min(b.0), a.1.max(b.1));
    let steps = parts.iter().map(|(s, _)| (*s, *s));
    let smaller_larger = |a: (Step, Step), b: (Step, Step)| {
        (if b.0 < a.0 { b.0 } else { a.0 }, if b.1 > a.1 { b.1 } else { a.1 })
    };
    TensorReport {
        layer: layer.into(),
        tensor,
        bits: levels.bits(),
        levels,
        steps: steps.reduce(smaller_larger).expect("every tensor has a step"),
        range: parts.iter().map(|(_, v)| (v.min, v.max)).reduce(ends).expect("every tensor has values"),
        loss: tally.loss(),
    }
}
