//! What each bit costs and what it buys: many design points, their area, clock, cycles, traffic and accuracy.

mod area;
mod area_features;
#[cfg(test)]
mod area_fit;
mod area_model;
mod area_parts;
#[cfg(test)]
mod area_points;
mod family;
mod place;
mod resources;
mod synth;
mod synth_cells;
mod synth_source;

pub use area::{ModelError, estimate, held_out, model_error};
pub use family::Family;
pub use place::place;
pub use resources::Resources;
pub use synth::synthesize;
