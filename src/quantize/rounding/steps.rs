//! Steps of few bits, chosen by what the sums lose.
//!
//! The step of least error on the weights alone is too small for weights that are rounded together: one that is clipped cannot make
//! up for the others. Of steps around it, that one is taken whose sums lose least.

use crate::arith::{Levels, Step};
use crate::float::FloatLayer;
use crate::int::Quantizer;
use crate::quantize::Mode;
use crate::quantize::weights::least_step;
use ndarray::Array2;

/// Bits of the weights up to which steps are tried: with 3, no gain was seen on pictures that chose nothing.
const FEW: u32 = 2;
/// Steps that are tried, as multiples of the step of least error on the weights.
const FACTORS: [f32; 11] = [0.7, 0.8, 0.9, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8];

/// What is known of a layer's steps.
pub struct By {
    /// Free or power-of-two steps.
    pub mode: Mode,
    /// Step and levels of what the layer reads.
    pub input: Quantizer,
    /// One step an output channel, not one for all.
    pub step_a_channel: bool,
}

/// Codes `(output, input)` of a layer's weights, what the sums of each output lose, and its step.
pub struct Coded {
    /// The codes.
    pub codes: Array2<i32>,
    /// Losses.
    pub losses: Vec<f64>,
    /// Steps.
    pub steps: Vec<Step>,
}

impl By {
    /// Whether other steps are tried.
    pub fn tries_steps(&self, levels: Levels) -> bool {
        self.mode == Mode::Free && levels.bits() <= FEW
    }

    /// Those that are tried, each an output: multiples of `steps`, none so small that a bias outgrows the accumulator.
    pub fn steps(
        &self,
        layer: &FloatLayer,
        levels: Levels,
        steps: &[Step],
    ) -> impl Iterator<Item = Vec<Step>> {
        let row = layer.weight.len() / steps.len();
        let least = layer.bias.iter().map(move |&bias| least_step(levels, self.input, bias, row));
        let pairs: Vec<_> = steps.iter().copied().zip(least).collect();
        FACTORS.into_iter().filter_map(move |factor| {
            let scaled = pairs.iter().map(|&(step, least)| {
                let new =
                    Step::new(step.get() * factor).filter(|&new| least.is_none_or(|least| new >= least));
                if self.step_a_channel { Some(new.unwrap_or(step)) } else { new }
            });
            scaled.collect()
        })
    }
}

impl Coded {
    /// Takes those outputs of `other` that lose less, or, not `by_output`, all where they lose less together.
    pub fn improve(&mut self, other: Self, by_output: bool) {
        if !by_output {
            if other.losses.iter().sum::<f64>() < self.losses.iter().sum() {
                *self = other;
            }
            return;
        }
        let better: Vec<usize> =
            (0..self.losses.len()).filter(|&c| other.losses[c] < self.losses[c]).collect();
        for c in better {
            self.codes.row_mut(c).assign(&other.codes.row(c));
            self.losses[c] = other.losses[c];
            self.steps[c] = other.steps[c];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Op;

    fn step(s: f32) -> Step {
        Step::new(s).unwrap()
    }

    fn by(step_a_channel: bool) -> By {
        let input = Quantizer { step: step(0.5), levels: Levels::unsigned(2) };
        By { mode: Mode::Free, input, step_a_channel }
    }

    /// 4 products of codes of up to 2 and 3 and an input's step of 0.5 are as large as a bias of 6 at a weight's step of 0.5.
    #[test]
    fn no_step_makes_a_bias_larger_than_all_products() {
        let layer = FloatLayer {
            name: "fc".into(),
            op: Op::Dense { co: 2 },
            weight: vec![1.0; 8],
            bias: vec![-6.0, 0.0],
            batch_norm: None,
            quantizer: None,
            saturation: None,
        };
        let steps = [step(0.55), step(1.0)];
        let tried = |a_channel| {
            let by = by(a_channel);
            let tried = by.steps(&layer, Levels::signed(2), &steps);
            tried.map(|s| s.iter().map(|s| s.get()).collect()).collect::<Vec<Vec<f32>>>()
        };
        let a_channel = tried(true);
        assert_eq!(a_channel[..4], [[0.55, 0.7], [0.55, 0.8], [0.55, 0.9], [0.55 * 1.1, 1.1]].map(Vec::from));
        let one = tried(false);
        assert_eq!(one[0], [0.55 * 1.1, 1.1]);
    }

    #[test]
    fn power_of_two_steps_and_many_levels_stay() {
        assert!(by(true).tries_steps(Levels::signed(2)) && !by(true).tries_steps(Levels::signed(3)));
        assert!(!By { mode: Mode::Pow2, ..by(true) }.tries_steps(Levels::signed(2)));
    }

    #[test]
    fn what_loses_less_is_taken_by_output_or_whole() {
        let coded = |code: i32, losses: [f64; 2], s: f32| Coded {
            codes: Array2::from_elem((2, 1), code),
            losses: losses.to_vec(),
            steps: vec![step(s); 2],
        };
        let after = |other: Coded, by_output| {
            let mut best = coded(1, [2.0, 5.0], 0.5);
            best.improve(other, by_output);
            (best.codes.into_raw_vec_and_offset().0, best.losses, best.steps[0].get(), best.steps[1].get())
        };
        assert_eq!(after(coded(-1, [3.0, 3.0], 0.7), true), (vec![1, -1], vec![2.0, 3.0], 0.5, 0.7));
        assert_eq!(after(coded(-1, [3.0, 3.0], 0.7), false), (vec![-1, -1], vec![3.0, 3.0], 0.7, 0.7));
        assert_eq!(after(coded(-1, [1.0, 6.5], 0.7), false), (vec![1, 1], vec![2.0, 5.0], 0.5, 0.5));
    }
}
