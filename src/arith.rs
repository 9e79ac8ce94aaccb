//! The arithmetic contract: the one place in the project that rounds.
//!
//! All rounding is round half to even, once, as in `torch.round`, `numpy.rint` and ONNX QuantizeLinear.
//! Training, the golden model, the hardware's tests and the importers call these functions; the hardware
//! implements [`requantize`] and is compared with it word by word.
//!
//! | item | formula |
//! |---|---|
//! | quantize | `q = clip(rne(x / step), a, b)`, `x ≈ q · step` |
//! | accumulate | `acc = Σ w_q · x_q + bias_q`, `bias_q = rne(bias / (step_w · step_x))` |
//! | requantize | `y = clip(rne(acc · m / 2^s), a, b)`, 1 ≤ m < 2^16, 0 ≤ s < 48 |

use serde::{Deserialize, Serialize};

/// Bits of the multiplier `m` of a [`Multiplier`].
pub const MULTIPLIER_BITS: u32 = 16;
/// Bits of a shift s.
pub const SHIFT_BITS: u32 = 6;
/// Shifts of a [`Multiplier`] are below this.
pub const SHIFT_LIMIT: u32 = 48;
/// Narrowest and widest weights and activations, in bits.
pub const WIDTHS: std::ops::RangeInclusive<u32> = 2..=16;

/// Inclusive range of integer codes, `a ≤ 0 ≤ b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Levels {
    /// Least code.
    pub a: i32,
    /// Greatest code.
    pub b: i32,
}

impl Levels {
    /// Two's complement: −2^(n−1) … 2^(n−1)−1.
    pub const fn signed(bits: u32) -> Self {
        Self { a: -(1 << (bits - 1)), b: (1 << (bits - 1)) - 1 }
    }

    /// Symmetric: −(2^(n−1)−1) … 2^(n−1)−1.
    pub const fn narrow(bits: u32) -> Self {
        Self { a: -((1 << (bits - 1)) - 1), b: (1 << (bits - 1)) - 1 }
    }

    /// 0 … 2^n−1.
    pub const fn unsigned(bits: u32) -> Self {
        Self { a: 0, b: (1 << bits) - 1 }
    }

    /// What `digits` balanced digits of `bits` bits hold: Σ d_i · 2^(i·bits) with d_i from −2^(bits−1) to 2^(bits−1)−1.
    pub const fn balanced(bits: u32, digits: u32) -> Self {
        let mut units: i32 = 0;
        let mut i = 0;
        while i < digits {
            units += 1 << (i * bits);
            i += 1;
        }
        Self { a: -(units << (bits - 1)), b: units * ((1 << (bits - 1)) - 1) }
    }

    /// Fewest balanced digits of `bits` bits that hold every code; 1 where `bits` hold them as they are.
    pub const fn digits(self, bits: u32) -> usize {
        let mut digits = 1;
        while self.bits() > bits && !self.is_within(Self::balanced(bits, digits)) {
            digits += 1;
        }
        digits as usize
    }

    /// Whether every code is one of `other`'s.
    pub const fn is_within(self, other: Self) -> bool {
        other.a <= self.a && self.b <= other.b
    }

    /// Whether `a ≤ 0 ≤ b` and at least two codes exist.
    pub const fn is_valid(self) -> bool {
        self.a <= 0 && 0 <= self.b && self.a < self.b
    }

    /// Whether negative codes exist, so that the hardware must treat the code as two's complement.
    pub const fn is_signed(self) -> bool {
        self.a < 0
    }

    /// Fewest bits that hold every code: two's complement if [`Levels::is_signed`], else unsigned.
    pub const fn bits(self) -> u32 {
        let magnitude = if self.a < 0 { max(self.b as u32, (-(self.a + 1)) as u32) } else { self.b as u32 };
        32 - magnitude.leading_zeros() + self.is_signed() as u32
    }

    /// `max(|a|, |b|)`.
    pub const fn magnitude(self) -> u32 {
        max(self.a.unsigned_abs(), self.b.unsigned_abs())
    }

    /// `v` clipped to the range.
    pub const fn clip(self, v: i64) -> i32 {
        if v < self.a as i64 {
            self.a
        } else if v > self.b as i64 {
            self.b
        } else {
            v as i32
        }
    }
}

const fn max(x: u32, y: u32) -> u32 {
    if x > y { x } else { y }
}

/// A quantization step (scale): a finite positive real, opaque to integer code.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f32", into = "f32")]
pub struct Step(f32);

impl Step {
    /// The step 1.
    pub const UNIT: Self = Self(1.0);

    /// `None` unless `step` is a normal positive number.
    pub fn new(step: f32) -> Option<Self> {
        (step.is_normal() && step > 0.0).then_some(Self(step))
    }

    /// The step as a real number.
    pub fn get(self) -> f32 {
        self.0
    }

    /// Mantissa and exponent: the step is `mantissa · 2^exponent` exactly, the mantissa has 24 bits: no step is subnormal.
    pub fn parts(self) -> (u32, i32) {
        let bits = self.0.to_bits();
        (bits & 0x007f_ffff | 0x0080_0000, (bits >> 23) as i32 - 150)
    }

    /// Whether the step is a power of two.
    pub fn is_power_of_two(self) -> bool {
        self.0.to_bits() & 0x007f_ffff == 0
    }

    /// `2^⌈log2⌉`; `None` where that is not a normal number.
    pub fn power_of_two_above(log2: f32) -> Option<Self> {
        Self::new(log2.ceil().exp2())
    }

    /// The nearest power of two in the logarithm (`2^rne(log2 step)`).
    pub fn nearest_power_of_two(self) -> Self {
        Self((self.0 as f64).log2().round_ties_even().exp2() as f32)
    }
}

/// How a real tensor becomes codes: `q = clip(rne(x / step), a, b)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantizer {
    /// Step.
    pub step: Step,
    /// Range of the codes.
    #[serde(flatten)]
    pub levels: Levels,
}

/// `step_w · step_x / step_y`, what a requantization multiplies by; the product of two f32 is exact in f64.
pub fn ratio(w: Step, x: Step, y: Step) -> f64 {
    f64::from(w.0) * f64::from(x.0) / f64::from(y.0)
}

/// The step of sums, `step_w · step_x`; `None` where it is so small or great that a float cannot hold it.
pub fn sum_step(w: Step, x: Step) -> Option<Step> {
    Step::new(w.0 * x.0)
}

impl TryFrom<f32> for Step {
    type Error = String;
    fn try_from(step: f32) -> std::result::Result<Self, String> {
        Self::new(step).ok_or_else(|| format!("step {step} is not a positive number"))
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:e}", self.0)
    }
}

impl From<Step> for f32 {
    fn from(step: Step) -> f32 {
        step.0
    }
}

/// `clip(rne(x / step), a, b)`, the division in f32 as PyTorch and ONNX Runtime do it. NaN gives 0.
pub fn quantize(x: f32, step: Step, levels: Levels) -> i32 {
    rne_f32((x / step.0).clamp(levels.a as f32, levels.b as f32)) as i32 // clipping to whole numbers first is the same
}

/// `rne(x)` for |x| ≤ 2^22: next to 1.5 · 2^23 a float has no fraction, so that the sum rounds. Unlike
/// `round_ties_even`, no call on processors that predate SSE 4.1, which is what a portable program is compiled for.
fn rne_f32(x: f32) -> f32 {
    const NO_FRACTION: f32 = 1.5 * (1 << 23) as f32;
    (x + NO_FRACTION) - NO_FRACTION
}

/// As [`rne_f32`] for |x| ≤ 2^51.
fn rne_f64(x: f64) -> f64 {
    const NO_FRACTION: f64 = 1.5 * (1u64 << 52) as f64;
    (x + NO_FRACTION) - NO_FRACTION
}

/// `q · step`.
pub fn dequantize(q: i32, step: Step) -> f32 {
    q as f32 * step.0
}

/// `rne(bias / (step_w · step_x))`; `None` when the result does not fit 48 bits.
///
/// The product of two f32 steps is exact in f64, so one division and one rounding happen.
pub fn quantize_bias(bias: f32, step_w: Step, step_x: Step) -> Option<i64> {
    let q = (bias as f64 / (step_w.0 as f64 * step_x.0 as f64)).round_ties_even();
    (q.abs() < (1i64 << 47) as f64).then_some(q as i64)
}

/// The integer accumulator behind a sum of products of dequantized codes, `rne(sum / (step_w · step_x))`.
///
/// Exact while the error of `sum` is below half of `step_w · step_x`; saturates at ±2^47.
pub fn accumulator(sum: f64, step_w: Step, step_x: Step) -> i64 {
    let limit = (1i64 << 47) as f64;
    rne_f64((sum / (step_w.0 as f64 * step_x.0 as f64)).clamp(-limit, limit)) as i64
}

/// The whole number nearest to an estimate that is no part of a network's arithmetic, such as an area; 0 where it is
/// negative or no number.
pub fn nearest_count(x: f64) -> u64 {
    x.round_ties_even() as u64
}

/// `rne(v / 2^s)` for `s < 64`.
pub const fn rne_shift(v: i64, s: u32) -> i64 {
    if s == 0 {
        return v;
    }
    let floor = v >> s;
    let rest = v & ((1i64 << s) - 1); // 0 … 2^s − 1
    let half = 1i64 << (s - 1);
    let up = rest > half || (rest == half && floor & 1 == 1);
    floor + up as i64
}

/// The fraction `m / 2^s` of a requantization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multiplier {
    /// 1 ≤ m < 2^16.
    pub m: u16,
    /// 0 ≤ s < 48.
    pub s: u8,
}

impl Multiplier {
    /// The fraction nearest to `ratio` with `m` using all its bits where `s` allows it; `None` when `ratio`
    /// is not positive, needs m ≥ 2^16, or rounds to 0.
    pub fn nearest(ratio: f64) -> Option<Self> {
        if !(ratio > 0.0 && ratio.is_finite()) {
            return None;
        }
        let top = (1u32 << MULTIPLIER_BITS) as f64;
        for s in (0..SHIFT_LIMIT).rev() {
            let m = (ratio * (s as f64).exp2()).round_ties_even();
            if m < top {
                return (m >= 1.0).then_some(Self { m: m as u16, s: s as u8 });
            }
        }
        None
    }

    /// `m = 1`: pure fixed point. `None` unless `ratio` is 2^−s with 0 ≤ s < 48.
    pub fn power_of_two(ratio: f64) -> Option<Self> {
        let s = -ratio.log2();
        (s >= 0.0 && s < SHIFT_LIMIT as f64 && s.fract() == 0.0).then_some(Self { m: 1, s: s as u8 })
    }

    /// The fraction as a real number.
    pub fn get(self) -> f64 {
        f64::from(self.m) / f64::from(self.s).exp2()
    }

    /// The fraction as a step, which holds it exactly.
    pub fn as_step(self) -> Option<Step> {
        Step::new(self.get() as f32)
    }

    /// Whether this is how sums of `w · x` become codes of step `y`: `m / 2^s` is [`ratio`] exactly, or equals the
    /// fraction nearest to it.
    pub fn agrees(self, w: Step, x: Step, y: Step) -> bool {
        let ratio = ratio(w, x, y);
        self.get() == ratio || Self::nearest(ratio).is_some_and(|nearest| nearest.get() == self.get())
    }

    /// Whether the fraction is in the contract's range.
    pub const fn is_valid(self) -> bool {
        self.m >= 1 && (self.s as u32) < SHIFT_LIMIT
    }
}

/// `clip(rne(acc · m / 2^s), a, b)` for |acc| < 2^47, so that the product fits 63 bits.
pub const fn requantize(acc: i64, by: Multiplier, levels: Levels) -> i32 {
    levels.clip(rne_shift(acc * by.m as i64, by.s as u32))
}

/// Bits of the two's complement accumulator that holds every value of magnitude `bound`.
pub const fn accumulator_bits(bound: u64) -> u32 {
    65 - bound.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Typed by hand: (value, shift, result).
    const TIES: &[(i64, u32, i64)] = &[
        (0, 1, 0),
        (1, 1, 0),   // 0.5
        (2, 1, 1),   // 1.0
        (3, 1, 2),   // 1.5
        (5, 1, 2),   // 2.5
        (7, 1, 4),   // 3.5
        (-1, 1, 0),  // -0.5
        (-3, 1, -2), // -1.5
        (-5, 1, -2), // -2.5
        (-7, 1, -4), // -3.5
        (5, 2, 1),   // 1.25
        (6, 2, 2),   // 1.5
        (7, 2, 2),   // 1.75
        (10, 2, 2),  // 2.5
        (11, 2, 3),  // 2.75
        (-6, 2, -2), // -1.5
        (-10, 2, -2),
        (-11, 2, -3),
        (9, 0, 9),
        (1 << 46, 47, 0),
        (3 << 46, 47, 2),
        ((1 << 46) + 1, 47, 1),
    ];

    #[test]
    fn ties_go_to_even() {
        for &(v, s, want) in TIES {
            assert_eq!(rne_shift(v, s), want, "{v} / 2^{s}");
        }
    }

    #[test]
    fn shift_agrees_with_exact_float_rounding() {
        for v in -4096i64..=4096 {
            for s in 0..14 {
                let want = (v as f64 / (1u64 << s) as f64).round_ties_even() as i64;
                assert_eq!(rne_shift(v, s), want, "{v} / 2^{s}");
            }
        }
    }

    #[test]
    fn quantize_ties_and_clips() {
        let step = Step::new(0.5).unwrap();
        let levels = Levels::signed(4);
        let table =
            [(0.25, 0), (0.75, 2), (1.25, 2), (-0.25, 0), (-0.75, -2), (3.4, 7), (9.0, 7), (-9.0, -8)];
        for (x, want) in table {
            assert_eq!(quantize(x, step, levels), want, "{x}");
        }
        assert_eq!(quantize(f32::NAN, step, levels), 0);
        assert_eq!(quantize(1e30, step, Levels::unsigned(16)), 65535);
    }

    #[test]
    fn rounding_without_a_call_is_the_standard_library_s() {
        for i in -400_000i32..=400_000 {
            let x = i as f32 / 8.0;
            assert_eq!(rne_f32(x), x.round_ties_even());
            assert_eq!(rne_f64(x.into()), f64::from(x).round_ties_even());
        }
        for x in [0.49999997f32, 0.50000006, 4_194_303.5, -4_194_303.5, 4_194_304.0, 1e-40] {
            assert_eq!(rne_f32(x), x.round_ties_even(), "{x}");
        }
        let half = (1u64 << 50) as f64 + 0.5;
        for x in [half, -half, half + 1.0, 0.49999999999999994, (1u64 << 51) as f64] {
            assert_eq!(rne_f64(x), x.round_ties_even(), "{x}");
        }
        assert!(rne_f32(f32::NAN).is_nan());
    }

    #[test]
    fn level_tables() {
        assert_eq!(Levels::signed(2), Levels { a: -2, b: 1 });
        assert_eq!(Levels::narrow(8), Levels { a: -127, b: 127 });
        assert_eq!(Levels::unsigned(16), Levels { a: 0, b: 65535 });
        for bits in WIDTHS {
            assert_eq!(Levels::signed(bits).bits(), bits);
            assert_eq!(Levels::unsigned(bits).bits(), bits);
        }
        assert_eq!(Levels { a: -1, b: 4 }.bits(), 4);
        assert_eq!(Levels { a: -5, b: 0 }.bits(), 4);
    }

    #[test]
    fn requantize_exhaustive_small() {
        let levels = Levels::unsigned(4);
        for acc in -300i64..=300 {
            for m in 1..=40u16 {
                for s in 0..=8u8 {
                    let exact = acc as f64 * m as f64 / (1u64 << s) as f64;
                    let want = exact.round_ties_even().clamp(0.0, 15.0) as i32;
                    assert_eq!(requantize(acc, Multiplier { m, s }, levels), want);
                }
            }
        }
    }

    #[test]
    fn requantize_at_the_limits() {
        let by = Multiplier { m: u16::MAX, s: 47 };
        let top = (1i64 << 47) - 1;
        assert_eq!(requantize(top, by, Levels::unsigned(16)), 65535); // 65534.9999… rounds up
        assert_eq!(requantize(-top, by, Levels::signed(16)), -32768);
    }

    #[test]
    fn multipliers_use_all_their_bits() {
        assert_eq!(Multiplier::nearest(1.0), Some(Multiplier { m: 32768, s: 15 }));
        assert_eq!(Multiplier::nearest(0.75), Some(Multiplier { m: 49152, s: 16 }));
        assert_eq!(Multiplier::nearest(65535.0), Some(Multiplier { m: 65535, s: 0 }));
        assert_eq!(Multiplier::nearest(65536.0), None);
        assert_eq!(Multiplier::nearest(0.0), None);
        assert_eq!(Multiplier::nearest(f64::NAN), None);
        assert_eq!(Multiplier::power_of_two(0.125), Some(Multiplier { m: 1, s: 3 }));
        assert_eq!(Multiplier::power_of_two(0.3), None);
        assert_eq!(Multiplier::power_of_two(2.0), None);
    }

    #[test]
    fn multipliers_agree_with_their_steps_or_not() {
        let s = |x| Step::new(x).unwrap();
        let by = |m, s| Multiplier { m, s };
        let (w, x, y) = (s(0.5), s(0.25), s(0.5));
        assert!([by(1, 2), by(2, 3), by(1 << 15, 17)].iter().all(|by| by.agrees(w, x, y)));
        assert!([by(1, 1), by((1 << 15) + 1, 17), by(3, 3)].iter().all(|by| !by.agrees(w, x, y)));
        let third = Multiplier::nearest(ratio(s(0.1), s(0.3), s(0.09))).unwrap();
        assert!(third.agrees(s(0.1), s(0.3), s(0.09)) && third.m >> 15 == 1);
        assert!(!by(third.m - 1, third.s).agrees(s(0.1), s(0.3), s(0.09)));
        assert_eq!(third.as_step().map(|step| f64::from(step.get())), Some(third.get()));
        assert_eq!(sum_step(s(1e-30), s(1e-30)), None);
    }

    #[test]
    fn bias_is_rounded_once() {
        let s = |x| Step::new(x).unwrap();
        assert_eq!(quantize_bias(0.375, s(0.5), s(0.5)), Some(2)); // 1.5
        assert_eq!(quantize_bias(0.625, s(0.5), s(0.5)), Some(2)); // 2.5
        assert_eq!(quantize_bias(1e30, s(0.5), s(0.5)), None);
    }

    #[test]
    fn accumulators_come_back_from_real_sums() {
        let s = |x| Step::new(x).unwrap();
        for acc in [0i64, 1, -7, (1 << 40) + 1] {
            let sum = acc as f64 * (0.1f32 as f64 * 0.3f32 as f64);
            assert_eq!(accumulator(sum, s(0.1), s(0.3)), acc);
        }
        assert_eq!(accumulator(1e300, s(0.1), s(0.3)), 1 << 47);
    }

    #[test]
    fn powers_of_two_above() {
        let of = |x| Step::power_of_two_above(x).map(Step::get);
        assert_eq!([of(-3.0), of(-2.9), of(0.5)], [Some(0.125), Some(0.25), Some(2.0)]);
        assert_eq!(of(1e9), None);
    }

    #[test]
    fn accumulator_bits_hold_the_bound() {
        assert_eq!(accumulator_bits(0), 1);
        assert_eq!(accumulator_bits(1), 2);
        assert_eq!(accumulator_bits(127), 8);
        assert_eq!(accumulator_bits(128), 9); // +128 needs nine bits
        assert_eq!(accumulator_bits(25088 * 128 * 255), 31); // fc6 of VGG16 at W8A8
    }

    #[test]
    fn steps_are_their_parts() {
        for step in [1.0, 0.1, 3.5e-7, f32::MIN_POSITIVE, f32::MAX] {
            let (mantissa, exponent) = Step::new(step).unwrap().parts();
            assert_eq!(f64::from(mantissa) * 2f64.powi(exponent), f64::from(step));
        }
    }
}
