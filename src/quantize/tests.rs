//! What the tests of this module share.

use crate::float::{FloatLayer, FloatModel};
use crate::net::{Header, Op, Preprocessing, Shape};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Dense layers `fc1`, `fc2`, … of random numbers: `sizes[0]` inputs, then that many outputs each.
pub fn chain(sizes: &[usize]) -> FloatModel {
    let input = Shape { c: sizes[0], h: 1, w: 1 };
    network(input, &sizes.iter().map(|&co| Op::Dense { co }).collect::<Vec<_>>())
}

/// A network of random numbers, uniform in −1 … 1 over the root of the reduction.
pub fn network(input: Shape, ops: &[Op]) -> FloatModel {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let shapes = crate::net::shapes(input, ops.iter().copied());
    let kind = |op| if matches!(op, Op::Conv { .. }) { "conv" } else { "fc" };
    let mut numbers = |count: usize, scale: f32| -> Vec<f32> {
        (0..count).map(|_| rng.random_range(-scale..scale)).collect()
    };
    let layers = ops.iter().zip(&shapes).enumerate().map(|(i, (&op, &x))| FloatLayer {
        name: format!("{}{}", kind(op), i + 1),
        op,
        weight: numbers(op.reduction(x) * op.co(), 2.0 / (op.reduction(x) as f32).sqrt()),
        bias: numbers(op.co(), 0.25),
        batch_norm: None,
        quantizer: None,
        saturation: None,
    });
    let preprocessing = Preprocessing::unit(input.c);
    let header = Header { name: "random".into(), input, preprocessing, classes: vec![] };
    FloatModel { header, layers: layers.collect() }
}
