//! Matrix products over all cores.

use crate::autograd::Real;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;

/// Rows or columns of the product that one task computes.
const BLOCK: usize = 64;

/// `c = a · b + beta · c`, cut along the longer side of `c`; the sums over the inner axis stay whole, so the
/// result does not depend on the number of threads.
pub(super) fn gemm<T: Real>(a: ArrayView2<T>, b: ArrayView2<T>, beta: T, mut c: ArrayViewMut2<T>) {
    let (rows, columns) = c.dim();
    if rows >= columns {
        let block = BLOCK.max(rows.div_ceil(8));
        let blocks = c.axis_chunks_iter_mut(Axis(0), block).into_par_iter();
        let a = a.axis_chunks_iter(Axis(0), block).into_par_iter();
        blocks.zip(a).for_each(|(mut c, a)| general_mat_mul(T::one(), &a, &b, beta, &mut c));
    } else {
        let block = BLOCK.max(columns.div_ceil(8));
        let blocks = c.axis_chunks_iter_mut(Axis(1), block).into_par_iter();
        let b = b.axis_chunks_iter(Axis(1), block).into_par_iter();
        blocks.zip(b).for_each(|(mut c, b)| general_mat_mul(T::one(), &a, &b, beta, &mut c));
    }
}

/// Row-major `elements` as a matrix of `rows`.
pub(super) fn matrix<T>(elements: &[T], rows: usize) -> ArrayView2<'_, T> {
    ArrayView2::from_shape((rows, elements.len() / rows), elements).expect("whole rows")
}

/// As [`matrix`], to be written.
pub(super) fn matrix_mut<T>(elements: &mut [T], rows: usize) -> ArrayViewMut2<'_, T> {
    let columns = elements.len() / rows;
    ArrayViewMut2::from_shape((rows, columns), elements).expect("whole rows")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;

    #[test]
    fn blocks_cover_the_product() {
        for (m, n) in [(600, 3), (3, 600), (65, 65)] {
            let a = Array2::from_shape_fn((m, 5), |(i, j)| (i * 7 + j) as f64 % 11.0);
            let b = Array2::from_shape_fn((5, n), |(i, j)| (i * 3 + j) as f64 % 13.0);
            let mut c = Array2::ones((m, n));
            gemm(a.view(), b.view(), 2.0, c.view_mut());
            assert_eq!(c, a.dot(&b) + 2.0);
        }
    }
}
