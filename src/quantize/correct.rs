//! Bias correction: quantized weights shift the mean of a layer's sums; the bias takes the shift back.
//!
//! Nagel, van Baalen, Blankevoort, Welling: Data-Free Quantization Through Weight Equalization and Bias
//! Correction, ICCV 2019, section 4.2, with the means of calibration images instead of batch norm's.

use super::lower::weight_codes;
use super::{Observed, Plan};
use crate::float::FloatModel;

/// Subtracts `E[(w_q·step − w)·x]` from each bias, with the means in `observed`.
pub fn correct_biases(model: &mut FloatModel, plan: &Plan, observed: &[Observed]) {
    for ((layer, plan), read) in model.layers.iter_mut().zip(&plan.layers).zip(observed) {
        let row = read.means.len();
        let codes = weight_codes(layer, plan);
        let channels = layer.weight.chunks_exact(row).zip(codes.chunks_exact(row)).enumerate();
        for (c, (weights, codes)) in channels {
            let step = f64::from(plan.weight_step(c).get());
            let error = |w: f32, q: i16| f64::from(q) * step - f64::from(w);
            let terms = weights.iter().zip(codes).zip(&read.means);
            let shift: f64 = terms.map(|((&w, &q), mean)| error(w, q) * mean).sum();
            layer.bias[c] = (f64::from(layer.bias[c]) - shift) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::net::{Op, Shape};
    use crate::quantize::tests::network;
    use crate::quantize::{
        Method, Mode, Recipe, Rounding, Widths, calibrate, correct_biases, lower::weight_codes, observe,
    };
    use ndarray::{Array4, Axis};

    /// With corrected biases, a layer of quantized weights has the mean outputs of the float layer, channel by
    /// channel, borders included: both networks run as floats, on the images that were observed.
    #[test]
    fn means_are_restored() {
        let input = Shape { c: 2, h: 3, w: 3 };
        let float = network(input, &[Op::Conv { co: 6, pool: false }, Op::Dense { co: 4 }]);
        let x = Array4::from_shape_fn((4, 2, 3, 3), |(n, c, i, j)| ((n * 5 + c + 2 * i + 3 * j) % 7) as f32);
        let recipe = Recipe {
            mode: Mode::Free,
            per_channel: false,
            method: Method::MinMax,
            widths: Widths { ends: 3, ..Widths::bits(3, 8) },
            equalise: false,
            rounding: Rounding::Nearest,
            correct_biases: true,
        };
        let observed = observe(&float, std::slice::from_ref(&x)).unwrap();
        let plan = calibrate(&float, &recipe, &observed).unwrap();
        let mut coarse = float.clone();
        coarse.layers.truncate(1);
        let mut corrected = float.clone();
        correct_biases(&mut corrected, &plan, &observed);
        let step = plan.layers[0].weight_steps[0].get();
        let codes = weight_codes(&float.layers[0], &plan.layers[0]);
        coarse.layers[0].weight = codes.iter().map(|&q| f32::from(q) * step).collect();

        let means = |model: &crate::float::FloatModel| {
            let mut means = vec![];
            model
                .forward_with(&x, |seen| {
                    if seen.layer == 0 && seen.point == crate::float::Point::PreActivation {
                        let channels = seen.values.axis_iter(Axis(1));
                        means = channels.map(|c| c.mean().unwrap()).collect();
                    }
                })
                .unwrap();
            means
        };
        let far = |a: &[f32], b: &[f32]| a.iter().zip(b).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        let want: Vec<f32> = means(&float);
        assert!(far(&means(&coarse), &want) > 0.1);
        coarse.layers[0].bias = corrected.layers[0].bias.clone();
        assert!(far(&means(&coarse), &want) < 1e-4);
    }
}
