//! Softmax cross-entropy with label smoothing (Szegedy et al. 2016).

use crate::autograd::{Real, Tape, Var};
use ndarray::{ArrayD, Axis, IxDyn};

impl<T: Real> Tape<T> {
    /// Mean over the batch of the cross-entropy between softmax(`logits` `(n, classes)`) and the target that
    /// gives `1 − smoothing` to the label and spreads `smoothing` evenly over all classes.
    pub fn cross_entropy(&mut self, logits: Var, labels: &[usize], smoothing: f64) -> Var {
        let [n, classes] = *self.shape(logits) else { panic!("logits have two axes") };
        assert_eq!(labels.len(), n, "one label an image");
        assert!(labels.iter().all(|&l| l < classes), "labels below the number of classes");
        let mut target = ArrayD::from_elem(IxDyn(&[n, classes]), T::of(smoothing / classes as f64));
        for (i, &label) in labels.iter().enumerate() {
            target[[i, label]] += T::of(1.0 - smoothing);
        }
        self.soft_cross_entropy(logits, target)
    }

    /// Mean over the batch of `−Σ target · log softmax(logits)`; each row of `target` sums to 1.
    pub(super) fn soft_cross_entropy(&mut self, logits: Var, target: ArrayD<T>) -> Var {
        let n = self.shape(logits)[0];
        let log = log_softmax(self.value(logits).to_owned());
        let loss = -log.iter().zip(&target).map(|(l, t)| l.wide() * t.wide()).sum::<f64>() / n as f64;
        let loss = ArrayD::from_elem(IxDyn(&[1]), T::of(loss));
        self.push(loss, &[logits], move |tape, _, g| {
            let factor = g[[0]] / T::of(n as f64);
            let mut gradient = log;
            gradient.zip_mut_with(&target, |l, &t| *l = (l.exp() - t) * factor);
            tape.accumulate(logits, gradient);
        })
    }
}

/// Logarithm of the softmax of each row.
pub(super) fn log_softmax<T: Real>(mut logits: ArrayD<T>) -> ArrayD<T> {
    for mut row in logits.axis_iter_mut(Axis(0)) {
        let top = row.iter().copied().fold(T::neg_infinity(), T::max);
        let sum: T = row.iter().map(|&x| (x - top).exp()).sum();
        row.mapv_inplace(|x| x - top - sum.ln());
    }
    logits
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{sample, worst_gradient_error};
    use crate::autograd::Tape;

    #[test]
    fn gradient() {
        for smoothing in [0.0, 0.1] {
            let logits = [sample(&[4, 3], 1) * 3.0];
            let error = worst_gradient_error(&logits, |t, x| t.cross_entropy(x[0], &[0, 2, 1, 2], smoothing));
            assert!(error < 1e-5);
        }
    }

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_classes() {
        let mut tape = Tape::<f64>::default();
        let x = tape.constant(ndarray::arr2(&[[1e30; 4]]).into_dyn().into_shared());
        let loss = tape.cross_entropy(x, &[1], 0.0);
        assert!((tape.slice(loss)[0] - 4f64.ln()).abs() < 1e-12);
    }
}
