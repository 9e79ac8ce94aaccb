//! External tools and co-simulation of the emitted Verilog against the golden model.

pub mod tools;
