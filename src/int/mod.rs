//! The integer network and its golden model: plain data, and a bit-accurate execution of it.

mod golden;
mod model;
pub mod random;

pub use golden::{Golden, Trace};
pub use model::{IntLayer, IntModel, Output, Quantizer};
