//! 3×3 convolution with 16 products for every 2×2 outputs and pair of channels instead of 36: F(2×2, 3×3) of Lavin
//! and Gray 2016, `y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` on tiles `d` of 4×4 inputs.
//!
//! Each of the 16 places of a tile is a plane of its own: a matrix product over all tiles. The transforms have
//! coefficients 0, ±½, ±1, so that sums of codes lose no more to rounding than those of the plain algorithm.

use super::gemm::{matrix, matrix_mut};
use super::im2col::Maps;
use crate::autograd::Real;
use crate::net::KERNEL;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;

/// Places of a transformed tile.
const PLANES: usize = 16;
/// Tiles of one matrix product.
const TILES: usize = 512;
/// Elements of products that wait for their output transform, at least an image's: 8 MB in `f32`.
const PRODUCTS: usize = 2 << 20;

/// Two of a tile's rows or columns, counted from its first output, with their coefficients.
type Taps = [(isize, f64); 2];
/// The rows of Bᵀ.
const INPUT: [Taps; 4] =
    [[(-1, 1.0), (1, -1.0)], [(0, 1.0), (1, 1.0)], [(0, -1.0), (1, 1.0)], [(0, 1.0), (2, -1.0)]];
/// The rows of A.
const OUTPUT: [Taps; 4] =
    [[(0, 1.0), (1, 0.0)], [(0, 1.0), (1, 1.0)], [(0, 1.0), (1, -1.0)], [(0, 0.0), (1, -1.0)]];
/// The rows of G.
const WEIGHT: [[f64; KERNEL]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// Whether the transforms pay.
pub(super) fn pays(ci: usize, co: usize) -> bool {
    ci.min(co) >= 16
}

/// The kernel `(co, ky, kx, ci)` as `G g Gᵀ` `(plane, co, ci)`; with `turn` the kernel turned by 180°.
pub(super) fn kernel<T: Real>(kernel: &[T], co: usize, ci: usize, turn: bool) -> Array3<T> {
    let mut planes = Array3::zeros((PLANES, co, ci));
    planes.outer_iter_mut().into_par_iter().enumerate().for_each(|(p, mut plane)| {
        for (mut to, from) in plane.outer_iter_mut().zip(kernel.chunks_exact(KERNEL * KERNEL * ci)) {
            let terms = TAPS.map(|tap| {
                let from = if turn { KERNEL * KERNEL - 1 - tap } else { tap };
                (weight(p, tap), from * ci)
            });
            combine(to.as_slice_mut().expect("row-major"), terms.map(|(a, at)| (a, &from[at..])));
        }
    });
    planes
}

/// The elements of a kernel in the order of memory.
const TAPS: [usize; KERNEL * KERNEL] = [0, 1, 2, 3, 4, 5, 6, 7, 8];

/// Coefficient of the kernel's element `tap` in plane `p`.
fn weight<T: Real>(p: usize, tap: usize) -> T {
    T::of(WEIGHT[p / 4][tap / KERNEL] * WEIGHT[p % 4][tap % KERNEL])
}

/// `y` `(n, h, w, outputs)` = `maps` convolved with `kernel` `(plane, channels, outputs)`.
pub(super) fn convolve<T: Real>(maps: Maps<T>, kernel: ArrayView3<T>, y: &mut [T]) {
    let (image, outputs) = (maps.h * maps.w, kernel.dim().2);
    let tiles = tiles(maps);
    let images = (PRODUCTS / (PLANES * tiles * outputs)).clamp(1, maps.x.len() / (image * maps.c));
    let mut products = vec![T::zero(); PLANES * images * tiles * outputs];
    for (block, y) in y.chunks_mut(images * image * outputs).enumerate() {
        let count = y.len() / (image * outputs) * tiles;
        let products = &mut products[..PLANES * count * outputs];
        products.par_chunks_mut(count * outputs).enumerate().for_each(|(p, products)| {
            products.par_chunks_mut(TILES * outputs).enumerate().for_each_init(
                || vec![T::zero(); TILES * maps.c],
                |transformed, (i, products)| {
                    let rows = products.len() / outputs;
                    let transformed = &mut transformed[..rows * maps.c];
                    plane(maps, &INPUT, p, block * images * tiles + i * TILES, transformed);
                    let mut products = matrix_mut(products, rows);
                    let kernel = kernel.index_axis(Axis(0), p);
                    general_mat_mul(T::one(), &matrix(transformed, rows), &kernel, T::zero(), &mut products);
                },
            );
        });
        let products: &[T] = products;
        y.par_chunks_mut(image * outputs).enumerate().for_each(|(i, y)| {
            y.par_chunks_mut(2 * maps.w * outputs).enumerate().for_each(|(row, y)| {
                let first = i * tiles + row * maps.w.div_ceil(2);
                output_rows(products, count, first, y, maps.w);
            });
        });
    }
}

/// `gk` `(co, ky, kx, ci)` = gradient of a convolution's kernel from its input `maps` and its output's `gradient`.
pub(super) fn kernel_gradient<T: Real>(maps: Maps<T>, gradient: Maps<T>, gk: &mut [T]) {
    let (ci, co) = (maps.c, gradient.c);
    let tiles = maps.x.len() / (maps.h * maps.w * ci) * tiles(maps);
    let mut planes = Array3::<T>::zeros((PLANES, co, ci));
    planes.outer_iter_mut().into_par_iter().enumerate().for_each_init(
        || (vec![T::zero(); TILES * ci], vec![T::zero(); TILES * co]),
        |(x, g), (p, mut kernel)| {
            for first in (0..tiles).step_by(TILES) {
                let rows = TILES.min(tiles - first);
                let (x, g) = (&mut x[..rows * ci], &mut g[..rows * co]);
                plane(maps, &INPUT, p, first, x);
                plane(gradient, &OUTPUT, p, first, g);
                general_mat_mul(T::one(), &matrix(g, rows).t(), &matrix(x, rows), T::one(), &mut kernel);
            }
        },
    );
    let planes = planes.as_slice().expect("row-major");
    gk.par_chunks_mut(ci).enumerate().for_each(|(i, to)| {
        let (o, tap) = (i / (KERNEL * KERNEL), i % (KERNEL * KERNEL));
        combine(to, std::array::from_fn::<_, PLANES, _>(|p| (weight(p, tap), &planes[(p * co + o) * ci..])));
    });
}

/// Tiles of an image.
fn tiles<T>(maps: Maps<T>) -> usize {
    maps.h.div_ceil(2) * maps.w.div_ceil(2)
}

/// Place `p` of the tiles `first ..` (counted through images, rows and columns), transformed by `taps`.
fn plane<T: Real>(maps: Maps<T>, taps: &[Taps; 4], p: usize, first: usize, out: &mut [T]) {
    let Maps { x, h, w, c } = maps;
    let (rows, columns, zeros) = (taps[p / 4], taps[p % 4], vec![T::zero(); c]);
    let (per_row, per_image) = (w.div_ceil(2), tiles(maps));
    for (tile, out) in (first..).zip(out.chunks_exact_mut(c)) {
        let (image, i, j) = (tile / per_image, tile % per_image / per_row, tile % per_row);
        let terms = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(r, s)| {
            let ((dy, a), (dx, b)) = (rows[r], columns[s]);
            let at = match ((2 * i).checked_add_signed(dy), (2 * j).checked_add_signed(dx)) {
                (Some(y), Some(x0)) if y < h && x0 < w => &x[((image * h + y) * w + x0) * c..],
                _ => &zeros[..],
            };
            (T::of(a * b), at)
        });
        combine(out, terms);
    }
}

/// One or two rows `y` of the output, whose tiles begin at tile `first` of the `count` in `products`.
fn output_rows<T: Real>(products: &[T], count: usize, first: usize, y: &mut [T], w: usize) {
    let outputs = products.len() / (PLANES * count);
    for (at, y) in y.chunks_exact_mut(outputs).enumerate() {
        let (i, j, tile) = (at / w, at % w % 2, first + at % w / 2);
        let terms = TAPS.map(|k| {
            let p = (i + k / 3) * 4 + j + k % 3; // the rows of A that are not 0 in columns i and j
            (T::of(OUTPUT[p / 4][i].1 * OUTPUT[p % 4][j].1), &products[(p * count + tile) * outputs..])
        });
        combine(y, terms);
    }
}

/// `out[c] = Σ a · x[c]`.
fn combine<T: Real, const N: usize>(out: &mut [T], terms: [(T, &[T]); N]) {
    let len = out.len();
    let terms = terms.map(|(a, x)| (a, &x[..len]));
    for c in 0..len {
        out[c] = terms.iter().fold(T::zero(), |sum, (a, x)| sum + *a * x[c]);
    }
}
