//! `max(x, 0)`.

use super::parallel;
use crate::autograd::{Real, Tape, Var};

impl<T: Real> Tape<T> {
    /// `max(x, 0)`; the gradient at 0 is 0.
    pub fn relu(&mut self, x: Var) -> Var {
        let mut y = self.scratch_like(x);
        parallel::map(y.as_slice_mut().expect("row-major"), self.slice(x), |x| x.max(T::zero()));
        self.push(y, &[x], move |tape, out, mut g| {
            let gate = |g: T, y: T| if y > T::zero() { g } else { T::zero() };
            parallel::zip_map(g.as_slice_mut().expect("row-major"), tape.slice(out), gate);
            tape.accumulate(x, g);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{sample, worst_gradient_error};

    #[test]
    fn gradient() {
        assert!(worst_gradient_error(&[sample(&[3, 7], 1)], |t, x| t.relu(x[0])) < 1e-5);
    }
}
