//! The hardware: blocks described once in Rust, simulated in process, emitted as Verilog.
//!
//! | folder or file | holds |
//! |---|---|
//! | [`Accelerator`] | the top |
//! | [`ComputeCore`] | from loaded buffers to accumulators |
//! | [`control`] | when each part of the datapath does what |
//! | [`datapath`] | array, buffers, accumulators, requantization, pooling |
//! | [`memory`] | external memory: AXI4 ports, FIFOs, from words of the bus to items and back |
//! | [`load`] | what to read when: activations and weights into the core's buffers |
//! | [`drain`] | from accumulators to written maps |
//! | [`host`] | registers, commands, errors |
//! | [`rt`] | signals, registers and constants whose widths are chosen when a circuit is built |
//! | [`emit`](mod@emit) | Verilog-2005 from a circuit, one module a file |
//!
//! Conventions of every block:
//! * the first fields are `clk_i: Signal<In, Clock>` and, where needed, `rst_ni: Signal<In, Bit>`, a synchronous reset,
//!   active low; registers that carry data are not reset;
//! * ports end in `_i` and `_o`; a single bit is `Signal<_, Bit>` (a `bool` in kernels), an integer is [`rt::Sig`],
//!   a vector of integers is [`rt::Lanes`];
//! * a kernel starts with `comment!("module name: what it is")`, which names the Verilog module.

#[cfg(test)]
pub(crate) mod check;
pub mod emit;
pub mod rt;

/// A comment in a kernel; the emitter reads `comment!("module name: what it is")`.
#[allow(unused_macros, reason = "kernels use it")]
macro_rules! comment {
    ($($text:tt)*) => {};
}
#[allow(unused_imports, reason = "kernels use it")]
pub(crate) use comment;

// After the macro: textual scope.
mod accelerator;
pub mod control;
mod core;
pub mod datapath;
pub mod drain;
pub mod host;
pub mod load;
pub mod memory;
mod verilog;

pub use self::accelerator::Accelerator;
pub use self::core::ComputeCore;
pub use verilog::{Prefix, TOP, hash, prefixed, verilog};
