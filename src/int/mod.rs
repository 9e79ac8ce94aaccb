//! The integer network and its golden model: plain data, and a bit-accurate execution of it.

pub mod golden;
mod model;
pub mod random;

pub use crate::arith::Quantizer;
pub use golden::{Golden, Isa, Trace, TraceFile, reference};
pub use model::{IntLayer, IntModel, Output};
