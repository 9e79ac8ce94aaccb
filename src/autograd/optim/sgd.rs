//! Stochastic gradient descent with momentum and weight decay, as PyTorch's `SGD`.

use super::{Gradients, Optimizer, Parameter};
use ndarray::{ArrayD, Zip};
use std::collections::BTreeMap;

/// `v ← momentum · v + g + decay · w`, `w ← w − rate · v` (Nesterov: `w ← w − rate · (g' + momentum · v)`).
#[derive(Clone, Debug, Default)]
pub struct Sgd {
    /// Usually 0.9.
    pub momentum: f32,
    /// Coefficient of the squared weights' gradient.
    pub decay: f32,
    /// Whether to look ahead.
    pub nesterov: bool,
    velocity: BTreeMap<String, ArrayD<f32>>,
}

impl Sgd {
    /// With Nesterov's look-ahead.
    pub fn new(momentum: f32, decay: f32) -> Self {
        Self { momentum, decay, nesterov: true, velocity: BTreeMap::new() }
    }
}

impl Optimizer for Sgd {
    fn step(&mut self, parameters: &mut [Parameter], gradients: &Gradients, rate: f64) {
        for (p, g) in parameters.iter_mut().zip(gradients) {
            let Some(g) = g else { continue };
            let decay = if p.decay { self.decay } else { 0.0 };
            let (momentum, nesterov, rate) = (self.momentum, self.nesterov, rate as f32);
            let shape = p.value.raw_dim();
            let v = self.velocity.entry(p.name.clone()).or_insert_with(|| ArrayD::zeros(shape));
            Zip::from(&mut p.value).and(g).and(v).par_for_each(|w, &g, v| {
                let g = g + decay * *w;
                *v = momentum * *v + g;
                *w -= rate * if nesterov { g + momentum * *v } else { *v };
            });
        }
    }

    fn state(&self) -> BTreeMap<String, ArrayD<f32>> {
        self.velocity.clone()
    }

    fn restore(&mut self, state: BTreeMap<String, ArrayD<f32>>) {
        self.velocity = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_by_hand() {
        let value = ndarray::arr1(&[1.0f32]).into_dyn().into_shared();
        let mut p = [Parameter { name: "w".into(), value, decay: true, size: 1.0 }];
        let g = vec![Some(ndarray::arr1(&[0.5f32]).into_dyn())];
        let mut sgd = Sgd { momentum: 0.5, decay: 0.5, ..Sgd::default() };
        sgd.step(&mut p, &g, 0.5); // v = 1, w = 0.5
        assert_eq!(p[0].value[[0]], 0.5);
        sgd.step(&mut p, &g, 0.5); // v = 0.5 + 0.5 + 0.25 = 1.25, w = -0.125
        assert_eq!(p[0].value[[0]], -0.125);
    }
}
