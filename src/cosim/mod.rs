//! External tools and co-simulation of the emitted Verilog against the golden model.
//!
//! | file | what |
//! |---|---|
//! | [`tools`] | external programs: the only file that starts processes |
//! | `in_process`, `memory` | the accelerator and its memory in rust_hdl's simulator |
//! | `chain` | a whole network in process, every word compared |
//! | `verilator` | from Verilog to a simulator |
//! | `simulator` | one run of a simulator |
//! | `network` | whole networks: layers and images, side by side, every word compared |
//! | `compare` | golden words against others |
//! | `cache` | simulators and results by content |

mod cache;
mod chain;
mod compare;
mod in_process;
mod memory;
mod network;
mod pool;
mod simulator;
pub mod tools;
mod verilator;

pub use cache::Cache;
pub use chain::run_in_process;
pub use compare::{Comparison, Mismatch, compare};
pub use in_process::{InProcess, Run};
pub use memory::MemoryOptions;
pub use network::{LayerReport, Network};
pub use pool::in_parallel;
pub use simulator::{Job, Statistics, Waveform};
pub use verilator::{HARNESS, Simulator, build, build_quickly};
