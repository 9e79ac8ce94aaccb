//! What the host sees and says: registers, commands, errors.

mod counters;
#[cfg(test)]
mod master;
mod registers;

pub use counters::Counters;
pub use registers::Registers;
