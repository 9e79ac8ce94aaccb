//! Any bytes as a .pth file of `export --torch`: something sensible or a reason, never a panic.

#![no_main]

#[path = "../../tests/fuzz/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::read("exported_pth", bytes));
