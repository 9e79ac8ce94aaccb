//! Average pools between the last convolution and the first dense layer: linear, hence part of that layer.

use crate::net::Shape;
use std::ops::Range;

/// Most weights of a dense layer that absorbs a pool, 2 GiB: a small file could otherwise claim any size.
const MOST_WEIGHTS: usize = 1 << 29;

/// An average pool: the rows and columns of the feature map that each output row and column averages.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    /// Of each output row.
    pub rows: Vec<Range<usize>>,
    /// Of each output column.
    pub columns: Vec<Range<usize>>,
}

impl Average {
    /// PyTorch's `AdaptiveAvgPool2d(to)`: bin i of n covers ⌊i·size/n⌋ … ⌈(i+1)·size/n⌉.
    pub fn adaptive(from: Shape, to: usize) -> Self {
        let bins = |size: usize| (0..to).map(|i| i * size / to..((i + 1) * size).div_ceil(to)).collect();
        Self { rows: bins(from.h), columns: bins(from.w) }
    }

    /// Windows of `kernel` every `stride`, without padding.
    pub fn windows(from: Shape, kernel: [usize; 2], stride: [usize; 2]) -> Self {
        let bins = |size: usize, k: usize, s: usize| {
            let count = if size < k { 0 } else { (size - k) / s + 1 };
            (0..count).map(|i| i * s..i * s + k).collect()
        };
        Self { rows: bins(from.h, kernel[0], stride[0]), columns: bins(from.w, kernel[1], stride[1]) }
    }

    /// Shape after the pool.
    pub fn output(&self, from: Shape) -> Shape {
        Shape { c: from.c, h: self.rows.len(), w: self.columns.len() }
    }

    /// Dense weights over the feature map `from` that equal `weight` `(co, output)` over the pool's output.
    pub fn unfold(&self, weight: &[f32], from: Shape) -> Result<Vec<f32>, String> {
        let out = self.output(from);
        let map = (out.h * out.w).max(1);
        let count = (weight.len() / map).saturating_mul(from.h * from.w);
        if count > MOST_WEIGHTS {
            return Err(format!("an average pool of {from} to {out} would make it {count} weights"));
        }
        Ok(weight.chunks_exact(map).flat_map(|plane| self.unfold_plane(plane, from)).collect())
    }

    /// One output and channel: `plane` is `(output rows, output columns)`.
    fn unfold_plane(&self, plane: &[f32], from: Shape) -> Vec<f32> {
        let mut sums = vec![0f64; from.h * from.w];
        for (i, rows) in self.rows.iter().enumerate() {
            for (j, columns) in self.columns.iter().enumerate() {
                let share =
                    f64::from(plane[i * self.columns.len() + j]) / (rows.len() * columns.len()) as f64;
                for y in rows.clone() {
                    columns.clone().for_each(|x| sums[y * from.w + x] += share);
                }
            }
        }
        sums.into_iter().map(|s| s as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adaptive_bins_are_pytorchs() {
        let map = Shape { c: 1, h: 10, w: 2 };
        let pool = Average::adaptive(map, 7);
        // torch.nn.AdaptiveAvgPool2d(7) on 10 rows, read off its documentation's formula.
        assert_eq!(pool.rows, [0..2, 1..3, 2..5, 4..6, 5..8, 7..9, 8..10]);
        assert_eq!(pool.columns, [0..1, 0..1, 0..1, 0..2, 1..2, 1..2, 1..2]);
        assert_eq!(Average::adaptive(Shape { c: 1, h: 7, w: 7 }, 7).rows[6], 6..7);
    }

    #[test]
    fn unfolding_a_mean_spreads_it() {
        let map = Shape { c: 2, h: 2, w: 2 };
        let pool = Average::windows(map, [2, 2], [2, 2]);
        assert_eq!(pool.output(map), Shape { c: 2, h: 1, w: 1 });
        assert_eq!(pool.unfold(&[4.0, 8.0], map).unwrap(), [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
        let wide = Shape { c: 512, h: 512, w: 512 };
        let error = Average::adaptive(wide, 7).unfold(&[0.0; 49 * 512 * 5], wide).unwrap_err();
        assert_eq!(error, "an average pool of 512×512×512 to 512×7×7 would make it 671088640 weights");
    }
}
