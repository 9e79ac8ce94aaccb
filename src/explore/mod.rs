//! What each bit costs and what it buys: many design points, their area, clock, cycles, traffic and accuracy.

mod accuracy;
mod area;
mod area_features;
mod area_memory;
mod area_model;
mod area_parts;
mod budget;
mod choice;
mod coding;
mod columns;
mod commands;
mod cost;
mod distributed;
mod family;
mod fill;
#[doc(hidden)]
pub mod fitting;
mod mixed;
mod mixed_front;
mod network;
mod outcome;
mod pareto;
mod part;
mod place;
pub mod report;
mod resources;
mod row;
mod run;
mod steps;
mod sweep;
mod synth;
mod synth_cells;
mod synth_source;
mod task;
mod tune;
mod watch;

pub use accuracy::{Evaluator, Images, Measured};
pub use area::{ModelError, estimate, held_out, is_modelled, model_error};
pub use budget::{Budget, Lack};
pub use choice::{cheapest, nearest};
pub use coding::{Assignment, Bits, Coding};
pub use cost::{NetworkCost, network_cost};
pub use distributed::{Distributed, Engine};
pub use family::Family;
pub use mixed::{Mixed, Search};
pub use network::Network;
pub use outcome::Outcome;
pub use pareto::{Axis, knee, mark};
pub use part::{PARTS, Part};
pub use place::place;
pub use report::Report;
pub use resources::Resources;
pub use row::{Row, Source};
pub use sweep::{Axes, Fixed, MOST_POINTS, Point};
pub use synth::synthesize;
pub use task::{External, Task};
pub use tune::Tuning;
pub use watch::{Event, Watch};

#[cfg(test)]
mod tests;
