//! Layers whose operands or sums are too wide for the fast path: 64-bit sums, line by line.

use crate::arith::{Levels, requantize};
use crate::int::{IntLayer, Output};
use crate::net::{KERNEL, Op};
use ndarray::{Array4, ArrayView3, ArrayView4, Axis};
use rayon::prelude::*;

/// Output codes `(image, channel, row, column)` before the pool, or the logits `(image, class, 1, 1)`.
pub fn accumulate(layer: &IntLayer, x: ArrayView4<i32>) -> Array4<i64> {
    let (n, _, h, w) = x.dim();
    let (h, w) = if matches!(layer.op, Op::Conv { .. }) { (h, w) } else { (1, 1) };
    let mut acc = Array4::zeros((n, layer.op.co(), h, w));
    let per_channel = layer.weight.len() / layer.op.co();
    acc.outer_iter_mut().into_par_iter().zip(x.outer_iter()).for_each(|(mut acc, x)| {
        acc.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(c, mut acc)| {
            let weight = &layer.weight[c * per_channel..][..per_channel];
            acc.fill(layer.bias[c]);
            match layer.op {
                Op::Conv { .. } => convolve(acc.as_slice_mut().expect("contiguous"), weight, x),
                Op::Dense { .. } => {
                    let products = weight.iter().zip(&x).map(|(&w, &x)| i64::from(w) * i64::from(x));
                    acc[[0, 0]] += products.sum::<i64>();
                }
            }
        });
    });
    acc
}

/// Output codes `(image, channel, row, column)` of accumulators, before the pool.
pub fn requantized(layer: &IntLayer, acc: &Array4<i64>) -> Array4<i32> {
    let Output::Requantized { quantizer, .. } = &layer.output else {
        unreachable!("logits are not requantized")
    };
    let levels: Levels = quantizer.levels;
    let mut y = Array4::zeros(acc.dim());
    y.outer_iter_mut().into_par_iter().zip(acc.outer_iter()).for_each(|(mut y, acc)| {
        for (c, (mut y, acc)) in y.outer_iter_mut().zip(acc.outer_iter()).enumerate() {
            let by = layer.multiplier(c).expect("requantized layers have multipliers");
            y.zip_mut_with(&acc, |y, &acc| *y = requantize(acc, by, levels));
        }
    });
    y
}

/// Adds one output channel's 3×3 convolution of `x` `(channel, row, column)` to `acc` `(row, column)`.
fn convolve(acc: &mut [i64], weight: &[i16], x: ArrayView3<i32>) {
    let (ci, h, w) = x.dim();
    let x = x.as_slice().expect("contiguous");
    for (k, &weight) in weight.iter().enumerate().take(ci * KERNEL * KERNEL) {
        let (c, ky, kx) = (k / (KERNEL * KERNEL), k / KERNEL % KERNEL, k % KERNEL);
        for i in 0..h {
            let Some(row) = (i + ky).checked_sub(1).filter(|&row| row < h) else { continue };
            let x = &x[(c * h + row) * w..][..w];
            let acc = &mut acc[i * w..][..w];
            // Left and right neighbours read from the line shifted by one; the border adds nothing.
            let (acc, x) = match kx {
                0 => (&mut acc[1..], &x[..w - 1]),
                1 => (acc, x),
                _ => (&mut acc[..w - 1], &x[1..]),
            };
            acc.iter_mut().zip(x).for_each(|(acc, &x)| *acc += i64::from(weight) * i64::from(x));
        }
    }
}
