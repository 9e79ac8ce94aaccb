//! What a training run is told.

use super::Augment;
use crate::autograd::optim::{Adam, Decay, Optimizer, Schedule, Sgd};
use crate::{Error, Result};
use serde::Serialize;

/// Update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// Nesterov momentum 0.9.
    Sgd,
    /// AdamW.
    Adam,
}

/// Learning from the float network's outputs as well as from the labels.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distill {
    /// Share of the teacher in the loss, 0 … 1.
    pub share: f64,
    /// Softens both outputs.
    pub temperature: f64,
}

/// What a training run is told besides its network and its data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Options {
    /// Passes over the data.
    pub epochs: usize,
    /// Images of a step.
    pub batch: usize,
    /// Learning rate after the warm-up; it then falls along a cosine.
    pub rate: f64,
    /// Epochs of the warm-up.
    pub warm_up: f64,
    /// Update rule.
    pub rule: Rule,
    /// Weight decay.
    pub decay: f32,
    /// Label smoothing, 0 … 1.
    pub smoothing: f64,
    /// Largest norm of all gradients together.
    pub clip: f64,
    /// Decay of the moving average that is evaluated and saved in place of the weights; 0 for none.
    pub average: f32,
    /// Augmentation.
    pub augment: Augment,
    /// Distillation.
    pub distill: Option<Distill>,
    /// Everything random follows from it.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 10,
            batch: 64,
            rate: 0.002,
            warm_up: 0.5,
            rule: Rule::Adam,
            decay: 0.01,
            smoothing: 0.0,
            clip: 5.0,
            average: 0.0,
            augment: Augment::default(),
            distill: None,
            seed: 1,
        }
    }
}

/// Above, nothing trains.
const MOST_RATE: f64 = 1000.0;

impl Options {
    /// Refuses what cannot train.
    pub fn validate(&self) -> Result<()> {
        let unit = 0.0..=1.0;
        let distill = self.distill.unwrap_or(Distill { share: 0.0, temperature: 1.0 });
        let checks = [
            ("--epochs", self.epochs > 0, "needs at least one"),
            ("--batch", self.batch > 1, "needs at least two images"),
            ("--rate", self.rate > 0.0 && self.rate <= MOST_RATE, "needs a positive number up to 1000"),
            (
                "--warm-up",
                self.warm_up >= 0.0 && self.warm_up <= self.epochs as f64,
                "needs a number of epochs, up to --epochs",
            ),
            ("--decay", (0.0..=1.0).contains(&self.decay), "needs a number from 0 to 1"),
            ("--smoothing", unit.contains(&self.smoothing), "needs a number from 0 to 1"),
            ("--clip", self.clip > 0.0 && self.clip.is_finite(), "needs a positive norm"),
            ("--average", (0.0..1.0).contains(&self.average), "needs a number from 0 to below 1"),
            ("--distill", unit.contains(&distill.share), "needs a share from 0 to 1"),
            (
                "--temperature",
                distill.temperature > 0.0 && distill.temperature.is_finite(),
                "needs a positive number",
            ),
        ];
        match checks.into_iter().find(|(_, ok, _)| !ok) {
            Some((option, _, reason)) => Err(Error::usage(option, reason)),
            None => Ok(()),
        }
    }

    /// Learning rates for epochs of `steps` steps.
    pub(super) fn schedule(&self, steps: usize) -> Schedule {
        let total = self.epochs * steps;
        let warm_up = ((self.warm_up * steps as f64) as usize).min(total / 2);
        Schedule { peak: self.rate, warm_up, total, decay: Decay::Cosine }
    }

    /// A fresh optimizer.
    pub(super) fn optimizer(&self) -> Box<dyn Optimizer> {
        match self.rule {
            Rule::Sgd => Box::new(Sgd::new(0.9, self.decay)),
            Rule::Adam => Box::new(Adam::new(self.decay)),
        }
    }
}
