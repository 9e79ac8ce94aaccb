//! Stochastic gradient descent with momentum and weight decay, as PyTorch's `SGD`.

use super::{Gradients, Optimizer, Parameter};
use crate::autograd::zip_map;
use ndarray::ArrayD;
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
            let value = p.value.as_slice_mut().expect("row-major");
            let mut gradient = g.clone();
            let g = gradient.as_slice_mut().expect("row-major");
            zip_map(g, value, |g, w| g + decay * w);
            zip_map(v.as_slice_mut().expect("row-major"), g, |v, g| momentum * v + g);
            let v = v.as_slice().expect("row-major");
            zip_map(g, v, |g, v| if nesterov { g + momentum * v } else { v });
            zip_map(value, g, |w, u| w - rate * u);
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
