//! Sum, product, and multiple of values of equal shape.

use super::parallel::{map, zip_map};
use crate::autograd::{Real, Tape, Var};

impl<T: Real> Tape<T> {
    /// `x + y`.
    pub fn add(&mut self, x: Var, y: Var) -> Var {
        assert_eq!(self.shape(x), self.shape(y), "summands of equal shape");
        let sum = self.value(x) + self.value(y);
        self.push(sum.into_owned(), &[x, y], move |tape, _, g| {
            tape.accumulate(x, g.clone());
            tape.accumulate(y, g);
        })
    }

    /// `x · y`, element by element.
    pub fn mul(&mut self, x: Var, y: Var) -> Var {
        assert_eq!(self.shape(x), self.shape(y), "factors of equal shape");
        let product = self.value(x) * self.value(y);
        self.push(product.into_owned(), &[x, y], move |tape, _, g| {
            let mut gy = g.clone();
            zip_map(gy.as_slice_mut().expect("row-major"), tape.slice(x), |g, x| g * x);
            let mut gx = g;
            zip_map(gx.as_slice_mut().expect("row-major"), tape.slice(y), |g, y| g * y);
            tape.accumulate(x, gx);
            tape.accumulate(y, gy);
        })
    }

    /// `x · factor`.
    pub fn scale(&mut self, x: Var, factor: f64) -> Var {
        let factor = T::of(factor);
        let mut y = self.scratch_like(x);
        map(y.as_slice_mut().expect("row-major"), self.slice(x), |x| x * factor);
        self.push(y, &[x], move |tape, _, mut g| {
            g.mapv_inplace(|g| g * factor);
            tape.accumulate(x, g);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{sample, worst_gradient_error};

    #[test]
    fn gradients() {
        let inputs = [sample(&[3, 5], 1), sample(&[3, 5], 2)];
        assert!(worst_gradient_error(&inputs, |t, x| t.add(x[0], x[1])) < 1e-5);
        assert!(worst_gradient_error(&inputs, |t, x| t.mul(x[0], x[1])) < 1e-5);
        assert!(worst_gradient_error(&inputs[..1], |t, x| t.scale(x[0], -2.5)) < 1e-5);
    }
}
