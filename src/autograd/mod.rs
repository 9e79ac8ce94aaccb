//! Reverse-mode automatic differentiation on `ndarray`, as much as training a VGG needs.
//!
//! A [`Tape`] records operations as they run; [`Tape::backward`] walks it in reverse. Each operation is a
//! method of the tape in a file of its own under `ops/`, with its forward, its backward and its gradient check.
//!
//! | file | holds |
//! |---|---|
//! | `tape.rs` | the tape: values, gradients, the reverse walk |
//! | `buffers.rs` | memory that one training step leaves to the next |
//! | `real.rs` | `f32` for training, `f64` for gradient checks and bit-exact evaluation |
//! | `check.rs` | analytic gradients against central differences |
//! | `ops/` | one operation a file |
//! | `optim/` | optimizers, schedules, clipping, weight averages |
//!
//! Feature maps are `(image, row, column, channel)`, kernels `(co, ky, kx, ci)`, matrices `(image, feature)`.
//! Results do not depend on the number of threads: sums are cut into blocks that follow from the shapes alone.
//!
//! Operations panic on operands whose shapes do not fit, as `ndarray` does: that is a fault of the program,
//! not of its input.

mod buffers;
mod check;
mod ops;
pub mod optim;
mod real;
mod tape;

pub use check::worst_gradient_error;
pub use ops::Moments;
pub use real::{Real, Tensor};
pub use tape::{Tape, Var};

pub(crate) use ops::per_channel_sum;
