//! The training graph in evaluation mode, as an executor beside the golden model.

use super::layer::{Layer, Site};
use super::net::{Net, Phase, channels_first};
use super::{FakeQuantizer, Learn};
use crate::arith::{self, Step, dequantize};
use crate::autograd::Tape;
use crate::autograd::optim::Parameter;
use crate::int::{IntModel, Output, Trace};
use crate::quantize::{Mode, input_codes, weights_only};
use crate::{Error, Result};
use ndarray::{Array2, Array4, ArrayView4};

/// Unit of a sum that is a code times one step.
const ONE: Step = Step::UNIT;

/// Runs `model` as the fake-quantized network it was trained as: real numbers in `f64` that stand for codes,
/// through the same operations as training. Takes and gives the golden model's codes.
///
/// # Errors
/// Where [`IntModel::validate`] fails, or the codes' shape is not the input's.
pub fn trace(model: &IntModel, codes: ArrayView4<i32>) -> Result<Trace> {
    model.validate()?;
    let (_, c, h, w) = codes.dim();
    let found = crate::net::Shape { c, h, w };
    if found != model.header.input {
        let reason = format!("images of {found} where {} is needed", model.header.input);
        return Err(Error::bad_layer("input", reason));
    }
    Net::replay(model).trace(codes.mapv(|q| dequantize(q, model.input.step)).view())
}

/// Logits of preprocessed images, as [`crate::quantize::golden_logits`] gives the golden model's.
///
/// # Errors
/// As [`trace`].
pub fn logits(model: &IntModel, images: &Array4<f32>) -> Result<Array2<f64>> {
    Ok(trace(model, input_codes(model, images).view())?.logits.mapv(|v| v as f64))
}

impl Net {
    /// Codes of every layer for preprocessed `images`, from the training graph in evaluation mode and `f64`.
    ///
    /// # Errors
    /// A network that is not quantized, or integers outside the contract's range.
    pub fn trace(&self, images: ArrayView4<f32>) -> Result<Trace> {
        let mut tape = Tape::<f64>::default();
        let forward = self.forward(&mut tape, images, Phase::Evaluate)?;
        let steps = (1..self.layers.len()).map(|i| self.input_step(i));
        let codes = |(x, step): (&_, Option<Step>)| -> Result<Array4<i32>> {
            let step = step.ok_or_else(|| Error::bad_layer("-", "the network is not quantized"))?;
            Ok(channels_first(&tape, *x).mapv(|y| arith::accumulator(y, step, ONE) as i32))
        };
        let activations = forward.activations.iter().zip(steps).map(codes).collect::<Result<Vec<_>>>()?;
        let last = self.layers.len() - 1;
        let bad = || Error::bad_layer(&self.layers[last].name, "the network is not quantized");
        let weights = self.weight_steps(&self.layers[last]).ok_or_else(bad)?;
        let input = self.input_step(last).ok_or_else(bad)?;
        let logits = channels_first(&tape, forward.logits);
        let (n, classes, ..) = logits.dim();
        let step = |c: usize| weights[if weights.len() == 1 { 0 } else { c }];
        let logit = |(i, c)| arith::accumulator(logits[[i, c, 0, 0]], step(c), input);
        Ok(Trace { activations, logits: Array2::from_shape_fn((n, classes), logit) })
    }

    /// The network whose evaluation computes `model`'s integers: weights are what its codes stand for, bias
    /// and multipliers are its own.
    fn replay(model: &IntModel) -> Self {
        let mut net = Self {
            header: model.header.clone(),
            layers: vec![],
            parameters: vec![],
            input: Some(model.input),
            mode: Mode::Free,
            dropout: 0.0,
        };
        for (layer, float) in model.layers.iter().zip(&weights_only(model).layers) {
            net.add(float);
            let steps: Vec<f32> = layer.weight_steps.iter().map(|s| s.get()).collect();
            let site = |net: &mut Self, values: &[f32], levels| {
                let value = ndarray::ArrayD::from_shape_vec(vec![values.len()], values.to_vec());
                let value = value.expect("one axis").into_shared();
                net.parameters.push(Parameter { name: String::new(), value, decay: false, size: 1.0 });
                let quantizer = FakeQuantizer { levels, learn: Learn::Plain };
                Some(Site { quantizer, step: net.parameters.len() - 1 })
            };
            let weights = site(&mut net, &steps, layer.weight_levels);
            let (output, by) = match &layer.output {
                Output::Logits => (None, vec![]),
                Output::Requantized { quantizer, by } => {
                    (site(&mut net, &[quantizer.step.get()], quantizer.levels), by.clone())
                }
            };
            let replayed = Some((layer.bias.clone(), by));
            let added: &mut Layer = net.layers.last_mut().expect("just added");
            (added.weights, added.output, added.replayed) = (weights, output, replayed);
        }
        net
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spec;
    use super::*;
    use crate::arith::quantize;
    use crate::float::{BatchNorm, FloatLayer, FloatModel};
    use crate::int::Golden;
    use crate::int::random::{self, Recipe};
    use crate::net::{Header, Op, Preprocessing, Shape, shapes};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const INPUT: Shape = Shape { c: 2, h: 7, w: 6 };
    const OPS: [Op; 5] = [
        Op::Conv { co: 6, pool: false },
        Op::Conv { co: 16, pool: true },
        Op::Conv { co: 17, pool: false }, // wide enough for Winograd's algorithm
        Op::Dense { co: 9 },
        Op::Dense { co: 4 },
    ];

    fn float(batch_norm: bool, rng: &mut ChaCha8Rng) -> FloatModel {
        let mut numbers = |n: usize, reach: f32| (0..n).map(|_| rng.random_range(-reach..reach)).collect();
        let mut layer = |(i, (op, x)): (usize, (Op, Shape))| {
            let co = op.co();
            let count = op.weight_shape(x).iter().product();
            let reach = (6.0 / op.reduction(x) as f32).sqrt();
            let norm = |numbers: &mut dyn FnMut(usize, f32) -> Vec<f32>| BatchNorm {
                gamma: numbers(co, 2.0),
                beta: numbers(co, 0.5),
                mean: numbers(co, 0.5),
                var: numbers(co, 0.5).iter().map(|v| v.abs() + 0.5).collect(),
                eps: 1e-5,
            };
            let batch_norm = (batch_norm && i + 1 < OPS.len()).then(|| norm(&mut numbers));
            let (weight, bias) = (numbers(count, reach), numbers(co, 0.3));
            FloatLayer {
                name: format!("layer{i}"),
                op,
                weight,
                bias,
                batch_norm,
                quantizer: None,
                saturation: None,
            }
        };
        let preprocessing = Preprocessing::unit(INPUT.c);
        FloatModel {
            header: Header { name: "small".into(), input: INPUT, preprocessing, classes: vec![] },
            layers: OPS.into_iter().zip(shapes(INPUT, OPS)).enumerate().map(&mut layer).collect(),
        }
    }

    fn images(count: usize, rng: &mut ChaCha8Rng) -> Array4<f32> {
        Array4::from_shape_simple_fn((count, INPUT.c, INPUT.h, INPUT.w), || rng.random_range(-1.0..1.0))
    }

    /// The three executors agree on every activation of every layer.
    fn agree(net: &Net, images: &Array4<f32>) {
        let model = net.lower().unwrap();
        let codes = images.mapv(|x| quantize(x, model.input.step, model.input.levels));
        let golden = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
        assert_eq!(net.trace(images.view()).unwrap(), golden);
        assert_eq!(trace(&model, codes.view()).unwrap(), golden);
        let alive = golden.activations.iter().all(|a| a.iter().any(|&q| q != a[[0, 0, 0, 0]]));
        assert!(alive, "a layer of equal codes compares nothing");
    }

    #[test]
    fn training_graph_and_golden_model_agree_in_every_mode() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for learn in [Learn::Plain, Learn::Lsq, Learn::Tqt] {
            for per_channel in [false, true] {
                for (w, a) in [(2, 2), (2, 8), (4, 4), (8, 2), (8, 8), (16, 16)] {
                    let spec = Spec { per_channel, ..Spec::new(learn, w, a) };
                    let (model, images) = (float(false, &mut rng), images(3, &mut rng));
                    agree(&Net::quantized_from(&model, &spec, images.view()).unwrap(), &images);
                }
            }
        }
    }

    #[test]
    fn training_in_f32_differs_in_at_most_one_activation_of_100_000() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut different, mut total) = (0, 0);
        for bits in [2, 4, 8] {
            let (model, images) = (float(false, &mut rng), images(200, &mut rng));
            let net = Net::quantized_from(&model, &Spec::new(Learn::Lsq, bits, bits), images.view()).unwrap();
            let golden = net.trace(images.view()).unwrap();
            let mut tape = Tape::<f32>::default();
            let forward = net.forward(&mut tape, images.view(), Phase::Train { seed: 0 }).unwrap();
            for (i, (x, codes)) in forward.activations.iter().zip(&golden.activations).enumerate() {
                let step = net.input_step(i + 1).unwrap();
                let found =
                    channels_first(&tape, *x).mapv(|y| arith::accumulator(y.into(), step, ONE) as i32);
                different += found.iter().zip(codes).filter(|(a, b)| a != b).count();
                total += codes.len();
            }
        }
        assert!(total > 100_000 && different * 100_000 <= total, "{different} of {total}");
    }

    #[test]
    fn batch_norm_is_absorbed_by_the_steps() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for bits in [2, 4, 8] {
            let (model, images) = (float(true, &mut rng), images(3, &mut rng));
            let spec = Spec::new(Learn::Lsq, bits, bits);
            agree(&Net::quantized_from(&model, &spec, images.view()).unwrap(), &images);
            let refused = Net::quantized_from(&model, &Spec::new(Learn::Tqt, 4, 4), images.view());
            assert!(refused.unwrap_err().to_string().contains("fold it first"));
        }
    }

    /// ReLU6 and the like: float training computes what the float network does, a quantized one clips its codes.
    #[test]
    fn a_relu_that_saturates_does_so_in_training() {
        const MOST: f32 = 0.3;
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        for batch_norm in [false, true] {
            let (mut model, images) = (float(batch_norm, &mut rng), images(20, &mut rng));
            model.layers[..4].iter_mut().for_each(|layer| layer.saturation = Some(MOST));
            let net = Net::float_from(&model).unwrap();
            assert!(net.float().layers[..4].iter().all(|layer| layer.saturation == Some(MOST)));
            let mut tape = Tape::<f64>::default();
            let forward = net.forward(&mut tape, images.view(), Phase::Evaluate).unwrap();
            let reached = |x: &_| tape.slice(*x).iter().fold(0.0, |m: f64, &x| m.max(x)) == f64::from(MOST);
            assert!(forward.activations.iter().all(reached), "each layer must saturate somewhere");
            let mut folded = model.clone();
            folded.fold_batch_norm();
            let want = folded.forward(&images).unwrap();
            let got = channels_first(&tape, forward.logits);
            let worst = got.iter().zip(&want).map(|(g, &w)| (g - f64::from(w)).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-4, "{worst}");

            let net = Net::quantized_from(&model, &Spec::new(Learn::Lsq, 8, 8), images.view()).unwrap();
            agree(&net, &images);
            for q in &net.lower().unwrap().input_quantizers()[1..] {
                let (top, step) = (q.levels.b as f32 * q.step.get(), q.step.get());
                assert!(q.levels.b == 255 || (top - MOST).abs() <= 0.5001 * step, "{top}, step {step}");
                assert!(top <= MOST + 0.5001 * step, "{top}, step {step}");
            }
        }
    }

    #[test]
    fn any_integer_model_can_be_replayed() {
        for (w, a) in [(2, 2), (4, 8), (8, 8), (16, 16)] {
            for (power_of_two, per_channel) in [(false, false), (false, true), (true, false)] {
                let (ops, input) = (OPS.to_vec(), INPUT);
                let model = random::model(&Recipe { input, ops, w, a, power_of_two, per_channel, seed: 3 });
                let codes = random::images(&model, 3, 4);
                let golden = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
                assert_eq!(trace(&model, codes.view()).unwrap(), golden);
            }
        }
    }
}
