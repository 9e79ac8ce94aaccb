//! What quantized weights alone cost: a network of them whose activations stay real numbers.

use crate::arith::dequantize;
use crate::float::{FloatLayer, FloatModel, WeightQuantizer};
use crate::int::{IntLayer, IntModel, Quantizer};

/// The float network of `model`'s weights and biases: nothing that a layer passes on is rounded or clipped. Its weights keep
/// their codes, should activations be quantized later.
pub fn weights_only(model: &IntModel) -> FloatModel {
    let layers = model.layers.iter().zip(model.input_quantizers());
    FloatModel {
        header: model.header.clone(),
        layers: layers.map(|(layer, x)| float_layer(layer, x)).collect(),
    }
}

fn float_layer(layer: &IntLayer, x: Quantizer) -> FloatLayer {
    let inputs = layer.weight.len() / layer.op.co();
    let quantizer = WeightQuantizer { steps: layer.weight_steps.clone(), levels: layer.weight_levels };
    let weight = |(k, &code): (usize, &i16)| dequantize(code.into(), quantizer.step(k / inputs));
    let bias = |(c, &code): (usize, &i64)| {
        (code as f64 * f64::from(quantizer.step(c).get()) * f64::from(x.step.get())) as f32
    };
    FloatLayer {
        name: layer.name.clone(),
        op: layer.op,
        weight: layer.weight.iter().enumerate().map(weight).collect(),
        bias: layer.bias.iter().enumerate().map(bias).collect(),
        batch_norm: None,
        quantizer: Some(quantizer),
        saturation: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int::Golden;
    use crate::net::{Op, Shape};
    use crate::quantize::tests::network;
    use crate::quantize::{Method, Mode, Recipe, Rounding, Widths, golden_logits, quantize};
    use ndarray::Array4;

    /// With activations of 16 bits the integer network is as good as this one. (Weights of very few bits would make activations
    /// larger than those that calibrated: integers are clipped, and these are not.)
    #[test]
    fn activations_are_not_rounded() {
        let ops = [Op::Conv { co: 6, pool: true }, Op::Dense { co: 5 }, Op::Dense { co: 4 }];
        let model = network(Shape { c: 2, h: 6, w: 4 }, &ops);
        let x = Array4::from_shape_fn((20, 2, 6, 4), |(n, c, i, j)| {
            ((n * 31 + c * 17 + i * 7 + j) % 23) as f32 / 11.0 - 1.0
        });
        for weights in [8, 16] {
            let recipe = Recipe {
                mode: Mode::Free,
                per_channel: true,
                method: Method::MinMax,
                widths: Widths { ends: 2, ..Widths::bits(weights, 16) },
                equalise: true,
                rounding: Rounding::Gptq,
                correct_biases: true,
            };
            let int = quantize(&model, &recipe, [Ok(x.clone())]).unwrap().int;
            let only = weights_only(&int);
            only.validate().unwrap();
            let unit = f64::from(int.logit_step().get());
            let want = golden_logits(&int, &Golden::new(&int).unwrap(), &x).unwrap() * unit;
            let got = only.forward(&x).unwrap();
            let far = got.iter().zip(&want).fold(0.0f64, |most, (&g, w)| most.max((f64::from(g) - w).abs()));
            assert!(far < 0.01, "{weights} bits: {far}");
        }
    }
}
