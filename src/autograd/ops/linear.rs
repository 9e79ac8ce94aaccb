//! Fully connected layer.

use super::gemm::gemm;
use super::parallel::by_rows;
use crate::autograd::{Real, Tape, Var, per_channel_sum};
use ndarray::{ArrayD, ArrayView2, Ix2, IxDyn};

fn view<T: Real>(tape: &Tape<T>, x: Var) -> ArrayView2<'_, T> {
    tape.value(x).view().into_dimensionality::<Ix2>().expect("a matrix")
}

impl<T: Real> Tape<T> {
    /// `x` `(n, inputs)` with `weight` `(co, inputs)` to `(n, co)`; no bias.
    pub fn linear(&mut self, x: Var, weight: Var) -> Var {
        let [n, inputs] = *self.shape(x) else { panic!("a matrix has two axes") };
        let co = self.shape(weight)[0];
        assert_eq!(self.shape(weight), [co, inputs], "weights of the matrix's features");
        let mut y = self.scratch(&[n, co]);
        let out = y.view_mut().into_dimensionality::<Ix2>().expect("a matrix");
        gemm(view(self, x), view(self, weight).reversed_axes(), T::zero(), out);
        self.push(y, &[x, weight], move |tape, _, g| {
            let g = g.into_dimensionality::<Ix2>().expect("a matrix");
            let (mut gx, mut gw) = (tape.scratch(&[n, inputs]), tape.scratch(&[co, inputs]));
            let into = |a: &mut ArrayD<T>, l: ArrayView2<T>, r: ArrayView2<T>| {
                gemm(l, r, T::zero(), a.view_mut().into_dimensionality::<Ix2>().expect("a matrix"))
            };
            into(&mut gx, g.view(), view(tape, weight));
            into(&mut gw, g.t(), view(tape, x));
            tape.accumulate(x, gx);
            tape.accumulate(weight, gw);
            tape.recycle(g.into_dyn());
        })
    }

    /// `x + bias`, the bias `(channels)` added along the last axis.
    pub fn add_bias(&mut self, x: Var, bias: Var) -> Var {
        let channels = self.value(bias).len();
        assert_eq!(self.shape(x).last(), Some(&channels), "one bias a channel");
        let mut y = self.scratch_like(x);
        let shift = self.slice(bias);
        by_rows(y.as_slice_mut().expect("row-major"), self.slice(x), channels, |y, x, _| {
            for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                y.iter_mut().zip(x).zip(shift).for_each(|((y, &x), &b)| *y = x + b);
            }
        });
        self.push(y, &[x, bias], move |tape, _, g| {
            let elements = g.as_slice().expect("row-major");
            let sums = per_channel_sum([elements], channels, |_, [g]| [g.wide()]);
            let sums = sums.into_iter().map(|[s]| T::of(s)).collect();
            tape.accumulate(bias, ArrayD::from_shape_vec(IxDyn(&[channels]), sums).expect("one a channel"));
            tape.accumulate(x, g);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{sample, worst_gradient_error};

    #[test]
    fn gradients() {
        let inputs = [sample(&[4, 5], 1), sample(&[3, 5], 2)];
        assert!(worst_gradient_error(&inputs, |t, x| t.linear(x[0], x[1])) < 1e-5);
        let inputs = [sample(&[2, 2, 3, 4], 1), sample(&[4], 2)];
        assert!(worst_gradient_error(&inputs, |t, x| t.add_bias(x[0], x[1])) < 1e-5);
    }
}
