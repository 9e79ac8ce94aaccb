//! Any bytes as a .pth file: a network or a reason, never a panic. Seeds: `tests/data/import`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use vgg2rtl::float::import::{Options, from_bytes};
use vgg2rtl::net::Shape;

fuzz_target!(|bytes: &[u8]| {
    // The zip of PyTorch 1.6 and later, or the pickles of before.
    if !bytes.starts_with(b"PK\x03\x04") && !bytes.starts_with(b"\x80\x02\x8a") {
        return;
    }
    let options = Options { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Options::default() };
    let _ = from_bytes(bytes, "fuzz", Path::new("."), &options);
});
