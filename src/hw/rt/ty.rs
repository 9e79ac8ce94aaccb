//! Width and sign of an integer signal.

use rust_hdl::prelude::*;

/// Two's complement or unsigned integer of 1 to 63 bits; of 64 where nothing computes with it: an address of memory, whose
/// value is the bits of an `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ty {
    /// 1 … 64.
    pub bits: u32,
    /// Whether the top bit is the sign.
    pub signed: bool,
}

/// Unsigned integer of `bits` bits.
pub const fn u(bits: u32) -> Ty {
    Ty { bits, signed: false }
}

/// Two's complement integer of `bits` bits.
pub const fn s(bits: u32) -> Ty {
    Ty { bits, signed: true }
}

impl Ty {
    /// `x` modulo 2^bits, in the range of the type.
    #[inline(always)]
    pub const fn wrap(self, x: i64) -> i64 {
        let spare = 64 - self.bits;
        if self.signed { (x << spare) >> spare } else { (((x as u64) << spare) >> spare) as i64 }
    }

    /// Least and greatest value.
    pub const fn range(self) -> (i64, i64) {
        let top = 1i64 << (self.bits - 1);
        if self.signed { (-top, top - 1) } else { (0, top - 1 + top) }
    }

    /// The name and kind by which rust_hdl knows the type.
    pub(super) fn descriptor(self) -> TypeDescriptor {
        let n = self.bits as usize;
        if self.signed {
            TypeDescriptor { name: format!("Signed::<{n}>"), kind: TypeKind::Signed(n) }
        } else {
            TypeDescriptor { name: format!("Bits::<{n}>"), kind: TypeKind::Bits(n) }
        }
    }

    /// The bits of `x`, most significant first.
    pub(super) fn bits_of(self, x: i64) -> impl Iterator<Item = bool> {
        (0..self.bits).rev().map(move |i| x >> i & 1 == 1)
    }
}

/// Bits, most significant first, as rust_hdl traces them.
pub(super) fn traced(bits: impl Iterator<Item = bool>) -> VCDValue {
    let value = |bit| match VCDValue::from(bit) {
        VCDValue::Single(value) => Some(value),
        _ => None,
    };
    VCDValue::Vector(bits.filter_map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_like_twos_complement() {
        assert_eq!([s(4).wrap(7), s(4).wrap(8), s(4).wrap(-9), s(1).wrap(1)], [7, -8, 7, -1]);
        assert_eq!([u(4).wrap(16), u(4).wrap(-1), u(63).wrap(-1)], [0, 15, i64::MAX]);
    }

    #[test]
    fn ranges_are_fixed_points_of_wrap() {
        assert_eq!((s(8).range(), u(8).range(), u(63).range()), ((-128, 127), (0, 255), (0, i64::MAX)));
        for ty in [s(1), s(8), s(63), u(1), u(8), u(63)] {
            let (least, most) = ty.range();
            assert_eq!((ty.wrap(least), ty.wrap(most)), (least, most));
            assert_eq!(ty.wrap(most.wrapping_add(1)), least);
        }
    }
}
