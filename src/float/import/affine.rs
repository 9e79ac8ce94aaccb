//! `k·x + t` for every channel: batch norm and bias, folded into the layer before or the layer after.

use crate::float::BatchNorm;

/// A factor and an offset a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    /// Factors.
    pub k: Vec<f64>,
    /// Offsets.
    pub t: Vec<f64>,
}

impl Affine {
    /// Changes nothing.
    pub fn identity(channels: usize) -> Self {
        Self { k: vec![1.0; channels], t: vec![0.0; channels] }
    }

    /// Batch norm: γ/√(var+ε) and β − mean·γ/√(var+ε).
    pub fn of_batch_norm(bn: &BatchNorm) -> Self {
        let deviation = bn.var.iter().map(|v| (f64::from(*v) + f64::from(bn.eps)).sqrt());
        let k: Vec<f64> = bn.gamma.iter().zip(deviation).map(|(g, d)| f64::from(*g) / d).collect();
        let t = (0..k.len()).map(|c| f64::from(bn.beta[c]) - f64::from(bn.mean[c]) * k[c]).collect();
        Self { k, t }
    }

    /// Whether nothing changes.
    pub fn is_identity(&self) -> bool {
        *self == Self::identity(self.k.len())
    }

    /// `self` first, then `next`.
    pub fn then(&self, next: &Affine) -> Self {
        let k = self.k.iter().zip(&next.k).map(|(a, b)| a * b).collect();
        let t = self.t.iter().zip(next.k.iter().zip(&next.t)).map(|(t, (k, u))| t * k + u).collect();
        Self { k, t }
    }

    /// Whether a maximum may be taken before it as well as after: no factor is negative.
    pub fn keeps_order(&self) -> bool {
        self.k.iter().all(|k| *k >= 0.0)
    }

    /// Folds into the layer before: `weight` is `(channels, …)`.
    pub fn fold_into_outputs(&self, weight: &mut [f32], bias: &mut [f32]) {
        let per_channel = weight.len() / bias.len();
        for (c, w) in weight.chunks_exact_mut(per_channel.max(1)).enumerate() {
            w.iter_mut().for_each(|w| *w = (f64::from(*w) * self.k[c]) as f32);
            bias[c] = (f64::from(bias[c]) * self.k[c] + self.t[c]) as f32;
        }
    }

    /// Folds into the layer after: `weight` is `(outputs, channels, plane)`. Exact where no padding is read,
    /// or where the offsets are 0.
    pub fn fold_into_inputs(&self, weight: &mut [f32], bias: &mut [f32], plane: usize) {
        let per_output = weight.len() / bias.len();
        for (o, w) in weight.chunks_exact_mut(per_output.max(1)).enumerate() {
            let mut sum = f64::from(bias[o]);
            for (c, w) in w.chunks_exact_mut(plane).enumerate() {
                sum += w.iter().map(|w| f64::from(*w)).sum::<f64>() * self.t[c];
                w.iter_mut().for_each(|w| *w = (f64::from(*w) * self.k[c]) as f32);
            }
            bias[o] = sum as f32;
        }
    }
}
