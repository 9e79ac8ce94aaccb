//! Float networks and images: the VGG family, its importers, and data sets.

mod model;

pub use model::{BatchNorm, FloatLayer, FloatModel};
