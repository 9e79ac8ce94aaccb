//! The golden model: a bit-accurate execution of an [`IntModel`].

use super::{IntLayer, IntModel, Output};
use crate::arith::requantize;
use crate::net::{KERNEL, Op, Shape};
use crate::{Error, Result};
use ndarray::{Array2, Array4, ArrayView3, ArrayView4, Axis};
use rayon::prelude::*;

/// Output codes of every layer but the last, then the logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Codes after requantization and pool, `(image, channel, row, column)`, one a layer but the last.
    pub activations: Vec<Array4<i32>>,
    /// Accumulators of the last layer, `(image, class)`.
    pub logits: Array2<i64>,
}

/// A model ready to run.
pub struct Golden<'a> {
    model: &'a IntModel,
    shapes: Vec<Shape>,
}

impl<'a> Golden<'a> {
    /// Prepares `model`; fails where [`IntModel::validate`] does.
    pub fn new(model: &'a IntModel) -> Result<Self> {
        model.validate()?;
        Ok(Self { model, shapes: model.shapes() })
    }

    /// Logits `(image, class)` of input codes `(image, channel, row, column)`.
    pub fn logits(&self, codes: ArrayView4<i32>) -> Result<Array2<i64>> {
        Ok(self.trace(codes)?.logits)
    }

    /// Every layer's output for input codes `(image, channel, row, column)`.
    pub fn trace(&self, codes: ArrayView4<i32>) -> Result<Trace> {
        let Shape { c, h, w } = self.model.header.input;
        let (_, fc, fh, fw) = codes.dim();
        if (fc, fh, fw) != (c, h, w) {
            let found = Shape { c: fc, h: fh, w: fw };
            let reason = format!("images of {found} where {} is needed", self.model.header.input);
            return Err(Error::bad_layer("input", reason));
        }
        let mut x = codes.to_owned();
        let mut activations = vec![];
        for (layer, &input) in self.model.layers.iter().zip(&self.shapes) {
            let acc = accumulate(layer, input, x.view());
            match &layer.output {
                Output::Logits => {
                    let (n, co, ..) = acc.dim();
                    let logits = acc.into_shape_with_order((n, co)).expect("logits are 1×1");
                    return Ok(Trace { activations, logits });
                }
                Output::Requantized { quantizer, .. } => {
                    let by = |c| layer.multiplier(c).expect("requantized layers have multipliers");
                    let y = Array4::from_shape_fn(acc.dim(), |(n, c, i, j)| {
                        requantize(acc[[n, c, i, j]], by(c), quantizer.levels)
                    });
                    x = if matches!(layer.op, Op::Conv { pool: true, .. }) { max_pool(&y) } else { y };
                    activations.push(x.clone());
                }
            }
        }
        unreachable!("a valid model ends in logits")
    }
}

/// Accumulators `(image, channel, row, column)` with bias.
fn accumulate(layer: &IntLayer, input: Shape, x: ArrayView4<i32>) -> Array4<i64> {
    let (co, (n, ..)) = (layer.op.co(), x.dim());
    let (h, w) = if matches!(layer.op, Op::Conv { .. }) { (input.h, input.w) } else { (1, 1) };
    let mut acc = Array4::zeros((n, co, h, w));
    acc.axis_iter_mut(Axis(0)).into_par_iter().zip(x.axis_iter(Axis(0))).for_each(|(mut acc, x)| {
        for c in 0..co {
            let weight = &layer.weight[c * layer.op.reduction(input)..][..layer.op.reduction(input)];
            for i in 0..h {
                for j in 0..w {
                    let sum = match layer.op {
                        Op::Conv { .. } => window(weight, &x, i, j),
                        Op::Dense { .. } => weight.iter().zip(&x).map(|(&w, &x)| w as i64 * x as i64).sum(),
                    };
                    acc[[c, i, j]] = sum + layer.bias[c];
                }
            }
        }
    });
    acc
}

/// Sum of the 3×3 window around row `i`, column `j`; positions outside the image add 0.
fn window(weight: &[i16], x: &ArrayView3<i32>, i: usize, j: usize) -> i64 {
    let (ci, h, w) = x.dim();
    let mut sum = 0;
    for c in 0..ci {
        for ky in 0..KERNEL {
            for kx in 0..KERNEL {
                let (y, x0) = (i + ky, j + kx); // one past the row and column read
                if (1..=h).contains(&y) && (1..=w).contains(&x0) {
                    sum += weight[(c * KERNEL + ky) * KERNEL + kx] as i64 * x[[c, y - 1, x0 - 1]] as i64;
                }
            }
        }
    }
    sum
}

/// 2×2 max pool, stride 2, floor on odd sizes.
fn max_pool(x: &Array4<i32>) -> Array4<i32> {
    let (n, c, h, w) = x.dim();
    Array4::from_shape_fn((n, c, h / 2, w / 2), |(n, c, i, j)| {
        let at = |di, dj| x[[n, c, 2 * i + di, 2 * j + dj]];
        at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1))
    })
}
