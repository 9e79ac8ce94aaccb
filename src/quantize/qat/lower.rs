//! From a network in training to the models that the other stages read.

use super::layer::{Layer, at};
use super::net::Net;
use crate::arith::{self, dequantize};
use crate::float::{BatchNorm, FloatLayer, FloatModel};
use crate::int::IntModel;
use crate::net::{KERNEL, Op};
use crate::quantize::{Plan, lower};
use crate::{Error, Result};

impl Net {
    /// The integers that [`super::Phase::Evaluate`] computes with.
    ///
    /// # Errors
    /// A network that is not quantized, or integers outside the contract's range.
    pub fn lower(&self) -> Result<IntModel> {
        let plan = self.plan()?;
        let mut model = self.float();
        for (i, layer) in self.layers.iter().enumerate() {
            // The weights that the codes stand for, scaled as batch norm scales their steps: quantizing them
            // again gives the same codes.
            let site = layer.weights.expect("layer_plan has checked it");
            let float = &mut model.layers[i];
            let per_channel = float.weight.len() / layer.op.co();
            let raw = self.weight_steps(layer).expect("quantized");
            for (c, w) in float.weight.chunks_exact_mut(per_channel).enumerate() {
                let to = plan.layers[i].weight_step(c);
                let snap = |w| dequantize(arith::quantize(w, at(&raw, c), site.quantizer.levels), to);
                w.iter_mut().for_each(|w| *w = snap(*w));
            }
            float.bias = self.folded_bias(layer);
            float.batch_norm = None;
        }
        lower(&model, &plan)
    }

    /// Levels and steps of every layer, batch norm folded in.
    pub(super) fn plan(&self) -> Result<Plan> {
        let input = self.input.ok_or_else(|| Error::bad_layer("input", "the network is not quantized"))?;
        let layers = self.layers.iter().map(|l| self.layer_plan(l)).collect::<Result<Vec<_>>>()?;
        Ok(Plan { mode: self.mode, input, layers })
    }

    /// The float network with the present weights; batch norm is kept.
    pub fn float(&self) -> FloatModel {
        let layers = self.layers.iter().map(|l| self.float_layer(l)).collect();
        FloatModel { header: self.header.clone(), layers }
    }

    fn float_layer(&self, layer: &Layer) -> FloatLayer {
        let weight = match layer.op {
            Op::Conv { co, .. } => channels_before_taps(self.values(layer.weight), co),
            Op::Dense { .. } => self.values(layer.weight).to_vec(),
        };
        let batch_norm = layer.norm.as_ref().map(|norm| BatchNorm {
            gamma: self.values(norm.gamma).to_vec(),
            beta: self.values(norm.beta).to_vec(),
            mean: norm.mean.clone(),
            var: norm.var.clone(),
            eps: norm.eps as f32,
        });
        let bias = self.values(layer.bias).to_vec();
        FloatLayer {
            name: layer.name.clone(),
            op: layer.op,
            weight,
            bias,
            batch_norm,
            quantizer: None,
            saturation: layer.saturation,
        }
    }
}

/// `(co, ky, kx, ci)` to `(co, ci, ky, kx)`.
fn channels_before_taps(kernel: &[f32], co: usize) -> Vec<f32> {
    transpose_each(kernel, co, KERNEL * KERNEL)
}

/// `(co, ci, ky, kx)` to `(co, ky, kx, ci)`.
pub(super) fn taps_before_channels(kernel: &[f32], co: usize) -> Vec<f32> {
    transpose_each(kernel, co, kernel.len() / co / (KERNEL * KERNEL))
}

/// Transposes each of `count` matrices of `rows` rows.
fn transpose_each(x: &[f32], count: usize, rows: usize) -> Vec<f32> {
    let columns = x.len() / count / rows;
    let matrices = x.chunks_exact(rows * columns);
    let transposed = |m: &[f32]| -> Vec<f32> {
        (0..columns).flat_map(|j| (0..rows).map(move |i| (i, j))).map(|(i, j)| m[i * columns + j]).collect()
    };
    matrices.flat_map(transposed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_turn_there_and_back() {
        let kernel: Vec<f32> = (0..5 * 2 * 9).map(|i| i as f32).collect();
        let taps_first = taps_before_channels(&kernel, 5);
        assert_eq!(taps_first[..4], [0.0, 9.0, 1.0, 10.0]);
        assert_eq!(channels_before_taps(&taps_first, 5), kernel);
    }
}
