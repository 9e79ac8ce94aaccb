//! Cholesky factors of large matrices over all cores, whose result does not depend on the number of threads.
//!
//! Own code, because the libraries that block it over cores take minutes to compile.

use ndarray::{Array2, ArrayViewMut1, ArrayViewMut2, Axis, s};
use rayon::prelude::*;

/// Rows that are factored at a time.
const BLOCK: usize = 96;

/// Makes the upper triangle of `a` the factor `t` of `a = tᵀ · t`; what is below it is not looked at and stays.
///
/// Returns the first row whose pivot is not positive, where `a` is not positive definite.
pub fn factor(a: &mut Array2<f64>) -> Result<(), usize> {
    let n = a.nrows();
    for first in (0..n).step_by(BLOCK) {
        let next = (first + BLOCK).min(n);
        let (head, mut rest) = a.multi_slice_mut((s![first..next, first..], s![next.., next..]));
        let (mut corner, mut panel) = head.split_at(Axis(1), next - first);
        factor_corner(corner.view_mut()).map_err(|row| first + row)?;
        panel.axis_chunks_iter_mut(Axis(1), BLOCK).into_par_iter().for_each(|mut panel| {
            for i in 0..corner.nrows() {
                let (done, mut now) = panel.view_mut().split_at(Axis(0), i);
                let mut row = now.row_mut(0);
                done.outer_iter().enumerate().for_each(|(k, done)| row.scaled_add(-corner[[k, i]], &done));
                row /= corner[[i, i]];
            }
        });
        let panel = panel.view();
        rest.axis_chunks_iter_mut(Axis(0), BLOCK).into_par_iter().enumerate().for_each(|(b, mut rest)| {
            let from = b * BLOCK;
            let rows = panel.slice(s![.., from..from + rest.nrows()]);
            let mut upper = rest.slice_mut(s![.., from..]);
            ndarray::linalg::general_mat_mul(-1.0, &rows.t(), &panel.slice(s![.., from..]), 1.0, &mut upper);
        });
    }
    Ok(())
}

fn factor_corner(mut a: ArrayViewMut2<f64>) -> Result<(), usize> {
    for i in 0..a.nrows() {
        let (done, mut now) = a.view_mut().split_at(Axis(0), i);
        let mut row: ArrayViewMut1<f64> = now.slice_mut(s![0, i..]);
        for done in done.outer_iter() {
            row.scaled_add(-done[i], &done.slice(s![i..]));
        }
        if row[0].is_nan() || row[0] <= 0.0 {
            return Err(i);
        }
        let pivot = row[0].sqrt();
        row /= pivot;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_multiply_to_the_matrix() {
        for n in [1, 5, BLOCK, 2 * BLOCK + 7] {
            let x =
                Array2::from_shape_fn((n + 3, n), |(i, j)| ((i * 31 + j * 17 + i * j) % 23) as f64 - 11.0);
            let a = x.t().dot(&x) + Array2::<f64>::eye(n);
            let mut t = a.clone();
            factor(&mut t).unwrap();
            t.indexed_iter_mut().filter(|((i, j), _)| i > j).for_each(|(_, t)| *t = 0.0);
            let worst = (t.t().dot(&t) - &a).iter().fold(0.0f64, |m, v| m.max(v.abs()));
            assert!(worst < 1e-9 * a.iter().fold(0.0, |m, v| v.max(m)), "{n}: {worst}");
        }
    }

    #[test]
    fn an_indefinite_matrix_names_the_row() {
        let mut a = ndarray::arr2(&[[4.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        assert_eq!(factor(&mut a), Err(1));
    }
}
