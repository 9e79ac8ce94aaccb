//! [`arith::requantize`] for a block of channels at once, in a form that compilers turn into vector instructions.

use crate::arith::{self, Levels, Multiplier};
use crate::int::{IntLayer, Output};

/// Channels of one [`Requantize`].
pub const WIDTH: usize = super::kernel::LANES;

/// Bias and requantization of some output channels, for accumulators of 32 bits and `a = 0` (ReLU).
///
/// Because `m > 0`, requantization is monotone: negative sums give 0, and sums above `top`, the least one that
/// reaches `b`, give `b`. Clipping the sum to `0 … top` first keeps every product under 2^48.
#[derive(Clone, Debug)]
pub struct Requantize {
    bias: [i32; WIDTH],
    top: [i32; WIDTH],
    /// Channels 0, 2, 4 … and channels 1, 3, 5 …: two sums lie in a word.
    parity: [Factors; 2],
    /// Whether a sum of `0 … top` lies halfway between two codes.
    ties: bool,
    b: u32,
}

/// `m / 2^s` of every other channel, in the width of the product.
#[derive(Clone, Debug)]
struct Factors {
    /// Below 2^32.
    m: [u64; WIDTH / 2],
    s: [u64; WIDTH / 2],
    /// 2^(s−1) − 1: with the quotient's lowest bit it rounds half to even.
    half: [u64; WIDTH / 2],
}

impl Requantize {
    /// One for each [`WIDTH`] output channels of `layer`, the last one filled up with channels that yield 0.
    /// `None` for logits.
    pub fn of(layer: &IntLayer) -> Option<Vec<Self>> {
        let Output::Requantized { quantizer, .. } = &layer.output else { return None };
        let channels: Vec<_> = (0..layer.op.co())
            .map(|c| (layer.bias[c] as i32, layer.multiplier(c).expect("not logits")))
            .collect();
        Some(channels.chunks(WIDTH).map(|c| Self::new(c, quantizer.levels)).collect())
    }

    fn new(channels: &[(i32, Multiplier)], levels: Levels) -> Self {
        let zero = [0; WIDTH / 2];
        let factors = Factors { m: zero, s: [1; WIDTH / 2], half: zero };
        let (parity, b) = ([factors.clone(), factors], levels.b as u32);
        let mut this = Self { bias: [0; WIDTH], top: [0; WIDTH], parity, ties: false, b };
        for (c, &(bias, by)) in channels.iter().enumerate() {
            this.bias[c] = bias;
            this.top[c] = least_reaching(levels.b, by, levels);
            // m / 2^0 = 2m / 2^1: so that the half exists.
            let doubled = u32::from(by.s == 0);
            let (m, s) = (u64::from(by.m) << doubled, u64::from(by.s) + u64::from(doubled));
            // m · sum = 2^(s−1) modulo 2^s only where 2^(s−1) over m's power of two divides the sum.
            let halfway = (s - 1).checked_sub(m.trailing_zeros().into());
            this.ties |= halfway.is_some_and(|log2| this.top[c] as u64 >= 1 << log2);
            let factors = &mut this.parity[c % 2];
            (factors.m[c / 2], factors.s[c / 2], factors.half[c / 2]) = (m, s, (1 << (s - 1)) - 1);
        }
        this
    }

    /// Output codes of the sums `acc` (modulo 2^32), bias not yet added.
    #[inline(always)]
    pub fn apply(&self, acc: &[i32; WIDTH]) -> [i16; WIDTH] {
        let mut clipped = [0u32; WIDTH];
        for c in 0..WIDTH {
            clipped[c] = (acc[c].wrapping_add(self.bias[c]).max(0).min(self.top[c]) as u32).to_le();
        }
        // SAFETY: both are plain integers of the same size. As the bytes are little-endian, the first of two is
        // the lower half of a word.
        let mut pairs: [u64; WIDTH / 2] = unsafe { std::mem::transmute(clipped) };
        let [even, odd] = &self.parity;
        for (i, pair) in pairs.iter_mut().enumerate() {
            let (first, second) = (u64::from_le(*pair) & u64::from(u32::MAX), u64::from_le(*pair) >> 32);
            let codes = if self.ties {
                (even.rounded(i, first), odd.rounded(i, second))
            } else {
                (even.nearest(i, first), odd.nearest(i, second))
            };
            *pair = (codes.0 | codes.1 << 32).to_le();
        }
        // SAFETY: as above.
        let codes: [u32; WIDTH] = unsafe { std::mem::transmute(pairs) };
        let mut y = [0; WIDTH];
        for c in 0..WIDTH {
            y[c] = u32::from_le(codes[c]).min(self.b) as i16;
        }
        y
    }
}

impl Factors {
    /// In a form that shows compilers that 32 bits are multiplied.
    #[inline(always)]
    fn m(&self, i: usize) -> u64 {
        self.m[i] & u64::from(u32::MAX)
    }

    /// `rne(sum · m / 2^s)`, below 2^32.
    #[inline(always)]
    fn rounded(&self, i: usize, sum: u64) -> u64 {
        let product = sum * self.m(i);
        let odd = (product >> self.s[i]) & 1;
        (product + self.half[i] + odd) >> self.s[i]
    }

    /// The same where `sum · m / 2^s` is never halfway.
    #[inline(always)]
    fn nearest(&self, i: usize, sum: u64) -> u64 {
        (sum * self.m(i) + self.half[i]) >> self.s[i]
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
                        let got = lanes.apply(&[sum.wrapping_sub(bias); WIDTH]);
                        let all: [i16; WIDTH] = std::array::from_fn(|c| if c < 5 { want } else { 0 });
                        assert_eq!(got, all, "{sum} · {m} / 2^{s}, b {b}");
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
                    i32::from(lanes.apply(&[sum; WIDTH])[0]),
                    arith::requantize(sum.into(), by, levels)
                );
            }
        }
    }
}
