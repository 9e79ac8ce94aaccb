//! What each bit costs and what it buys: many design points, their area, clock, cycles, traffic and accuracy.

#[cfg(test)]
mod area_fit;
#[cfg(test)]
mod area_points;
mod family;
mod resources;
mod synth;
mod synth_cells;
mod synth_source;

pub use family::Family;
pub use resources::Resources;
pub use synth::synthesize;
