//! State dicts of VGGs, whatever their modules are called: layers are found by the shapes of their tensors, their
//! order by names and sizes.
//!
//! | file | from | to |
//! |---|---|---|
//! | `modules` | tensors | convolutions, dense layers, batch norms |
//! | `chain` | modules | layers in order, each with its batch norm |
//! | `pools` | names, channels, options | where the max pools are |
//! | `steps` | tensors of quantizers | the steps that layers' weights were trained for |
//! | `head` | sizes, options | the input's size, what stands before the first dense layer |

mod chain;
mod head;
mod modules;
mod pools;
mod steps;

use super::affine::Affine;
use super::facts::{Facts, Origin};
use super::imported::{Imported, Outcome};
use super::layout::{CHANNELS_LAST, channels_first, in_the_centre};
use super::options::{Activation, Flatten, Habits, Options};
use super::reparam;
use super::taps::Taps;
use super::tensors::Tensors;
use crate::float::{BatchNorm, FloatLayer, FloatModel, Point};
use crate::net::{Header, KERNEL, Op, Shape, shapes};
use chain::Link;
use modules::Kind;

/// The network of a state dict.
pub fn model(
    mut tensors: Tensors,
    name: &str,
    options: &Options,
    habits: Habits,
    mut facts: Facts,
) -> Outcome<Imported> {
    if options.common_step {
        return Err("--common-step is for quantized ONNX graphs".into());
    }
    reparam::resolve(&mut tensors)?;
    let quantizers = steps::take(&mut tensors, &mut facts)?;
    let slots = steps::slots(&quantizers, &tensors);
    let links = chain::chain(modules::modules(&tensors, &slots)?)?;
    check_biases(&links)?;
    let first = links
        .iter()
        .position(Link::is_dense)
        .ok_or("holds no dense layer behind its convolutions: not a VGG")?;
    let placed = pools::place(&links[..first], options)?;
    check_activations(&links[first..], options, &mut facts)?;
    let eps = options.bn_eps.unwrap_or(habits.eps);
    let mut builder = Builder { tensors, eps, pending: None, folded: vec![] };
    let mut layers = builder.layers(&links, &placed.after)?;
    steps::give(&quantizers, &links, &mut layers, options, &mut facts)?;
    if let Some(layer) = layers.iter().find(|l| l.quantizer.is_some() && builder.folded.contains(&l.name)) {
        return Err(format!(
            "a batch norm stands before {}, whose weights have codes: it cannot become part of them",
            layer.name
        ));
    }
    note_norms(&links, options, habits, &mut facts)?;
    let channels = layers[0].weight.len() / (layers[0].op.co() * KERNEL * KERNEL);
    let inputs = layers[first].weight.len() / layers[first].op.co();
    let input = head::input(channels, inputs, &layers[..first], options, &mut facts)?;
    head::fit(&mut layers, first, input, &placed, options, &mut facts)?;
    flatten(&mut layers, first, input, options, habits, &mut facts)?;
    note_outputs(&links, options, &mut facts)?;
    name_layers(&mut layers);
    if let Some((_, hidden)) = layers.split_last_mut() {
        let saturation = options.activation.and_then(Activation::saturation);
        hidden.iter_mut().for_each(|layer| layer.saturation = saturation);
    }
    let preprocessing = options.preprocessing(habits.pictures, input, &mut facts);
    let header = Header { name: name.into(), input, preprocessing, classes: options.classes.clone() };
    let mut model = FloatModel { header, layers };
    model.fold_batch_norm();
    Ok(Imported { model, facts, taps: taps(&links), scaling: None, quantized: None })
}

impl Link {
    /// Whether it becomes a dense layer.
    fn is_dense(&self) -> bool {
        self.whole_map || matches!(self.layer.kind, Kind::Dense { .. })
    }
}

/// Names of modules whose outputs are known points of the network.
fn taps(links: &[Link]) -> Taps {
    let mut taps = Taps::default();
    for (i, link) in links.iter().enumerate() {
        match &link.norm {
            Some(norm) if !link.behind => {
                taps.skip(&link.layer.path);
                taps.add(&norm.path, i, Point::PreActivation);
            }
            _ => taps.add(&link.layer.path, i, Point::PreActivation),
        }
    }
    taps
}

/// A bias that is missing beside others is a sign of a damaged file, not of a layer without bias.
fn check_biases(links: &[Link]) -> Outcome<()> {
    let plain = || links.iter().filter(|l| l.norm.is_none());
    match (plain().find(|l| l.layer.biased), plain().find(|l| !l.layer.biased)) {
        (Some(with), Some(without)) => Err(format!(
            "tensor {}.bias is missing, though {} has one: a file cut short? Zeros beside its weight say that it has none",
            without.layer.path, with.layer.path
        )),
        _ => Ok(()),
    }
}

/// Dense layers that stand next to each other in a `Sequential` have no ReLU between them.
fn check_activations(dense: &[Link], options: &Options, facts: &mut Facts) -> Outcome<()> {
    let touching = |pair: &&[Link]| pools::modules_between(&pair[0], &pair[1]) == Some(0);
    if let Some(pair) = dense.windows(2).find(touching).filter(|_| options.activation.is_none()) {
        return Err(format!(
            "no module stands between {} and {}, so no ReLU: multiply the two matrices into one layer, or say --activation relu",
            pair[0].layer.path, pair[1].layer.path
        ));
    }
    let why = "tensors do not show it, neither ReLU6 nor LeakyReLU; --activation, --check";
    let said = options.activation.map(|_| Origin::Option("--activation"));
    let name = if options.activation == Some(Activation::Relu6) { "ReLU6" } else { "ReLU" };
    let origin = said.unwrap_or(Origin::Assumed(why.into()));
    facts.note("activation", format!("{name} behind every layer but the last"), origin);
    Ok(())
}

fn note_norms(links: &[Link], options: &Options, habits: Habits, facts: &mut Facts) -> Outcome<()> {
    let count = links.iter().filter(|l| l.norm.is_some()).count();
    if count == 0 {
        return match options.bn_eps {
            Some(_) => Err("--bn-eps: the file has no batch norm".into()),
            None => Ok(()),
        };
    }
    let eps = options.bn_eps.unwrap_or(habits.eps);
    let taken = format!("{eps:e} in {count} batch norms");
    let why = format!("{} default", habits.owner);
    facts.choose("batch-norm epsilon", taken, options.bn_eps.is_some(), "--bn-eps", &why);
    Ok(())
}

/// A last layer as wide as the hidden ones before it may be a hidden one: the model is cut, its classes are missing.
fn note_outputs(links: &[Link], options: &Options, facts: &mut Facts) -> Outcome<()> {
    let last = &links[links.len() - 1].layer;
    let co = last.co();
    if let Some(outputs) = options.outputs {
        facts.note("outputs", co.to_string(), Origin::Option("--outputs"));
        return match outputs == co {
            true => Ok(()),
            false => Err(format!("--outputs says {outputs}, {} has {co}", last.path)),
        };
    }
    let cut =
        matches!(last.kind, Kind::Dense { inputs, .. } if inputs == co) || links[links.len() - 1].whole_map;
    if cut {
        return Err(format!(
            "its last layer {} makes {co} outputs of {co}, like a hidden layer: is the model cut before its classes? \
             --outputs {co} says that it is whole",
            last.path
        ));
    }
    facts.note("outputs", format!("{co}, of {}", last.path), Origin::File);
    Ok(())
}

/// Puts the first dense layer's inputs into channel, row, column order.
fn flatten(
    layers: &mut [FloatLayer],
    first: usize,
    input: Shape,
    options: &Options,
    habits: Habits,
    facts: &mut Facts,
) -> Outcome<()> {
    let map = *shapes(input, layers[..first].iter().map(|l| l.op)).last().expect("at least the input");
    if map.h * map.w == 1 {
        return Ok(());
    }
    let last = options.flatten.unwrap_or(habits.flatten) == Flatten::ChannelsLast;
    let taken = if last { "row, column, channel" } else { "channel, row, column" };
    facts.choose("flatten order", taken.into(), options.flatten.is_some(), "--flatten", habits.owner);
    if last {
        let weight = std::mem::take(&mut layers[first].weight);
        layers[first].weight = channels_first(weight, map, CHANNELS_LAST);
    }
    Ok(())
}

/// `conv1_1` … and `fc6` …, as the field calls a VGG's layers.
fn name_layers(layers: &mut [FloatLayer]) {
    let (mut stage, mut place) = (1, 0);
    for layer in layers {
        match layer.op {
            Op::Conv { pool, .. } => {
                place += 1;
                layer.name = format!("conv{stage}_{place}");
                if pool {
                    (stage, place) = (stage + 1, 0);
                }
            }
            Op::Dense { .. } => {
                layer.name = format!("fc{stage}");
                stage += 1;
            }
        }
    }
}

/// Takes the tensors of one link after the other.
struct Builder<'a> {
    tensors: Tensors<'a>,
    eps: f32,
    /// A batch norm behind the last ReLU, for the next layer to absorb.
    pending: Option<Affine>,
    /// Layers that absorbed one.
    folded: Vec<String>,
}

impl Builder<'_> {
    fn layers(&mut self, links: &[Link], pools: &[bool]) -> Outcome<Vec<FloatLayer>> {
        let layer = |(i, link): (usize, &Link)| self.layer(link, pools.get(i).copied());
        let layers = links.iter().enumerate().map(layer).collect::<Outcome<Vec<_>>>()?;
        match &self.pending {
            Some(_) => Err("a batch norm stands behind the last layer's ReLU".into()),
            None => Ok(layers),
        }
    }

    fn layer(&mut self, link: &Link, pool: Option<bool>) -> Outcome<FloatLayer> {
        let path = &link.layer.path;
        let (shape, mut weight) = self.tensors.take(&joined(path, "weight"))?;
        let co = link.layer.co();
        let mut bias =
            if link.layer.biased { self.tensors.take(&joined(path, "bias"))?.1 } else { vec![0.0; co] };
        if bias.len() != co {
            return Err(format!("tensor {path}.bias has shape [{}], must be [{co}]", bias.len()));
        }
        if let Some(pending) = self.pending.take() {
            self.folded.push(path.clone());
            pending.fold_into_inputs(&mut weight, &mut bias, 1);
        }
        let mut batch_norm =
            link.norm.as_ref().map(|norm| self.norm(&norm.path, norm.biased, co)).transpose()?;
        if link.behind {
            if !link.is_dense() {
                let norm = &link.norm.as_ref().expect("it is behind").path;
                return Err(format!(
                    "batch norm {norm} stands behind the ReLU of {path} and moves the zeros of the next padding: not a VGG"
                ));
            }
            self.pending = batch_norm.take().map(|bn| Affine::of_batch_norm(&bn));
        }
        let op =
            if link.is_dense() { Op::Dense { co } } else { Op::Conv { co, pool: pool.unwrap_or(false) } };
        if !link.is_dense() && shape[2] == 1 {
            weight = in_the_centre(&weight);
        }
        Ok(FloatLayer { name: path.clone(), op, weight, bias, batch_norm, quantizer: None, saturation: None })
    }

    fn norm(&mut self, path: &str, affine: bool, co: usize) -> Outcome<BatchNorm> {
        let mut take = |part: &str| {
            let (shape, values) = self.tensors.take(&joined(path, part))?;
            if values.len() == co {
                Ok(values)
            } else {
                Err(format!("tensor {path}.{part} has shape {shape:?}, must be [{co}]"))
            }
        };
        let (gamma, beta) =
            if affine { (take("weight")?, take("bias")?) } else { (vec![1.0; co], vec![0.0; co]) };
        let (mean, var) = (take("running_mean")?, take("running_var")?);
        match var.iter().find(|v| **v < 0.0) {
            Some(v) => Err(format!("tensor {path}.running_var holds {v}")),
            None => Ok(BatchNorm { gamma, beta, mean, var, eps: self.eps }),
        }
    }
}

fn joined(path: &str, part: &str) -> String {
    if path.is_empty() { part.into() } else { format!("{path}.{part}") }
}
