//! Random integer networks and images, for tests, benchmarks and exploring hardware without a trained model.

use super::{IntLayer, IntModel, Output, Quantizer};
use crate::arith::{Levels, Multiplier, SHIFT_LIMIT, Step};
use crate::net::{Header, Op, Preprocessing, Shape};
use ndarray::Array4;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a random network looks like.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Input shape.
    pub input: Shape,
    /// Layers, convolutions first.
    pub ops: Vec<Op>,
    /// Weight bits.
    pub w: u32,
    /// Activation bits.
    pub a: u32,
    /// m = 1 everywhere.
    pub power_of_two: bool,
    /// One multiplier an output channel.
    pub per_channel: bool,
    /// Everything follows from it.
    pub seed: u64,
}

/// A valid random network whose activations use their range.
pub fn model(recipe: &Recipe) -> IntModel {
    let mut rng = ChaCha8Rng::seed_from_u64(recipe.seed);
    let step = Step::new(1.0 / 16.0).expect("positive");
    let levels = Levels::signed(recipe.w);
    let shapes = crate::net::shapes(recipe.input, recipe.ops.iter().copied());
    let mut layers = vec![];
    for (i, (&op, &x)) in recipe.ops.iter().zip(&shapes).enumerate() {
        let count: usize = op.weight_shape(x).iter().product();
        let co = op.co();
        // A uniform sum of K terms spreads over about √K · 2^(w+a−2): shift that down to a bits.
        let spread = 2 * (recipe.w + recipe.a - 2) + op.reduction(x).ilog2();
        let shift = (spread / 2).saturating_sub(recipe.a).min(SHIFT_LIMIT - 17);
        let bias = 1i64 << (spread / 2).saturating_sub(2);
        let multiplier = |rng: &mut ChaCha8Rng| match recipe.power_of_two {
            true => Multiplier { m: 1, s: shift as u8 },
            false => Multiplier { m: rng.random_range(1 << 15..=u16::MAX), s: shift as u8 + 16 },
        };
        let last = i + 1 == recipe.ops.len();
        let multipliers = if recipe.per_channel { co } else { 1 };
        let weight: Vec<i16> = (0..count).map(|_| rng.random_range(levels.a..=levels.b) as i16).collect();
        // Centres the sums on 0: codes after a ReLU average about a third of their range.
        let mean_x = if i == 0 { 0 } else { i64::from(Levels::unsigned(recipe.a).b) / 3 };
        let centre = |c: usize| {
            let per_channel = count / co;
            -mean_x * weight[c * per_channel..][..per_channel].iter().map(|&w| i64::from(w)).sum::<i64>()
        };
        let bias = (0..co).map(|c| centre(c) + rng.random_range(-bias..=bias)).collect();
        let by: Vec<Multiplier> = match last {
            true => vec![],
            false => (0..multipliers).map(|_| multiplier(&mut rng)).collect(),
        };
        // Input and output have one step, so that the weights' is the multiplier.
        let weight_steps = match last {
            true => vec![step],
            false => by.iter().map(|by| by.as_step().expect("16 bits and a shift")).collect(),
        };
        let name =
            if matches!(op, Op::Conv { .. }) { format!("conv{}", i + 1) } else { format!("fc{}", i + 1) };
        layers.push(IntLayer {
            name,
            op,
            weight,
            weight_levels: levels,
            weight_steps,
            bias,
            output: if last {
                Output::Logits
            } else {
                Output::Requantized { quantizer: Quantizer { step, levels: Levels::unsigned(recipe.a) }, by }
            },
        });
    }
    IntModel {
        header: Header {
            name: format!("random-{}", recipe.seed),
            input: recipe.input,
            preprocessing: Preprocessing::unit(recipe.input.c),
            classes: vec![],
        },
        input: Quantizer { step, levels: Levels::signed(recipe.a) },
        layers,
    }
}

/// `model` with weights of `w` bits and activations of `a` bits, except at the ends: the image, the weights of the first and
/// the last layer, and what the last layer reads.
pub fn narrow_inside(mut model: IntModel, w: u32, a: u32) -> IntModel {
    let last = model.layers.len() - 1;
    for (i, layer) in model.layers.iter_mut().enumerate() {
        if i > 0 && i < last && layer.weight_levels.bits() > w {
            let excess = layer.weight_levels.bits() - w;
            layer.weight.iter_mut().for_each(|weight| *weight >>= excess);
            layer.bias.iter_mut().for_each(|bias| *bias >>= excess);
            layer.weight_levels = Levels::signed(w);
        }
        if let Output::Requantized { quantizer, .. } = &mut layer.output
            && i + 1 < last
        {
            quantizer.levels.b = quantizer.levels.b.min(Levels::unsigned(a).b);
        }
    }
    model
}

/// `count` images of uniform random codes for `model`.
pub fn images(model: &IntModel, count: usize, seed: u64) -> Array4<i32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (Shape { c, h, w }, Levels { a, b }) = (model.header.input, model.input.levels);
    Array4::from_shape_simple_fn((count, c, h, w), || rng.random_range(a..=b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int::Golden;

    #[test]
    fn random_networks_are_valid_and_alive() {
        for (w, a) in [(2, 2), (4, 4), (8, 8), (16, 16), (3, 12)] {
            let recipe = Recipe {
                input: Shape { c: 3, h: 9, w: 7 },
                ops: vec![
                    Op::Conv { co: 8, pool: true },
                    Op::Conv { co: 5, pool: false },
                    Op::Dense { co: 6 },
                    Op::Dense { co: 4 },
                ],
                w,
                a,
                power_of_two: w == 4,
                per_channel: w == 8,
                seed: 1,
            };
            let model = model(&recipe);
            let trace = Golden::new(&model).unwrap().trace(images(&model, 2, 2).view()).unwrap();
            assert_eq!(trace.activations.len(), 3);
            for x in &trace.activations {
                let distinct: std::collections::BTreeSet<_> = x.iter().collect();
                assert!(distinct.len() > 1, "w {w} a {a}: {distinct:?}");
            }
        }
    }
}
