//! Any bytes as an ONNX file: a network or a reason, never a panic. Seeds: `tests/data/import`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use vgg2rtl::float::import::{Options, from_bytes};
use vgg2rtl::net::Shape;

fuzz_target!(|bytes: &[u8]| {
    if !bytes.starts_with(&[0x08]) {
        return;
    }
    let options = Options { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Options::default() };
    let _ = from_bytes(bytes, "fuzz", Path::new("."), &options);
});
