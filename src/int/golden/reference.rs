//! The definition: every sum term by term in 64 bits. Slow; the truth that the fast paths are tested against.

use super::Trace;
use super::input::check_input;
use crate::Result;
use crate::arith::requantize;
use crate::int::{IntLayer, IntModel, Output};
use crate::net::{KERNEL, Op, Shape};
use ndarray::{Array4, ArrayView3, ArrayView4};

/// Every layer's output for input codes `(image, channel, row, column)`.
///
/// # Errors
/// Where [`IntModel::validate`] fails, or the images have not the model's input shape.
pub fn trace(model: &IntModel, codes: ArrayView4<i32>) -> Result<Trace> {
    model.validate()?;
    check_input(model, codes)?;
    let mut x = codes.to_owned();
    let mut activations = vec![];
    for (layer, input) in model.layers.iter().zip(model.shapes()) {
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

/// Accumulators `(image, channel, row, column)` of `layer`, with bias, for inputs `x` of shape `input`.
pub fn accumulate(layer: &IntLayer, input: Shape, x: ArrayView4<i32>) -> Array4<i64> {
    let reduction = layer.op.reduction(input);
    let (h, w) = if matches!(layer.op, Op::Conv { .. }) { (input.h, input.w) } else { (1, 1) };
    Array4::from_shape_fn((x.dim().0, layer.op.co(), h, w), |(n, c, i, j)| {
        let weight = &layer.weight[c * reduction..][..reduction];
        let x = x.index_axis(ndarray::Axis(0), n);
        let sum = match layer.op {
            Op::Conv { .. } => window(weight, &x, i, j),
            Op::Dense { .. } => weight.iter().zip(&x).map(|(&w, &x)| w as i64 * x as i64).sum(),
        };
        sum + layer.bias[c]
    })
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
pub fn max_pool(x: &Array4<i32>) -> Array4<i32> {
    let (n, c, h, w) = x.dim();
    Array4::from_shape_fn((n, c, h / 2, w / 2), |(n, c, i, j)| {
        let at = |di, dj| x[[n, c, 2 * i + di, 2 * j + dj]];
        at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1))
    })
}
