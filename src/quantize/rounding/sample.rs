//! What one layer's weights multiply, at a sample of the positions of its output.

use crate::net::{KERNEL, Op};
use ndarray::{Array2, ArrayView4, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use std::ops::Range;

/// Positions of a layer's output, counted through images, rows and columns, in ascending order; a dense layer has one an
/// image.
pub struct Positions {
    chosen: Vec<usize>,
    an_image: usize,
}

impl Positions {
    /// Of a layer that reads `images` images of `(row, column)` maps: all, or one drawn from each of `most` equal parts.
    pub fn draw(op: Op, images: usize, (h, w): (usize, usize), most: usize) -> Self {
        let an_image = if matches!(op, Op::Conv { .. }) { h * w } else { 1 };
        let all = images * an_image;
        if all <= most {
            return Self { chosen: (0..all).collect(), an_image };
        }
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let chosen = (0..most).map(|i| rng.random_range(i * all / most..(i + 1) * all / most));
        Self { chosen: chosen.collect(), an_image }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    /// Those of some images, counted from the first of these.
    pub fn of(&self, images: Range<usize>) -> Vec<usize> {
        let (first, end) = (images.start * self.an_image, images.end * self.an_image);
        let place = |p| self.chosen.partition_point(|&q| q < p);
        self.chosen[place(first)..place(end)].iter().map(|p| p - first).collect()
    }
}

/// The terms `(position, input)` that `op`'s weights multiply at `positions` of maps `(image, channel, row, column)`, in
/// the order of one output's weights.
pub fn terms(op: Op, x: ArrayView4<f32>, positions: &[usize]) -> Array2<f32> {
    let (_, c, h, w) = x.dim();
    let inputs = if matches!(op, Op::Conv { .. }) { c * KERNEL * KERNEL } else { c * h * w };
    let mut rows = Array2::zeros((positions.len(), inputs));
    rows.axis_iter_mut(Axis(0)).into_par_iter().zip(positions).for_each(|(mut row, &p)| match op {
        Op::Dense { .. } => row.iter_mut().zip(x.index_axis(Axis(0), p)).for_each(|(to, &from)| *to = from),
        Op::Conv { .. } => {
            let (image, i, j) = (x.index_axis(Axis(0), p / (h * w)), p / w % h, p % w);
            for (k, to) in row.iter_mut().enumerate() {
                let (c, ky, kx) = (k / (KERNEL * KERNEL), k / KERNEL % KERNEL, k % KERNEL);
                let at = ((i + ky).wrapping_sub(1), (j + kx).wrapping_sub(1)); // the border is 0
                *to = image.get((c, at.0, at.1)).copied().unwrap_or(0.0);
            }
        }
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array4, arr2};

    const CONV: Op = Op::Conv { co: 1, pool: false };

    #[test]
    fn windows_by_hand() {
        let x = Array4::from_shape_vec((2, 1, 2, 2), (1..=8).map(|v| v as f32).collect()).unwrap();
        let want = arr2(&[
            [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0],
            [5.0, 6.0, 0.0, 7.0, 8.0, 0.0, 0.0, 0.0, 0.0],
        ]);
        assert_eq!(terms(CONV, x.view(), &[0, 7]), want);
        assert_eq!(terms(Op::Dense { co: 3 }, x.view(), &[1]), arr2(&[[5.0, 6.0, 7.0, 8.0]]));
    }

    #[test]
    fn a_sample_is_spread_over_all_images() {
        let all = Positions::draw(CONV, 3, (5, 5), 99);
        assert_eq!((all.len(), all.of(1..2)), (75, (0..25).collect()));
        assert_eq!(Positions::draw(Op::Dense { co: 1 }, 3, (5, 5), 99).len(), 3);
        let some = Positions::draw(CONV, 1000, (32, 32), 32_000);
        assert_eq!(some.len(), 32_000);
        let an_image: Vec<_> = (0..1000).map(|i| some.of(i..i + 1)).collect();
        assert!(an_image.iter().all(|p| (31..=33).contains(&p.len()) && p.iter().all(|&p| p < 1024)));
        let columns: std::collections::HashSet<_> = an_image.iter().flatten().map(|p| p % 32).collect();
        assert_eq!(columns.len(), 32);
    }
}
