//! From a float network to a network in training.

use super::layer::{Layer, Norm, Site};
use super::lower::taps_before_channels;
use super::net::Net;
use super::{FakeQuantizer, Learn};
use crate::Result;
use crate::arith::{Levels, Step};
use crate::autograd::optim::Parameter;
use crate::float::{FloatLayer, FloatModel};
use crate::net::{KERNEL, Op};
use crate::quantize::{Method, Mode, Recipe, Rounding, Widths};
use ndarray::{ArrayD, IxDyn};

/// What to quantize, and how its steps learn.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// How steps are learned; [`Learn::Tqt`] makes them powers of two.
    pub learn: Learn,
    /// Levels of every layer, as post-training quantization has them.
    pub widths: Widths,
    /// One weight step an output channel; the last layer always has one, because its sums are compared.
    pub per_channel: bool,
    /// Which codes weights start from.
    pub rounding: Rounding,
}

impl Spec {
    /// `weights` and `acts` bits inside, 8 at the ends, one weight step an output channel.
    pub fn new(learn: Learn, weights: u32, acts: u32) -> Self {
        Self { learn, widths: Widths::bits(weights, acts), per_channel: true, rounding: Rounding::default() }
    }

    /// Requantization that the steps allow.
    pub fn mode(&self) -> Mode {
        if self.learn == Learn::Tqt { Mode::Pow2 } else { Mode::Free }
    }

    /// The post-training quantization that training starts from.
    pub(super) fn recipe(&self) -> Recipe {
        Recipe {
            mode: self.mode(),
            per_channel: self.per_channel,
            method: Method::Mse,
            widths: self.widths.clone(),
            equalise: false,
            rounding: self.rounding,
            correct_biases: true,
        }
    }
}

impl Net {
    /// A network that trains in float, from `model`'s weights; batch norm is kept where it is.
    pub fn float_from(model: &FloatModel) -> Result<Self> {
        model.validate()?;
        let mut net = Self {
            header: model.header.clone(),
            layers: vec![],
            parameters: vec![],
            input: None,
            mode: Mode::Free,
            dropout: 0.0,
        };
        for layer in &model.layers {
            net.add(layer);
        }
        Ok(net)
    }

    pub(super) fn site(
        &mut self,
        i: usize,
        part: &str,
        levels: Levels,
        learn: Learn,
        steps: &[Step],
    ) -> Site {
        let name = format!("{}.{part}", self.layers[i].name);
        let step = self.parameter(name, &[steps.len()], vec![0.0; steps.len()], false);
        self.set_steps(step, learn, steps);
        Site { quantizer: FakeQuantizer { levels, learn }, step }
    }

    /// Sets the weight steps of layer `i`, which has quantizers.
    pub(super) fn set_weight_steps(&mut self, i: usize, steps: &[Step]) {
        let site = self.layers[i].weights.expect("quantized");
        self.set_steps(site.step, site.quantizer.learn, steps);
    }

    fn set_steps(&mut self, parameter: usize, learn: Learn, steps: &[Step]) {
        let parameter = &mut self.parameters[parameter];
        parameter.value.iter_mut().zip(steps).for_each(|(value, &step)| *value = learn.parameter(step));
        if learn == Learn::Lsq {
            parameter.size = parameter.value.iter().sum::<f32>() / steps.len() as f32;
        }
    }

    fn parameter(&mut self, name: String, shape: &[usize], values: Vec<f32>, decay: bool) -> usize {
        let value = ArrayD::from_shape_vec(IxDyn(shape), values).expect("the model is valid").into_shared();
        self.parameters.push(Parameter { name, value, decay, size: 1.0 });
        self.parameters.len() - 1
    }

    pub(super) fn add(&mut self, layer: &FloatLayer) {
        let co = layer.op.co();
        let inputs = layer.weight.len() / co;
        let name = |part: &str| format!("{}.{part}", layer.name);
        let mut weight = match layer.op {
            Op::Conv { .. } => taps_before_channels(&layer.weight, co),
            Op::Dense { .. } => layer.weight.clone(),
        };
        let mut bias = layer.bias.clone();
        let norm = layer.batch_norm.as_ref().map(|bn| {
            // γ > 0, so that batch norm scales steps and never turns codes: a negative γ turns the weights.
            let sign = |c: usize| if bn.gamma[c] < 0.0 { -1.0 } else { 1.0 };
            weight
                .chunks_exact_mut(inputs)
                .enumerate()
                .for_each(|(c, w)| w.iter_mut().for_each(|w| *w *= sign(c)));
            let mean = (0..co).map(|c| sign(c) * (bn.mean[c] - bias[c])).collect();
            bias.fill(0.0);
            let gamma = (0..co).map(|c| (bn.gamma[c] * sign(c)).max(LEAST_GAMMA)).collect();
            Norm {
                gamma: self.parameter(name("gamma"), &[co], gamma, false),
                beta: self.parameter(name("beta"), &[co], bn.beta.clone(), false),
                mean,
                var: bn.var.clone(),
                eps: bn.eps.into(),
            }
        });
        let shape = match layer.op {
            Op::Conv { .. } => vec![co, KERNEL, KERNEL, inputs / (KERNEL * KERNEL)],
            Op::Dense { .. } => vec![co, inputs],
        };
        let weight = self.parameter(name("weight"), &shape, weight, true);
        let bias = self.parameter(name("bias"), &[co], bias, false);
        let (name, op, saturation) = (layer.name.clone(), layer.op, layer.saturation);
        let (weights, output, replayed) = (None, None, None);
        self.layers.push(Layer { name, op, weight, bias, norm, saturation, weights, output, replayed });
    }

    /// Puts parameters that must stay positive back above zero: γ, and learned steps. Returns the names of
    /// those that had left.
    pub fn guard(&mut self) -> Vec<String> {
        let mut least = vec![f32::NEG_INFINITY; self.parameters.len()];
        for layer in &self.layers {
            if let Some(norm) = &layer.norm {
                least[norm.gamma] = LEAST_GAMMA;
            }
            for site in [layer.weights, layer.output].into_iter().flatten() {
                if site.quantizer.learn == Learn::Lsq {
                    least[site.step] = LEAST_STEP;
                }
            }
        }
        let mut left = vec![];
        for (p, least) in self.parameters.iter_mut().zip(least) {
            if p.value.iter().any(|&v| v < least) {
                p.value.mapv_inplace(|v| v.max(least));
                left.push(p.name.clone());
            }
        }
        left
    }
}

/// γ is kept at least this large.
const LEAST_GAMMA: f32 = 1e-4;
/// A learned step is kept at least this large.
const LEAST_STEP: f32 = 1e-7;
