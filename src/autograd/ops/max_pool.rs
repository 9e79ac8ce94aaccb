//! 2×2 max pool of stride 2, floor on odd sizes.

use crate::autograd::{Real, Tape, Var};
use rayon::prelude::*;

impl<T: Real> Tape<T> {
    /// Maximum over 2×2 windows of stride 2 of `(image, row, column, channel)`; the last row and column of
    /// an odd size are dropped. The gradient goes to the first maximum in row-major order.
    pub fn max_pool(&mut self, x: Var) -> Var {
        let [n, h, w, c] = *self.shape(x) else { panic!("a feature map has four axes") };
        let map = Map { h, w, c };
        let mut y = self.scratch(&[n, h / 2, w / 2, c]);
        let row = (w / 2 * c).max(1);
        let rows = y.as_slice_mut().expect("row-major").par_chunks_mut(row).enumerate();
        let values = self.slice(x);
        rows.for_each(|(r, out)| {
            for (k, out) in out.iter_mut().enumerate() {
                *out = values[map.winner(values, r, k)];
            }
        });
        self.push(y, &[x], move |tape, _, g| {
            let mut gx = tape.zeros(&[n, h, w, c]);
            let values = tape.slice(x);
            let images = gx.as_slice_mut().expect("row-major").par_chunks_mut((h * w * c).max(1));
            let g_images = g.as_slice().expect("row-major").par_chunks((h / 2 * (w / 2) * c).max(1));
            images.zip(g_images).enumerate().for_each(|(i, (gx, g))| {
                for (at, &g) in g.iter().enumerate() {
                    let (r, k) = (i * (h / 2) + at / row, at % row);
                    gx[map.winner(values, r, k) - i * h * w * c] = g;
                }
            });
            tape.accumulate(x, gx);
            tape.recycle(g);
        })
    }
}

#[derive(Clone, Copy)]
struct Map {
    h: usize,
    w: usize,
    c: usize,
}

impl Map {
    /// Index of the maximum of the window of output row `r`, counted through all images, and place `k` in it.
    fn winner<T: Real>(self, x: &[T], r: usize, k: usize) -> usize {
        let Map { h, w, c } = self;
        let (image, i) = (r / (h / 2), r % (h / 2));
        let at = ((image * h + 2 * i) * w + 2 * (k / c)) * c + k % c;
        let mut best = at;
        for other in [at + c, at + w * c, at + w * c + c] {
            if x[other] > x[best] {
                best = other;
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{sample, worst_gradient_error};
    use crate::autograd::Tape;
    use ndarray::{ArrayD, IxDyn};

    #[test]
    fn gradient_on_odd_sizes() {
        assert!(worst_gradient_error(&[sample(&[2, 5, 4, 3], 1)], |t, x| t.max_pool(x[0])) < 1e-5);
    }

    #[test]
    fn value_by_hand() {
        let mut tape = Tape::<f64>::default();
        let x = vec![1.0, 5.0, 9.0, 2.0, 3.0, 8.0, 7.0, 7.0, 7.0];
        let x = ArrayD::from_shape_vec(IxDyn(&[1, 3, 3, 1]), x).unwrap();
        let x = tape.parameter(x.into_shared());
        let y = tape.max_pool(x);
        assert_eq!(tape.slice(y), [5.0]);
    }
}
