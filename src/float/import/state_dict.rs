//! torchvision's state dicts of VGG 11, 13, 16 and 19, with and without batch norm, of any width.
//!
//! `features.N.weight` `(co, ci, 3, 3)` are convolutions, `features.N.running_mean` marks batch norm,
//! `classifier.N.weight` `(co, inputs)` are dense layers. Modules without weights only show as gaps in N:
//! from one convolution to the next 2 (ReLU), 3 with batch norm, and 1 more with a pool.

use super::average::Average;
use super::options::Options;
use super::tensors::Tensors;
use crate::float::{BatchNorm, FloatLayer, FloatModel};
use crate::net::{Header, KERNEL, Op, Shape, shapes, vgg_convs};
use std::collections::BTreeSet;

/// Side of the map that torchvision's `AdaptiveAvgPool2d` hands to the classifier.
const POOLED: usize = 7;
/// PyTorch's default ε of batch norm.
const EPS: f32 = 1e-5;

/// The network of a state dict.
pub fn model(tensors: Tensors, name: &str, options: &Options) -> Result<FloatModel, String> {
    let mut dict = StateDict::new(tensors)?;
    let mut layers = convolutions(&mut dict)?;
    let dense = dense_layers(&mut dict, &layers)?;
    dict.finish()?;
    let maps = |input| *shapes(input, layers.iter().map(|l| l.op)).last().expect("at least the input");
    let channels = layers[0].weight.len() / (layers[0].op.co() * KERNEL * KERNEL);
    let input = match options.input {
        Some(input) if input.c != channels => {
            return Err(format!("--input has {} channels, the first convolution reads {channels}", input.c));
        }
        Some(input) => input,
        None => likely_input(channels, &dense[0], &layers)?,
    };
    let map = maps(input);
    layers.extend(dense);
    let first_dense = vgg_depth(&layers);
    fit_first_dense(&mut layers[first_dense], map)?;
    let header = Header {
        name: name.into(),
        input,
        preprocessing: options.torch_preprocessing(input),
        classes: options.classes.clone(),
    };
    let mut model = FloatModel { header, layers };
    model.fold_batch_norm();
    Ok(model)
}

fn vgg_depth(layers: &[FloatLayer]) -> usize {
    layers.iter().filter(|l| matches!(l.op, Op::Conv { .. })).count()
}

/// A state dict being taken apart.
struct StateDict {
    tensors: Tensors,
    /// What stands before `features.` and `classifier.`, such as `module.`.
    prefix: String,
}

impl StateDict {
    fn new(tensors: Tensors) -> Result<Self, String> {
        let prefix =
            tensors.keys().find_map(|k| k.split_once("features.").map(|(prefix, _)| prefix.to_string()));
        let known = || tensors.keys().take(3).cloned().collect::<Vec<_>>().join(", ");
        let prefix = prefix
            .ok_or_else(|| format!("no features.N.weight as torchvision's VGG has; found {}", known()))?;
        Ok(Self { tensors, prefix })
    }

    /// The N of all `section.N.weight`, ascending.
    fn indices(&self, section: &str) -> Vec<usize> {
        let start = format!("{}{section}.", self.prefix);
        let index = |k: &String| k.strip_prefix(&start)?.strip_suffix(".weight")?.parse().ok();
        self.tensors.keys().filter_map(index).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(&format!("{}{name}", self.prefix)).map(|t| t.shape.as_slice())
    }

    /// Takes tensor `name`, which must have `shape`.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let full = format!("{}{name}", self.prefix);
        let tensor = self.tensors.remove(&full).ok_or_else(|| format!("tensor {full} is missing"))?;
        if tensor.shape != shape {
            return Err(format!("tensor {full} has shape {:?}, must be {shape:?}", tensor.shape));
        }
        let data = tensor.data.map_err(|dtype| format!("tensor {full} is {dtype}, must be a float type"))?;
        match data.iter().find(|v| !v.is_finite()) {
            Some(v) => Err(format!("tensor {full} holds {v}")),
            None => Ok(data),
        }
    }

    /// Takes a bias, zero where the module has none.
    fn bias(&mut self, module: &str, co: usize) -> Result<Vec<f32>, String> {
        let name = format!("{module}.bias");
        if self.shape(&name).is_none() { Ok(vec![0.0; co]) } else { self.take(&name, &[co]) }
    }

    /// Refuses tensors that no layer took.
    fn finish(self) -> Result<(), String> {
        match self.tensors.keys().find(|k| !k.ends_with(".num_batches_tracked")) {
            Some(k) => Err(format!("tensor {k} belongs to no layer of a VGG")),
            None => Ok(()),
        }
    }
}

/// Convolutions with their batch norm and pools.
fn convolutions(dict: &mut StateDict) -> Result<Vec<FloatLayer>, String> {
    let modules = dict.indices("features");
    let is_conv = |i: &usize| dict.shape(&format!("features.{i}.weight")).is_some_and(|s| s.len() == 4);
    let at: Vec<usize> = modules.iter().copied().filter(is_conv).collect();
    let pools = pools(dict, &at)?;
    let mut layers: Vec<FloatLayer> = vec![];
    for (&i, (name, pool)) in at.iter().zip(pools) {
        let module = format!("features.{i}");
        let shape = dict.shape(&format!("{module}.weight")).unwrap_or_default().to_vec();
        let ci = layers.last().map_or(shape[1], |l| l.op.co());
        let co = shape[0];
        if co == 0 || ci == 0 {
            return Err(format!("tensor {module}.weight has shape {shape:?}"));
        }
        let weight = dict.take(&format!("{module}.weight"), &[co, ci, KERNEL, KERNEL])?;
        let bias = dict.bias(&module, co)?;
        let batch_norm = batch_norm(dict, i + 1, co)?;
        layers.push(FloatLayer { name, op: Op::Conv { co, pool }, weight, bias, batch_norm });
    }
    Ok(layers)
}

/// Name and pool of each convolution at `at`, from the gaps, which must be those of a VGG.
fn pools(dict: &StateDict, at: &[usize]) -> Result<Vec<(String, bool)>, String> {
    let depths = [11, 13, 16, 19].into_iter().filter_map(vgg_convs);
    let Some(vgg) = depths.into_iter().find(|v| v.len() == at.len()) else {
        return Err(format!("{} convolutions; VGG 11, 13, 16 and 19 have 8, 10, 13 and 16", at.len()));
    };
    let (mut stage, mut place) = (1, 0);
    let mut named = vec![];
    for (i, (_, pool)) in vgg.into_iter().enumerate() {
        let normed = dict.shape(&format!("features.{}.running_mean", at[i] + 1)).is_some();
        let gap = 2 + usize::from(normed) + usize::from(pool);
        if at.get(i + 1).is_some_and(|next| *next != at[i] + gap) {
            let found = format!("features.{} to features.{}", at[i], at[i + 1]);
            return Err(format!("from {found} is not the gap of a VGG with {} convolutions", at.len()));
        }
        place += 1;
        named.push((format!("conv{stage}_{place}"), pool));
        if pool {
            (stage, place) = (stage + 1, 0);
        }
    }
    Ok(named)
}

fn batch_norm(dict: &mut StateDict, i: usize, co: usize) -> Result<Option<BatchNorm>, String> {
    let module = format!("features.{i}");
    if dict.shape(&format!("{module}.running_mean")).is_none() {
        return Ok(None);
    }
    let mut take = |part: &str| dict.take(&format!("{module}.{part}"), &[co]);
    let (gamma, beta) = (take("weight")?, take("bias")?);
    let (mean, var) = (take("running_mean")?, take("running_var")?);
    if let Some(v) = var.iter().find(|v| **v < 0.0) {
        return Err(format!("tensor {module}.running_var holds {v}"));
    }
    Ok(Some(BatchNorm { gamma, beta, mean, var, eps: EPS }))
}

/// The classifier's layers; the first may still read another number of inputs than the last feature map has.
fn dense_layers(dict: &mut StateDict, convs: &[FloatLayer]) -> Result<Vec<FloatLayer>, String> {
    let stages = convs.iter().filter(|l| matches!(l.op, Op::Conv { pool: true, .. })).count();
    let mut layers: Vec<FloatLayer> = vec![];
    for i in dict.indices("classifier") {
        let module = format!("classifier.{i}");
        let shape = dict.shape(&format!("{module}.weight")).unwrap_or_default().to_vec();
        let [co, inputs] = shape[..] else {
            return Err(format!("tensor {module}.weight has shape {shape:?}: not a dense layer"));
        };
        let inputs = layers.last().map_or(inputs, |l| l.op.co());
        if co == 0 || inputs == 0 {
            return Err(format!("tensor {module}.weight has shape {shape:?}"));
        }
        let weight = dict.take(&format!("{module}.weight"), &[co, inputs])?;
        let (bias, name) = (dict.bias(&module, co)?, format!("fc{}", stages + 1 + layers.len()));
        layers.push(FloatLayer { name, op: Op::Dense { co }, weight, bias, batch_norm: None });
    }
    if layers.is_empty() { Err("no classifier.N.weight as torchvision's VGG has".into()) } else { Ok(layers) }
}

/// The square input whose last feature map the first dense layer reads: 224 for 7×7 maps, 32 for 1×1.
fn likely_input(channels: usize, dense: &FloatLayer, convs: &[FloatLayer]) -> Result<Shape, String> {
    let inputs = dense.weight.len() / dense.op.co();
    let last = convs.last().map_or(1, |l| l.op.co());
    let stages = convs.iter().filter(|l| matches!(l.op, Op::Conv { pool: true, .. })).count();
    let side = (1..=64)
        .find(|s| s * s * last == inputs)
        .ok_or("the file does not say the input's size: give --input CxHxW")?;
    Ok(Shape { c: channels, h: side << stages, w: side << stages })
}

/// Makes the first dense layer read the feature map `map`, with torchvision's average pool folded into it.
fn fit_first_dense(layer: &mut FloatLayer, map: Shape) -> Result<(), String> {
    let inputs = layer.weight.len() / layer.op.co();
    if map.is_empty() {
        return Err(format!("the last feature map {map} is empty: the input is too small"));
    }
    if inputs == map.c * POOLED * POOLED {
        if (map.h, map.w) != (POOLED, POOLED) {
            let pool = Average::adaptive(map, POOLED);
            layer.weight =
                pool.unfold(&layer.weight, map).map_err(|reason| format!("{}: {reason}", layer.name))?;
        }
        return Ok(());
    }
    if inputs == map.len() {
        return Ok(());
    }
    let pooled = Shape { c: map.c, h: POOLED, w: POOLED };
    Err(format!(
        "{} reads {inputs} inputs, neither the feature map {map} nor torchvision's pool of it to {pooled}",
        layer.name
    ))
}
