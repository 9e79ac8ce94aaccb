//! The golden model: a bit-accurate execution of an [`IntModel`].
//!
//! | file | what |
//! |---|---|
//! | `reference` | the definition, term by term |
//! | `winograd`, `minimal`, `tiled` | convolutions on the fast path, their transforms and their feature maps |
//! | `dense` | dense layers on the fast path |
//! | `kernel`, `kernel_x86`, `isa` | the inner product for each instruction set |
//! | `requantize` | the requantization of a block of channels at once |
//! | `input` | what a run accepts |
//! | `scratch` | buffers that outlive a task |
//! | `wide` | layers that are too wide for the fast path |
//!
//! Which path a layer takes is decided once, from bounds proven on its integers; all give the same integers.

mod dense;
mod input;
mod isa;
mod kernel;
mod minimal;
pub mod reference;
mod requantize;
mod scratch;
mod tiled;
mod trace;
mod wide;
mod winograd;

pub use isa::Isa;
pub use trace::{Trace, TraceFile};

use super::{IntLayer, IntModel, Output};
use crate::net::{Op, Shape};
use crate::{Error, Result};
use input::check_input;
use ndarray::{Array2, Array4, ArrayView4, Axis, s};
use std::sync::Mutex;
use tiled::Tiled;

/// Feature maps of the images that run together, in bytes.
const BATCH_BYTES: usize = 128 << 20;

/// A model ready to run.
pub struct Golden<'a> {
    model: &'a IntModel,
    shapes: Vec<Shape>,
    plans: Vec<Plan>,
    isa: Isa,
    /// Memory of feature maps, for the next ones.
    spare: Mutex<Vec<Vec<i16>>>,
}

/// How a layer is executed.
enum Plan {
    Winograd(winograd::Winograd),
    Dense(dense::Dense),
    Wide,
}

/// The codes between two layers.
enum Map {
    Tiled(Tiled),
    /// `(image, channel, row, column)`.
    Plain(Array4<i32>),
}

impl<'a> Golden<'a> {
    /// Packs `model` for this machine; fails where [`IntModel::validate`] does.
    pub fn new(model: &'a IntModel) -> Result<Self> {
        Self::with_isa(model, Isa::best())
    }

    /// Packs `model` for `isa`, which must be available.
    pub fn with_isa(model: &'a IntModel, isa: Isa) -> Result<Self> {
        if !isa.is_available() {
            return Err(Error::usage("isa", format!("this machine has no {isa}")));
        }
        model.validate()?;
        Ok(Self::packed(model, isa))
    }

    /// Packs the first layers of a network that has no last one yet, for [`Golden::hidden`]. Each must be valid for the
    /// codes before it.
    pub fn unfinished(model: &'a IntModel) -> Self {
        Self::packed(model, Isa::best())
    }

    fn packed(model: &'a IntModel, isa: Isa) -> Self {
        let (shapes, quantizers) = (model.shapes(), model.input_quantizers());
        let inputs = shapes.iter().zip(&quantizers);
        let plan = |(layer, (&shape, x)): (&IntLayer, (&Shape, &super::Quantizer))| match layer.op {
            Op::Conv { .. } => {
                winograd::Winograd::new(layer, shape, x.levels).map_or(Plan::Wide, Plan::Winograd)
            }
            Op::Dense { .. } => dense::Dense::new(layer, x.levels).map_or(Plan::Wide, Plan::Dense),
        };
        let plans = model.layers.iter().zip(inputs).map(plan).collect();
        Self { model, shapes, plans, isa, spare: Mutex::default() }
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Names of the layers that are too wide for the fast path.
    pub fn wide_layers(&self) -> Vec<&str> {
        let layers = self.model.layers.iter().zip(&self.plans);
        layers.filter(|(_, plan)| matches!(plan, Plan::Wide)).map(|(layer, _)| &layer.name[..]).collect()
    }

    /// Logits `(image, class)` of input codes `(image, channel, row, column)`.
    pub fn logits(&self, codes: ArrayView4<i32>) -> Result<Array2<i64>> {
        self.run(codes, |_, _, _| {})
    }

    /// Every layer's output for input codes `(image, channel, row, column)`.
    pub fn trace(&self, codes: ArrayView4<i32>) -> Result<Trace> {
        let shape = |s: &Shape| (codes.dim().0, s.c, s.h, s.w);
        let outputs = &self.shapes[1..self.shapes.len() - 1];
        let mut activations: Vec<_> = outputs.iter().map(|s| Array4::zeros(shape(s))).collect();
        let logits = self.run(codes, |layer, first, map| {
            let y = map.to_plain();
            activations[layer].slice_mut(s![first..first + y.dim().0, .., .., ..]).assign(&y);
        })?;
        Ok(Trace { activations, logits })
    }

    /// Runs as many images at a time as fit the memory; `see(layer, first image, codes)` looks at every output.
    fn run(&self, codes: ArrayView4<i32>, mut see: impl FnMut(usize, usize, &Map)) -> Result<Array2<i64>> {
        check_input(self.model, codes)?;
        let widest = self.shapes.iter().map(|s| 4 * s.len()).max().unwrap_or(1);
        let together = (BATCH_BYTES / widest).max(1);
        let classes = self.shapes.last().map_or(0, |s| s.c);
        let mut logits = Array2::zeros((codes.dim().0, classes));
        for (i, images) in codes.axis_chunks_iter(Axis(0), together).enumerate() {
            let first = i * together;
            let part = self.run_together(images, |layer, map| see(layer, first, map));
            logits.slice_mut(s![first..first + part.dim().0, ..]).assign(&part);
        }
        Ok(logits)
    }

    fn run_together(&self, codes: ArrayView4<i32>, mut see: impl FnMut(usize, &Map)) -> Array2<i64> {
        let mut x = Map::Plain(codes.to_owned());
        for (i, layer) in self.model.layers.iter().enumerate() {
            if layer.output == Output::Logits {
                return self.accumulate(layer, &self.plans[i], &x);
            }
            x = self.layer(i, x);
            see(i, &x);
        }
        unreachable!("a valid model ends in logits")
    }

    /// Codes after the last layer of an unfinished network, for those that its first one reads.
    pub fn hidden(&self, codes: ArrayView4<i32>) -> Array4<i32> {
        let first = Map::Plain(codes.to_owned());
        (0..self.model.layers.len()).fold(first, |x, i| self.layer(i, x)).to_plain()
    }

    /// What hidden layer `i` makes of `x`.
    fn layer(&self, i: usize, x: Map) -> Map {
        let layer = &self.model.layers[i];
        match &self.plans[i] {
            Plan::Winograd(plan) => {
                let x = match x {
                    Map::Tiled(x) => x,
                    Map::Plain(x) => Tiled::from_plain(x.view(), self.take()),
                };
                let mut y = Tiled::framed(x.images, self.shapes[i + 1], self.take());
                plan.run(self.isa, &x, &mut y);
                self.give(x);
                Map::Tiled(y)
            }
            plan @ Plan::Dense(_) => {
                let y = dense::requantized(layer, &self.accumulate(layer, plan, &x));
                if let Map::Tiled(x) = x {
                    self.give(x);
                }
                Map::Plain(y.insert_axis(Axis(2)).insert_axis(Axis(3)))
            }
            Plan::Wide => {
                let y = wide::requantized(layer, &wide::accumulate(layer, x.to_plain().view()));
                let pool = matches!(layer.op, Op::Conv { pool: true, .. });
                Map::Plain(if pool { reference::max_pool(&y) } else { y })
            }
        }
    }

    fn take(&self) -> Vec<i16> {
        self.spare.lock().expect("nobody panics with it").pop().unwrap_or_default()
    }

    fn give(&self, map: Tiled) {
        self.spare.lock().expect("nobody panics with it").push(map.into_buffer());
    }

    /// Accumulators `(image, channel)` of a dense layer, or of a convolution that ends a network of 1×1 images.
    fn accumulate(&self, layer: &IntLayer, plan: &Plan, x: &Map) -> Array2<i64> {
        let x = x.to_plain();
        if let Plan::Dense(plan) = plan {
            return plan.run(self.isa, layer, x.view());
        }
        let acc = wide::accumulate(layer, x.view());
        let (images, channels, ..) = acc.dim();
        acc.into_shape_with_order((images, channels)).expect("logits are 1×1")
    }
}

impl Map {
    fn to_plain(&self) -> Array4<i32> {
        match self {
            Map::Tiled(x) => x.to_plain(),
            Map::Plain(x) => x.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
