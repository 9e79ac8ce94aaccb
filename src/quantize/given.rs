//! Integers that a file brings: no choice is left.

use super::golden_logits;
use crate::Result;
use crate::float::FloatModel;
use crate::float::import::quantized::Quantized;
use crate::int::{Golden, IntLayer, IntModel, Output};
use ndarray::{Array2, Array4, Axis};
use serde::Serialize;

/// The integer model of an imported network: names and operations of `model`, integers of `quantized`.
///
/// # Errors
/// Those of [`IntModel::validate`].
pub fn given(model: &FloatModel, quantized: &Quantized) -> Result<IntModel> {
    let layers = model.layers.iter().zip(&quantized.layers).map(|(layer, codes)| IntLayer {
        name: layer.name.clone(),
        op: layer.op,
        weight: codes.weight.clone(),
        weight_levels: codes.weight_levels,
        weight_steps: codes.weight_steps.clone(),
        bias: codes.bias.clone(),
        output: match &codes.output {
            Some((quantizer, by)) => Output::Requantized { quantizer: *quantizer, by: by.clone() },
            None => Output::Logits,
        },
    });
    let int = IntModel { header: model.header.clone(), input: quantized.input, layers: layers.collect() };
    int.validate()?;
    Ok(int)
}

/// How an integer model's logits compare with those of its source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Images seen.
    pub images: usize,
    /// Images whose greatest logit is (among) the source's.
    pub agreeing: usize,
    /// Largest difference of a logit, in real numbers.
    pub difference: f64,
    /// Largest logit of the source.
    pub largest: f64,
}

/// Images in a thousand whose answer may differ: requantization by m / 2^s and by floats part at ties.
const APART: usize = 2;

impl Agreement {
    /// Compares the golden model's logits of images `x` with `y` `(image, class)`.
    ///
    /// # Errors
    /// Those of [`Golden::logits`].
    pub fn of(model: &IntModel, x: &Array4<f32>, y: &Array2<f32>) -> Result<Self> {
        let golden = Golden::new(model)?;
        let step = model.layers.last().map_or(1.0, |l| f64::from(l.weight_steps[0].get()));
        let unit = step * model.input_quantizers().last().map_or(1.0, |q| f64::from(q.step.get()));
        let mut all = Self { images: x.dim().0, agreeing: 0, difference: 0.0, largest: 0.0 };
        for (images, want) in x.axis_chunks_iter(Axis(0), TOGETHER).zip(y.axis_chunks_iter(Axis(0), TOGETHER))
        {
            let logits = golden_logits(model, &golden, &images.to_owned())?;
            for (found, want) in logits.outer_iter().zip(want.outer_iter()) {
                let best = (0..found.len()).rev().max_by(|a, b| found[*a].total_cmp(&found[*b]));
                all.agreeing += usize::from(best.is_some_and(|best| want.iter().all(|v| *v <= want[best])));
                for (found, want) in found.iter().zip(want) {
                    all.difference = all.difference.max((found * unit - f64::from(*want)).abs());
                    all.largest = all.largest.max(f64::from(want.abs()));
                }
            }
        }
        Ok(all)
    }

    /// Whether at most 2 in a thousand answers differ.
    pub fn holds(&self) -> bool {
        (self.images - self.agreeing) * 1000 <= APART * self.images
    }
}

/// Images that run together.
const TOGETHER: usize = 32;
