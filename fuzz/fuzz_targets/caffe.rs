//! Any bytes as a .caffemodel: something sensible or a reason, never a panic.

#![no_main]

#[path = "../../tests/fuzz/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::read("caffe", bytes));
