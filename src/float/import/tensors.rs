//! Named float tensors, from whatever file.

use safetensors::tensor::{Dtype, SafeTensors};
use std::collections::BTreeMap;

/// Tensors by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// One tensor: its numbers as f32, or the name of a type that is no float.
pub struct Tensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Row-major; `Err` holds the type's name.
    pub data: Result<Vec<f32>, String>,
}

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
}

impl Float {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Float::F16 | Float::Bf16 => 2,
            Float::F32 => 4,
            Float::F64 => 8,
        }
    }

    /// Little-endian bytes as numbers; a rest of less than one element is ignored.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let pairs = || bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        match self {
            Float::F16 => pairs().map(half).collect(),
            Float::Bf16 => pairs().map(|b| f32::from_bits(u32::from(b) << 16)).collect(),
            Float::F32 => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
            Float::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
        }
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

/// Every tensor of a `.safetensors` file.
pub fn read_safetensors(bytes: &[u8]) -> Result<Tensors, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| format!("not a safetensors file: {e}"))?;
    let read = |(name, view): (String, safetensors::tensor::TensorView)| {
        let float = match view.dtype() {
            Dtype::F16 => Ok(Float::F16),
            Dtype::BF16 => Ok(Float::Bf16),
            Dtype::F32 => Ok(Float::F32),
            Dtype::F64 => Ok(Float::F64),
            other => Err(format!("{other:?}")),
        };
        (name, Tensor { shape: view.shape().to_vec(), data: float.map(|f| f.decode(view.data())) })
    };
    Ok(file.tensors().into_iter().map(read).collect())
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
