//! Distillation (Hinton, Vinyals, Dean 2015).

use super::loss::log_softmax;
use crate::autograd::{Real, Tape, Tensor, Var};

impl<T: Real> Tape<T> {
    /// Cross-entropy between the softmax of `teacher`'s logits and of `logits`, both `(n, classes)` and
    /// divided by `temperature`; times `temperature²`, so that its gradients keep their size.
    pub fn distillation(&mut self, logits: Var, teacher: &Tensor<T>, temperature: f64) -> Var {
        assert_eq!(self.shape(logits), teacher.shape(), "one teacher's logit for each of the student's");
        let target = log_softmax(teacher.mapv(|x| x / T::of(temperature))).mapv(T::exp);
        let cooled = self.scale(logits, 1.0 / temperature);
        let loss = self.soft_cross_entropy(cooled, target);
        self.scale(loss, temperature * temperature)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{sample, worst_gradient_error};

    #[test]
    fn gradient() {
        let teacher = (sample(&[4, 3], 2) * 5.0).into_shared();
        let error = worst_gradient_error(&[sample(&[4, 3], 1)], |t, x| t.distillation(x[0], &teacher, 3.0));
        assert!(error < 1e-5);
    }
}
