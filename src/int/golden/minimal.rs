//! Minimal filtering of 3 taps in integers: the one-dimensional transforms that [`super::winograd`] nests.
//!
//! `Y = Aᵀ [(G g) ⊙ (Bᵀ d)]` evaluates two polynomials at points, multiplies, and interpolates (Winograd; Toom and
//! Cook). The rows of G are scaled until they are integers, which scales the sums by a constant. A power of two
//! in that constant costs accumulator bits, an odd factor none: it has an inverse modulo 2^32. Two of the points of
//! F(4, 3) agree modulo 2, as few as possible, so that it costs one bit, as F(2, 3) does.

/// The longest window.
pub const LONGEST: usize = 6;

/// A filtering F(OUT, 3). Arrays are used up to [`Minimal::SIDE`], sums up to [`Minimal::OUT`].
pub trait Minimal {
    /// Sums of a tile.
    const OUT: usize;
    /// Points, and the codes of a window.
    const SIDE: usize = Self::OUT + 2;
    /// Times the scale of two nested filterings it is 4, modulo 2^32.
    const INVERSE: i32;

    /// `Bᵀ d`, modulo 2^16.
    fn window(d: [i16; LONGEST]) -> [i16; LONGEST];
    /// `G g`, scaled to integers.
    fn weights(g: [i32; 3]) -> [i32; LONGEST];
    /// `Aᵀ m`, modulo 2^32.
    fn sums(m: [i32; LONGEST]) -> [i32; 4];
}

/// F(2, 3) at the points 0, 1, −1, ∞; the scale is 2.
pub struct Two;

impl Minimal for Two {
    const OUT: usize = 2;
    const INVERSE: i32 = 1;

    #[inline(always)]
    fn window(d: [i16; LONGEST]) -> [i16; LONGEST] {
        let [d0, d1, d2, d3, ..] = d;
        [d0.wrapping_sub(d2), d1.wrapping_add(d2), d2.wrapping_sub(d1), d1.wrapping_sub(d3), 0, 0]
    }

    #[inline(always)]
    fn weights([a, b, c]: [i32; 3]) -> [i32; LONGEST] {
        [2 * a, a + b + c, a - b + c, 2 * c, 0, 0]
    }

    #[inline(always)]
    fn sums([m0, m1, m2, m3, ..]: [i32; LONGEST]) -> [i32; 4] {
        let (sum, difference) = (m1.wrapping_add(m2), m1.wrapping_sub(m2));
        [m0.wrapping_add(sum), difference.wrapping_sub(m3), 0, 0]
    }
}

/// F(4, 3) at the points 0, 1, −1, 2, −1/2, ∞; the scale is 30.
pub struct Four;

impl Minimal for Four {
    const OUT: usize = 4;
    const INVERSE: i32 = 2_271_560_481u32 as i32; // of 225

    /// ```text
    /// 2  3 -4 -3  2  0
    /// 0  2  5  1 -2  0
    /// 0  2  1 -5  2  0
    /// 0 -1 -2  1  2  0
    /// 0 -2  1  2 -1  0
    /// 0  2  3 -4 -3  2
    /// ```
    #[inline(always)]
    fn window([d0, d1, d2, d3, d4, d5]: [i16; LONGEST]) -> [i16; LONGEST] {
        let twice = |x: i16| x.wrapping_add(x);
        let thrice = |x: i16| twice(x).wrapping_add(x);
        let (e, f) = (d4.wrapping_sub(d2), d3.wrapping_sub(d1));
        let (e2, f2) = (twice(e), twice(f));
        let (p, q) = (e2.wrapping_sub(thrice(d3)), thrice(d2).wrapping_sub(f2));
        [
            twice(d0.wrapping_sub(d2)).wrapping_add(e2).wrapping_sub(f2.wrapping_add(f)),
            q.wrapping_sub(p),
            q.wrapping_add(p),
            e2.wrapping_add(f),
            f2.wrapping_sub(e),
            twice(d5.wrapping_sub(d3)).wrapping_sub(f2).wrapping_sub(e2.wrapping_add(e)),
        ]
    }

    #[inline(always)]
    fn weights([a, b, c]: [i32; 3]) -> [i32; LONGEST] {
        [15 * a, 5 * (a + b + c), 5 * (a - b + c), a + 2 * b + 4 * c, 4 * a - 2 * b + c, 15 * c]
    }

    #[inline(always)]
    fn sums([m0, m1, m2, m3, m4, m5]: [i32; LONGEST]) -> [i32; 4] {
        let times = |m: i32, log2: u32| m.wrapping_shl(log2);
        let (sum, difference) = (m1.wrapping_add(m2), m1.wrapping_sub(m2));
        [
            m0.wrapping_add(sum).wrapping_add(m3).wrapping_add(times(m4, 3)),
            difference.wrapping_add(times(m3.wrapping_sub(times(m4, 1)), 1)),
            sum.wrapping_add(times(times(m3, 1).wrapping_add(m4), 1)),
            difference.wrapping_add(times(m3, 3)).wrapping_sub(m4).wrapping_add(m5),
        ]
    }
}

/// Rows of `Bᵀ` as (sum of positive, minus the sum of negative) coefficients.
pub fn window_gains<M: Minimal>() -> Vec<(i64, i64)> {
    let unit = |k| M::window(std::array::from_fn(|i| i16::from(i == k)));
    let columns: Vec<_> = (0..M::SIDE).map(unit).collect();
    let part = |row: usize, sign: i64| columns.iter().map(|c| (sign * i64::from(c[row])).max(0)).sum();
    (0..M::SIDE).map(|row| (part(row, 1), part(row, -1))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    fn filters<M: Minimal>(scale: i32) {
        assert_eq!((scale * scale).wrapping_mul(M::INVERSE), 4);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        for _ in 0..1000 {
            let d: [i16; LONGEST] = std::array::from_fn(|_| rng.random_range(-2000..2000));
            let g: [i32; 3] = std::array::from_fn(|_| rng.random_range(-2000..2000));
            let (u, v) = (M::weights(g), M::window(d));
            let y = M::sums(std::array::from_fn(|i| u[i].wrapping_mul(v[i].into())));
            for k in 0..M::OUT {
                let want: i32 = (0..3).map(|r| g[r] * i32::from(d[k + r])).sum();
                assert_eq!(y[k], want.wrapping_mul(scale));
            }
        }
    }

    #[test]
    fn both_filter() {
        filters::<Two>(2);
        filters::<Four>(30);
    }

    #[test]
    fn gains_of_the_windows() {
        assert_eq!(window_gains::<Two>(), [(1, 1), (2, 0), (1, 1), (1, 1)]);
        assert_eq!(window_gains::<Four>(), [(7, 7), (8, 2), (5, 5), (3, 3), (3, 3), (7, 7)]);
    }
}
