//! What an import gives.

use super::affine::Affine;
use super::facts::Facts;
use super::quantized::Quantized;
use super::taps::Taps;
use crate::float::FloatModel;

/// A result whose error is the reason alone; the caller knows the file's name.
pub type Outcome<T> = std::result::Result<T, String>;

/// An imported network, and what was taken for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The network, batch norm folded.
    pub model: FloatModel,
    /// What was taken, and from where.
    pub facts: Facts,
    /// Names of its values in the source.
    pub taps: Taps,
    /// What the source does to its input before that is the network's; part of the preprocessing.
    pub(super) scaling: Option<Affine>,
    /// The integers, where the file holds such; `model` then has what they stand for.
    pub quantized: Option<Quantized>,
}
