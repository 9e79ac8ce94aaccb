//! Feature maps to the rows of a matrix.

use crate::autograd::{Real, Tape, Var};
use ndarray::{ArrayD, Ix4, IxDyn};

impl<T: Real> Tape<T> {
    /// `(image, row, column, channel)` to `(image, feature)`, features in channel, row, column order, as the
    /// first dense layer of [`crate::net`] reads them.
    pub fn flatten(&mut self, x: Var) -> Var {
        let map = self.value(x).view().into_dimensionality::<Ix4>().expect("a feature map");
        let (n, h, w, c) = map.dim();
        let rows = map.permuted_axes([0, 3, 1, 2]).iter().copied().collect();
        let rows = ArrayD::from_shape_vec(IxDyn(&[n, c * h * w]), rows).expect("as many elements");
        self.push(rows, &[x], move |tape, _, g| {
            let g = g.into_shape_with_order((n, c, h, w)).expect("as many elements");
            let back = g.permuted_axes([0, 2, 3, 1]).as_standard_layout().into_owned();
            tape.accumulate(x, back.into_dyn());
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{sample, worst_gradient_error};
    use crate::autograd::Tape;
    use ndarray::{ArrayD, IxDyn};

    #[test]
    fn gradient() {
        assert!(worst_gradient_error(&[sample(&[2, 3, 2, 4], 1)], |t, x| t.flatten(x[0])) < 1e-5);
    }

    #[test]
    fn channels_come_first() {
        let mut tape = Tape::<f64>::default();
        let x = ArrayD::from_shape_vec(IxDyn(&[1, 1, 2, 2]), vec![0.0, 10.0, 1.0, 11.0]).unwrap();
        let x = tape.constant(x.into_shared());
        let y = tape.flatten(x);
        assert_eq!(tape.slice(y), [0.0, 1.0, 10.0, 11.0]);
    }
}
