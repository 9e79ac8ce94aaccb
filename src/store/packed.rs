//! Codes of fewer than 8 bits in a stream of bits: two's complement, lowest bit first, one code after the other, the
//! last byte filled up with zeros.

use rayon::prelude::*;
use std::ops::RangeInclusive;

/// Widths that are packed.
pub const BITS: RangeInclusive<u32> = 2..=7;
/// So many codes take a whole number of bytes: as many as a code has bits.
const GROUP: usize = 8;
/// Groups that a thread packs at a time.
const GROUPS: usize = 4096;

/// Bytes of `codes` codes of `bits` bits.
pub const fn size(codes: usize, bits: u32) -> usize {
    (codes * bits as usize).div_ceil(8)
}

/// The bytes of codes that fit `bits` bits, which are in [`BITS`].
pub fn pack(codes: &[i16], bits: u32) -> Vec<u8> {
    let mut bytes = vec![0; size(codes.len(), bits)];
    let parts = bytes.par_chunks_mut(GROUPS * bits as usize).zip(codes.par_chunks(GROUPS * GROUP));
    parts.for_each(|(bytes, codes)| {
        for (bytes, codes) in bytes.chunks_mut(bits as usize).zip(codes.chunks(GROUP)) {
            let stream = codes.iter().rev().fold(0, |stream, &code| stream << bits | field(code, bits));
            bytes.copy_from_slice(&stream.to_le_bytes()[..bytes.len()]);
        }
    });
    bytes
}

/// `count` codes of `bits` bits; `None` unless `bytes` is what [`pack`] makes of them.
pub fn unpack(bytes: &[u8], bits: u32, count: usize) -> Option<Vec<i16>> {
    let spare = bytes.len().checked_mul(8)?.checked_sub(count.checked_mul(bits as usize)?)?;
    let filled = bytes.last().map_or(0, |&last| last as u32) >> (8 - spare.min(8));
    if spare >= 8 || filled != 0 {
        return None;
    }
    let mut codes = vec![0; count];
    let parts = bytes.par_chunks(GROUPS * bits as usize).zip(codes.par_chunks_mut(GROUPS * GROUP));
    parts.for_each(|(bytes, codes)| {
        for (bytes, codes) in bytes.chunks(bits as usize).zip(codes.chunks_mut(GROUP)) {
            let stream = bytes.iter().rev().fold(0, |stream, &byte| stream << 8 | byte as u64);
            for (i, code) in codes.iter_mut().enumerate() {
                *code = signed(stream >> (i as u32 * bits), bits);
            }
        }
    });
    Some(codes)
}

/// The lowest `bits` bits of a code.
fn field(code: i16, bits: u32) -> u64 {
    code as u64 & ((1 << bits) - 1)
}

/// The code whose lowest `bits` bits are those of `stream`.
fn signed(stream: u64, bits: u32) -> i16 {
    let unused = u64::BITS - bits;
    ((stream << unused) as i64 >> unused) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// Typed by hand: −4, 3, −1, 1, 0 are 100, 011, 111, 001, 000; from the last to the first 000 001 1 | 11 011 100.
    #[test]
    fn the_first_code_has_the_lowest_bits() {
        let codes = [-4, 3, -1, 1, 0];
        assert_eq!(pack(&codes, 3), [0b1101_1100, 0b0000_0011]);
        assert_eq!(unpack(&[0b1101_1100, 0b0000_0011], 3, 5).unwrap(), codes);
    }

    #[test]
    fn codes_come_back_at_every_width_and_count() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for bits in BITS {
            let half = 1i16 << (bits - 1);
            for count in [0, 1, 7, 8, 9, 1000, GROUPS * GROUP, 2 * GROUPS * GROUP + 3] {
                let codes: Vec<i16> = (0..count).map(|_| rng.random_range(-half..half)).collect();
                let bytes = pack(&codes, bits);
                assert_eq!(bytes.len(), size(count, bits));
                assert_eq!(unpack(&bytes, bits, count).unwrap(), codes, "{count} codes of {bits} bits");
            }
        }
    }

    #[test]
    fn other_sizes_and_filled_ends_are_refused() {
        assert_eq!(unpack(&[0, 0], 4, 5), None); // a byte is missing
        assert_eq!(unpack(&[0, 0], 4, 2), None); // one too many
        assert_eq!(unpack(&[0x10], 4, 1), None); // the last half is not zero
        assert_eq!(unpack(&[0x0f], 4, 1), Some(vec![-1]));
        assert_eq!(unpack(&[], 4, usize::MAX), None);
    }
}
