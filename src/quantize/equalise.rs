//! Cross-layer equalisation: channels of unequal range are scaled so that one step suits them all.
//!
//! Nagel, van Baalen, Blankevoort, Welling: Data-Free Quantization Through Weight Equalization and Bias
//! Correction, ICCV 2019, section 4.1. ReLU and max pool let a positive factor through: dividing channel i of
//! one layer and multiplying the weights that read it leaves the network's function unchanged. A ReLU that saturates does
//! not: its layer is left. With a step for each channel's weights, what is to be equalised is the channel's activations and
//! the weights that read them: Xiao, Lin, Seznec, Wu, Demouth, Han: SmoothQuant, ICML 2023.

use super::Observed;
use crate::float::{FloatLayer, FloatModel};

/// Sweeps over the network; ranges settle geometrically.
const SWEEPS: usize = 20;
/// Factors stay within this of 1, so that a nearly dead channel is not blown up.
const LARGEST_FACTOR: f32 = 1e4;

/// Equalises the ranges of each channel's weights with those of the weights that read it, for steps that all channels share.
///
/// The model keeps its function but for f32 rounding. Batch norm must be folded.
pub fn equalise_weights(model: &mut FloatModel) {
    for _ in 0..SWEEPS {
        for_each_pair(model, |_, first, second| {
            let row = first.weight.len() / first.op.co();
            let written = first.weight.chunks_exact(row).map(|w| magnitude(w.iter())).collect::<Vec<_>>();
            equalise_pair(first, second, &written);
        });
    }
}

/// Equalises each channel's activations, `observed` as what the next layer reads, with the weights that read them.
///
/// The model keeps its function but for f32 rounding. Batch norm must be folded.
pub fn equalise_activations(model: &mut FloatModel, observed: &[Observed]) {
    for_each_pair(model, |i, first, second| {
        let size = |energy: &f64| energy.sqrt() as f32;
        equalise_pair(first, second, &observed[i].energy.iter().map(size).collect::<Vec<_>>());
    });
}

/// Every layer whose ReLU lets factors through, with the next one and that one's index.
fn for_each_pair(model: &mut FloatModel, mut equalise: impl FnMut(usize, &mut FloatLayer, &mut FloatLayer)) {
    for i in 1..model.layers.len() {
        let (before, after) = model.layers.split_at_mut(i);
        let first = &mut before[i - 1];
        if first.saturation.is_none() {
            equalise(i, first, &mut after[0]);
        }
    }
}

/// Divides channel c by `s = √(r1 / r2)`: both ranges, `r1` of what is `written` and `r2` of the weights that read it, become
/// `√(r1 · r2)`.
fn equalise_pair(first: &mut FloatLayer, second: &mut FloatLayer, written: &[f32]) {
    let co = first.op.co();
    let row = first.weight.len() / co;
    let read = second.weight.len() / second.op.co() / co; // weights of one output that read one channel
    for c in 0..co {
        let s = (written[c] / magnitude(columns(&second.weight, co, read, c))).sqrt();
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
    use crate::net::{Op, Shape};
    use crate::quantize::observe;
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

    fn images() -> Array4<f32> {
        Array4::from_shape_fn((3, 2, 5, 4), |(n, c, i, j)| ((n + 3 * c + 7 * i + j) % 5) as f32 - 1.5)
    }

    fn by_activations(model: &mut FloatModel) {
        let observed = observe(model, &[images()]).unwrap();
        equalise_activations(model, &observed);
    }

    #[test]
    fn the_function_stays() {
        for equalise in [equalise_weights as fn(&mut FloatModel), by_activations] {
            let before = unequal();
            let mut after = before.clone();
            equalise(&mut after);
            let (y, z) = (before.forward(&images()).unwrap(), after.forward(&images()).unwrap());
            let largest = y.iter().fold(0.0f32, |m, v| m.max(v.abs()));
            assert!(
                after != before && y.iter().zip(&z).all(|(y, z)| (y - z).abs() < 1e-5 * largest),
                "{y} {z}"
            );
        }
    }

    #[test]
    fn ranges_meet() {
        let mut model = unequal();
        equalise_weights(&mut model);
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

    /// The root mean square of each channel's activations is the range of the weights that read it, but for one constant a
    /// layer (the number of values). Channels that are never positive have none.
    #[test]
    fn activations_meet_their_weights() {
        let mut model = unequal();
        by_activations(&mut model);
        let observed = observe(&model, &[images()]).unwrap();
        for (pair, observed) in model.layers.windows(2).zip(&observed[1..]) {
            let co = pair[0].op.co();
            let read = pair[1].weight.len() / pair[1].op.co() / co;
            let ratio = |c: usize| {
                observed.energy[c].sqrt() as f32 / magnitude(columns(&pair[1].weight, co, read, c))
            };
            let alive: Vec<f32> = (0..co).filter(|&c| observed.energy[c] > 0.0).map(ratio).collect();
            assert!(alive.len() > 1 && alive.iter().all(|r| (r / alive[0] - 1.0).abs() < 1e-3), "{alive:?}");
        }
    }

    #[test]
    fn dead_channels_are_left_alone() {
        let mut model = unequal();
        model.layers[0].weight[..18].fill(0.0);
        equalise_weights(&mut model);
        model.validate().unwrap();
    }
}
