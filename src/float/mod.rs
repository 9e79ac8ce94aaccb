//! Float networks and images: the VGG family, its importers, and data sets.

pub mod data;
mod forward;
pub mod import;
mod model;

pub use data::{DataSet, Split};
pub use forward::{Point, Seen};
pub use import::import;
pub use model::{BatchNorm, FloatLayer, FloatModel, WeightQuantizer};
