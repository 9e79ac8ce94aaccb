//! Damaged files are refused with a reason: never a panic, never an allocation that the file does not justify.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::Path;
use vgg2rtl::float::import::{Options, from_bytes};
use vgg2rtl::net::Shape;

/// Mutations of each file of the corpus.
const MUTATIONS: u64 = 1500;

/// The file with a few bytes changed, cut short, or a range repeated.
fn mutated(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut out = bytes.to_vec();
    // Half of the mutations hit the first kilobytes, where the structure of most formats lies.
    let reach = if rng.random() { out.len().min(4096) } else { out.len() };
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..reach);
        match rng.random_range(0..4) {
            0 => out[at] = rng.random(),
            1 => out[at] ^= 1 << rng.random_range(0..8),
            2 => out[at] = *[0, 1, 0x7f, 0x80, 0xff].get(rng.random_range(0..5usize)).unwrap(),
            _ => out[at] = out[rng.random_range(0..bytes.len())],
        }
    }
    match rng.random_range(0..8) {
        0 => out.truncate(rng.random_range(0..bytes.len())),
        1 => {
            let at = rng.random_range(0..reach);
            let piece = out[at..(at + 64).min(bytes.len())].to_vec();
            out.splice(at..at, piece);
        }
        _ => {}
    }
    out
}

#[test]
fn mutated_files_never_panic() {
    let options = Options { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Options::default() };
    for name in ["vgg11_bn.pth", "vgg16.safetensors", "vgg13.onnx", "keras.onnx"] {
        let bytes = std::fs::read(super::data().join(name)).unwrap();
        let mut refused = 0;
        for seed in 0..MUTATIONS {
            let file = mutated(&bytes, seed);
            match from_bytes(&file, name, Path::new("."), &options) {
                Err(reason) => {
                    assert!(!reason.is_empty());
                    refused += 1;
                }
                Ok(model) => drop(model.validate()),
            }
        }
        assert!(refused > MUTATIONS / 20, "{name}: only {refused} of {MUTATIONS} refused");
    }
}
