//! What a user chooses.

use super::{Method, Mode, Rounding, Widths};

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
}
