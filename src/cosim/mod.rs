//! External tools and co-simulation of the emitted Verilog against the golden model.

mod compare;
pub mod tools;

pub use compare::{Comparison, Mismatch, compare};
