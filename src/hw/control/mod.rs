//! Control: when each part of the datapath does what.

mod digit_walk;
mod sequencer;
mod sweep;
mod turn;
mod walk;
mod weight_shifter;

pub use digit_walk::{DigitWalk, Shifts};
pub use sequencer::Sequencer;
pub use sweep::Sweep;
pub use turn::Turn;
pub use walk::Walk;
pub use weight_shifter::WeightShifter;
