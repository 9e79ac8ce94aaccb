//! External tools and co-simulation of the emitted Verilog against the golden model.

mod compare;
mod in_process;
mod memory;
pub mod tools;

pub use compare::{Comparison, Mismatch, compare};
pub use in_process::{InProcess, Run};
pub use memory::MemoryOptions;
