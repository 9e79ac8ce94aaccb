//! `max(x, 0)`, and one that saturates.

use super::parallel;
use crate::autograd::{Real, Tape, Var};

impl<T: Real> Tape<T> {
    /// `max(x, 0)`; the gradient at 0 is 0.
    pub fn relu(&mut self, x: Var) -> Var {
        self.saturating_relu(x, T::infinity())
    }

    /// `min(max(x, 0), most)`, as ReLU6 has it with 6; the gradient at both bounds is 0, as PyTorch's.
    pub fn saturating_relu(&mut self, x: Var, most: T) -> Var {
        let mut y = self.scratch_like(x);
        parallel::map(y.as_slice_mut().expect("row-major"), self.slice(x), |x| x.max(T::zero()).min(most));
        self.push(y, &[x], move |tape, out, mut g| {
            let gate = |g: T, y: T| if y > T::zero() && y < most { g } else { T::zero() };
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

    #[test]
    fn gradient_where_it_saturates() {
        let x = sample(&[3, 7], 2);
        assert!(x.iter().any(|&x| x > 0.4) && x.iter().any(|&x| 0.0 < x && x < 0.4));
        assert!(worst_gradient_error(&[x], |t, x| t.saturating_relu(x[0], 0.4)) < 1e-5);
    }

    /// `torch.nn.functional.relu6`, forward and gradient of the sum, bounds included.
    #[test]
    fn bounds_are_those_of_relu6() {
        let mut tape = crate::autograd::Tape::<f64>::default();
        let x = tape.parameter(ndarray::arr1(&[-1.0, 0.0, 3.0, 6.0, 7.0]).into_dyn().into_shared());
        let y = tape.saturating_relu(x, 6.0);
        assert_eq!(tape.slice(y), [0.0, 0.0, 3.0, 6.0, 6.0]);
        tape.backward_from(y, ndarray::ArrayD::ones(ndarray::IxDyn(&[5])));
        let gradient: Vec<f64> = tape.gradient(x).unwrap().iter().copied().collect();
        assert_eq!(gradient, [0.0, 0.0, 1.0, 0.0, 0.0]);
    }
}
