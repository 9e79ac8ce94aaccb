//! The narrowest build that holds a model.

use crate::config::{ArrayConfig, Requantize};
use crate::int::{IntModel, Output};

/// `base` with the widths and the requantization that `model` needs: weights, activations, and accumulators as proven
/// from its integers.
pub fn fit(model: &IntModel, base: &ArrayConfig) -> ArrayConfig {
    let weight_bits = model.layers.iter().map(|l| l.weight_levels.bits()).max().unwrap_or(2).max(2);
    let codes = model.input_quantizers();
    let act_bits = codes.iter().map(|q| q.levels.bits()).max().unwrap_or(2).max(2);
    let config = ArrayConfig { weight_bits, act_bits, requantize: requantize(model), ..base.clone() };
    let acc_bits = model.accumulator_bits().into_iter().max().unwrap_or(0).max(config.psum_bits());
    ArrayConfig { acc_bits, ..config }
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
}
