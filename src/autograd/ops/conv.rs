//! 3×3 convolution, stride 1, zero padding 1.
//!
//! Windows are laid out as matrix rows a block at a time and multiplied with the kernel, so that the whole
//! window matrix (9 times the feature map) never exists; maps of many channels go through [`winograd`] instead.
//! The gradient with respect to the input is again a convolution, of the output's gradient with the kernel turned
//! by 180°.

use super::gemm::{gemm, matrix, matrix_mut};
use super::im2col::Maps;
use super::winograd;
use crate::autograd::{Real, Tape, Var};
use crate::net::KERNEL;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

/// Windows that one task lays out before it multiplies them.
const BLOCK: usize = 512;

impl<T: Real> Tape<T> {
    /// `x` `(n, h, w, ci)` with the kernel `(co, ky, kx, ci)` to `(n, h, w, co)`; no bias.
    pub fn conv(&mut self, x: Var, kernel: Var) -> Var {
        let [n, h, w, ci] = *self.shape(x) else { panic!("a feature map has four axes") };
        let co = self.shape(kernel)[0];
        assert_eq!(self.shape(kernel), [co, KERNEL, KERNEL, ci], "kernel of the map's channels");
        let mut y = self.scratch(&[n, h, w, co]);
        let maps = Maps { x: self.slice(x), h, w, c: ci };
        forward(maps, self.slice(kernel), y.as_slice_mut().expect("row-major"));
        self.push(y, &[x, kernel], move |tape, _, g| {
            let gradient = Maps { x: g.as_slice().expect("row-major"), h, w, c: co };
            let mut gk = tape.scratch(&[co, KERNEL, KERNEL, ci]);
            let maps = Maps { x: tape.slice(x), h, w, c: ci };
            kernel_gradient(maps, gradient, gk.as_slice_mut().expect("row-major"));
            if tape.is_differentiable(x) {
                let mut gx = tape.scratch(&[n, h, w, ci]);
                input_gradient(gradient, tape.slice(kernel), gx.as_slice_mut().expect("row-major"));
                tape.accumulate(x, gx);
            }
            tape.accumulate(kernel, gk);
            tape.recycle(g);
        })
    }
}

/// `y` `(n, h, w, co)` of the input `maps` and the kernel `(co, ky, kx, ci)`.
fn forward<T: Real>(maps: Maps<T>, kernel: &[T], y: &mut [T]) {
    let co = kernel.len() / maps.window();
    if winograd::pays(maps.c, co) {
        let kernel = winograd::kernel(kernel, co, maps.c, false);
        return winograd::convolve(maps, kernel.view().permuted_axes([0, 2, 1]), y);
    }
    let positions = y.len() / co;
    convolve(maps, matrix(kernel, co).t(), matrix_mut(y, positions));
}

/// `gx` `(n, h, w, ci)` from the output's `gradient` and the kernel `(co, ky, kx, ci)`.
fn input_gradient<T: Real>(gradient: Maps<T>, kernel: &[T], gx: &mut [T]) {
    let (co, ci) = (gradient.c, kernel.len() / gradient.window());
    if winograd::pays(ci, co) {
        return winograd::convolve(gradient, winograd::kernel(kernel, co, ci, true).view(), gx);
    }
    let positions = gx.len() / ci;
    convolve(gradient, turned(kernel, co, ci).view(), matrix_mut(gx, positions));
}

/// `gk` `(co, ky, kx, ci)` from the input `maps` and the output's `gradient`.
fn kernel_gradient<T: Real>(maps: Maps<T>, gradient: Maps<T>, gk: &mut [T]) {
    match winograd::pays(maps.c, gradient.c) {
        true => winograd::kernel_gradient(maps, gradient, gk),
        false => correlate(maps, gradient.x, matrix_mut(gk, gradient.c)),
    }
}

/// `(positions, co)` = windows `(positions, 9·ci)` · `kernel` `(9·ci, co)`.
fn convolve<T: Real>(maps: Maps<T>, kernel: ArrayView2<T>, mut y: ArrayViewMut2<T>) {
    if y.nrows() <= 4 * BLOCK {
        // Few positions, many channels: packing the kernel dominates, so tasks share the windows instead.
        let windows = windows(maps, 0, y.nrows());
        gemm(windows.view(), kernel, T::zero(), y);
        return;
    }
    y.axis_chunks_iter_mut(Axis(0), BLOCK).into_par_iter().enumerate().for_each_init(
        || vec![T::zero(); BLOCK * maps.window()],
        |buffer, (i, mut y)| {
            let buffer = &mut buffer[..y.nrows() * maps.window()];
            maps.windows(i * BLOCK, buffer);
            general_mat_mul(T::one(), &matrix(buffer, y.nrows()), &kernel, T::zero(), &mut y);
        },
    );
}

/// `(co, 9·ci)` = `gradient` `(positions, co)` transposed · windows `(positions, 9·ci)`.
fn correlate<T: Real>(maps: Maps<T>, gradient: &[T], mut gk: ArrayViewMut2<T>) {
    let positions = maps.x.len() / maps.c;
    let gradient = matrix(gradient, positions);
    gk.fill(T::zero());
    // About 8 MB of windows at a time, yet enough of them to be worth a pass over the kernel.
    let block = ((2 << 20) / maps.window()).clamp(1024, 8192);
    for (i, g) in gradient.axis_chunks_iter(Axis(0), block).enumerate() {
        let windows = windows(maps, i * block, g.nrows());
        gemm(g.t(), windows.view(), T::one(), gk.view_mut());
    }
}

/// The windows of `count` positions, laid out by all cores.
fn windows<T: Real>(maps: Maps<T>, first: usize, count: usize) -> Array2<T> {
    let mut windows = Array2::zeros((count, maps.window()));
    let rows = windows.as_slice_mut().expect("row-major").par_chunks_mut(32 * maps.window()).enumerate();
    rows.for_each(|(i, rows)| maps.windows(first + 32 * i, rows));
    windows
}

/// The kernel `(co, ky, kx, ci)` turned by 180°, as the matrix `(ky·kx·co, ci)`.
fn turned<T: Real>(kernel: &[T], co: usize, ci: usize) -> Array2<T> {
    let mut turned = Array2::zeros((KERNEL * KERNEL * co, ci));
    turned.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(row, mut to)| {
        let (tap, o) = (KERNEL * KERNEL - 1 - row / co, row % co);
        let from = &kernel[(o * KERNEL * KERNEL + tap) * ci..][..ci];
        to.as_slice_mut().expect("row-major").copy_from_slice(from);
    });
    turned
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{sample, worst_gradient_error};
    use crate::autograd::Tape;
    use ndarray::Array4;

    #[test]
    fn gradient() {
        let inputs = [sample(&[2, 3, 4, 2], 1), sample(&[3, 3, 3, 2], 2)];
        assert!(worst_gradient_error(&inputs, |t, x| t.conv(x[0], x[1])) < 1e-5);
    }

    #[test]
    fn gradient_of_many_channels() {
        for (h, w) in [(1, 1), (3, 4), (4, 5)] {
            let inputs = [sample(&[2, h, w, 17], 1), sample(&[16, 3, 3, 17], 2)];
            assert!(worst_gradient_error(&inputs, |t, x| t.conv(x[0], x[1])) < 1e-5);
        }
    }

    #[test]
    fn gradient_over_several_blocks() {
        let inputs = [sample(&[1, 50, 45, 1], 1), sample(&[1, 3, 3, 1], 2)];
        // Differences of the kernel only: its nine elements see all 2,250 windows.
        let x = inputs[0].clone();
        let error = worst_gradient_error(&inputs[1..], |t, k| {
            let x = t.constant(x.clone().into_shared());
            t.conv(x, k[0])
        });
        assert!(error < 1e-5);
    }

    #[test]
    fn value_from_the_definition() {
        for (shape, co) in
            [([2, 3, 4, 2], 3), ([3, 32, 30, 2], 3), ([2, 33, 35, 17], 18), ([130, 5, 4, 16], 16)]
        {
            let (x, k) = (sample(&shape, 3), sample(&[co, 3, 3, shape[3]], 4));
            let mut tape = Tape::<f64>::default();
            let (vx, vk) = (tape.constant(x.clone().into_shared()), tape.constant(k.clone().into_shared()));
            let y = tape.conv(vx, vk);
            let [n, h, w, ci] = shape;
            let want = Array4::from_shape_fn((n, h, w, co), |(n, i, j, o)| {
                let mut sum = 0.0;
                for (ky, kx, c) in (0..9 * ci).map(|t| (t / (3 * ci), t / ci % 3, t % ci)) {
                    let (y, x0) = (i + ky, j + kx);
                    if (1..=h).contains(&y) && (1..=w).contains(&x0) {
                        sum += k[[o, ky, kx, c]] * x[[n, y - 1, x0 - 1, c]];
                    }
                }
                sum
            });
            let close = tape.value(y).iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(close, "{shape:?}");
        }
    }
}
