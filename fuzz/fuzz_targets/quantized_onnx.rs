//! Any bytes as a quantized ONNX file: something sensible or a reason, never a panic.

#![no_main]

#[path = "../../tests/fuzz/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::read("quantized_onnx", bytes));
