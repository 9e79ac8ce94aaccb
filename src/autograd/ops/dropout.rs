//! Dropout (Srivastava et al. 2014), scaled while training.

use super::parallel::zip_map;
use crate::autograd::{Real, Tape, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

impl<T: Real> Tape<T> {
    /// Each element is 0 with probability `p` (0 ≤ p < 1), else `x / (1 − p)`; `seed` picks which.
    pub fn dropout(&mut self, x: Var, p: f64, seed: u64) -> Var {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let kept = T::of(1.0 / (1.0 - p));
        let mut mask = self.scratch_like(x);
        mask.map_inplace(|m| *m = if rng.random::<f64>() < p { T::zero() } else { kept });
        let y = self.value(x) * &mask;
        self.push(y.into_owned(), &[x], move |tape, _, mut g| {
            let gate = mask.as_slice().expect("row-major");
            zip_map(g.as_slice_mut().expect("row-major"), gate, |g, m| g * m);
            tape.accumulate(x, g);
            tape.recycle(mask);
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
        assert!(worst_gradient_error(&[sample(&[4, 9], 1)], |t, x| t.dropout(x[0], 0.4, 3)) < 1e-5);
    }

    #[test]
    fn keeps_the_mean() {
        let mut tape = Tape::<f32>::default();
        let x = tape.constant(ArrayD::ones(IxDyn(&[10_000])).into_shared());
        let y = tape.dropout(x, 0.25, 1);
        let zeros = tape.slice(y).iter().filter(|y| **y == 0.0).count();
        assert!((2300..2700).contains(&zeros), "{zeros}");
        assert!((tape.value(y).sum() - 10_000.0).abs() < 300.0);
    }
}
