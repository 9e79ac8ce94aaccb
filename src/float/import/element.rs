//! Element types of tensors, and their bytes as numbers.

/// Element types of weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Float {
    /// IEEE half precision.
    F16,
    /// The upper half of an f32.
    Bf16,
    /// Single precision.
    F32,
    /// Double precision, rounded to single.
    F64,
    /// 8-bit integers, as the ones below no type of weights.
    I8,
    /// 16-bit integers.
    I16,
    /// 32-bit integers.
    I32,
    /// 64-bit integers.
    I64,
}

impl Float {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Float::I8 => 1,
            Float::F16 | Float::Bf16 | Float::I16 => 2,
            Float::F32 | Float::I32 => 4,
            Float::F64 | Float::I64 => 8,
        }
    }

    /// Little-endian bytes as numbers; a rest of less than one element is ignored.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let mut values = vec![];
        self.decode_into(bytes, &mut values);
        values
    }

    /// As [`Float::decode`], appended to `values`.
    pub fn decode_into(self, bytes: &[u8], values: &mut Vec<f32>) {
        let pairs = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        match self {
            Float::F16 => values.extend(pairs().map(half)),
            Float::Bf16 => values.extend(pairs().map(|b| f32::from_bits(u32::from(b) << 16))),
            Float::F32 => values.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
            Float::F64 => values.extend(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32)),
            Float::I8 => values.extend(bytes.iter().map(|&b| f32::from(b as i8))),
            Float::I16 => values.extend(pairs().map(|b| f32::from(b as i16))),
            Float::I32 => values.extend(bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b) as f32)),
            Float::I64 => values.extend(bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f32)),
        }
    }
}

impl Float {
    /// Whether it is one of integers.
    pub fn is_integer(self) -> bool {
        matches!(self, Float::I8 | Float::I16 | Float::I32 | Float::I64)
    }

    /// Little-endian bytes as integers, if it is a type of such.
    pub fn integers(self, bytes: &[u8]) -> Option<Vec<i64>> {
        Some(match self {
            Float::I8 => bytes.iter().map(|&b| (b as i8).into()).collect(),
            Float::I16 => bytes.as_chunks().0.iter().map(|b| i16::from_le_bytes(*b).into()).collect(),
            Float::I32 => bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b).into()).collect(),
            Float::I64 => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
            Float::F16 | Float::Bf16 | Float::F32 | Float::F64 => return None,
        })
    }
}

/// IEEE 754 binary16 as f32, exactly.
fn half(bits: u16) -> f32 {
    let (sign, exponent, fraction) = (bits >> 15, bits >> 10 & 31, bits & 1023);
    let magnitude = match exponent {
        0 => f32::from(fraction) * 2f32.powi(-24),
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        e => f32::from(1024 + fraction) * 2f32.powi(i32::from(e) - 25),
    };
    if sign == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_by_hand() {
        // Bit patterns from IEEE 754-2019, table 3.5 and its examples.
        let table = [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x3555, 1365.0 / 4096.0),
            (0x0001, 5.9604645e-8),
        ];
        for (bits, want) in table {
            assert_eq!(half(bits), want, "{bits:04x}");
        }
        assert_eq!(half(0xfc00), f32::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
        assert_eq!(Float::Bf16.decode(&[0x80, 0x3f, 0]), [1.0]);
    }
}
