//! What the host sees and says: registers, commands, errors.

mod command;
mod controller;
mod counters;
mod fetch;
mod field_check;
#[cfg(test)]
mod master;
mod registers;

pub use command::Command;
pub use controller::{Controller, ErrorCode};
pub use counters::Counters;
pub use fetch::Fetch;
pub use field_check::FieldCheck;
pub use registers::Registers;
