//! Every integer that a run of a network produced.

use crate::Result;
use crate::int::IntModel;
use crate::store::{self, Tensor};
use ndarray::{Array2, Array4, ArrayView4};
use serde::Serialize;
use std::path::Path;

const FORMAT: &str = "vgg2rtl-trace";
/// Name of the input codes' tensor.
pub const INPUT: &str = "input";

/// Output codes of every layer but the last, then the logits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Codes after requantization and pool, `(image, channel, row, column)`, one a layer but the last.
    pub activations: Vec<Array4<i32>>,
    /// Accumulators of the last layer, `(image, class)`.
    pub logits: Array2<i64>,
}

#[derive(Serialize)]
struct Description<'a> {
    format: &'a str,
    version: u32,
    /// In the order of the network; the first is the input, the last the logits.
    tensors: Vec<&'a str>,
}

impl Trace {
    /// Integers in it.
    pub fn words(&self) -> usize {
        self.activations.iter().map(|x| x.len()).sum::<usize>() + self.logits.len()
    }

    /// Writes a `.safetensors` file: the input codes as tensor `input`, then one tensor a layer of `model` under
    /// the layer's name, the last one `(image, class)`; each in the narrowest signed integer type that holds it.
    pub fn save(&self, path: &Path, model: &IntModel, input: ArrayView4<i32>) -> Result<()> {
        let codes = std::iter::once(input).chain(self.activations.iter().map(|x| x.view()));
        let integers = |x: ArrayView4<i32>| {
            Tensor::integers(x.shape(), &x.iter().map(|&code| code.into()).collect::<Vec<_>>())
        };
        let logits: Vec<i64> = self.logits.iter().copied().collect();
        let logits = Tensor::integers(self.logits.shape(), &logits);
        let names: Vec<&str> =
            std::iter::once(INPUT).chain(model.layers.iter().map(|l| l.name.as_str())).collect();
        let tensors = names.iter().map(|name| name.to_string()).zip(codes.map(integers).chain([logits]));
        let tensors: Vec<_> = tensors.collect();
        store::write(path, &Description { format: FORMAT, version: store::VERSION, tensors: names }, &tensors)
    }
}
