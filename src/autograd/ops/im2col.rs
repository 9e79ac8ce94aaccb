//! Convolution windows as matrix rows.

use crate::autograd::Real;
use crate::net::KERNEL;

/// A batch of feature maps `(image, row, column, channel)`.
#[derive(Clone, Copy)]
pub(super) struct Maps<'a, T> {
    pub x: &'a [T],
    pub h: usize,
    pub w: usize,
    pub c: usize,
}

impl<T: Real> Maps<'_, T> {
    /// Elements of one window: 3·3·c in row, column, channel order.
    pub fn window(self) -> usize {
        KERNEL * KERNEL * self.c
    }

    /// Writes the windows around positions `first ..` (counted through images, rows and columns) to the rows
    /// of `out`; outside the map is 0.
    pub fn windows(self, first: usize, out: &mut [T]) {
        let Maps { h, w, .. } = self;
        for (p, window) in (first..).zip(out.chunks_exact_mut(self.window())) {
            let (image, i, j) = (p / (h * w), p / w % h, p % w);
            for (ky, part) in window.chunks_exact_mut(KERNEL * self.c).enumerate() {
                match (i + ky).checked_sub(1) {
                    Some(y) if y < h => self.three(image * h + y, j, part),
                    _ => part.fill(T::zero()),
                }
            }
        }
    }

    /// Columns `j − 1 ..= j + 1` of `row` (counted through images).
    fn three(self, row: usize, j: usize, part: &mut [T]) {
        let Maps { x, w, c, .. } = self;
        let (from, to) = (j.max(1) - 1, (j + 2).min(w));
        let lead = (from + 1 - j) * c;
        let end = lead + (to - from) * c;
        part[..lead].fill(T::zero());
        part[lead..end].copy_from_slice(&x[(row * w + from) * c..(row * w + to) * c]);
        part[end..].fill(T::zero());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_a_two_by_two_map() {
        let maps = Maps { x: &[1.0, 2.0, 3.0, 4.0], h: 2, w: 2, c: 1 };
        let mut rows = [9.0; 36];
        maps.windows(0, &mut rows);
        assert_eq!(rows[..9], [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0]);
        assert_eq!(rows[9..18], [0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0]);
        assert_eq!(rows[27..], [1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
