//! Layers wider than the build: weights as balanced digits, activations as planes.
//!
//! A weight of a layer with D digits is Σ d_i · 2^(iW) with digits of −2^(W−1) … 2^(W−1)−1; an activation with P planes is
//! Σ p_j · 2^(jA) with planes of 0 … 2^A−1, the top one two's complement where the codes are. Each pair of them is a sweep of
//! its own, and its partial sums go to the accumulators 2^(iW + jA) times: the same integers as those of one product.
//!
//! What an accumulator holds between the sweeps may be larger than any sum of whole products, and wraps around. That does no
//! harm: nothing but additions and left shifts happens to it, all modulo 2^bits, and the sum of all sweeps fits, as proven
//! from the layer's integers. It is read only then.

use crate::arith::Levels;
use crate::config::ArrayConfig;
use crate::{Error, Result};

/// Digits of a layer's weights, and planes of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digits {
    /// Digits of a weight.
    pub weights: usize,
    /// Planes of an activation.
    pub acts: usize,
}

impl Digits {
    /// A layer that is no wider than the build.
    pub const ONE: Self = Self { weights: 1, acts: 1 };

    /// Those of weights of levels `weights` and activations of levels `x`, cut to `weight_bits` and `act_bits`.
    pub fn of(weights: Levels, x: Levels, weight_bits: u32, act_bits: u32) -> Self {
        Self { weights: weights.digits(weight_bits), acts: x.bits().div_ceil(act_bits) as usize }
    }

    /// Those of the layer `name` on `config`; refuses what the build cannot hold, with need and have.
    pub fn held(name: &str, weights: Levels, x: Levels, config: &ArrayConfig) -> Result<Self> {
        let ArrayConfig { weight_bits: w, act_bits: a, weight_digits, act_digits, .. } = *config;
        let need = Self::of(weights, x, w, a);
        let too_wide = |what: &str, levels: Levels, (digits, have): (usize, usize), bits: u32| {
            let reason = match have {
                1 => format!("{what} of {} bits, the build has {bits}", levels.bits()),
                _ => format!(
                    "{what} of levels {} … {} need {digits} digits of {bits} bits, the build has {have}",
                    levels.a, levels.b
                ),
            };
            Err(Error::bad_layer(name, reason))
        };
        if need.weights > weight_digits {
            return too_wide("weights", weights, (need.weights, weight_digits), w);
        }
        if need.acts > act_digits {
            return too_wide("input activations", x, (need.acts, act_digits), a);
        }
        Ok(need)
    }
}

/// Balanced digit `index` of `code`, of `bits` bits.
pub fn weight_digit(code: i64, index: usize, bits: u32) -> i64 {
    let half = 1 << (bits - 1);
    let carry = |code: i64, _| (code + half) >> bits;
    let rest = (0..index).fold(code, carry);
    (rest + half).rem_euclid(1 << bits) - half
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, W = 4: 119 = 7 + 16 · 7; −136 = −8 − 8 · 16; 8 = −8 + 16.
    #[test]
    fn digits_of_hand_cut_codes() {
        for (code, want) in [(119, [7, 7]), (-136, [-8, -8]), (8, [-8, 1]), (-9, [7, -1]), (0, [0, 0])] {
            assert_eq!([0, 1].map(|i| weight_digit(code, i, 4)), want, "{code}");
        }
    }

    #[test]
    fn digits_hold_their_levels_and_no_more() {
        for bits in 2..=8u32 {
            for digits in 1..=(16 / bits as usize).max(2) {
                let Levels { a, b } = Levels::balanced(bits, digits as u32);
                assert_eq!(Levels { a, b }.digits(bits), digits);
                assert_eq!(Levels { a: a - 1, b }.digits(bits), digits + 1);
                assert_eq!(Levels { a, b: b + 1 }.digits(bits), digits + 1);
                for code in [a, b, a / 3, b / 2, -1].map(i64::from) {
                    let parts = (0..digits).map(|i| weight_digit(code, i, bits) << (i as u32 * bits));
                    assert_eq!(parts.sum::<i64>(), code, "{code} in {digits} digits of {bits} bits");
                    assert_eq!(weight_digit(code, digits, bits), 0);
                }
            }
        }
        assert_eq!(Levels::balanced(4, 2), Levels { a: -136, b: 119 });
    }

    /// In accumulators of exactly the proven bits, in any order of the sweeps, though the sums on the way do not fit.
    #[test]
    fn sums_that_wrap_on_the_way_end_where_they_must() {
        let (weights, x): ([i64; 3], [i64; 3]) = ([8, 8, -9], [255, 255, 1]);
        let sum: i64 = weights.iter().zip(&x).map(|(w, x)| w * x).sum();
        let bound: u64 = weights.iter().zip(&x).map(|(w, x)| (w * x).unsigned_abs()).sum();
        let bits = crate::arith::accumulator_bits(bound);
        let wrap = |v: i64| v << (64 - bits) >> (64 - bits);
        let sweep = |(digit, plane): (usize, u32)| {
            let terms =
                weights.iter().zip(&x).map(|(&w, x)| weight_digit(w, digit, 4) * (x >> (4 * plane) & 15));
            terms.sum::<i64>() << (4 * (digit as u32 + plane))
        };
        let mut wrapped = false;
        for order in [[(0, 0), (0, 1), (1, 0), (1, 1)], [(1, 1), (0, 1), (1, 0), (0, 0)]] {
            let sums = order.map(sweep);
            let end = sums.iter().fold(0, |acc, &part| wrap(acc + wrap(part)));
            wrapped |= sums.iter().any(|&part| wrap(part) != part);
            assert_eq!(end, sum);
        }
        assert!(wrapped, "the example shows nothing");
    }

    #[test]
    fn what_the_digits_cannot_hold_is_refused() {
        let config = ArrayConfig {
            weight_bits: 4,
            act_bits: 4,
            weight_digits: 2,
            act_digits: 2,
            ..ArrayConfig::default()
        };
        let held = |weights, x| Digits::held("conv1", weights, x, &config);
        let ends = Levels { a: -119, b: 119 };
        assert_eq!(held(ends, Levels::signed(8)).unwrap(), Digits { weights: 2, acts: 2 });
        assert_eq!(held(Levels::signed(4), Levels::unsigned(4)).unwrap(), Digits::ONE);
        let refused = |weights, x| held(weights, x).unwrap_err().to_string();
        assert_eq!(
            refused(Levels::narrow(8), Levels::signed(8)),
            "layer conv1: weights of levels -127 … 127 need 3 digits of 4 bits, the build has 2"
        );
        assert!(
            refused(ends, Levels::unsigned(9)).contains("input activations of levels 0 … 511 need 3 digits")
        );
    }
}
