//! From a float network to a network in training.

use super::layer::{Layer, Norm, Site};
use super::lower::taps_before_channels;
use super::net::{Net, Phase};
use super::{FakeQuantizer, Learn, mse_step};
use crate::arith::{Levels, Step, WIDTHS};
use crate::autograd::Tape;
use crate::autograd::optim::Parameter;
use crate::float::{FloatLayer, FloatModel};
use crate::int::Quantizer;
use crate::net::{KERNEL, Op};
use crate::quantize::Mode;
use crate::{Error, Result};
use ndarray::{ArrayD, ArrayView4, IxDyn};
use serde::Serialize;

/// What to quantize, and how its steps learn.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spec {
    /// How steps are learned; [`Learn::Tqt`] makes them powers of two.
    pub learn: Learn,
    /// Bits of the inner layers' weights.
    pub weights: u32,
    /// Bits of the inner layers' output activations.
    pub acts: u32,
    /// Bits of the image, and of the weights of the first and last layer.
    pub ends: u32,
    /// One weight step an output channel; the last layer always has one, because its sums are compared.
    pub per_channel: bool,
    /// Levels (a, b) of the inner layers' weights, in place of −2^(n−1) … 2^(n−1)−1.
    pub weight_levels: Option<Levels>,
}

impl Spec {
    /// `weights` and `acts` bits inside, 8 at the ends, one weight step an output channel.
    pub fn new(learn: Learn, weights: u32, acts: u32) -> Self {
        Self { learn, weights, acts, ends: 8, per_channel: true, weight_levels: None }
    }

    /// Requantization that the steps allow.
    pub fn mode(&self) -> Mode {
        if self.learn == Learn::Tqt { Mode::Pow2 } else { Mode::Free }
    }

    fn validate(&self) -> Result<()> {
        for (option, bits) in [("--weights", self.weights), ("--acts", self.acts), ("--ends", self.ends)] {
            if !WIDTHS.contains(&bits) {
                let range = format!("{} … {}", WIDTHS.start(), WIDTHS.end());
                return Err(Error::usage(option, format!("{bits} bits where {range} are possible")));
            }
        }
        match self.weight_levels {
            Some(l) if !l.is_valid() || l.bits() > self.weights => Err(Error::usage(
                "--weight-levels",
                format!("{} … {}: needs a ≤ 0 ≤ b, a < b, within {} bits", l.a, l.b, self.weights),
            )),
            _ => Ok(()),
        }
    }

    fn levels(&self, end: bool) -> Levels {
        match (end, self.weight_levels) {
            (true, _) => Levels::signed(self.ends),
            (false, Some(levels)) => levels,
            (false, None) => Levels::signed(self.weights),
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

    /// A quantized network that starts from `model`, with steps of least squared error on its weights and on
    /// its activations for `images` `(image, channel, row, column)`.
    ///
    /// # Errors
    /// Bits or levels that leave no codes; batch norm together with power-of-two steps, which it would scale.
    pub fn quantized_from(model: &FloatModel, spec: &Spec, images: ArrayView4<f32>) -> Result<Self> {
        spec.validate()?;
        let mut net = Self::float_from(model)?;
        if let Some(layer) =
            net.layers.iter().find(|l| l.norm.is_some()).filter(|_| spec.mode() == Mode::Pow2)
        {
            let reason = "batch norm scales power-of-two steps to others: fold it first (--fold-bn)";
            return Err(Error::bad_layer(&layer.name, reason));
        }
        let mut tape = Tape::<f32>::default();
        let forward = net.forward(&mut tape, images, Phase::Evaluate)?;
        let last = net.layers.len() - 1;
        for i in 0..=last {
            net.quantize_weights(i, spec.levels(i == 0 || i == last), spec, i < last && spec.per_channel);
            if i < last {
                let levels = Levels::unsigned(spec.acts);
                let step = mse_step(tape.slice(forward.activations[i]), levels);
                net.layers[i].output = Some(net.site(i, "output_step", levels, spec.learn, &[step]));
            }
        }
        let levels = Levels::signed(spec.ends);
        let image: Vec<f32> = images.iter().copied().collect();
        let step = spec.learn.step(spec.learn.parameter(mse_step(&image, levels)));
        (net.input, net.mode) = (Some(Quantizer { step, levels }), spec.mode());
        Ok(net)
    }

    fn quantize_weights(&mut self, i: usize, levels: Levels, spec: &Spec, per_channel: bool) {
        let (weights, co) = (self.values(self.layers[i].weight), self.layers[i].op.co());
        let group = if per_channel { weights.len() / co } else { weights.len() };
        let steps: Vec<Step> = weights.chunks_exact(group).map(|w| mse_step(w, levels)).collect();
        self.layers[i].weights = Some(self.site(i, "weight_step", levels, spec.learn, &steps));
    }

    fn site(&mut self, i: usize, part: &str, levels: Levels, learn: Learn, steps: &[Step]) -> Site {
        let values = steps.iter().map(|&s| learn.parameter(s)).collect();
        let name = format!("{}.{part}", self.layers[i].name);
        let step = self.parameter(name, &[steps.len()], values, false);
        if learn == Learn::Lsq {
            let mean = self.values(step).iter().sum::<f32>() / steps.len() as f32;
            self.parameters[step].size = mean;
        }
        Site { quantizer: FakeQuantizer { levels, learn }, step }
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
        let (name, op) = (layer.name.clone(), layer.op);
        self.layers.push(Layer { name, op, weight, bias, norm, weights: None, output: None, replayed: None });
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
