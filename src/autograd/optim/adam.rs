//! Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019), as PyTorch's `AdamW`.

use super::{Gradients, Optimizer, Parameter};
use ndarray::{ArrayD, Zip};
use std::collections::BTreeMap;

/// First and second moment of every parameter's gradient.
#[derive(Clone, Debug)]
pub struct Adam {
    /// Decay rates of the two moments.
    pub betas: (f32, f32),
    /// Added to the root of the second moment.
    pub eps: f32,
    /// Decoupled weight decay; 0 gives plain Adam.
    pub decay: f32,
    steps: f32,
    moments: BTreeMap<String, (ArrayD<f32>, ArrayD<f32>)>,
}

impl Adam {
    /// The papers' rates 0.9 and 0.999, eps 1e-8.
    pub fn new(decay: f32) -> Self {
        Self { betas: (0.9, 0.999), eps: 1e-8, decay, steps: 0.0, moments: BTreeMap::new() }
    }
}

impl Optimizer for Adam {
    fn step(&mut self, parameters: &mut [Parameter], gradients: &Gradients, rate: f64) {
        self.steps += 1.0;
        let ((b1, b2), eps, rate) = (self.betas, self.eps, rate as f32);
        let (c1, c2) = (1.0 - b1.powf(self.steps), 1.0 - b2.powf(self.steps));
        for (p, g) in parameters.iter_mut().zip(gradients) {
            let Some(g) = g else { continue };
            let size = p.size;
            let shrink = 1.0 - rate * if p.decay { self.decay } else { 0.0 };
            let zeros = || ArrayD::zeros(p.value.raw_dim());
            let (m, v) = self.moments.entry(p.name.clone()).or_insert_with(|| (zeros(), zeros()));
            Zip::from(&mut p.value).and(g).and(m).and(v).par_for_each(|w, &g, m, v| {
                *m = b1 * *m + (1.0 - b1) * g;
                *v = b2 * *v + (1.0 - b2) * g * g;
                *w = *w * shrink - rate * size * (*m / c1) / ((*v / c2).sqrt() + eps);
            });
        }
    }

    fn state(&self) -> BTreeMap<String, ArrayD<f32>> {
        let pairs = self.moments.iter();
        let named =
            pairs.flat_map(|(n, (m, v))| [(format!("{n}.m"), m.clone()), (format!("{n}.v"), v.clone())]);
        let steps = ndarray::arr1(&[self.steps]).into_dyn();
        named.chain([("steps".to_string(), steps)]).collect()
    }

    fn restore(&mut self, mut state: BTreeMap<String, ArrayD<f32>>) {
        self.steps = state.remove("steps").map_or(0.0, |s| s.sum());
        let seconds: BTreeMap<_, _> =
            state.iter().filter_map(|(n, v)| Some((n.strip_suffix(".v")?, v))).collect();
        let pair = |(n, m): (&String, &ArrayD<f32>)| {
            let name = n.strip_suffix(".m")?;
            Some((name.to_string(), (m.clone(), (*seconds.get(name)?).clone())))
        };
        self.moments = state.iter().filter_map(pair).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter() -> [Parameter; 1] {
        [Parameter {
            name: "w".into(),
            value: ndarray::arr1(&[1.0f32]).into_dyn().into_shared(),
            decay: true,
            size: 1.0,
        }]
    }

    #[test]
    fn the_first_step_has_the_size_of_the_rate() {
        let mut p = parameter();
        let g = vec![Some(ndarray::arr1(&[123.0f32]).into_dyn())];
        Adam::new(0.0).step(&mut p, &g, 0.25);
        assert!((p[0].value[[0]] - 0.75).abs() < 1e-6);
    }

    #[test]
    fn state_survives() {
        let g = vec![Some(ndarray::arr1(&[0.3f32]).into_dyn())];
        let (mut a, mut p) = (Adam::new(0.1), parameter());
        a.step(&mut p, &g, 0.1);
        let (mut b, mut q) = (Adam::new(0.1), p.clone());
        b.restore(a.state());
        a.step(&mut p, &g, 0.1);
        b.step(&mut q, &g, 0.1);
        assert_eq!(p, q);
    }
}
