//! The float network, with its file format.

use crate::arith::{self, Levels, Step};
use crate::net::{Header, Op, Shape, check_chain, shapes};
use crate::store::{self, Tensor};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::Path;

const FORMAT: &str = "vgg2rtl-float";

/// Batch normalisation of a layer's output channels, applied before the ReLU.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// Scale γ.
    pub gamma: Vec<f32>,
    /// Offset β.
    pub beta: Vec<f32>,
    /// Running mean.
    pub mean: Vec<f32>,
    /// Running variance.
    pub var: Vec<f32>,
    /// Added to the variance.
    pub eps: f32,
}

/// One layer: convolution or dense, then batch norm, then ReLU (all but the last layer), then pool.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatLayer {
    /// Name, for example `conv1_1` or `fc6`.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Row-major `(co, ci, 3, 3)` or `(co, inputs)`; a dense layer's inputs are in channel, row, column order.
    pub weight: Vec<f32>,
    /// One a output channel.
    pub bias: Vec<f32>,
    /// Only while training; importers and [`FloatModel::fold_batch_norm`] remove it.
    pub batch_norm: Option<BatchNorm>,
    /// Codes that the weights were trained for, where somebody did that.
    pub quantizer: Option<WeightQuantizer>,
    /// Where the layer's ReLU saturates: 6 for ReLU6. The last layer has no ReLU.
    pub saturation: Option<f32>,
}

/// Codes that a layer's weights were trained for: `clip(rne(w / step), a, b)`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeightQuantizer {
    /// One, or one an output channel.
    pub steps: Vec<Step>,
    /// Range of the codes.
    #[serde(flatten)]
    pub levels: Levels,
}

/// A float network: a chain of layers. Every layer but the last is followed by a ReLU, which may saturate.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatModel {
    /// Name, input, preprocessing, classes.
    pub header: Header,
    /// At least one; convolutions before dense layers.
    pub layers: Vec<FloatLayer>,
}

#[derive(Serialize, Deserialize)]
struct Description {
    format: String,
    version: u32,
    #[serde(flatten)]
    header: Header,
    layers: Vec<LayerDescription>,
}

#[derive(Serialize, Deserialize)]
struct LayerDescription {
    name: String,
    #[serde(flatten)]
    op: Op,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batch_norm_eps: Option<f32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight_quantizer: Option<WeightQuantizer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    saturation: Option<f32>,
}

impl WeightQuantizer {
    /// The step of output channel `c`.
    pub fn step(&self, c: usize) -> Step {
        self.steps[if self.steps.len() == 1 { 0 } else { c }]
    }

    /// The code of a weight of output channel `c`.
    pub fn code(&self, weight: f32, c: usize) -> i32 {
        arith::quantize(weight, self.step(c), self.levels)
    }

    /// The quantizer of weights divided by `by`; `None` where a step becomes too small.
    pub fn divided(&self, by: f32) -> Option<Self> {
        let steps = self.steps.iter().map(|s| Step::new(s.get() / by)).collect::<Option<_>>()?;
        Some(Self { steps, levels: self.levels })
    }

    /// Quantizes weights of channels that a factor scaled: steps scale with them, negative factors turn codes.
    fn scale(&mut self, factors: &[f64]) -> Option<()> {
        let steps = factors
            .iter()
            .enumerate()
            .map(|(c, k)| Step::new((f64::from(self.step(c).get()) * k.abs()) as f32));
        self.steps = steps.collect::<Option<_>>()?;
        if factors.iter().any(|k| *k < 0.0) {
            let Levels { a, b } = self.levels;
            self.levels = Levels { a: a.min(-b), b: b.max(-a) };
        }
        Some(())
    }

    fn validate(&self, co: usize) -> std::result::Result<(), String> {
        if ![1, co].contains(&self.steps.len()) {
            return Err(format!("{} steps of its weights where 1 or {co} are needed", self.steps.len()));
        }
        let Levels { a, b } = self.levels;
        match self.levels.is_valid() && self.levels.bits() <= *arith::WIDTHS.end() {
            true => Ok(()),
            false => Err(format!("levels {a} … {b} of its weights make no sense")),
        }
    }
}

impl FloatLayer {
    /// The layer that computes what its codes say.
    pub fn rounded(&self) -> Cow<'_, Self> {
        let mut layer = Cow::Borrowed(self);
        if self.quantizer.is_some() {
            layer.to_mut().round_weights();
        }
        layer
    }

    /// Replaces weights by what their codes stand for, where the layer has codes.
    pub fn round_weights(&mut self) {
        let Some(quantizer) = &self.quantizer else { return };
        let row = self.weight.len() / self.op.co();
        for (c, weights) in self.weight.chunks_exact_mut(row).enumerate() {
            weights.iter_mut().for_each(|w| *w = arith::dequantize(quantizer.code(*w, c), quantizer.step(c)));
        }
    }
}

impl FloatModel {
    /// Number of logits an image.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(0, |l| l.op.co())
    }

    /// Input shape of each layer, then the output's.
    pub fn shapes(&self) -> Vec<Shape> {
        shapes(self.header.input, self.layers.iter().map(|l| l.op))
    }

    /// Multiply-accumulate operations for one image.
    pub fn macs(&self) -> u64 {
        self.layers.iter().zip(self.shapes()).map(|(l, x)| l.op.macs(x)).sum()
    }

    /// Folds batch norm into weights and biases: `w' = w·γ/√(var+ε)`, `b' = (b−mean)·γ/√(var+ε) + β`. Weights that have codes
    /// are rounded to them first, and their steps take the factors; where a factor leaves no step, the codes are lost.
    pub fn fold_batch_norm(&mut self) {
        for layer in &mut self.layers {
            let Some(bn) = layer.batch_norm.take() else { continue };
            layer.round_weights();
            let factor = |c: usize| bn.gamma[c] as f64 / (bn.var[c] as f64 + bn.eps as f64).sqrt();
            let factors: Vec<f64> = (0..layer.op.co()).map(factor).collect();
            if layer.quantizer.as_mut().is_some_and(|q| q.scale(&factors).is_none()) {
                layer.quantizer = None;
            }
            let per_channel = layer.weight.len() / layer.op.co();
            for (c, w) in layer.weight.chunks_exact_mut(per_channel).enumerate() {
                let k = factors[c];
                w.iter_mut().for_each(|w| *w = (*w as f64 * k) as f32);
                layer.bias[c] = ((layer.bias[c] as f64 - bn.mean[c] as f64) * k + bn.beta[c] as f64) as f32;
            }
        }
    }

    /// Checks what every other stage relies on: the network is a chain that ends in logits, its names can be written
    /// everywhere, shapes fit, all numbers are finite.
    pub fn validate(&self) -> Result<()> {
        let names = self.layers.iter().map(|l| &l.name[..]);
        check_chain(self.header.input, names.clone().zip(self.layers.iter().map(|l| l.op)))?;
        let outputs = self.outputs();
        self.header.check(names, outputs).map_err(|reason| Error::bad_layer("-", reason))?;
        if let Some(last) = self.layers.last().filter(|l| l.saturation.is_some()) {
            return Err(Error::bad_layer(
                &last.name,
                "saturates, though no ReLU stands behind the last layer",
            ));
        }
        for (layer, x) in self.layers.iter().zip(self.shapes()) {
            layer.validate(x).map_err(|reason| Error::bad_layer(&layer.name, reason))?;
        }
        Ok(())
    }

    /// Writes the model file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let describe = |l: &FloatLayer| LayerDescription {
            name: l.name.clone(),
            op: l.op,
            batch_norm_eps: l.batch_norm.as_ref().map(|bn| bn.eps),
            weight_quantizer: l.quantizer.clone(),
            saturation: l.saturation,
        };
        let description = Description {
            format: FORMAT.into(),
            version: store::VERSION,
            header: self.header.clone(),
            layers: self.layers.iter().map(describe).collect(),
        };
        let mut tensors = vec![];
        for (l, x) in self.layers.iter().zip(self.shapes()) {
            let mut put = |part: &str, shape: Vec<usize>, v| {
                tensors.push((format!("{}.{part}", l.name), Tensor::borrowed(shape, v)))
            };
            put("weight", l.op.weight_shape(x), &l.weight);
            put("bias", vec![l.op.co()], &l.bias);
            if let Some(bn) = &l.batch_norm {
                for (part, v) in
                    [("gamma", &bn.gamma), ("beta", &bn.beta), ("mean", &bn.mean), ("var", &bn.var)]
                {
                    put(part, vec![l.op.co()], v);
                }
            }
        }
        store::write(path, &description, &tensors)
    }

    /// Reads and validates a model file.
    pub fn load(path: &Path) -> Result<Self> {
        let file = store::File::open(path)?;
        let description: Description = file.header(FORMAT)?;
        let names = description.layers.iter().map(|l| l.name.as_str());
        let outputs = description.layers.last().map_or(0, |l| l.op.co());
        description.header.check_with_pictures(names, outputs).map_err(|reason| file.bad(reason))?;
        let input = shapes(description.header.input, description.layers.iter().map(|l| l.op));
        let read = |l: LayerDescription, x: Shape| {
            let co = [l.op.co()];
            let get = |part: &str, shape: &[usize]| file.floats(&format!("{}.{part}", l.name), shape);
            let batch_norm = match l.batch_norm_eps {
                None => None,
                Some(eps) => Some(BatchNorm {
                    gamma: get("gamma", &co)?,
                    beta: get("beta", &co)?,
                    mean: get("mean", &co)?,
                    var: get("var", &co)?,
                    eps,
                }),
            };
            let (weight, bias) = (get("weight", &l.op.weight_shape(x))?, get("bias", &co)?);
            let (quantizer, saturation) = (l.weight_quantizer, l.saturation);
            Ok(FloatLayer { name: l.name, op: l.op, weight, bias, batch_norm, quantizer, saturation })
        };
        let layers = description.layers.into_iter().zip(input).map(|(l, x)| read(l, x));
        let model = Self { header: description.header, layers: layers.collect::<Result<_>>()? };
        model.validate().map_err(|e| file.bad(e.to_string()))?;
        file.all_read()?;
        Ok(model)
    }
}

impl FloatLayer {
    fn validate(&self, x: Shape) -> std::result::Result<(), String> {
        let co = self.op.co();
        let want: usize = self.op.weight_shape(x).iter().product();
        let have = (self.weight.len(), self.bias.len());
        if have != (want, co) {
            return Err(format!("{} weights and {} biases where {want} and {co} are needed", have.0, have.1));
        }
        if let Some(v) = self.weight.iter().chain(&self.bias).find(|v| !v.is_finite()) {
            return Err(format!("holds {v}"));
        }
        if let Some(most) = self.saturation.filter(|most| !(*most > 0.0 && most.is_finite())) {
            return Err(format!("saturates at {most}, which is no positive number"));
        }
        self.quantizer.as_ref().map_or(Ok(()), |q| q.validate(co))?;
        self.batch_norm.as_ref().map_or(Ok(()), |bn| bn.validate(co))
    }
}

impl BatchNorm {
    fn validate(&self, co: usize) -> std::result::Result<(), String> {
        let parts = [&self.gamma, &self.beta, &self.mean, &self.var];
        if let Some(part) = parts.iter().find(|part| part.len() != co) {
            return Err(format!("its batch norm has {} channels where {co} are needed", part.len()));
        }
        if let Some(v) = parts.into_iter().flatten().find(|v| !v.is_finite()) {
            return Err(format!("its batch norm holds {v}"));
        }
        match self.var.iter().map(|v| v + self.eps).find(|v| !(*v > 0.0 && v.is_finite())) {
            Some(v) => Err(format!("its batch norm divides by the root of {v}")),
            None => Ok(()),
        }
    }
}
