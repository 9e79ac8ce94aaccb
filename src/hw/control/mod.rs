//! Control: when each part of the datapath does what.

mod sequencer;
mod sweep;
mod walk;
mod weight_shifter;

pub use sequencer::Sequencer;
pub use sweep::Sweep;
pub use walk::Walk;
pub use weight_shifter::WeightShifter;
