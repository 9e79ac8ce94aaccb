//! ONNX files of VGG-like chains: channels first as PyTorch exports them, channels last as tf2onnx does.
//!
//! | file | from | to |
//! |---|---|---|
//! | `proto` | bytes | messages |
//! | `constants` | messages | initializers, external data, integer vectors that shape a Reshape |
//! | `chain` | messages | the nodes between input and output, in order |
//! | `build`, `dense` | nodes | [`FloatModel`] |
//!
//! Where the graph is quantized, `rewrite` brings it into one spelling, `codes` reads constants as codes and steps,
//! `quantizers` follows what the chain quantizes, `integers` makes [`Quantized`](super::quantized::Quantized) of it; `own` is what ONNX cannot say.

mod build;
mod chain;
mod codes;
mod constants;
mod dense;
mod form;
mod integers;
pub mod own;
pub mod proto;
mod quantizers;
mod rewrite;
mod shape_ops;

use super::affine::Affine;
use super::facts::{Facts, Origin};
use super::imported::{Imported, Outcome};
use super::layout::Order;
use super::options::{Habit, Options};
use crate::float::FloatModel;
use crate::net::{Header, Shape};
use build::Builder;
use chain::Chain;
use constants::Constants;
use form::{CHANNELS_FIRST, CHANNELS_LAST};
use integers::integers;
use own::Own;
use prost::Message;
use proto::{GraphProto, ModelProto, NodeProto};
use quantizers::{QUANTIZERS, Track};
use rewrite::SPELLINGS;
use std::path::Path;

/// The network of an ONNX file; `folder` is where external data lie.
pub fn model(bytes: &[u8], name: &str, folder: &Path, options: &Options) -> Outcome<Imported> {
    let file = ModelProto::decode(bytes).map_err(|e| format!("not a whole ONNX file: {e}"))?;
    let own = Own::of(&file)?;
    let graph = file.graph.ok_or("an ONNX file without a graph")?;
    network(graph, Source { name, folder, own, habit: None }, options, Facts::default())
}

/// Where a graph comes from.
pub struct Source<'a> {
    /// Name of the network.
    pub name: &'a str,
    /// Where external data lie.
    pub folder: &'a Path,
    /// This program's own description.
    pub own: Option<Own>,
    /// What becomes of pictures; where it is not known, the order of the input's dimensions tells the framework.
    pub habit: Option<Habit>,
}

/// The network that `graph` computes; readers of other formats spell theirs so.
pub fn network(
    mut graph: GraphProto,
    source: Source,
    options: &Options,
    mut facts: Facts,
) -> Outcome<Imported> {
    let Source { name, folder, own, habit } = source;
    options.refuse_what_the_file_says()?;
    let quantized = is_quantized(&graph);
    if quantized {
        graph = rewrite::rewritten(&graph, &Constants::new(&graph, folder))?;
    } else if options.common_step {
        return Err("--common-step is for quantized graphs; this one is not".into());
    }
    let constants = Constants::new(&graph, folder);
    let chain = Chain::new(&graph, &constants)?;
    let track = quantized.then(|| Track::new(&chain, &constants)).transpose()?;
    let (input, order) = input_shape(&chain, options, &mut facts)?;
    let mut builder = Builder::new(&chain, &constants, input, order);
    builder.codes = quantized;
    let nodes: Vec<&NodeProto> = match &track {
        Some(track) => track.nodes.iter().collect(),
        None => chain.nodes.clone(),
    };
    for node in nodes {
        builder.apply(node).map_err(|reason| node.fault(&reason))?;
    }
    facts.note("layers", "weights, activations, pools, flatten order, batch norm", Origin::File);
    if let Some(end) = &builder.ended {
        facts.note("end", format!("{end} behind the logits dropped"), Origin::File);
    }
    let scaling = builder.scaling.take();
    let (mut layers, taps) = builder.finish()?;
    let quantized = match &track {
        Some(track) => {
            let own = own.as_ref();
            Some(integers(track, &constants, &mut layers, own, options.common_step, &mut facts)?)
        }
        None => None,
    };
    let own = own.filter(|own| quantized.is_some() && own.header.input == input).map(|own| own.header);
    let by_order = if order == CHANNELS_FIRST { Habit::Torch } else { Habit::Keras };
    let habit = habit.unwrap_or(by_order);
    let header = header(name, input, habit, own, scaling.as_ref(), options, &mut facts);
    Ok(Imported { model: FloatModel { header, layers }, facts, taps, scaling, quantized })
}

/// Names, classes and preprocessing, of this program's own description where there is one.
fn header(
    name: &str,
    input: Shape,
    habit: Habit,
    own: Option<Header>,
    scaling: Option<&Affine>,
    options: &Options,
    facts: &mut Facts,
) -> Header {
    let preprocessing = match (scaling, &own) {
        (None, Some(own)) => options.stored_preprocessing(&own.preprocessing, facts),
        (Some(scaling), _) => options.scaled_preprocessing(input, scaling, facts),
        (None, None) => options.preprocessing(habit, input, facts),
    };
    let (name, known) = own.map_or((name.into(), vec![]), |own| (own.name, own.classes));
    let classes = if options.classes.is_empty() { known } else { options.classes.clone() };
    Header { name, input, preprocessing, classes }
}

/// Whether somebody has quantized the graph.
fn is_quantized(graph: &GraphProto) -> bool {
    let ops = || graph.node.iter().map(|n| n.op_type.as_str());
    ops().any(|op| QUANTIZERS.contains(&op) || SPELLINGS.contains(&op))
}

/// Shape of one image, from the graph's input and the user; channels last where the first node transposes it so.
fn input_shape(chain: &Chain, options: &Options, facts: &mut Facts) -> Result<(Shape, Order), String> {
    let moves = |n: &&&NodeProto| {
        !["Mul", "Add", "Sub", "Div", "Cast", "Identity", "QuantizeLinear", "DequantizeLinear", "Clip"]
            .contains(&n.op_type.as_str())
    };
    let first = chain.nodes.iter().find(moves).ok_or("the graph has no nodes")?;
    let [_, d1, d2, d3] = chain.input_dims[..] else {
        return Err(format!("input {} has {} dimensions, must have 4", chain.input, chain.input_dims.len()));
    };
    let turned = first.op_type == "Transpose" && first.ints("perm") == Some(&[0, 3, 1, 2]);
    // Where there is one channel, exporters reshape instead.
    let turned = turned || (first.op_type == "Reshape" && d3 == Some(1) && d1 != Some(1));
    let order = if turned { CHANNELS_LAST } else { CHANNELS_FIRST };
    let dims = if turned { [d3, d1, d2] } else { [d1, d2, d3] };
    let said = options.input.map(|s| [s.c, s.h, s.w]);
    let mut shape = [0; 3];
    for i in 0..3 {
        shape[i] = match (dims[i], said.map(|s| s[i])) {
            (Some(d), Some(s)) if d != s => return Err(format!("--input says {s} where the file says {d}")),
            (Some(d), _) | (None, Some(d)) => d,
            (None, None) => return Err("the file does not say the input's size: give --input CxHxW".into()),
        };
    }
    let [c, h, w] = shape;
    let shape = Shape { c, h, w };
    let open = dims.contains(&None);
    let form = if turned { "channels last" } else { "channels first" };
    let origin = if open { Origin::Option("--input") } else { Origin::File };
    facts.note("input", format!("{shape}, {form}"), origin);
    match shape.is_sensible() {
        true => Ok((shape, order)),
        false => Err(format!("an input of {shape} makes no sense")),
    }
}
