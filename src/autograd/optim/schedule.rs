//! Learning rates over the course of a run.

use std::f64::consts::PI;

/// How the rate falls after the warm-up.
#[derive(Clone, Debug, PartialEq)]
pub enum Decay {
    /// Stays.
    Constant,
    /// Half a cosine down to 0 (Loshchilov and Hutter 2017).
    Cosine,
    /// Times `factor` after each of the fractions of the run.
    Steps {
        /// Fractions of the run, ascending.
        at: Vec<f64>,
        /// Below 1.
        factor: f64,
    },
}

/// Warm-up from 0, then decay.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Rate after the warm-up.
    pub peak: f64,
    /// Steps of the linear warm-up.
    pub warm_up: usize,
    /// Steps of the run, warm-up included.
    pub total: usize,
    /// What follows the warm-up.
    pub decay: Decay,
}

impl Schedule {
    /// The rate of step `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        let length = self.total.saturating_sub(self.warm_up).max(1);
        let done = (step - self.warm_up) as f64 / length as f64;
        self.peak
            * match &self.decay {
                Decay::Constant => 1.0,
                Decay::Cosine => 0.5 * (1.0 + (PI * done.min(1.0)).cos()),
                Decay::Steps { at, factor } => factor.powi(at.iter().filter(|a| **a <= done).count() as i32),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_with_warm_up() {
        let s = Schedule { peak: 2.0, warm_up: 4, total: 104, decay: Decay::Cosine };
        assert_eq!([s.rate(0), s.rate(1), s.rate(3), s.rate(4)], [0.5, 1.0, 2.0, 2.0]);
        assert!((s.rate(54) - 1.0).abs() < 1e-12);
        assert!(s.rate(103) < 1e-3);
    }

    #[test]
    fn steps() {
        let decay = Decay::Steps { at: vec![0.5, 0.75], factor: 0.1 };
        let s = Schedule { peak: 1.0, warm_up: 0, total: 100, decay };
        let rates = [s.rate(49), s.rate(50), s.rate(75)];
        assert!(rates.iter().zip([1.0, 0.1, 0.01]).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
