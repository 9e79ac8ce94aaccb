//! Choosing the steps of a layer's weights.

use super::histogram::{Distribution, Histogram};
use super::method::power_of_two_above;
use super::{Method, Mode};
use crate::arith::{Levels, Step};
use crate::float::FloatLayer;
use crate::int::Quantizer;
use rayon::prelude::*;

/// More weights than this are looked at through a histogram.
const EXACT: usize = 1 << 16;

/// How the weights of one layer are to be quantized.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// How much of the range the codes cover.
    pub method: Method,
    /// Free or power-of-two steps.
    pub mode: Mode,
    /// One step an output channel.
    pub per_channel: bool,
    /// Range of the codes.
    pub levels: Levels,
    /// Step and levels of what the layer reads.
    pub input: Quantizer,
}

impl Choice {
    /// One step, or one an output channel.
    ///
    /// No step is so small that a bias alone outgrows the accumulator which the layer's widths and reduction
    /// need: a nearly dead channel with a large bias gets a larger step than its weights ask for.
    pub fn steps(&self, layer: &FloatLayer) -> Vec<Step> {
        let row = layer.weight.len() / layer.op.co();
        let fallback = Step::new(1.0).expect("1 is a step");
        if !self.per_channel {
            let bias = layer.bias.iter().fold(0.0, |m: f32, b| m.max(b.abs()));
            return vec![self.step(&layer.weight, bias, row).unwrap_or(fallback)];
        }
        let channels = layer.weight.par_chunks_exact(row).zip(&layer.bias);
        let steps: Vec<_> = channels.map(|(weights, &bias)| self.step(weights, bias, row)).collect();
        let largest = steps.iter().flatten().copied().reduce(larger).unwrap_or(fallback);
        steps.into_iter().map(|step| step.unwrap_or(largest)).collect()
    }

    /// `None` when all weights are 0 and the bias too.
    fn step(&self, weights: &[f32], bias: f32, row: usize) -> Option<Step> {
        let best = distribution(weights).and_then(|d| self.method.step(&d, self.levels, self.mode));
        let least = least_step(self.levels, self.input, bias, row);
        let least = least.map(|step| if self.mode == Mode::Pow2 { power_of_two_above(step) } else { step });
        best.into_iter().chain(least).reduce(larger)
    }
}

/// The step of weights of `levels` at which `bias` is as large as a sum of `row` products with `input` can be; `None` where the
/// bias is 0.
pub fn least_step(levels: Levels, input: Quantizer, bias: f32, row: usize) -> Option<Step> {
    let largest_product = u64::from(levels.magnitude()) * u64::from(input.levels.magnitude());
    let products = largest_product as f64 * row as f64 * f64::from(input.step.get());
    Step::new((f64::from(bias.abs()) / products) as f32)
}

fn larger(a: Step, b: Step) -> Step {
    if a > b { a } else { b }
}

/// The weights as a distribution, through a histogram where they are many.
pub fn distribution(weights: &[f32]) -> Option<Distribution> {
    if weights.len() > EXACT { Histogram::of(weights).distribution() } else { Distribution::of(weights) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Op;

    fn layer(weight: &[f32], bias: [f32; 2]) -> FloatLayer {
        let op = Op::Dense { co: 2 };
        FloatLayer {
            name: "fc".into(),
            op,
            weight: weight.into(),
            bias: bias.into(),
            batch_norm: None,
            quantizer: None,
            saturation: None,
        }
    }

    fn steps(mode: Mode, per_channel: bool, layer: &FloatLayer) -> Vec<f32> {
        let input = Quantizer { step: Step::new(1.0).unwrap(), levels: Levels::unsigned(2) };
        let choice = Choice { method: Method::MinMax, mode, per_channel, levels: Levels::narrow(3), input };
        choice.steps(layer).iter().map(|s| s.get()).collect()
    }

    #[test]
    fn steps_follow_channels_or_the_tensor() {
        let layer = layer(&[3.0, -1.5, 0.5, 0.75], [0.0; 2]);
        assert_eq!(steps(Mode::Free, true, &layer), [1.0, 0.25]);
        assert_eq!(steps(Mode::Free, false, &layer), [1.0]);
    }

    #[test]
    fn dead_channels_take_the_largest_step() {
        assert_eq!(steps(Mode::Free, true, &layer(&[0.0, 0.0, 0.5, 0.75], [0.0; 2])), [0.25, 0.25]);
        assert_eq!(steps(Mode::Free, true, &layer(&[0.0; 4], [0.0; 2])), [1.0, 1.0]);
    }

    /// 3 · 3 · 2 = 18 is the largest sum of two products; a bias of 36 needs a step of 2, of 54 one of 3.
    #[test]
    fn large_biases_ask_for_a_step() {
        let layer = layer(&[3e-6, 0.0, 0.0, 0.0], [-36.0, 54.0]);
        assert_eq!(steps(Mode::Free, true, &layer), [2.0, 3.0]);
        assert_eq!(steps(Mode::Pow2, true, &layer), [2.0, 4.0]);
        assert_eq!(steps(Mode::Free, false, &layer), [3.0]);
    }
}
