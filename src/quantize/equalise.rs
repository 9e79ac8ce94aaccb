//! Cross-layer equalisation: channels of unequal range are scaled so that one step suits them all.
//!
//! Nagel, van Baalen, Blankevoort, Welling: Data-Free Quantization Through Weight Equalization and Bias
//! Correction, ICCV 2019, section 4.1. ReLU and max pool let a positive factor through: dividing channel i of
//! one layer and multiplying the weights that read it leaves the network's function unchanged. A ReLU that saturates does
//! not: its layer is left.

use crate::float::{FloatLayer, FloatModel};
use crate::net::Op;

/// Sweeps over the network; ranges settle geometrically.
const SWEEPS: usize = 20;
/// Factors stay within this of 1, so that a nearly dead channel is not blown up.
const LARGEST_FACTOR: f32 = 1e4;

/// Between which layers ranges are equalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Every layer and the next.
    All,
    /// Dense layers only. A weight step a channel already suits whatever ranges a layer writes; what it cannot suit
    /// are weights of one output that differ by what they read, as batch norm behind a dense layer's ReLU leaves.
    Dense,
}

/// Equalises the ranges of each layer's output channels with those of the weights that read them.
///
/// The model keeps its function but for f32 rounding. Batch norm must be folded.
pub fn equalise(model: &mut FloatModel, between: Between) {
    for _ in 0..SWEEPS {
        for i in 1..model.layers.len() {
            let (before, after) = model.layers.split_at_mut(i);
            let first = &mut before[i - 1];
            let wanted = between == Between::All || matches!(first.op, Op::Dense { .. });
            if wanted && first.saturation.is_none() {
                equalise_pair(first, &mut after[0]);
            }
        }
    }
}

/// Scales channel c by `s = √(r1 / r2)`: both ranges become `√(r1 · r2)`.
fn equalise_pair(first: &mut FloatLayer, second: &mut FloatLayer) {
    let co = first.op.co();
    let read = second.weight.len() / second.op.co() / co; // weights of one output that read one channel
    for c in 0..co {
        let row = first.weight.len() / co;
        let r1 = magnitude(first.weight[c * row..][..row].iter());
        let r2 = magnitude(columns(&second.weight, co, read, c));
        let s = (r1 / r2).sqrt();
        if !(s.is_finite() && s > 1.0 / LARGEST_FACTOR && s < LARGEST_FACTOR) {
            continue; // a dead channel
        }
        first.weight[c * row..][..row].iter_mut().for_each(|w| *w /= s);
        first.bias[c] /= s;
        for output in second.weight.chunks_exact_mut(co * read) {
            output[c * read..][..read].iter_mut().for_each(|w| *w *= s);
        }
    }
}

/// The weights of every output that read channel `c` of `co`.
fn columns(weight: &[f32], co: usize, read: usize, c: usize) -> impl Iterator<Item = &f32> {
    weight.chunks_exact(co * read).flat_map(move |output| &output[c * read..][..read])
}

fn magnitude<'a>(weights: impl Iterator<Item = &'a f32>) -> f32 {
    weights.fold(0.0, |m, w| m.max(w.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Shape;
    use crate::quantize::tests::network;
    use ndarray::Array4;

    fn unequal() -> FloatModel {
        let conv = |pool| Op::Conv { co: 4, pool };
        let ops = [conv(false), conv(true), Op::Dense { co: 5 }, Op::Dense { co: 3 }];
        let mut model = network(Shape { c: 2, h: 5, w: 4 }, &ops);
        for (i, layer) in model.layers.iter_mut().enumerate() {
            let row = layer.weight.len() / layer.op.co();
            let scale = |c: usize| [30.0, 0.02, 1.0, 7.0, 0.3][(c + i) % 5];
            layer.weight.iter_mut().enumerate().for_each(|(k, w)| *w *= scale(k / row));
        }
        model
    }

    #[test]
    fn the_function_stays() {
        let before = unequal();
        let mut after = before.clone();
        equalise(&mut after, Between::All);
        let x =
            Array4::from_shape_fn((3, 2, 5, 4), |(n, c, i, j)| ((n + 3 * c + 7 * i + j) % 5) as f32 - 1.5);
        let (y, z) = (before.forward(&x).unwrap(), after.forward(&x).unwrap());
        let largest = y.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        assert!(y.iter().zip(&z).all(|(y, z)| (y - z).abs() < 1e-5 * largest), "{y} {z}");
    }

    #[test]
    fn ranges_meet() {
        let mut model = unequal();
        equalise(&mut model, Between::All);
        for pair in model.layers.windows(2) {
            let co = pair[0].op.co();
            let (row, read) = (pair[0].weight.len() / co, pair[1].weight.len() / pair[1].op.co() / co);
            for c in 0..co {
                let written = magnitude(pair[0].weight[c * row..][..row].iter());
                let read = magnitude(columns(&pair[1].weight, co, read, c));
                assert!((written / read - 1.0).abs() < 0.02, "{}: channel {c}", pair[0].name);
            }
        }
    }

    #[test]
    fn convolutions_may_be_left_alone() {
        let before = unequal();
        let mut after = before.clone();
        equalise(&mut after, Between::Dense);
        let same = |i: usize| before.layers[i] == after.layers[i];
        assert_eq!([0, 1, 2, 3].map(same), [true, true, false, false]);
    }

    #[test]
    fn dead_channels_are_left_alone() {
        let mut model = unequal();
        model.layers[0].weight[..18].fill(0.0);
        equalise(&mut model, Between::All);
        model.validate().unwrap();
    }
}
