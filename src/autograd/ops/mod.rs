//! The operations, one a file.

mod arithmetic;
mod batch_norm;
mod conv;
mod distill;
mod dropout;
mod flatten;
mod gemm;
mod im2col;
mod linear;
mod loss;
mod max_pool;
mod parallel;
mod relu;
mod winograd;

pub use batch_norm::Moments;
pub(crate) use parallel::per_channel_sum;
