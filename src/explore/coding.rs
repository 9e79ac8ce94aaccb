//! How a network's numbers are coded: what of a design point decides its accuracy.

use crate::Result;
use crate::arith::Levels;
use crate::config::{ArrayConfig, Requantize};
use crate::float::FloatModel;
use crate::quantize::{Exception, Method, Mode, Recipe, Rounding, Widths};
use crate::schedule::Digits;
use serde::{Deserialize, Serialize};

/// Levels of single layers; the others have the point's W and A.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Assignment {
    /// What it is called in tables.
    pub name: String,
    /// Layers with levels of their own.
    pub layers: Vec<Exception>,
    /// The only activation bits and requantization that it was found for; `None`: any.
    #[serde(default)]
    pub found_for: Option<(u32, Requantize)>,
}

impl Assignment {
    /// `NAME=W[:A],…`, or a file of it.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self { name: text.into(), layers: Exception::parse_all(text)?, found_for: None })
    }

    /// As the option --assign takes it.
    pub fn option(&self) -> String {
        self.layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

/// Widths and requantization of a network.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Coding {
    /// Weight bits W of all layers that have none of their own, 2 … 16.
    pub weights: u32,
    /// Activation bits A, 2 … 16.
    pub acts: u32,
    /// Least bits of the image, of the weights of the first and the last layer, and of what the last layer reads.
    pub ends: u32,
    /// Layers with weight bits of their own.
    pub assignment: Option<Assignment>,
    /// Requantization: powers of two only, or any steps.
    pub requantize: Requantize,
    /// Which codes weights get.
    #[serde(default)]
    pub rounding: Rounding,
}

/// Bits of the codes of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Of each layer's weights.
    pub weights: Vec<u32>,
    /// Of the image, then of what each layer but the last passes on.
    pub acts: Vec<u32>,
    /// Levels of each layer's weights and of what it reads.
    pub levels: Vec<(Levels, Levels)>,
}

impl Bits {
    /// Digits of each layer on a build of the widths of `config`.
    pub fn digits(&self, config: &ArrayConfig) -> Vec<Digits> {
        let cut = |&(weights, read): &_| Digits::of(weights, read, config.weight_bits, config.act_bits);
        self.levels.iter().map(cut).collect()
    }
}

impl Coding {
    /// Levels as `vgg2rtl quantize` is told them.
    pub fn widths(&self) -> Widths {
        let layers = self.assignment.iter().flat_map(|a| a.layers.clone()).collect();
        Widths { ends: self.ends, layers, ..Widths::bits(self.weights.clamp(1, 31), self.acts.clamp(1, 31)) }
    }

    /// The recipe of post-training quantization: what else it holds are the defaults of `vgg2rtl quantize`.
    pub fn recipe(&self) -> Recipe {
        Recipe {
            mode: match self.requantize {
                Requantize::Scale => Mode::Free,
                Requantize::Pow2 => Mode::Pow2,
            },
            per_channel: true,
            method: Method::Mse,
            widths: self.widths(),
            equalise: true,
            rounding: self.rounding,
            correct_biases: true,
        }
    }

    /// Bits of each layer of `model`.
    ///
    /// # Errors
    /// Widths outside 2 … 16, and assignments to layers that the model does not have.
    pub fn bits(&self, model: &FloatModel) -> Result<Bits> {
        let widths = self.widths();
        let levels = widths.resolve(model)?;
        let outputs = levels[..levels.len() - 1].iter().map(|l| l.output);
        let read = std::iter::once(widths.input(true)).chain(outputs);
        let levels: Vec<_> = levels.iter().map(|l| l.weights).zip(read).collect();
        Ok(Bits {
            weights: levels.iter().map(|(weights, _)| weights.bits()).collect(),
            acts: levels.iter().map(|(_, read)| read.bits()).collect(),
            levels,
        })
    }
}
