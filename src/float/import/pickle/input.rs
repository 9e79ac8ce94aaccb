//! The bytes of a pickle.

/// A position in a pickle.
pub struct Input<'a> {
    /// The whole pickle, or more.
    pub bytes: &'a [u8],
    /// The next byte.
    pub at: usize,
}

impl<'a> Input<'a> {
    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(bytes)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    /// A little-endian number of `len` bytes, at most 8.
    pub fn unsigned(&mut self, len: usize) -> Option<usize> {
        let bytes = self.take(len)?;
        usize::try_from(bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b))).ok()
    }

    /// Text up to a line feed, which is consumed.
    pub fn line(&mut self) -> Option<&'a str> {
        let rest = self.bytes.get(self.at..)?;
        let len = rest.iter().position(|&b| b == b'\n')?;
        let line = std::str::from_utf8(self.take(len)?).ok();
        self.take(1)?;
        line
    }
}

/// Two's complement, little-endian, of up to 8 bytes; longer numbers are of no use here and saturate.
pub fn two_s_complement(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    if bytes.len() > 8 {
        return if negative { i64::MIN } else { i64::MAX };
    }
    let mut all = [if negative { 0xff } else { 0 }; 8];
    all[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(all)
}
