//! What the host sees and says: registers, commands, errors.

mod base_register;
mod bases;
mod command;
mod controller;
mod counters;
mod fetch;
mod field_check;
#[expect(clippy::module_inception, reason = "the block is called what the folder is")]
mod host;
#[cfg(test)]
mod master;
mod registers;

pub use base_register::BaseRegister;
pub use bases::Bases;
pub use command::Command;
pub use controller::Controller;
pub use counters::Counters;
pub use fetch::Fetch;
pub use field_check::FieldCheck;
pub use host::Host;
pub use registers::Registers;
