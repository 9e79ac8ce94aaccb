//! A network whose file holds integers: the codes, steps and biases that the file says.

use crate::arith::{self, Levels, Multiplier, Quantizer, Step};
use crate::float::FloatLayer;

/// The integers of an imported network, layer by layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    /// From the preprocessed image to codes.
    pub input: Quantizer,
    /// In order of execution.
    pub layers: Vec<QuantizedLayer>,
}

/// Those of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedLayer {
    /// Codes, in the order of the float weights.
    pub weight: Vec<i16>,
    /// Range of the weights' codes.
    pub weight_levels: Levels,
    /// One, or one an output channel.
    pub weight_steps: Vec<Step>,
    /// One an output channel, in units of `weight step · input step`.
    pub bias: Vec<i64>,
    /// From sums to the output's codes, one multiplier a weight step; `None` on the last layer.
    pub output: Option<(Quantizer, Vec<Multiplier>)>,
}

impl Quantized {
    /// Sets every multiplier: pure shifts where all of them can be, else the nearest `m / 2^s`. Returns the largest relative
    /// difference between a multiplier and what its steps give.
    ///
    /// # Errors
    /// The layer's place and the reason, where the steps give a factor out of range.
    pub fn requantize(&mut self) -> Result<f64, (usize, String)> {
        let ratios = self.ratios();
        let shift = |ratio: &f64| Multiplier::power_of_two(*ratio);
        let shifts = ratios.iter().all(|layer| layer.iter().all(|ratio| shift(ratio).is_some()));
        let mut worst = 0f64;
        for (i, (layer, ratios)) in self.layers.iter_mut().zip(&ratios).enumerate() {
            let Some((_, by)) = &mut layer.output else { continue };
            let multiplier = |ratio: &f64| {
                let found = if shifts { shift(ratio) } else { Multiplier::nearest(*ratio) };
                found.ok_or_else(|| (i, format!("its scales give a factor of {ratio:e}, out of range")))
            };
            *by = ratios.iter().map(multiplier).collect::<Result<_, _>>()?;
            worst = by.iter().zip(ratios).fold(worst, |m, (by, r)| m.max((by.get() / r - 1.0).abs()));
        }
        Ok(worst)
    }

    /// `step_w · step_x / step_y` of every layer, none on the last one.
    fn ratios(&self) -> Vec<Vec<f64>> {
        let mut x = self.input.step;
        let mut all = vec![];
        for layer in &self.layers {
            let y = layer.output.as_ref().map(|(quantizer, _)| quantizer.step);
            all.push(
                y.map_or(vec![], |y| layer.weight_steps.iter().map(|&w| arith::ratio(w, x, y)).collect()),
            );
            x = y.unwrap_or(x);
        }
        all
    }
}

impl QuantizedLayer {
    /// The step of output channel `c`.
    pub fn step(&self, c: usize) -> Step {
        self.weight_steps[if self.weight_steps.len() == 1 { 0 } else { c }]
    }

    /// Puts what the codes stand for into `layer`, whose inputs have step `x`.
    pub(super) fn give_reals(&self, layer: &mut FloatLayer, x: Step) {
        let row = layer.weight.len() / layer.op.co();
        let rows = layer.weight.chunks_exact_mut(row).zip(self.weight.chunks_exact(row));
        for (c, (weights, codes)) in rows.enumerate() {
            let step = self.step(c);
            weights.iter_mut().zip(codes).for_each(|(w, &q)| *w = arith::dequantize(q.into(), step));
            layer.bias[c] = (self.bias[c] as f64 * f64::from(step.get()) * f64::from(x.get())) as f32;
        }
    }
}
