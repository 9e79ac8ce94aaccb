//! Where a quantization step comes from, and the gradient that reaches its parameter.

use crate::arith::{Levels, Step};
use serde::{Deserialize, Serialize};

/// How a step is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Learn {
    /// The step stays; only the weights learn, through the straight-through estimator (Bengio et al. 2013).
    Plain,
    /// Learned step (LSQ, Esser et al. 2020): the parameter is the step, its gradient scaled by 1/√(N·b).
    Lsq,
    /// Trained thresholds (TQT, Jain et al. 2020): the parameter θ is a logarithm, the step is 2^⌈θ⌉, so that
    /// every step is a power of two and the hardware needs no multiplier to requantize.
    Tqt,
}

/// Stands in for a step that training has driven to zero or below.
const LEAST: f32 = 1e-12;

impl Learn {
    /// The step that a parameter stands for; a parameter driven to zero or below gives 1e-12.
    pub fn step(self, parameter: f32) -> Step {
        let step = match self {
            Learn::Plain | Learn::Lsq => Step::new(parameter),
            Learn::Tqt => Step::power_of_two_above(parameter),
        };
        step.filter(|s| s.get() >= LEAST).unwrap_or(Step::new(LEAST).expect("positive"))
    }

    /// The parameter that stands for `step`, or for the nearest power of two: the middle of those θ that do, so that the step
    /// changes when θ has gone half an octave and not with the first update.
    pub fn parameter(self, step: Step) -> f32 {
        match self {
            Learn::Plain | Learn::Lsq => step.get(),
            Learn::Tqt => step.nearest_power_of_two().get().log2() - 0.5,
        }
    }

    /// Factor from `Σ g · ∂(q·step)/∂step` to the parameter's gradient; `count` is the N of LSQ.
    pub(super) fn factor(self, step: Step, count: usize, levels: Levels) -> f64 {
        match self {
            Learn::Plain => 0.0,
            Learn::Lsq => 1.0 / (count as f64 * f64::from(levels.b.max(1))).sqrt(),
            Learn::Tqt => f64::from(step.get()) * std::f64::consts::LN_2,
        }
    }
}

/// The straight-through estimator at `x / step = u` with code `q`: whether the gradient passes to `x`, and
/// `∂(q·step)/∂step`, which is `q − u` inside `[a, b]` and the bound outside.
pub(super) fn straight_through(u: f64, q: f64, levels: Levels) -> (bool, f64) {
    let inside = f64::from(levels.a) <= u && u <= f64::from(levels.b);
    (inside, if inside { q - u } else { q })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_steps_correspond() {
        let step = Step::new(0.25).unwrap();
        for learn in [Learn::Plain, Learn::Lsq, Learn::Tqt] {
            assert_eq!(learn.step(learn.parameter(step)), step);
        }
        assert_eq!(Learn::Tqt.step(-1.5).get(), 0.5);
    }

    #[test]
    fn a_step_is_never_zero_or_below() {
        for bad in [0.0, -1.0, f32::NAN, f32::NEG_INFINITY] {
            assert_eq!(Learn::Lsq.step(bad).get(), LEAST);
        }
        assert_eq!(Learn::Tqt.step(-1e9).get(), LEAST);
    }
}
