//! What the program that fits the area model needs (`examples/fit_area`); no one else does.

pub use super::area::error;
pub use super::area_features::{features, is_hard_product};
pub use super::area_model::{Kind, Model, RESOURCES};
pub use super::area_parts::{Part, parts};
pub use super::synth::{cells, own};
pub use super::synth_cells::resources;
pub use super::synth_source::{Source, hashes, renamed, sources};
