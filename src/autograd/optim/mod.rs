//! From gradients to better parameters.

mod adam;
mod clip;
mod ema;
mod schedule;
mod sgd;

use super::{Tape, Tensor, Var};
use ndarray::ArrayD;
use std::collections::BTreeMap;

pub use adam::Adam;
pub use clip::clip_norm;
pub use ema::Average;
pub use schedule::{Decay, Schedule};
pub use sgd::Sgd;

/// A learned tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Unique in its set, for example `conv1_1.weight`.
    pub name: String,
    /// Shared with the tape of the step that runs.
    pub value: Tensor<f32>,
    /// Whether weight decay applies: weights yes; biases, batch norm and quantization steps no.
    pub decay: bool,
    /// Size of the parameter where it has one: Adam's updates, which know no size, are relative to it. 1
    /// for weights; a learned quantization step's starting value.
    pub size: f32,
}

/// Gradients in the order of the parameters; `None` where none arrived.
pub type Gradients = Vec<Option<ArrayD<f32>>>;

/// Takes the gradients of the parameters that stand at `places` from the tape.
pub fn gradients(tape: &mut Tape<f32>, places: &[Var]) -> Gradients {
    places.iter().map(|&x| tape.take_gradient(x)).collect()
}

/// An update rule with its state.
pub trait Optimizer: Send {
    /// One update of `parameters` at learning rate `rate`. The tape must have been cleared, or the
    /// parameters it shares are copied.
    fn step(&mut self, parameters: &mut [Parameter], gradients: &Gradients, rate: f64);

    /// State to keep in a checkpoint, by name.
    fn state(&self) -> BTreeMap<String, ArrayD<f32>>;

    /// Puts back what [`Optimizer::state`] gave.
    fn restore(&mut self, state: BTreeMap<String, ArrayD<f32>>);
}
