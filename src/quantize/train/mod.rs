//! Training, in float and with quantizers: `Trainer::new`, then [`Trainer::run`].
//!
//! Everything random follows from the seed and the step's number, nothing from threads or time: a run
//! repeats exactly, and one resumed from a checkpoint ends where the uninterrupted one does.

mod augment;
mod checkpoint;
mod curve;
mod data;
mod evaluate;
mod fresh;
mod options;
#[cfg(feature = "plots")]
mod plot;
mod trainer;
pub mod tuned;

pub use augment::Augment;
pub use curve::{Curve, Point};
pub use data::Data;
pub use evaluate::{accuracy, agreement};
pub use fresh::{vgg, with_new_head};
pub use options::{Distill, Options, Rule};
pub use trainer::{Progress, Trainer};

#[cfg(test)]
mod tests;
