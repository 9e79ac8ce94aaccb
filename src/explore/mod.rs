//! What each bit costs and what it buys: many design points, their area, clock, cycles, traffic and accuracy.

mod family;
mod resources;

pub use family::Family;
pub use resources::Resources;
