//! External tools and co-simulation of the emitted Verilog against the golden model.
//!
//! | file | what |
//! |---|---|
//! | [`tools`] | external programs: the only file that starts processes |
//! | `simulator` | what a simulator is: one run, from a memory image to its output |
//! | `bases` | where model and data lie |
//! | `in_process`, `memory` | the accelerator and its memory in rust_hdl's simulator |
//! | `verilator` | its Verilog, compiled by Verilator |
//! | `icarus` | its Verilog in Icarus |
//! | `engine` | the choice between them |
//! | `network` | whole networks: layers and images, side by side, every word compared |
//! | `testbench` | a scheduled network, its Verilog and a simulator of it |
//! | `compare` | golden words against others |
//! | `fault` | a wrong bit on purpose |
//! | `cache` | simulators and results by content |

mod bases;
mod cache;
mod compare;
mod engine;
mod fault;
mod icarus;
mod in_process;
mod memory;
mod network;
mod pool;
mod simulator;
mod testbench;
pub mod tools;
mod verilator;

pub use bases::Bases;
pub use cache::Cache;
pub use compare::{Comparison, Mismatch, compare};
pub use engine::Engine;
pub use fault::{Fault, inject};
pub use icarus::Icarus;
pub use in_process::{Device, InProcess};
pub use memory::{MemoryOptions, Traffic};
pub use network::{LayerReport, Network};
pub use pool::in_parallel;
pub use simulator::{Job, Simulator, Statistics, Waveform};
pub use testbench::Testbench;
pub use verilator::{HARNESS, Verilated, build, build_quickly};
