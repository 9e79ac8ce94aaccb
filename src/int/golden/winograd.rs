//! Convolution by Winograd's minimal filtering F(2×2, 3×3), in integers and exact (Lavin and Gray,
//! "Fast Algorithms for Convolutional Neural Networks", 2016).
//!
//! A 2×2 tile of sums is `Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` of the 3×3 weights `g` and the 4×4 window `d`: 16
//! products where the definition takes 36. `G` holds halves; with `2G` everything is an integer and the result
//! is 4 times the sum. Nothing is rounded: all sums are taken modulo 2^32, and 4 times the sum is below 2^31
//! by the layer's proven bound ([`Winograd::new`]), so that the last shift by 2 recovers it.

use super::Isa;
use super::kernel::{Kernel, LANES, Work, dispatch, multiply};
use super::requantize::{Requantize, WIDTH};
use super::tiled::{CHANNELS, Tiled};
use crate::arith::{Levels, accumulator_bits};
use crate::int::{IntLayer, Output};
use crate::net::{KERNEL, Op, Shape};
use rayon::prelude::*;

/// Products of a tile: the 4×4 positions of the transformed window.
const POINTS: usize = 16;
/// Accumulator bits that leave room for the factor 4.
const BITS: u32 = 30;
/// Transformed windows of one task, in bytes: a share of the second-level cache.
const WINDOWS: usize = 512 << 10;

/// A convolution, packed.
pub struct Winograd {
    pool: bool,
    /// Terms of the sum at each point, in pairs.
    pairs: usize,
    /// Transformed weights `(co / LANES, point, ci / 2, LANES, 2)`.
    panels: Vec<i16>,
    requantize: Vec<Requantize>,
}

impl Winograd {
    /// Packs `layer`, whose input `input` has codes in `x`; `None` where 16-bit operands, 16-bit output codes or
    /// 32-bit sums cannot be proven to suffice.
    pub fn new(layer: &IntLayer, input: Shape, x: Levels) -> Option<Self> {
        let Op::Conv { pool, .. } = layer.op else { return None };
        let Output::Requantized { quantizer, .. } = &layer.output else { return None };
        let narrow = |v: i64| i16::try_from(v).is_ok();
        // A point of the transformed window is ±d ±d ±d ±d; one of the weights at most a sum of nine.
        let window = 4 * i64::from(x.magnitude());
        let bits = accumulator_bits(layer.accumulator_bound(x));
        if bits > BITS
            || !narrow(window)
            || !narrow(quantizer.levels.b.into())
            || !narrow(9 * magnitude(layer))
        {
            return None;
        }
        let (pairs, requantize) = (input.c.div_ceil(2), Requantize::of(layer)?);
        Some(Self { pool, pairs, panels: pack(layer, input.c, pairs), requantize })
    }

    /// The layer's output codes.
    pub fn run(&self, isa: Isa, x: &Tiled, output: Shape, images: usize) -> Tiled {
        let mut y = Tiled::zeros(images, output);
        let (down, across) = x.tiles();
        let rows = rows_per_task(down, across * POINTS * x.column() * 2);
        let (y_row, y_column) = (y.row(), y.column());
        let y_rows = if self.pool { rows } else { 2 * rows }; // of a task
        y.images_mut().zip(x.images()).for_each(|(y, x_image)| {
            let inside = &mut y[y_row..];
            inside.par_chunks_mut(y_rows * y_row).take(down.div_ceil(rows)).enumerate().for_each(|(i, y)| {
                let rows = i * rows..down.min((i + 1) * rows);
                let task = Task { layer: self, x: x_image, map: x, rows, across, y, y_row, y_column, output };
                dispatch(isa, task)
            });
        });
        y
    }
}

/// The greatest magnitude of a weight.
fn magnitude(layer: &IntLayer) -> i64 {
    layer.weight.iter().map(|w| i64::from(w.unsigned_abs())).max().unwrap_or(0)
}

/// Rows of tiles for one task: as many as fit, but some tasks for each thread.
fn rows_per_task(rows: usize, row_bytes: usize) -> usize {
    let fit = (WINDOWS / row_bytes).max(1);
    fit.min(rows.div_ceil(rayon::current_num_threads())).max(1)
}

/// `2G g (2G)ᵀ`, row by row.
fn transform_weights(g: &[i16]) -> [i16; POINTS] {
    let line = |a: i32, b: i32, c: i32| [2 * a, a + b + c, a - b + c, 2 * c];
    let mut columns = [[0; 4]; KERNEL];
    for j in 0..KERNEL {
        columns[j] = line(g[j].into(), g[KERNEL + j].into(), g[2 * KERNEL + j].into());
    }
    let mut u = [0; POINTS];
    for i in 0..4 {
        let row = line(columns[0][i], columns[1][i], columns[2][i]);
        (0..4).for_each(|j| u[4 * i + j] = row[j] as i16);
    }
    u
}

fn pack(layer: &IntLayer, ci: usize, pairs: usize) -> Vec<i16> {
    let (co, block) = (layer.op.co(), POINTS * pairs * 2 * LANES);
    let mut panels = vec![0; co.div_ceil(LANES) * block];
    panels.par_chunks_exact_mut(block).enumerate().for_each(|(i, block)| {
        for c in 0..LANES.min(co - i * LANES) {
            let filters = &layer.weight[(i * LANES + c) * ci * KERNEL * KERNEL..][..ci * KERNEL * KERNEL];
            for (k, g) in filters.chunks_exact(KERNEL * KERNEL).enumerate() {
                for (point, u) in transform_weights(g).into_iter().enumerate() {
                    block[((point * pairs + k / 2) * LANES + c) * 2 + k % 2] = u;
                }
            }
        }
    });
    panels
}

/// Some rows of tiles of one image.
struct Task<'a> {
    layer: &'a Winograd,
    x: &'a [i16],
    map: &'a Tiled,
    /// Rows of tiles.
    rows: std::ops::Range<usize>,
    /// Tiles in a row.
    across: usize,
    /// Output from the first row of the task on, left border included.
    y: &'a mut [i16],
    y_row: usize,
    y_column: usize,
    output: Shape,
}

impl Work for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self) {
        let tiles = self.rows.len() * self.across;
        let channels = self.map.column();
        // One cache line more than needed keeps the points out of each other's cache sets.
        let point = tiles * channels + 32;
        let mut windows = vec![0; POINTS * point];
        self.transform_windows(&mut windows, point);
        let mut sums = vec![0; POINTS * tiles * LANES];
        let pairs = self.layer.pairs;
        for (block, panels) in self.layer.panels.chunks_exact(POINTS * pairs * 2 * LANES).enumerate() {
            let points = panels.chunks_exact(pairs * 2 * LANES).zip(sums.chunks_exact_mut(tiles * LANES));
            for ((panel, sums), windows) in points.zip(windows.chunks_exact(point)) {
                multiply::<K, i16>(tiles, pairs, windows, channels, panel, sums);
            }
            self.store(&sums, block);
        }
    }
}

impl Task<'_> {
    /// `Bᵀ d B` of every tile: `windows` is `(point, tile, channel)`, `stride` elements a point.
    #[inline(always)]
    fn transform_windows(&self, windows: &mut [i16], stride: usize) {
        let (row, column) = (self.map.row(), self.map.column());
        for (t, (i, j)) in self.rows.clone().flat_map(|i| (0..self.across).map(move |j| (i, j))).enumerate() {
            for c in (0..column).step_by(CHANNELS) {
                let corner = &self.x[2 * i * row + 2 * j * column + c..];
                let mut d = [[[0; CHANNELS]; 4]; 4];
                for y in 0..4 {
                    for x in 0..4 {
                        d[y][x].copy_from_slice(&corner[y * row + x * column..][..CHANNELS]);
                    }
                }
                for x in 0..4 {
                    let v = window_line([d[0][x], d[1][x], d[2][x], d[3][x]]);
                    (0..4).for_each(|y| d[y][x] = v[y]);
                }
                for y in 0..4 {
                    for (x, v) in window_line(d[y]).into_iter().enumerate() {
                        windows[(4 * y + x) * stride + t * column + c..][..CHANNELS].copy_from_slice(&v);
                    }
                }
            }
        }
    }

    /// Writes the 16 output channels of block `block` from its sums `(point, tile, LANES)`.
    #[inline(always)]
    fn store(&mut self, sums: &[i32], block: usize) {
        let tiles = self.rows.len() * self.across;
        let requantize = self.layer.requantize[2 * block..].iter().take(LANES / WIDTH);
        for (half, requantize) in requantize.enumerate() {
            for t in 0..tiles {
                let at = |p: usize| {
                    let lanes = &sums[(p * tiles + t) * LANES + half * WIDTH..][..WIDTH];
                    <[i32; WIDTH]>::try_from(lanes).expect("a slice of this length")
                };
                let quad = tile_sums(at);
                let (i, j) = (t / self.across, t % self.across); // of the tile in the task
                let channel = block * LANES + half * WIDTH;
                if self.layer.pool {
                    let most = max(max(quad[0], quad[1]), max(quad[2], quad[3]));
                    self.put(i, j, channel, requantize.apply(quarter(most)));
                } else {
                    for (q, sum) in quad.into_iter().enumerate() {
                        self.put(2 * i + q / 2, 2 * j + q % 2, channel, requantize.apply(quarter(sum)));
                    }
                }
            }
        }
    }

    /// Writes eight codes at row `i` of the task, column `j`; what lies outside the map is dropped.
    #[inline(always)]
    fn put(&mut self, i: usize, j: usize, channel: usize, codes: [i16; WIDTH]) {
        let first = self.rows.start * if self.layer.pool { 1 } else { 2 };
        if first + i < self.output.h && j < self.output.w {
            self.y[i * self.y_row + (j + 1) * self.y_column + channel..][..WIDTH].copy_from_slice(&codes);
        }
    }
}

/// One line of `Bᵀ d`.
#[inline(always)]
fn window_line(d: [[i16; CHANNELS]; 4]) -> [[i16; CHANNELS]; 4] {
    let mut v = [[0; CHANNELS]; 4];
    for c in 0..CHANNELS {
        v[0][c] = d[0][c].wrapping_sub(d[2][c]);
        v[1][c] = d[1][c].wrapping_add(d[2][c]);
        v[2][c] = d[2][c].wrapping_sub(d[1][c]);
        v[3][c] = d[1][c].wrapping_sub(d[3][c]);
    }
    v
}

/// `Aᵀ m A` of the 16 points: four times the sums of the 2×2 tile, row by row.
#[inline(always)]
fn tile_sums(at: impl Fn(usize) -> [i32; WIDTH]) -> [[i32; WIDTH]; 4] {
    let mut rows = [[[0; WIDTH]; 4]; 2];
    for x in 0..4 {
        let sums = sum_line([at(x), at(4 + x), at(8 + x), at(12 + x)]);
        (0..2).for_each(|y| rows[y][x] = sums[y]);
    }
    let (top, bottom) = (sum_line(rows[0]), sum_line(rows[1]));
    [top[0], top[1], bottom[0], bottom[1]]
}

/// One line of `Aᵀ m`.
#[inline(always)]
fn sum_line(m: [[i32; WIDTH]; 4]) -> [[i32; WIDTH]; 2] {
    let mut sums = [[0i32; WIDTH]; 2];
    for c in 0..WIDTH {
        sums[0][c] = m[0][c].wrapping_add(m[1][c]).wrapping_add(m[2][c]);
        sums[1][c] = m[1][c].wrapping_sub(m[2][c]).wrapping_sub(m[3][c]);
    }
    sums
}

#[inline(always)]
fn max(a: [i32; WIDTH], b: [i32; WIDTH]) -> [i32; WIDTH] {
    std::array::from_fn(|c| a[c].max(b[c]))
}

/// A quarter of multiples of 4.
#[inline(always)]
fn quarter(v: [i32; WIDTH]) -> [i32; WIDTH] {
    v.map(|v| v >> 2)
}
