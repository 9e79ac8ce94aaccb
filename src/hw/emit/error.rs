//! What is wrong with a circuit.

/// A result, or the module, the signal and the rule that is broken.
pub type Result<T> = std::result::Result<T, String>;
