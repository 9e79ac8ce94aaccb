//! Convolution by Winograd's minimal filtering F(2×2, 3×3) or F(4×4, 3×3), in integers and exact (Lavin and Gray,
//! "Fast Algorithms for Convolutional Neural Networks", 2016).
//!
//! A tile of sums is `Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` of the 3×3 weights `g` and the window `d`, one wider by 2 each way:
//! 4 or 2.25 products a sum where the definition takes 9. [`super::minimal`] scales G to integers. Nothing is
//! rounded: all sums are taken modulo 2^32, and 4 times the sum is below 2^31 by the layer's proven bound
//! ([`Winograd::new`]), so that an odd factor's inverse and a shift by 2 recover it.

use super::Isa;
use super::kernel::{BLOCK, Kernel, LANES, Rows, Work, dispatch, multiply};
use super::minimal::{Four, LONGEST, Minimal, Two, window_gains};
use super::requantize::Requantize;
use super::scratch;
use super::tiled::{CHANNELS, Tiled};
use crate::arith::{Levels, accumulator_bits};
use crate::int::{IntLayer, Output};
use crate::net::{KERNEL, Op, Shape};
use rayon::prelude::*;
use std::marker::PhantomData;
use std::ops::Range;

/// Accumulator bits that leave room for the factor 4.
const BITS: u32 = 30;
/// Transformed windows of one group of tiles, in bytes: a share of the second-level cache.
const WINDOWS: usize = 256 << 10;
/// Sums of one task, in bytes: another share.
const SUMS: usize = 256 << 10;
/// At least [`LONGEST`] columns, a power of two.
const RING: usize = 8;
/// Tiles that make reading the weights once more worth while.
const TILES: usize = 28;

/// A convolution, packed.
pub struct Winograd {
    pool: bool,
    tile: Tile,
    /// Terms of the sum at each point, in pairs.
    pairs: usize,
    /// Transformed weights `(co / LANES, point, ci / 2, LANES, 2)`.
    panels: Vec<i16>,
    requantize: Vec<Requantize>,
}

/// Rows and columns of a tile of sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tile {
    /// F(2×2, 3×3).
    Two,
    /// F(4×4, 3×3).
    Four,
}

impl Tile {
    /// Products of each pair of channels in a map of this shape; reading a weight costs as much as some of them.
    fn cost(self, input: Shape) -> usize {
        let cost = |out: usize, points: usize| points * (input.h.div_ceil(out) * input.w.div_ceil(out) + 8);
        match self {
            Tile::Two => cost(Two::OUT, points::<Two>()),
            Tile::Four => cost(Four::OUT, points::<Four>()),
        }
    }
}

impl Winograd {
    /// Packs `layer`, whose input `input` has codes in `x`; `None` where 16-bit operands, 16-bit output codes or
    /// 32-bit sums cannot be proven to suffice.
    pub fn new(layer: &IntLayer, input: Shape, x: Levels) -> Option<Self> {
        let mut tiles = [Tile::Four, Tile::Two];
        tiles.sort_by_key(|tile| tile.cost(input));
        tiles.into_iter().find_map(|tile| Self::with_tile(layer, input, x, tile))
    }

    /// The same with tiles of a given size.
    pub fn with_tile(layer: &IntLayer, input: Shape, x: Levels, tile: Tile) -> Option<Self> {
        let Op::Conv { pool, .. } = layer.op else { return None };
        let Output::Requantized { quantizer, .. } = &layer.output else { return None };
        let sums_fit = accumulator_bits(layer.accumulator_bound(x)) <= BITS;
        if !sums_fit || i16::try_from(quantizer.levels.b).is_err() {
            return None;
        }
        let panels = match tile {
            Tile::Two => windows_fit::<Two>(x).then(|| pack::<Two>(layer, input.c)),
            Tile::Four => windows_fit::<Four>(x).then(|| pack::<Four>(layer, input.c)),
        };
        let (pairs, requantize) = (input.c.div_ceil(2), Requantize::of(layer)?);
        Some(Self { pool, tile, pairs, panels: panels.flatten()?, requantize })
    }

    /// Writes the layer's output codes; the frame of `y` stays as it is.
    pub fn run(&self, isa: Isa, x: &Tiled, y: &mut Tiled) {
        match self.tile {
            Tile::Two => self.run_as::<Two>(isa, x, y),
            Tile::Four => self.run_as::<Four>(isa, x, y),
        }
    }

    fn run_as<M: Minimal>(&self, isa: Isa, x: &Tiled, y: &mut Tiled) {
        let (down, across) = (x.shape.h.div_ceil(M::OUT), x.shape.w.div_ceil(M::OUT));
        let window = 2 * points::<M>() * x.shape.c.next_multiple_of(CHANNELS);
        let rows = (WINDOWS / (across * window)).max(TILES.div_ceil(across)).min(down); // of tiles in a group
        let tile = if self.pool { M::OUT / 2 } else { M::OUT };
        let (shape, y_row, y_plane) = (y.shape, y.row(), y.plane());
        y.images_mut().zip(x.images()).for_each(|(y, image)| {
            // The rows of every plane that a group writes.
            let mut parts: Vec<Vec<&mut [i16]>> = (0..down.div_ceil(rows)).map(|_| vec![]).collect();
            for plane in y.chunks_exact_mut(y_plane) {
                let inside = plane[y_row..].chunks_mut(rows * tile * y_row);
                parts.iter_mut().zip(inside).for_each(|(part, rows)| part.push(rows));
            }
            parts.into_par_iter().enumerate().for_each(|(i, mut y)| {
                let rows = i * rows..down.min((i + 1) * rows);
                let output = Shape { h: shape.h - shape.h.min(rows.start * tile), ..shape };
                Group { layer: self, x: image, map: x, rows, across, y_row, output }.run::<M>(isa, &mut y);
            });
        });
    }
}

/// Products of a tile.
const fn points<M: Minimal>() -> usize {
    M::SIDE * M::SIDE
}

/// Whether every point of a transformed window of codes in `x` is proven to fit 16 bits.
fn windows_fit<M: Minimal>(x: Levels) -> bool {
    let (a, b, gains) = (i64::from(x.a), i64::from(x.b), window_gains::<M>());
    let fits = |v: i64| i16::try_from(v).is_ok();
    gains.iter().all(|(p, n)| {
        gains.iter().all(|(q, m)| {
            let (plus, minus) = (p * q + n * m, p * m + n * q);
            fits(plus * b - minus * a) && fits(plus * a - minus * b)
        })
    })
}

/// The transformed 3×3 weights, row by row; `None` where a point does not fit 16 bits.
fn transform_weights<M: Minimal>(g: &[i16]) -> Option<[[i16; LONGEST]; LONGEST]> {
    let mut columns = [[0; LONGEST]; KERNEL];
    for j in 0..KERNEL {
        columns[j] = M::weights([g[j].into(), g[KERNEL + j].into(), g[2 * KERNEL + j].into()]);
    }
    let mut u = [[0; LONGEST]; LONGEST];
    for i in 0..M::SIDE {
        let row = M::weights([columns[0][i], columns[1][i], columns[2][i]]);
        for j in 0..M::SIDE {
            u[i][j] = row[j].try_into().ok()?;
        }
    }
    Some(u)
}

fn pack<M: Minimal>(layer: &IntLayer, ci: usize) -> Option<Vec<i16>> {
    let (co, pairs) = (layer.op.co(), ci.div_ceil(2));
    let block = points::<M>() * pairs * 2 * LANES;
    let mut panels = vec![0; co.div_ceil(LANES) * block];
    let fits = panels.par_chunks_exact_mut(block).enumerate().all(|(i, block)| {
        (0..LANES.min(co - i * LANES)).all(|c| {
            let filters = &layer.weight[(i * LANES + c) * ci * KERNEL * KERNEL..][..ci * KERNEL * KERNEL];
            filters.chunks_exact(KERNEL * KERNEL).enumerate().all(|(k, g)| {
                let Some(u) = transform_weights::<M>(g) else { return false };
                for (point, u) in u.iter().flat_map(|row| &row[..M::SIDE]).enumerate().take(points::<M>()) {
                    block[((point * pairs + k / 2) * LANES + c) * 2 + k % 2] = *u;
                }
                true
            })
        })
    });
    fits.then_some(panels)
}

/// Some rows of tiles of one image.
struct Group<'a> {
    layer: &'a Winograd,
    x: &'a [i16],
    map: &'a Tiled,
    /// Rows of tiles.
    rows: Range<usize>,
    /// Tiles in a row.
    across: usize,
    /// Elements of a row of the output.
    y_row: usize,
    /// The output from the first row of the group on.
    output: Shape,
}

impl Group<'_> {
    fn tiles(&self) -> usize {
        self.rows.len() * self.across
    }

    /// Fills the planes `y`, from the first row of the group on, left border included.
    fn run<M: Minimal>(&self, isa: Isa, y: &mut [&mut [i16]]) {
        // (block, point, tile, BLOCK)
        let block = points::<M>() * self.tiles() * BLOCK;
        let mut windows = scratch::windows(self.layer.pairs.div_ceil(BLOCK / 2) * block);
        windows.par_chunks_exact_mut(block).enumerate().for_each(|(i, windows)| {
            let plane = &self.x[i * self.map.plane()..][..self.map.plane()];
            dispatch(isa, Windows { group: self, plane, windows, minimal: PhantomData::<M> });
        });
        self.multiply::<M>(isa, &windows, y);
    }

    /// The planes from their windows `(block, point, tile, BLOCK)`.
    fn multiply<M: Minimal>(&self, isa: Isa, windows: &[i16], y: &mut [&mut [i16]]) {
        let fit = (SUMS / (points::<M>() * self.tiles() * LANES * 4)).max(1);
        let together = fit.min(y.len().div_ceil(rayon::current_num_threads())).max(1);
        let panels = self.layer.panels.par_chunks(together * points::<M>() * self.layer.pairs * 2 * LANES);
        let requantize = self.layer.requantize.par_chunks(together);
        y.par_chunks_mut(together).zip(panels).zip(requantize).for_each(|((y, panels), requantize)| {
            let minimal = PhantomData::<M>;
            dispatch(isa, Channels { group: self, windows, panels, requantize, y, minimal });
        });
    }
}

/// `Bᵀ d B` of one plane of a group, `(point, tile, BLOCK)`.
struct Windows<'a, M> {
    group: &'a Group<'a>,
    plane: &'a [i16],
    windows: &'a mut [i16],
    minimal: PhantomData<M>,
}

impl<M: Minimal> Work for Windows<'_, M> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self) {
        let (row, tiles) = (self.group.map.row(), self.group.tiles());
        // The last columns, transformed: those that two tiles share are not transformed twice.
        let mut columns = [[[0; CHANNELS]; LONGEST]; RING];
        let mut line = [[0; CHANNELS]; LONGEST];
        let corners = self.group.rows.clone().flat_map(|i| (0..self.group.across).map(move |j| (i, j)));
        for (t, (i, j)) in corners.enumerate() {
            let corner = &self.plane[M::OUT * (i * row + j * CHANNELS)..];
            for x in if j == 0 { 0 } else { M::SIDE - M::OUT }..M::SIDE {
                let d = std::array::from_fn(|y| {
                    let y = y.min(M::SIDE - 1);
                    corner[y * row + x * CHANNELS..].first_chunk().expect("windows lie in the frame")
                });
                transform::<M>(d, &mut columns[(M::OUT * j + x) % RING]);
            }
            for y in 0..M::SIDE {
                transform::<M>(std::array::from_fn(|x| &columns[(M::OUT * j + x) % RING][y]), &mut line);
                for x in 0..M::SIDE {
                    self.windows[((y * M::SIDE + x) * tiles + t) * BLOCK..][..BLOCK]
                        .copy_from_slice(&line[x]);
                }
            }
        }
    }
}

/// One line of windows of all channels.
#[inline(always)]
fn transform<M: Minimal>(d: [&[i16; CHANNELS]; LONGEST], v: &mut [[i16; CHANNELS]; LONGEST]) {
    for c in 0..CHANNELS {
        let line = M::window(std::array::from_fn(|i| d[i][c]));
        for i in 0..M::SIDE {
            v[i][c] = line[i];
        }
    }
}

/// Some planes of the output of a group.
struct Channels<'a, 'b, M> {
    group: &'a Group<'a>,
    windows: &'a [i16],
    panels: &'a [i16],
    requantize: &'a [Requantize],
    y: &'a mut [&'b mut [i16]],
    minimal: PhantomData<M>,
}

impl<M: Minimal> Work for Channels<'_, '_, M> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(mut self) {
        // (plane, point, tile, LANES)
        let plane = points::<M>() * self.group.tiles() * LANES;
        let mut sums = scratch::sums(self.y.len() * plane);
        self.multiply::<K>(&mut sums);
        for (i, sums) in sums.chunks_exact(plane).enumerate() {
            self.store(sums, i);
        }
    }
}

/// The sums of a tile, row by row, all channels of a block.
type Sums = [[[i32; LANES]; 4]; 4];

impl<M: Minimal> Channels<'_, '_, M> {
    /// The products of all points, summed over the channels of the input.
    #[inline(always)]
    fn multiply<K: Kernel>(&self, sums: &mut [i32]) {
        let (tiles, pairs) = (self.group.tiles(), self.group.layer.pairs);
        let (panel, stride) = (pairs * 2 * LANES, points::<M>() * tiles * BLOCK);
        for p in 0..points::<M>() {
            let a = Rows { codes: &self.windows[p * tiles * BLOCK..], stride };
            for i in 0..self.y.len() {
                let at = i * points::<M>() + p;
                let sums = &mut sums[at * tiles * LANES..][..tiles * LANES];
                multiply::<K, i16>(tiles, pairs, a, &self.panels[at * panel..][..panel], sums);
            }
        }
    }

    /// Writes the output plane `block` from its sums `(point, tile, LANES)`.
    #[inline(always)]
    fn store(&mut self, sums: &[i32], block: usize) {
        let (tiles, across) = (self.group.tiles(), self.group.across);
        let mut tile: Sums = [[[0; LANES]; 4]; 4];
        for t in 0..tiles {
            let at =
                |p: usize| sums[(p * tiles + t) * LANES..].first_chunk().expect("a lane for each channel");
            tile_sums::<M>(at, &mut tile);
            let (mut i, mut j, mut side) = (t / across * M::OUT, t % across * M::OUT, M::OUT);
            if self.group.layer.pool {
                pool::<M>(&mut tile);
                (i, j, side) = (i / 2, j / 2, side / 2);
            }
            for y in 0..side {
                for x in 0..side {
                    self.put(i + y, j + x, block, &tile[y][x]);
                }
            }
        }
    }

    /// Writes a block's codes at row `i` of the group, column `j`; what lies outside the map is dropped.
    #[inline(always)]
    fn put(&mut self, i: usize, j: usize, block: usize, sums: &[i32; LANES]) {
        if i < self.group.output.h && j < self.group.output.w {
            let codes = &mut self.y[block][i * self.group.y_row + (j + 1) * CHANNELS..][..LANES];
            codes.copy_from_slice(&self.requantize[block].apply(sums));
        }
    }
}

/// `Aᵀ m A` of the points of a tile, freed of its scale.
#[inline(always)]
fn tile_sums<'a, M: Minimal>(at: impl Fn(usize) -> &'a [i32; LANES], tile: &mut Sums) {
    let mut rows = [[[0; LANES]; LONGEST]; 4];
    for x in 0..M::SIDE {
        let m: [_; LONGEST] = std::array::from_fn(|y| at(y.min(M::SIDE - 1) * M::SIDE + x));
        for c in 0..LANES {
            let sums = M::sums(std::array::from_fn(|y| m[y][c]));
            (0..M::OUT).for_each(|y| rows[y][x][c] = sums[y]);
        }
    }
    for y in 0..M::OUT {
        for c in 0..LANES {
            let sums = M::sums(std::array::from_fn(|x| rows[y][x][c]));
            (0..M::OUT).for_each(|x| tile[y][x][c] = sums[x].wrapping_mul(M::INVERSE) >> 2);
        }
    }
}

/// The greatest of each 2×2 sums, in the tile's first rows and columns.
#[inline(always)]
fn pool<M: Minimal>(tile: &mut Sums) {
    for y in 0..M::OUT / 2 {
        for x in 0..M::OUT / 2 {
            for c in 0..LANES {
                let [top, bottom] = [&tile[2 * y], &tile[2 * y + 1]];
                let most =
                    top[2 * x][c].max(top[2 * x + 1][c]).max(bottom[2 * x][c]).max(bottom[2 * x + 1][c]);
                tile[y][x][c] = most;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_fit_up_to_their_bound() {
        for (a, b) in [(0, 334), (-127, 207), (-334, 0), (-128, 127), (0, 255)] {
            assert!(windows_fit::<Four>(Levels { a, b }), "{a} … {b}"); // 98 · 334 = 32732
        }
        for (a, b) in [(0, 335), (-128, 207), (0, 511)] {
            assert!(!windows_fit::<Four>(Levels { a, b }), "{a} … {b}");
        }
        assert!(windows_fit::<Two>(Levels { a: -8191, b: 8191 }));
        assert!(!windows_fit::<Two>(Levels { a: -8192, b: 8192 }));
        assert!(windows_fit::<Two>(Levels::unsigned(13)) && !windows_fit::<Two>(Levels::unsigned(14)));
    }

    #[test]
    fn weights_of_eight_bits_fit() {
        for w in [-128, 127] {
            for alternate in [1, -1] {
                let g: [i16; 9] =
                    std::array::from_fn(|i| if i % 2 == 1 && alternate < 0 { -(w + 1) } else { w });
                assert!(transform_weights::<Four>(&g).is_some() && transform_weights::<Two>(&g).is_some());
            }
        }
        assert!(transform_weights::<Four>(&[146; 9]).is_none()); // 225 · 146 = 32850
    }
}
