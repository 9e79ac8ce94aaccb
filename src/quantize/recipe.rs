//! What a user chooses.

use super::{Method, Mode, Widths};
use crate::float::FloatModel;
use serde::{Deserialize, Serialize};

/// How weights become codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Rounding {
    /// Each weight to the nearest code.
    Nearest,
    /// All weights of a sum together, so that the sum is near; weights of few bits with the step by which it is nearest.
    #[default]
    Gptq,
}

impl Rounding {
    /// The word of `--rounding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Gptq => "gptq",
        }
    }

    /// What is left of it for `model`: weights that were trained for their codes keep these.
    pub(super) fn of(self, model: &FloatModel) -> Self {
        if model.layers.iter().any(|l| l.quantizer.is_some()) { Self::Nearest } else { self }
    }
}

/// What a user chooses about post-training quantization.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Free or power-of-two steps.
    pub mode: Mode,
    /// One weight step an output channel.
    pub per_channel: bool,
    /// How steps are chosen.
    pub method: Method,
    /// Levels of every layer.
    pub widths: Widths,
    /// Cross-layer equalisation first: of activations, where weights have a step a channel.
    pub equalise: bool,
    /// Which codes weights get.
    pub rounding: Rounding,
    /// Bias correction last.
    pub correct_biases: bool,
}

impl Recipe {
    /// What `vgg2rtl quantize` does with these widths unless it is told otherwise.
    pub fn of(widths: Widths) -> Self {
        Self {
            mode: Mode::Free,
            per_channel: true,
            method: Method::Mse,
            widths,
            equalise: true,
            rounding: Rounding::default(),
            correct_biases: true,
        }
    }

    /// Whether layer `i` of `layers` has one weight step an output channel.
    pub(super) fn step_a_channel(&self, i: usize, layers: usize) -> bool {
        self.per_channel && i + 1 < layers
    }
}
