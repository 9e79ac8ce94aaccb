//! As much of Python's pickle as checkpoints and data sets use, executing nothing: calls of anything but the few
//! functions that rebuild tensors, arrays and dicts become [`Value::Object`].
//!
//! Opcodes: Python's `Lib/pickletools.py`. Values lie in one arena, so that no nesting can overflow the stack.

mod access;
mod call;
mod input;
mod machine;
mod value;

pub use machine::Machine;
pub use value::{Array, Storage, Tensor, Value, short};
