//! [`arith::requantize`] for eight channels at once, in a form that compilers turn into vector instructions.

use crate::arith::{self, Levels, Multiplier};
use crate::int::{IntLayer, Output};

/// Channels of one [`Requantize`].
pub const WIDTH: usize = 8;

/// Bias and requantization of eight output channels, for accumulators of 32 bits and `a = 0` (ReLU).
///
/// Because `m > 0`, requantization is monotone: negative sums give 0, and sums above `top`, the least one that
/// reaches `b`, give `b`. Clipping the sum to `0 … top` first keeps every product under 2^48.
#[derive(Clone, Debug)]
pub struct Requantize {
    bias: [i32; WIDTH],
    top: [i32; WIDTH],
    m: [u64; WIDTH],
    s: [u64; WIDTH],
    /// 2^(s−1) − 1: with the quotient's lowest bit it rounds half to even.
    half: [u64; WIDTH],
    b: u64,
}

impl Requantize {
    /// One for each eight output channels of `layer`, the last one filled up with channels that yield 0.
    /// `None` for logits.
    pub fn of(layer: &IntLayer) -> Option<Vec<Self>> {
        let Output::Requantized { quantizer, .. } = &layer.output else { return None };
        let channels: Vec<_> = (0..layer.op.co())
            .map(|c| (layer.bias[c] as i32, layer.multiplier(c).expect("not logits")))
            .collect();
        Some(channels.chunks(WIDTH).map(|c| Self::new(c, quantizer.levels)).collect())
    }

    fn new(channels: &[(i32, Multiplier)], levels: Levels) -> Self {
        let zero = [0; WIDTH];
        let (mut this, b) =
            (Self { bias: [0; WIDTH], top: [0; WIDTH], m: zero, s: [1; WIDTH], half: zero, b: 0 }, levels.b);
        this.b = b as u64;
        for (c, &(bias, by)) in channels.iter().enumerate() {
            // m / 2^0 = 2m / 2^1: so that the half exists.
            let doubled = u32::from(by.s == 0);
            this.bias[c] = bias;
            this.top[c] = least_reaching(b, by, levels);
            this.m[c] = u64::from(by.m) << doubled;
            this.s[c] = u64::from(by.s) + u64::from(doubled);
            this.half[c] = (1 << (this.s[c] - 1)) - 1;
        }
        this
    }

    /// Output codes of the sums `acc` (modulo 2^32), bias not yet added.
    #[inline(always)]
    pub fn apply(&self, acc: [i32; WIDTH]) -> [i16; WIDTH] {
        let mut y = [0; WIDTH];
        for c in 0..WIDTH {
            let sum = acc[c].wrapping_add(self.bias[c]).max(0).min(self.top[c]) as u32;
            let product = u64::from(sum) * self.m[c];
            let odd = (product >> self.s[c]) & 1;
            let rounded = (product + self.half[c] + odd) >> self.s[c];
            y[c] = (rounded as u32).min(self.b as u32) as i16;
        }
        y
    }
}

/// The least sum that requantizes to `b`, or the greatest i32 where none does.
fn least_reaching(b: i32, by: Multiplier, levels: Levels) -> i32 {
    let reaches = |acc: i64| arith::requantize(acc, by, levels) >= b;
    let (mut below, mut at) = (0, i64::from(i32::MAX));
    while at - below > 1 {
        let middle = (below + at) / 2;
        if reaches(middle) { at = middle } else { below = middle }
    }
    at as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// Sums around every place where something changes, and random ones.
    fn sums(by: Multiplier, rng: &mut impl Rng) -> Vec<i32> {
        let half = (1i64 << by.s) / (2 * i64::from(by.m));
        let mut sums = vec![0, i32::MAX, i32::MIN];
        for k in [1, 2, 3, 5, 255, 256, 511, 65535] {
            sums.extend((-2..=2).map(|d| (half * k + d).clamp(i32::MIN.into(), i32::MAX.into()) as i32));
        }
        sums.extend((0..32).map(|bits| rng.random::<i32>() >> bits));
        sums
    }

    #[test]
    fn equals_the_contract() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        for s in 0..48 {
            for m in [1, 2, 3, 32768, 65535, rng.random_range(1..=u16::MAX)] {
                let by = Multiplier { m, s };
                for b in [1, 3, 200, 255, 32767] {
                    let levels = Levels { a: 0, b };
                    let bias = rng.random_range(-100..100);
                    let lanes = Requantize::new(&[(bias, by); 5], levels);
                    for sum in sums(by, &mut rng) {
                        let want = arith::requantize(sum.into(), by, levels) as i16;
                        let got = lanes.apply([sum.wrapping_sub(bias); WIDTH]);
                        assert_eq!(
                            got,
                            [want, want, want, want, want, 0, 0, 0],
                            "{sum} · {m} / 2^{s}, b {b}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_sum_of_a_small_range() {
        for (m, s) in [(1, 0), (1, 4), (3, 3), (5, 6), (65535, 20)] {
            let (by, levels) = (Multiplier { m, s }, Levels { a: 0, b: 15 });
            let lanes = Requantize::new(&[(0, by)], levels);
            for sum in -2000..=2000 {
                assert_eq!(
                    i32::from(lanes.apply([sum; WIDTH])[0]),
                    arith::requantize(sum.into(), by, levels)
                );
            }
        }
    }
}
