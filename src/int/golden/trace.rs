//! Every integer that a run of a network produced.

use crate::Result;
use crate::int::IntModel;
use crate::store::{self, Spool};
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

    /// Writes a [`TraceFile`] of this batch alone.
    ///
    /// # Errors
    /// A path that cannot be written, a full disk.
    pub fn save(&self, path: &Path, model: &IntModel, input: ArrayView4<i32>) -> Result<()> {
        let mut file = TraceFile::new(model)?;
        file.add(input, self)?;
        file.save(path)
    }
}

/// A `.safetensors` file of the traces of many batches, which lie on disk until it is written: the input codes as tensor
/// `input`, then one tensor a layer of the model under the layer's name, the last one `(image, class)`; each in the narrowest
/// signed integer type that holds its codes' levels, or the sums of the last layer.
pub struct TraceFile<'a> {
    names: Vec<&'a str>,
    tensors: Vec<Spool>,
}

impl<'a> TraceFile<'a> {
    /// A file without batches.
    ///
    /// # Errors
    /// The folder for temporary files that cannot be written.
    pub fn new(model: &'a IntModel) -> Result<Self> {
        let codes =
            model.input_quantizers().into_iter().map(|q| q.levels.bits() + u32::from(!q.levels.is_signed()));
        let bits = codes.chain(model.accumulator_bits().last().copied());
        Ok(Self {
            names: std::iter::once(INPUT).chain(model.layers.iter().map(|l| l.name.as_str())).collect(),
            tensors: bits.map(Spool::new).collect::<Result<_>>()?,
        })
    }

    /// Appends the codes that the network read and what became of them.
    ///
    /// # Errors
    /// A full disk.
    pub fn add(&mut self, input: ArrayView4<i32>, trace: &Trace) -> Result<()> {
        let codes = std::iter::once(input).chain(trace.activations.iter().map(|x| x.view()));
        for (tensor, x) in self.tensors.iter_mut().zip(codes) {
            tensor.push(x.shape(), x.iter().map(|&code| code.into()))?;
        }
        let sums = self.tensors.last_mut().expect("a network has a last layer");
        sums.push(trace.logits.shape(), trace.logits.iter().copied())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// A path that cannot be written, a full disk.
    pub fn save(self, path: &Path) -> Result<()> {
        let tensors = self.names.iter().map(|name| name.to_string()).zip(self.tensors).collect();
        let description = Description { format: FORMAT, version: store::VERSION, tensors: self.names };
        store::write_spooled(path, &description, tensors)
    }
}
