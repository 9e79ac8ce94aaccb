//! One layer of a network in training.

use super::FakeQuantizer;
use crate::arith::{self, Multiplier, Step};
use crate::net::Op;

/// A place in the network where numbers are quantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// Levels and kind of step.
    pub quantizer: FakeQuantizer,
    /// Index of the step's parameter: one number, or one an output channel.
    pub step: usize,
}

/// Batch norm in training: indices of γ and β among the parameters, and the running moments.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Index of γ, which is kept positive.
    pub gamma: usize,
    /// Index of β.
    pub beta: usize,
    /// Running mean, one a channel.
    pub mean: Vec<f32>,
    /// Running unbiased variance, one a channel.
    pub var: Vec<f32>,
    /// Added to the variance.
    pub eps: f64,
}

/// One layer: indices into the network's parameters, and what is quantized.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// As in the float model.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Index of the weights, `(co, ky, kx, ci)` or `(co, inputs)`.
    pub weight: usize,
    /// Index of the biases; with batch norm they are 0 and stay so.
    pub bias: usize,
    /// Batch norm that training keeps.
    pub norm: Option<Norm>,
    /// Where the layer's ReLU saturates in float; the levels of a quantized output say it.
    pub saturation: Option<f32>,
    /// Weight quantizer; `None` while training in float.
    pub weights: Option<Site>,
    /// Output quantizer; `None` while training in float, and for the logits.
    pub output: Option<Site>,
    /// Bias and multipliers of an integer model that is being replayed, in place of derived ones.
    pub(super) replayed: Option<(Vec<i64>, Vec<Multiplier>)>,
}

/// The integers of a layer besides its weights, as the golden model uses them.
#[derive(Clone, Debug, PartialEq)]
pub struct Integers {
    /// Steps of the weights in the graph, before batch norm: one, or one a channel.
    pub weight_steps: Vec<Step>,
    /// Step of the input.
    pub input_step: Step,
    /// Bias codes, one a channel.
    pub bias: Vec<i64>,
    /// Multipliers, one or one a channel; empty for the logits.
    pub multipliers: Vec<Multiplier>,
}

pub(super) fn at<T: Copy>(one_or_many: &[T], c: usize) -> T {
    one_or_many[if one_or_many.len() == 1 { 0 } else { c }]
}

impl Integers {
    /// The accumulator of channel `c`, bias included, behind a sum of products of dequantized codes.
    pub fn accumulator(&self, c: usize, sum: f64) -> i64 {
        arith::accumulator(sum, at(&self.weight_steps, c), self.input_step) + self.bias[c]
    }

    /// The multiplier of channel `c`.
    pub fn by(&self, c: usize) -> Multiplier {
        at(&self.multipliers, c)
    }
}
