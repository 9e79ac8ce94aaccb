//! A network in training: its parameters, and its forward pass on a tape.

use super::layer::{Integers, Layer, at};
use crate::arith::{self, Step};
use crate::autograd::optim::Parameter;
use crate::autograd::{Moments, Real, Tape, Var};
use crate::int::Quantizer;
use crate::net::{Header, Op};
use crate::quantize::lower::{bias_codes, multipliers};
use crate::quantize::{LayerPlan, Mode};
use crate::{Error, Result};
use ndarray::{Array4, ArrayView4};

/// What a forward pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Batch norm with the batch's moments, dropout drawn from `seed`.
    Train {
        /// A new one each step.
        seed: u64,
    },
    /// Batch norm with the running moments, no dropout; quantized layers give the golden model's integers.
    Evaluate,
}

/// A network in training, in float or with quantizers.
#[derive(Clone, Debug, PartialEq)]
pub struct Net {
    /// Name, input, preprocessing, classes.
    pub header: Header,
    /// Layers in order.
    pub layers: Vec<Layer>,
    /// Everything that is learned; layers hold indices into it.
    pub parameters: Vec<Parameter>,
    /// Quantizer of the image; `None` while training in float.
    pub input: Option<Quantizer>,
    /// Free or power-of-two steps.
    pub mode: Mode,
    /// Probability of dropout before hidden dense layers' successors, 0 for none.
    pub dropout: f64,
}

/// What a forward pass leaves on its tape.
pub struct Forward {
    /// `(image, class)`.
    pub logits: Var,
    /// Each parameter's place, in the order of [`Net::parameters`].
    pub parameters: Vec<Var>,
    /// Output of each layer but the last, after its pool; feature maps or `(image, feature)`.
    pub activations: Vec<Var>,
    /// Moments of the batch at each layer's batch norm, in training.
    pub moments: Vec<Option<Moments>>,
}

impl Net {
    /// Runs `images` `(image, channel, row, column)`, preprocessed, on a cleared `tape`.
    ///
    /// # Errors
    /// Quantized layers fail where a bias or a multiplier leaves the contract's range.
    pub fn forward<T: Real>(
        &self,
        tape: &mut Tape<T>,
        images: ArrayView4<f32>,
        phase: Phase,
    ) -> Result<Forward> {
        let parameters: Vec<Var> =
            self.parameters.iter().map(|p| tape.parameter(T::tensor(&p.value))).collect();
        let mut x = self.image(tape, images);
        let (mut activations, mut moments) = (vec![], vec![]);
        let last = self.layers.len() - 1;
        for (i, layer) in self.layers.iter().enumerate() {
            if matches!(layer.op, Op::Dense { .. }) && tape.shape(x).len() == 4 {
                x = tape.flatten(x);
            }
            let mut pass = Pass { net: self, layer, parameters: &parameters, phase, moments: None };
            let sums = pass.accumulate(tape, x);
            let input = self.input_step(i);
            if i == last {
                let logits = pass.logits(tape, sums, input)?;
                return Ok(Forward { logits, parameters, activations, moments });
            }
            x = pass.activate(tape, sums, input)?;
            moments.push(pass.moments);
            if matches!(layer.op, Op::Conv { pool: true, .. }) {
                x = tape.max_pool(x);
            }
            activations.push(x);
            if let (Phase::Train { seed }, Op::Dense { .. }) = (phase, layer.op)
                && self.dropout > 0.0
            {
                x = tape.dropout(x, self.dropout, seed.wrapping_add(i as u64));
            }
        }
        unreachable!("a network ends in logits")
    }

    /// The image as `(image, row, column, channel)`, quantized where the network is.
    fn image<T: Real>(&self, tape: &mut Tape<T>, images: ArrayView4<f32>) -> Var {
        let (n, c, h, w) = images.dim();
        let mut x = tape.scratch(&[n, h, w, c]);
        let ordered = images.permuted_axes([0, 2, 3, 1]);
        x.iter_mut().zip(ordered).for_each(|(to, &from)| {
            let value = match self.input {
                Some(q) => f64::from(arith::quantize(from, q.step, q.levels)) * f64::from(q.step.get()),
                None => from.into(),
            };
            *to = T::of(value);
        });
        tape.constant(x.into_shared())
    }

    /// Step of layer `i`'s input; `None` while training in float.
    pub(super) fn input_step(&self, i: usize) -> Option<Step> {
        match i.checked_sub(1) {
            None => self.input.map(|q| q.step),
            Some(before) => self.output_quantizer(&self.layers[before]).map(|q| q.step),
        }
    }

    /// Step and levels of a layer's output.
    pub(super) fn output_quantizer(&self, layer: &Layer) -> Option<Quantizer> {
        let site = layer.output?;
        let step = site.quantizer.learn.step(self.values(site.step)[0]);
        Some(Quantizer { step, levels: site.quantizer.levels })
    }

    /// Elements of a parameter.
    pub fn values(&self, parameter: usize) -> &[f32] {
        self.parameters[parameter].value.as_slice().expect("row-major")
    }

    /// Steps of a layer's weights before batch norm.
    pub(super) fn weight_steps(&self, layer: &Layer) -> Option<Vec<Step>> {
        let site = layer.weights?;
        Some(self.values(site.step).iter().map(|&p| site.quantizer.learn.step(p)).collect())
    }

    /// What batch norm in evaluation does to a channel: factor and offset, one a channel.
    pub(super) fn affine(&self, layer: &Layer) -> Option<(Vec<f64>, Vec<f64>)> {
        let norm = layer.norm.as_ref()?;
        let (gamma, beta) = (self.values(norm.gamma), self.values(norm.beta));
        let factor = |c: usize| f64::from(gamma[c]) / (f64::from(norm.var[c]) + norm.eps).sqrt();
        let factors: Vec<f64> = (0..gamma.len()).map(factor).collect();
        let offset = |c: usize| f64::from(beta[c]) - f64::from(norm.mean[c]) * factors[c];
        let offsets = (0..gamma.len()).map(offset).collect();
        Some((factors, offsets))
    }

    /// Biases of a layer as the integer model sees them, batch norm folded in.
    pub(super) fn folded_bias(&self, layer: &Layer) -> Vec<f32> {
        match self.affine(layer) {
            Some((_, offset)) => offset.into_iter().map(|b| b as f32).collect(),
            None => self.values(layer.bias).to_vec(),
        }
    }

    /// A quantized layer's part of the plan, batch norm folded in.
    pub(super) fn layer_plan(&self, layer: &Layer) -> Result<LayerPlan> {
        let bad = |reason: String| Error::bad_layer(&layer.name, reason);
        let site = layer.weights.ok_or_else(|| bad("is not quantized".into()))?;
        let mut weight_steps = self.weight_steps(layer).expect("quantized");
        if let Some((factor, _)) = self.affine(layer) {
            let scaled = |(c, k): (usize, &f64)| {
                let step = f64::from(at(&weight_steps, c).get()) * k;
                Step::new(step as f32).ok_or_else(|| bad(format!("batch norm makes step {c} {step:e}")))
            };
            weight_steps = factor.iter().enumerate().map(scaled).collect::<Result<_>>()?;
        }
        let output = self.output_quantizer(layer);
        Ok(LayerPlan { weight_levels: site.quantizer.levels, weight_steps, output })
    }

    /// The integers of a quantized layer whose input has step `input_step`.
    pub(super) fn integers(&self, layer: &Layer, input_step: Step) -> Result<Integers> {
        let weight_steps = self.weight_steps(layer).expect("quantized");
        if let Some((bias, multipliers)) = layer.replayed.clone() {
            return Ok(Integers { weight_steps, input_step, bias, multipliers });
        }
        let bad = |reason: String| Error::bad_layer(&layer.name, reason);
        let plan = self.layer_plan(layer)?;
        let bias = bias_codes(&self.folded_bias(layer), &plan, input_step).map_err(bad)?;
        let multipliers = match plan.output {
            Some(y) => multipliers(&plan, input_step, y, self.mode).map_err(bad)?,
            None => vec![],
        };
        Ok(Integers { weight_steps, input_step, bias, multipliers })
    }

    /// Moves the running moments towards those of a batch by `rate`.
    pub fn absorb(&mut self, moments: &[Option<Moments>], rate: f64) {
        for (layer, batch) in self.layers.iter_mut().zip(moments) {
            let (Some(norm), Some(batch)) = (&mut layer.norm, batch) else { continue };
            let unbiased = batch.count as f64 / (batch.count as f64 - 1.0).max(1.0);
            let towards = |x: &mut [f32], y: &[f64], factor: f64| {
                let move_one = |x: f32, y: f64| (f64::from(x) + rate * (y * factor - f64::from(x))) as f32;
                x.iter_mut().zip(y).for_each(|(x, &y)| *x = move_one(*x, y))
            };
            towards(&mut norm.mean, &batch.mean, 1.0);
            towards(&mut norm.var, &batch.var, unbiased);
        }
    }
}

/// One layer's way through a forward pass.
struct Pass<'a> {
    net: &'a Net,
    layer: &'a Layer,
    parameters: &'a [Var],
    phase: Phase,
    moments: Option<Moments>,
}

impl Pass<'_> {
    /// Weights, quantized where the layer is, applied to `x`: no bias yet.
    fn accumulate<T: Real>(&self, tape: &mut Tape<T>, x: Var) -> Var {
        let mut weight = self.parameters[self.layer.weight];
        if let Some(site) = self.layer.weights {
            let step = self.parameters[site.step];
            let count = tape.value(weight).len() / tape.value(step).len();
            weight = site.quantizer.apply(tape, weight, step, count);
        }
        match self.layer.op {
            Op::Conv { .. } => tape.conv(x, weight),
            Op::Dense { .. } => tape.linear(x, weight),
        }
    }

    /// Bias or batch norm, ReLU, quantizer.
    fn activate<T: Real>(&mut self, tape: &mut Tape<T>, sums: Var, input: Option<Step>) -> Result<Var> {
        let trains_norm = self.layer.norm.is_some() && self.phase != Phase::Evaluate;
        let Some((site, input)) = self.layer.output.zip(input) else {
            let y = self.shift(tape, sums);
            let most = self.layer.saturation.map_or(T::infinity(), |most| T::of(most.into()));
            return Ok(tape.saturating_relu(y, most));
        };
        let step = self.parameters[site.step];
        if trains_norm {
            // The batch's moments change the scale from step to step: no integers exist for it yet.
            let y = self.shift(tape, sums);
            let count = tape.value(y).len() / tape.shape(y)[0];
            return Ok(site.quantizer.apply(tape, y, step, count));
        }
        let integers = self.net.integers(self.layer, input)?;
        Ok(site.quantizer.requantize(tape, sums, self.parameters[self.layer.bias], step, &integers))
    }

    /// Adds the bias, or applies batch norm.
    fn shift<T: Real>(&mut self, tape: &mut Tape<T>, sums: Var) -> Var {
        let Some(norm) = &self.layer.norm else {
            return tape.add_bias(sums, self.parameters[self.layer.bias]);
        };
        let (gamma, beta) = (self.parameters[norm.gamma], self.parameters[norm.beta]);
        if self.phase == Phase::Evaluate {
            let wide = |x: &[f32]| x.iter().map(|&x| x.into()).collect();
            let moments = Moments { mean: wide(&norm.mean), var: wide(&norm.var), count: 1 };
            return tape.batch_norm_eval(sums, gamma, beta, moments, norm.eps);
        }
        let (y, moments) = tape.batch_norm(sums, gamma, beta, norm.eps);
        self.moments = Some(moments);
        y
    }

    /// The last layer's sums with bias; in a quantized network, with the bias that its codes stand for.
    fn logits<T: Real>(&mut self, tape: &mut Tape<T>, sums: Var, input: Option<Step>) -> Result<Var> {
        if self.layer.weights.is_none() {
            return Ok(self.shift(tape, sums));
        }
        let Some(input) = input else { return Ok(self.shift(tape, sums)) };
        let integers = self.net.integers(self.layer, input)?;
        let unit = |c| f64::from(at(&integers.weight_steps, c).get()) * f64::from(input.get());
        let codes = integers.bias.iter().enumerate();
        let shift: Vec<T> = codes.map(|(c, &b)| T::of(b as f64 * unit(c))).collect();
        let bias = tape.value(self.parameters[self.layer.bias]).raw_dim();
        let shift = ndarray::ArrayD::from_shape_vec(bias, shift).expect("one a channel");
        let quantized = self.straight_through_bias(tape, shift);
        Ok(tape.add_bias(sums, quantized))
    }

    /// `value` forward, the gradient to the bias backward.
    fn straight_through_bias<T: Real>(&self, tape: &mut Tape<T>, value: ndarray::ArrayD<T>) -> Var {
        let bias = self.parameters[self.layer.bias];
        tape.push(value, &[bias], move |tape, _, g| tape.accumulate(bias, g))
    }
}

/// Feature maps `(image, row, column, channel)` as `(image, channel, row, column)`.
pub(super) fn channels_first<T: Real>(tape: &Tape<T>, x: Var) -> Array4<T> {
    let value = tape.value(x).view();
    let shape = value.shape().to_vec();
    let map = match shape[..] {
        [n, h, w, c] => value.into_shape_with_order((n, h, w, c)),
        [n, c] => value.into_shape_with_order((n, 1, 1, c)),
        _ => panic!("activations have two or four axes"),
    };
    map.expect("row-major").permuted_axes([0, 3, 1, 2]).as_standard_layout().into_owned()
}
