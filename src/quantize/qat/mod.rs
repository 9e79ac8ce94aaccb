#![doc = include_str!("../../../docs/qat.md")]

mod accumulate;
mod build;
pub mod fake;
mod fake_quantize;
mod layer;
mod learn;
mod lower;
mod net;
mod start;

pub use build::Spec;
pub use fake_quantize::FakeQuantizer;
pub use layer::{Integers, Layer, Norm, Site};
pub use learn::Learn;
pub use net::{Forward, Net, Phase};
pub use start::mse_step;
