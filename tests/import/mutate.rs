//! Random damage to files, for tests that nothing panics.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The file with a few bytes changed, cut short, or a range repeated.
pub fn mutated(bytes: &[u8], seed: u64) -> Vec<u8> {
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
