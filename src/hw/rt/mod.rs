//! Signals, registers and constants of run-time width on rust_hdl's traits.
//!
//! rust_hdl's own number types fix the width at compile time. Its derives, kernels, checks and simulator only need
//! `Atom`, `Block` and `Logic`, which the types here implement with widths chosen when the circuit is built.
//!
//! | type | value in a kernel | in Verilog |
//! |---|---|---|
//! | `Signal<D, Bit>` (rust_hdl's own) | `bool` | one bit |
//! | [`Sig<D>`] | `i64`, wrapped at assignment | vector of 1 to 63 bits, signed or not |
//! | [`Lanes<D>`] | [`Bus`], a cheap handle | one flat vector, lane 0 in the lowest bits |
//! | [`LayerPort<D>`] | [`Fields`], a cheap handle; each field a [`Sig`] | a port for each field that is read |
//! | [`K`] | `i64` | `localparam` |
//! | [`Reg`], [`LanesReg`], [`Flop`] | `d`, `q` as above | `reg`, no reset |

mod constant;
mod lanes;
mod layer;
mod reg;
mod sig;
mod template;
mod ty;

pub use constant::K;
pub use lanes::{Bus, Lanes};
pub use layer::{Fields, LayerPort};
pub use reg::{Flop, LanesReg, Reg};
pub use sig::Sig;
pub use template::Template;
pub use ty::{Ty, s, u};

pub(crate) use reg::FLIP_FLOP;

/// A module whose Verilog is `code`, which starts with `// module name: what it is`.
pub(crate) fn text(code: String) -> rust_hdl::prelude::Verilog {
    rust_hdl::prelude::Verilog::Wrapper(rust_hdl::prelude::Wrapper { code, cores: String::new() })
}
