//! Caffe's `.caffemodel`, whose layers are of version 1 (the published VGG16) or 2, as the ONNX graph that computes the same.

mod proto;

use super::facts::{Facts, Origin};
use super::imported::{Imported, Outcome};
use super::onnx::{self, proto::*};
use super::options::{Habit, Options};
use crate::net::Colour;
use prost::Message;
use proto::*;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// `V1LayerParameter.LayerType` of what a VGG has, as version 2 calls it.
const TYPES: [(i32, &str); 10] = [
    (1, "Accuracy"),
    (4, "Convolution"),
    (5, "Data"),
    (6, "Dropout"),
    (8, "Flatten"),
    (12, "ImageData"),
    (14, "InnerProduct"),
    (17, "Pooling"),
    (18, "ReLU"),
    (20, "Softmax"),
];
/// A training network's loss, in version 1.
const SOFTMAX_LOSS: i32 = 21;
/// Layers that make images and labels.
const SOURCES: [&str; 6] = ["Input", "Data", "ImageData", "HDF5Data", "MemoryData", "DummyData"];
/// Default ε of BatchNorm.
const EPS: f32 = 1e-5;

/// The network of a `.caffemodel`.
pub fn model(bytes: &[u8], name: &str, options: &Options) -> Outcome<Imported> {
    let file = NetParameter::decode(bytes).map_err(|e| format!("not a whole .caffemodel: {e}"))?;
    let dims = input_dims(&file);
    let input = file.input.first().cloned();
    let layers: Vec<LayerParameter> = file
        .layers
        .into_iter()
        .map(second_version)
        .chain(file.layer.into_iter().map(Ok))
        .collect::<Outcome<_>>()?;
    if layers.is_empty() {
        return Err("a protobuf file without Caffe's layers; of a TensorFlow graph `python -m tf2onnx.convert` makes ONNX".into());
    }
    let mut facts = Facts::default();
    facts.note("Caffe network", format!("{}, {} layers", file.name, layers.len()), Origin::File);
    let graph = graph(layers, input, &dims)?;
    let habit = Some(Habit::Bytes(Colour::Bgr));
    onnx::network(graph, onnx::Source { name, folder: Path::new("."), own: None, habit }, options, facts)
}

/// Sizes of the input, as far as the file says them.
fn input_dims(file: &NetParameter) -> Vec<Option<usize>> {
    let of_layer = file.layer.iter().find_map(|l| l.input_param.as_ref()).map(|p| &p.shape);
    let shape = of_layer.unwrap_or(&file.input_shape).first().map(|shape| shape.dim.clone());
    let dims = shape.unwrap_or_else(|| file.input_dim.iter().map(|&d| d.into()).collect());
    match dims[..] {
        [_, c, h, w] => [c, h, w].iter().map(|&d| usize::try_from(d).ok()).collect(),
        _ => vec![None; 3],
    }
}

fn second_version(old: V1LayerParameter) -> Outcome<LayerParameter> {
    let known = TYPES.iter().find(|(number, _)| *number == old.r#type).map(|(_, name)| *name);
    let known = if old.r#type == SOFTMAX_LOSS { Some("SoftmaxWithLoss") } else { known };
    let kind =
        known.ok_or_else(|| format!("layer {} has type {}, which no VGG has", old.name, old.r#type))?;
    Ok(LayerParameter {
        name: old.name,
        r#type: kind.into(),
        bottom: old.bottom,
        top: old.top,
        blobs: old.blobs,
        convolution_param: old.convolution_param,
        inner_product_param: old.inner_product_param,
        pooling_param: old.pooling_param,
        relu_param: old.relu_param,
        batch_norm_param: None,
        input_param: None,
    })
}

/// The nodes of the layers, which read the image under the name `image`, of a source, or the first that is read. A layer
/// may write over the value that it reads, so that values are named by layers.
fn graph(layers: Vec<LayerParameter>, image: Option<String>, dims: &[Option<usize>]) -> Outcome<GraphProto> {
    let input = ValueInfoProto::floats("x", &[&[None], dims].concat());
    let mut translator =
        Translator { graph: GraphProto { input: vec![input], ..GraphProto::default() }, flat: false };
    let sources =
        layers.iter().filter(|l| SOURCES.contains(&l.r#type.as_str())).filter_map(|l| l.top.first());
    let mut values: HashMap<String, String> =
        sources.chain(&image).map(|name| (name.clone(), "x".to_string())).collect();
    let mut seen = HashSet::new();
    let mut last = "x".to_string();
    for layer in layers {
        let (name, kind) = (layer.name.clone(), layer.r#type.clone());
        if SOURCES.contains(&kind.as_str()) || kind == "Accuracy" {
            continue;
        }
        let bad = |reason: String| format!("layer {name} ({kind}): {reason}");
        let bottom = layer.bottom.first().cloned().unwrap_or_default();
        if values.is_empty() {
            values.insert(bottom.clone(), "x".into());
        }
        let x = values
            .get(&bottom)
            .cloned()
            .ok_or_else(|| bad(format!("no layer makes its input {bottom:?}")))?;
        if !seen.insert(name.clone()) {
            return Err(bad("there are two of this name".into()));
        }
        let top = layer.top.first().cloned();
        last = translator.layer(layer, &x).map_err(bad)?;
        values.extend(top.map(|top| (top, last.clone())));
    }
    translator.graph.output = vec![ValueInfoProto::floats(&last, &[])];
    Ok(translator.graph)
}

struct Translator {
    graph: GraphProto,
    /// Whether the current value is a vector.
    flat: bool,
}

impl Translator {
    fn layer(&mut self, layer: LayerParameter, x: &str) -> Outcome<String> {
        let name = layer.name.clone();
        Ok(match layer.r#type.as_str() {
            "Convolution" => self.conv(layer, x)?,
            "InnerProduct" => self.dense(layer, x)?,
            "ReLU" if layer.relu_param.as_ref().is_some_and(|p| p.negative_slope != 0.0) => {
                self.node("LeakyRelu", &[x], &name, vec![])
            }
            "ReLU" => self.node("Relu", &[x], &name, vec![]),
            "Pooling" => self.pool(&layer, x)?,
            "Dropout" => self.node("Identity", &[x], &name, vec![]),
            "Softmax" | "SoftmaxWithLoss" => {
                self.node("Softmax", &[x], &name, vec![AttributeProto::int("axis", 1)])
            }
            "Flatten" => self.flattened(x, &name),
            "BatchNorm" => self.batch_norm(layer, x)?,
            "Scale" => self.scale(layer, x)?,
            _ => return Err("is not supported".into()),
        })
    }

    fn node(&mut self, op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> String {
        self.graph.node.push(NodeProto::new(op, inputs, output, attributes));
        output.into()
    }

    fn constant(&mut self, name: String, dims: &[usize], values: Vec<f32>) -> String {
        self.graph.initializer.push(TensorProto::floats(&name, dims, values));
        name
    }

    fn flattened(&mut self, x: &str, name: &str) -> String {
        self.flat = true;
        self.node("Flatten", &[x], name, vec![AttributeProto::int("axis", 1)])
    }

    fn conv(&mut self, layer: LayerParameter, x: &str) -> Outcome<String> {
        let p = layer.convolution_param.clone().unwrap_or_default();
        let of = |both: &[u32], h: Option<u32>, w: Option<u32>, default: u32| {
            let first = both.first().copied().unwrap_or(default);
            [h.unwrap_or(first), w.unwrap_or(both.get(1).copied().unwrap_or(first))].map(i64::from)
        };
        let [top, left] = of(&p.pad, p.pad_h, p.pad_w, 0);
        let attributes = vec![
            AttributeProto::ints("pads", &[top, left, top, left]),
            AttributeProto::ints("strides", &of(&p.stride, p.stride_h, p.stride_w, 1)),
            AttributeProto::ints("dilations", &of(&p.dilation, None, None, 1)),
            AttributeProto::int("group", p.group.unwrap_or(1).into()),
        ];
        self.weighted("Conv", layer, x, 4, attributes)
    }

    fn dense(&mut self, layer: LayerParameter, x: &str) -> Outcome<String> {
        let turned = layer.inner_product_param.as_ref().is_some_and(|p| p.transpose);
        let flat = if self.flat { x.to_string() } else { self.flattened(x, &format!("{}/flat", layer.name)) };
        self.weighted("Gemm", layer, &flat, 2, vec![AttributeProto::int("transB", i64::from(!turned))])
    }

    /// A node of the layer's weights, of `rank` dimensions, and bias.
    fn weighted(
        &mut self,
        op: &str,
        layer: LayerParameter,
        x: &str,
        rank: usize,
        attributes: Vec<AttributeProto>,
    ) -> Outcome<String> {
        let mut inputs = vec![x.to_string()];
        let parts = ["weight", "bias"].into_iter().zip([rank, 1]);
        for (blob, (part, rank)) in layer.blobs.into_iter().zip(parts) {
            let (dims, values) = numbers(blob, rank).map_err(|e| format!("its {part} {e}"))?;
            inputs.push(self.constant(format!("{}/{part}", layer.name), &dims, values));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        Ok(self.node(op, &inputs, &layer.name, attributes))
    }

    fn pool(&mut self, layer: &LayerParameter, x: &str) -> Outcome<String> {
        let p = layer.pooling_param.clone().unwrap_or_default();
        let op = match (p.pool, p.global_pooling) {
            (0, false) => "MaxPool",
            (0, true) => "GlobalMaxPool",
            (1, false) => "AveragePool",
            (1, true) => "GlobalAveragePool",
            _ => return Err("pools neither the maximum nor the average".into()),
        };
        if p.global_pooling {
            return Ok(self.node(op, &[x], &layer.name, vec![]));
        }
        let of = |both: Option<u32>, one: Option<u32>, default| i64::from(one.or(both).unwrap_or(default));
        let windows = [of(p.kernel_size, p.kernel_h, 0), of(p.kernel_size, p.kernel_w, 0)];
        let strides = [of(p.stride, p.stride_h, 1), of(p.stride, p.stride_w, 1)];
        let attributes = vec![
            AttributeProto::ints("kernel_shape", &windows),
            AttributeProto::ints("strides", &strides),
            AttributeProto::ints("pads", &[i64::from(p.pad.unwrap_or(0)); 4]),
            AttributeProto::int("ceil_mode", i64::from(p.round_mode == 0)),
        ];
        Ok(self.node(op, &[x], &layer.name, attributes))
    }

    /// Mean and variance, both times a third number.
    fn batch_norm(&mut self, layer: LayerParameter, x: &str) -> Outcome<String> {
        let name = layer.name;
        let Ok([mean, var, factor]) = <[BlobProto; 3]>::try_from(layer.blobs) else {
            return Err("has no mean, variance and factor".into());
        };
        let factor = numbers(factor, 1)?.1.first().copied().unwrap_or(0.0);
        let by = if factor == 0.0 { 0.0 } else { 1.0 / factor };
        let (dims, mean) = numbers(mean, 1)?;
        let var = numbers(var, 1)?.1;
        let scaled = |values: Vec<f32>| values.into_iter().map(|v| v * by).collect::<Vec<f32>>();
        let ones = vec![1.0; mean.len()];
        let zeros = vec![0.0; mean.len()];
        let parts = [("gamma", ones), ("beta", zeros), ("mean", scaled(mean)), ("variance", scaled(var))];
        let constants = parts.map(|(part, values)| self.constant(format!("{name}/{part}"), &dims, values));
        let inputs: Vec<&str> = [x].into_iter().chain(constants.iter().map(String::as_str)).collect();
        let eps = layer.batch_norm_param.and_then(|p| p.eps).unwrap_or(EPS);
        Ok(self.node("BatchNormalization", &inputs, &name, vec![AttributeProto::float("epsilon", eps)]))
    }

    fn scale(&mut self, layer: LayerParameter, x: &str) -> Outcome<String> {
        let name = layer.name;
        if layer.bottom.len() != 1 {
            return Err("multiplies two branches".into());
        }
        let mut value = x.to_string();
        for ((blob, op), output) in
            layer.blobs.into_iter().zip(["Mul", "Add"]).zip([format!("{name}/scaled"), name.clone()])
        {
            let (dims, values) = numbers(blob, 1)?;
            let dims = if self.flat { dims } else { [&dims[..], &[1, 1]].concat() };
            let constant = self.constant(format!("{name}/{op}"), &dims, values);
            value = self.node(op, &[&value, &constant], &output, vec![]);
        }
        Ok(value)
    }
}

/// A blob's sizes, the last `rank` of them, and numbers; those before must be 1.
fn numbers(blob: BlobProto, rank: usize) -> Outcome<(Vec<usize>, Vec<f32>)> {
    let sizes: Vec<i64> = match &blob.shape {
        Some(shape) => shape.dim.clone(),
        None => [blob.num, blob.channels, blob.height, blob.width].map(i64::from).into(),
    };
    let data =
        if blob.data.is_empty() { blob.double_data.iter().map(|&v| v as f32).collect() } else { blob.data };
    let sense = || format!("of sizes {sizes:?} has {} numbers", data.len());
    let dims: Vec<usize> =
        sizes.iter().map(|&s| usize::try_from(s).ok()).collect::<Option<_>>().ok_or_else(sense)?;
    let (outer, dims) = dims.split_at(dims.len().checked_sub(rank).ok_or_else(sense)?);
    let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    match outer.iter().all(|&d| d == 1) && count == Some(data.len()) {
        true => Ok((dims.to_vec(), data)),
        false => Err(sense()),
    }
}
