//! From a float network to a network in training.

use super::layer::{Layer, Norm, Site};
use super::lower::taps_before_channels;
use super::net::{Net, Phase};
use super::{FakeQuantizer, Learn, mse_step};
use crate::arith::{Levels, Step};
use crate::autograd::Tape;
use crate::autograd::optim::Parameter;
use crate::float::{FloatLayer, FloatModel};
use crate::int::Quantizer;
use crate::net::{KERNEL, Op};
use crate::quantize::{
    LayerLevels, LayerPlan, Method, Mode, Plan, Recipe, Rounding, Widths, calibrate, observe,
};
use crate::{Error, Result};
use ndarray::{ArrayD, ArrayView4, IxDyn};

/// What to quantize, and how its steps learn.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// How steps are learned; [`Learn::Tqt`] makes them powers of two.
    pub learn: Learn,
    /// Levels of every layer, as post-training quantization has them.
    pub widths: Widths,
    /// One weight step an output channel; the last layer always has one, because its sums are compared.
    pub per_channel: bool,
}

impl Spec {
    /// `weights` and `acts` bits inside, 8 at the ends, one weight step an output channel.
    pub fn new(learn: Learn, weights: u32, acts: u32) -> Self {
        Self { learn, widths: Widths::bits(weights, acts), per_channel: true }
    }

    /// Requantization that the steps allow.
    pub fn mode(&self) -> Mode {
        if self.learn == Learn::Tqt { Mode::Pow2 } else { Mode::Free }
    }
}

impl Net {
    /// A network that trains in float, from `model`'s weights; batch norm is kept where it is.
    pub fn float_from(model: &FloatModel) -> Result<Self> {
        if let Some(layer) = model.layers.iter().find(|l| l.saturation.is_some()) {
            let reason = "has a ReLU that saturates, which training does not have: import with --activation relu and train";
            return Err(Error::bad_layer(&layer.name, reason));
        }
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

    /// A quantized network that starts from `model`: its levels are those of `spec`'s widths, its steps those of least squared
    /// error on its weights and on its activations for `images` `(image, channel, row, column)`.
    ///
    /// # Errors
    /// Bits or levels that leave no codes; batch norm together with power-of-two steps, which it would scale.
    pub fn quantized_from(model: &FloatModel, spec: &Spec, images: ArrayView4<f32>) -> Result<Self> {
        let levels = spec.widths.resolve(model)?;
        let mut net = Self::float_from(model)?;
        net.mode = spec.mode();
        match net.layers.iter().find(|l| l.norm.is_some()).filter(|_| net.mode == Mode::Pow2) {
            None => {}
            Some(layer) => {
                let reason = "batch norm scales power-of-two steps to others: fold it first (--fold-bn)";
                return Err(Error::bad_layer(&layer.name, reason));
            }
        }
        if net.mode == Mode::Pow2 {
            demand_powers_of_two(model)?;
        }
        let mut starts = match net.mode {
            Mode::Pow2 => calibrated(model, spec, images)?,
            Mode::Free => net.searched(spec, &levels, images)?,
        };
        for (start, layer) in starts.layers.iter_mut().zip(&model.layers) {
            // Steps that the weights were trained for; batch norm would have scaled them.
            if let Some(given) = layer.quantizer.as_ref().filter(|_| layer.batch_norm.is_none()) {
                (start.weight_levels, start.weight_steps) = (given.levels, given.steps.clone());
            }
        }
        net.input = Some(starts.input);
        for (i, start) in starts.layers.iter().enumerate() {
            let site = net.site(i, "weight_step", start.weight_levels, spec.learn, &start.weight_steps);
            net.layers[i].weights = Some(site);
            if let Some(Quantizer { step, levels }) = start.output {
                net.layers[i].output = Some(net.site(i, "output_step", levels, spec.learn, &[step]));
            }
        }
        Ok(net)
    }

    /// Steps of least squared error, of the weights before batch norm: it scales them as it scales the weights.
    fn searched(&self, spec: &Spec, levels: &[LayerLevels], images: ArrayView4<f32>) -> Result<Plan> {
        let mut tape = Tape::<f32>::default();
        let forward = self.forward(&mut tape, images, Phase::Evaluate)?;
        let last = self.layers.len() - 1;
        let layer = |(i, levels): (usize, &LayerLevels)| {
            let weights = self.values(self.layers[i].weight);
            let channels = if i < last && spec.per_channel { self.layers[i].op.co() } else { 1 };
            let group = weights.chunks_exact(weights.len() / channels);
            LayerPlan {
                weight_levels: levels.weights,
                weight_steps: group.map(|w| mse_step(w, levels.weights)).collect(),
                output: forward.activations.get(i).map(|&x| Quantizer {
                    step: mse_step(tape.slice(x), levels.output),
                    levels: levels.output,
                }),
            }
        };
        let layers = levels.iter().enumerate().map(layer).collect();
        let levels = spec.widths.input(images.iter().any(|&x| x < 0.0));
        let image: Vec<f32> = images.iter().copied().collect();
        Ok(Plan { mode: Mode::Free, input: Quantizer { step: mse_step(&image, levels), levels }, layers })
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

/// Steps that weights were trained for would otherwise become others.
fn demand_powers_of_two(model: &FloatModel) -> Result<()> {
    let given = model.layers.iter().filter_map(|l| Some((l, l.quantizer.as_ref()?)));
    let mut steps = given.flat_map(|(l, q)| q.steps.iter().map(move |s| (l, s)));
    match steps.find(|(_, s)| !s.is_power_of_two()) {
        Some((layer, step)) => Err(Error::bad_layer(
            &layer.name,
            format!("its weights were trained for step {step}, which is no power of two: --qat lsq keeps it"),
        )),
        None => Ok(()),
    }
}

/// Powers of two of least error, as post-training quantization chooses them.
fn calibrated(model: &FloatModel, spec: &Spec, images: ArrayView4<f32>) -> Result<Plan> {
    let recipe = Recipe {
        mode: Mode::Pow2,
        per_channel: spec.per_channel,
        method: Method::Mse,
        widths: spec.widths.clone(),
        equalise: false,
        rounding: Rounding::Nearest,
        correct_biases: false,
    };
    calibrate(model, &recipe, &observe(model, [Ok(images.to_owned())])?)
}

/// γ is kept at least this large.
const LEAST_GAMMA: f32 = 1e-4;
/// A learned step is kept at least this large.
const LEAST_STEP: f32 = 1e-7;
