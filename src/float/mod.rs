//! Float networks and images: the VGG family, its importers, and data sets.

pub mod data;
mod forward;
mod model;

pub use data::{DataSet, Split};
pub use forward::{Point, Seen};
pub use model::{BatchNorm, FloatLayer, FloatModel};
