//! Batch normalisation over the last axis (Ioffe and Szegedy 2015).

use super::parallel::{by_rows, per_channel_sum};
use crate::autograd::{Real, Tape, Var};
use ndarray::{ArrayD, IxDyn};

/// Mean and biased variance of each channel over a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// One a channel.
    pub mean: Vec<f64>,
    /// One a channel, divided by the count.
    pub var: Vec<f64>,
    /// Elements of a channel in the batch.
    pub count: usize,
}

impl<T: Real> Tape<T> {
    /// `(x − mean) / √(var + eps) · gamma + beta` with the moments of this batch, which are returned for the
    /// caller's running averages.
    pub fn batch_norm(&mut self, x: Var, gamma: Var, beta: Var, eps: f64) -> (Var, Moments) {
        let moments = moments(self.slice(x), self.value(gamma).len());
        let y = self.normalize(x, gamma, beta, moments.clone(), eps, true);
        (y, moments)
    }

    /// As [`Tape::batch_norm`] with given moments, which are constants to the gradient.
    pub fn batch_norm_eval(&mut self, x: Var, gamma: Var, beta: Var, moments: Moments, eps: f64) -> Var {
        self.normalize(x, gamma, beta, moments, eps, false)
    }

    /// `of_batch`: the moments depend on `x`.
    fn normalize(
        &mut self,
        x: Var,
        gamma: Var,
        beta: Var,
        moments: Moments,
        eps: f64,
        of_batch: bool,
    ) -> Var {
        let channels = self.value(gamma).len();
        assert_eq!(self.shape(x).last(), Some(&channels), "one gamma a channel");
        let inverse: Vec<f64> = moments.var.iter().map(|v| 1.0 / (v + eps).sqrt()).collect();
        let scale: Vec<f64> = self.slice(gamma).iter().zip(&inverse).map(|(g, i)| g.wide() * i).collect();
        let offset = (0..channels).map(|c| self.slice(beta)[c].wide() - moments.mean[c] * scale[c]);
        let (scale, offset): (Vec<T>, Vec<T>) = (narrow(&scale), offset.map(T::of).collect());
        let mut y = self.scratch_like(x);
        by_rows(y.as_slice_mut().expect("row-major"), self.slice(x), channels, |y, x, _| {
            for (y, x) in y.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                for c in 0..channels {
                    y[c] = x[c] * scale[c] + offset[c];
                }
            }
        });
        self.push(y, &[x, gamma, beta], move |tape, _, mut g| {
            // Σg and Σg·x̂ are the gradients of beta and gamma, and what the moments pass back.
            let (values, gradients) = (tape.slice(x), g.as_slice().expect("row-major"));
            let sums = per_channel_sum([gradients, values], channels, |c, [g, x]| {
                [g.wide(), g.wide() * (x.wide() - moments.mean[c]) * inverse[c]]
            });
            let vector = |n: usize| -> ArrayD<T> {
                let sums = sums.iter().map(|s| T::of(s[n])).collect();
                ArrayD::from_shape_vec(IxDyn(&[channels]), sums).expect("one a channel")
            };
            // gx = scale · (g − Σg / count − x̂ · Σg·x̂ / count) = scale · g + b · x + a
            let back = if of_batch { 1.0 / moments.count as f64 } else { 0.0 };
            let slope = |c: usize| -scale[c].wide() * sums[c][1] * back * inverse[c];
            let b: Vec<T> = (0..channels).map(|c| T::of(slope(c))).collect();
            let level = |c: usize| -scale[c].wide() * sums[c][0] * back - slope(c) * moments.mean[c];
            let a: Vec<T> = (0..channels).map(|c| T::of(level(c))).collect();
            by_rows(g.as_slice_mut().expect("row-major"), values, channels, |g, x, _| {
                for (g, x) in g.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                    for c in 0..channels {
                        g[c] = g[c] * scale[c] + x[c] * b[c] + a[c];
                    }
                }
            });
            tape.accumulate(beta, vector(0));
            tape.accumulate(gamma, vector(1));
            tape.accumulate(x, g);
        })
    }
}

fn narrow<T: Real>(x: &[f64]) -> Vec<T> {
    x.iter().copied().map(T::of).collect()
}

/// Two passes, so that a variance far below the squared mean keeps its digits.
fn moments<T: Real>(x: &[T], channels: usize) -> Moments {
    let count = x.len() / channels;
    let mean = per_channel_sum([x], channels, |_, [x]| [x.wide()]);
    let mean: Vec<f64> = mean.into_iter().map(|[s]| s / count as f64).collect();
    let var = per_channel_sum([x], channels, |c, [x]| [(x.wide() - mean[c]).powi(2)]);
    let var = var.into_iter().map(|[s]| s / count as f64).collect();
    Moments { mean, var, count }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::{sample, worst_gradient_error};
    use super::*;

    #[test]
    fn gradients() {
        let inputs = [sample(&[3, 2, 2, 3], 1), sample(&[3], 2), sample(&[3], 3)];
        let train = |t: &mut Tape<f64>, x: &[Var]| t.batch_norm(x[0], x[1], x[2], 1e-3).0;
        assert!(worst_gradient_error(&inputs, train) < 1e-5);
        let moments = Moments { mean: vec![0.1, 0.2, -0.3], var: vec![0.5, 2.0, 1.0], count: 12 };
        let eval = |t: &mut Tape<f64>, x: &[Var]| t.batch_norm_eval(x[0], x[1], x[2], moments.clone(), 1e-3);
        assert!(worst_gradient_error(&inputs, eval) < 1e-5);
    }

    #[test]
    fn output_has_the_moments_asked_for() {
        let mut tape = Tape::<f64>::default();
        let x = tape.constant((sample(&[50, 2], 1) * 7.0 + 100.0).into_shared());
        let gamma = tape.constant(ndarray::arr1(&[3.0, 0.5]).into_dyn().into_shared());
        let beta = tape.constant(ndarray::arr1(&[-1.0, 2.0]).into_dyn().into_shared());
        let (y, _) = tape.batch_norm(x, gamma, beta, 0.0);
        let Moments { mean, var, .. } = moments(tape.slice(y), 2);
        for (found, want) in mean.iter().chain(&var).zip([-1.0, 2.0, 9.0, 0.25]) {
            assert!((found - want).abs() < 1e-9, "{found} {want}");
        }
    }
}
