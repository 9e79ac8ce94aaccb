//! Dense little-endian bit packing: element 0 in the lowest bits of byte 0.

/// Appends fields of up to 64 bits.
#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that do not fill a byte yet, from the lowest.
    rest: u128,
    rest_bits: u32,
}

impl BitWriter {
    /// Appends the low `width` bits of `value`.
    pub fn put(&mut self, value: i64, width: u32) {
        let mask = u64::MAX >> (64 - width);
        self.rest |= ((value as u64 & mask) as u128) << self.rest_bits;
        self.rest_bits += width;
        while self.rest_bits >= 8 {
            self.bytes.push(self.rest as u8);
            self.rest >>= 8;
            self.rest_bits -= 8;
        }
    }

    /// Appends zeros up to a multiple of `bytes`.
    pub fn align(&mut self, bytes: usize) {
        if self.rest_bits > 0 {
            self.put(0, 8 - self.rest_bits);
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(bytes), 0);
    }

    /// The packed bytes, the last one filled up with zeros.
    pub fn finish(mut self) -> Vec<u8> {
        self.align(1);
        self.bytes
    }
}

/// The field of `width` bits at bit `offset`, zero-extended or sign-extended.
pub fn field(bytes: &[u8], offset: usize, width: u32, signed: bool) -> i64 {
    let (first, last) = (offset / 8, (offset + width as usize).div_ceil(8));
    let word = bytes[first..last].iter().rev().fold(0u128, |v, &byte| v << 8 | byte as u128);
    let unused = 64 - width;
    let top = ((word >> (offset % 8)) as u64) << unused;
    if signed { top as i64 >> unused } else { (top >> unused) as i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_packed_bytes() {
        let mut w = BitWriter::default();
        [1, 2, -1, 3].into_iter().for_each(|v| w.put(v, 3)); // 001 010 111 011, first in the low bits
        w.align(4);
        let bytes = w.finish();
        assert_eq!(bytes, [0b1101_0001, 0b0000_0111, 0, 0]);
        assert_eq!(field(&bytes, 3, 3, false), 2);
        assert_eq!(field(&bytes, 6, 3, true), -1);
        assert_eq!(field(&bytes, 6, 3, false), 7);
        assert_eq!(field(&bytes, 9, 3, true), 3);
    }

    #[test]
    fn every_width_round_trips() {
        for width in 1..=64u32 {
            let values = [0i64, -1, 1, i64::MIN >> (64 - width), i64::MAX >> (64 - width)];
            let mut w = BitWriter::default();
            values.iter().for_each(|&v| w.put(v, width));
            let bytes = w.finish();
            for (i, &v) in values.iter().enumerate() {
                let wrapped = v << (64 - width) >> (64 - width);
                assert_eq!(field(&bytes, i * width as usize, width, true), wrapped);
            }
        }
    }
}
