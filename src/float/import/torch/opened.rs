//! A checkpoint whose pickle has been run, and whose storages have been found.

use crate::float::import::element::Float;
use crate::float::import::pickle::Machine;
use std::collections::HashMap;

/// A checkpoint's pickle, and where its storages lie in the file: first byte and bytes by key.
pub struct Opened {
    /// The pickle, run.
    pub machine: Machine,
    /// Places, or why there is none.
    pub storages: HashMap<String, Result<(u64, u64), String>>,
}

/// Bytes of an element of a storage's kind, and its type where that is a float.
pub fn element(storage: &str) -> (usize, Option<Float>) {
    match storage {
        "HalfStorage" => (2, Some(Float::F16)),
        "BFloat16Storage" => (2, Some(Float::Bf16)),
        "FloatStorage" => (4, Some(Float::F32)),
        "DoubleStorage" => (8, Some(Float::F64)),
        "CharStorage" => (1, Some(Float::I8)),
        "ShortStorage" => (2, Some(Float::I16)),
        "IntStorage" => (4, Some(Float::I32)),
        "LongStorage" => (8, Some(Float::I64)),
        "QInt32Storage" => (4, None),
        "ComplexFloatStorage" => (8, None),
        "ComplexDoubleStorage" => (16, None),
        _ => (1, None),
    }
}
