//! The build that a model gets.

use super::Digits;
use crate::arith::Quantizer;
use crate::config::{ArrayConfig, Requantize};
use crate::int::{IntLayer, IntModel, Output};

/// `base` with the requantization that `model` needs, accumulators as proven from its integers, and the widths of the
/// layers between its ends, which run by digits where they are wider: the image, the weights of the first and the last
/// layer, and what the last layer reads.
pub fn fit(model: &IntModel, base: &ArrayConfig) -> ArrayConfig {
    let weights: Vec<u32> = model.layers.iter().map(|l| l.weight_levels.bits()).collect();
    let acts: Vec<u32> = model.input_quantizers().iter().map(|x| x.levels.bits()).collect();
    let config = ArrayConfig {
        weight_bits: inside(&weights),
        act_bits: inside(&acts),
        requantize: requantize(model),
        ..base.clone()
    };
    let acc_bits = model.accumulator_bits().into_iter().max().unwrap_or(0).max(config.psum_bits());
    with_digits(model, &ArrayConfig { acc_bits, ..config })
}

/// Most bits of all but the first and the last; of all where there are no others.
pub fn inside(bits: &[u32]) -> u32 {
    let between = bits.get(1..bits.len().saturating_sub(1)).filter(|between| !between.is_empty());
    between.unwrap_or(bits).iter().copied().max().unwrap_or(2).max(2)
}

/// `config` with as many digits as the layers of `model` take.
pub fn with_digits(model: &IntModel, config: &ArrayConfig) -> ArrayConfig {
    let digits = digits(model, config);
    let most = |of: fn(&Digits) -> usize| digits.iter().map(of).max().unwrap_or(1);
    ArrayConfig { weight_digits: most(|d| d.weights), act_digits: most(|d| d.acts), ..config.clone() }
}

/// Digits of every layer of `model` on `config`.
pub fn digits(model: &IntModel, config: &ArrayConfig) -> Vec<Digits> {
    let of = |(layer, x): (&IntLayer, Quantizer)| {
        Digits::of(layer.weight_levels, x.levels, config.weight_bits, config.act_bits)
    };
    model.layers.iter().zip(model.input_quantizers()).map(of).collect()
}

fn requantize(model: &IntModel) -> Requantize {
    let shifts = |output: &Output| match output {
        Output::Requantized { by, .. } => by.iter().all(|by| by.m == 1),
        Output::Logits => true,
    };
    let pow2 = model.layers.iter().all(|l| shifts(&l.output));
    if pow2 { Requantize::Pow2 } else { Requantize::Scale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::Levels;
    use crate::int::random;
    use crate::net::{Op, Shape};
    use crate::schedule::schedule;

    #[test]
    fn the_model_fits_and_no_narrower_build_holds_it() {
        for (w, a, power_of_two) in [(8, 8, false), (3, 5, true), (16, 2, false)] {
            let recipe = random::Recipe {
                input: Shape { c: 3, h: 8, w: 8 },
                ops: vec![Op::Conv { co: 4, pool: true }, Op::Dense { co: 3 }],
                w,
                a,
                power_of_two,
                per_channel: true,
                seed: 5,
            };
            let model = random::model(&recipe);
            let config = fit(&model, &ArrayConfig::default());
            assert_eq!((config.weight_bits, config.act_bits), (w, a));
            assert_eq!(config.requantize == Requantize::Pow2, power_of_two);
            assert!(schedule(&model, &config, 1).is_ok());
            let narrower = ArrayConfig { acc_bits: config.acc_bits - 1, ..config };
            assert!(schedule(&model, &narrower, 1).is_err());
        }
    }

    #[test]
    fn ends_run_by_digits() {
        let conv = |co| Op::Conv { co, pool: false };
        let recipe = random::Recipe {
            input: Shape { c: 3, h: 4, w: 4 },
            ops: vec![conv(4), conv(4), Op::Dense { co: 3 }],
            w: 8,
            a: 8,
            power_of_two: false,
            per_channel: true,
            seed: 5,
        };
        let mut model = random::narrow_inside(random::model(&recipe), 4, 3);
        let widths = |model: &IntModel| {
            let c = fit(model, &ArrayConfig::default());
            assert!(schedule(model, &c, 1).is_ok());
            (c.weight_bits, c.weight_digits, c.act_bits, c.act_digits)
        };
        assert_eq!(widths(&model), (4, 3, 3, 3)); // two digits end at 119
        for layer in [0, 2] {
            let layer = &mut model.layers[layer];
            layer.weight.iter_mut().for_each(|w| *w = (*w).clamp(-119, 119));
            layer.weight_levels = Levels { a: -119, b: 119 };
        }
        assert_eq!(widths(&model), (4, 2, 3, 3));
    }
}
