//! From a chain of ONNX nodes to the layers of a float network, node by node; each node that cannot be mapped
//! exactly says why.
//!
//! | file | nodes |
//! |---|---|
//! | `layers` | convolutions and dense layers, pads before them |
//! | `affine` | batch norm, arithmetic with constants |
//! | `activations` | ReLU, and what ends a network |
//! | `pools` | max pools, average pools |

mod activations;
mod affine;
mod layers;
mod pools;

use super::chain::Chain;
use super::constants::{Constants, Extent};
use super::form::{CHANNELS_FIRST, Form, Value};
use super::proto::NodeProto;
use super::shape_ops;
use crate::float::import::affine::Affine;
use crate::float::import::average::Average;
use crate::float::import::layout::Order;
use crate::float::import::taps::Taps;
use crate::float::{FloatLayer, Point};
use crate::net::{Op, Shape};
use std::collections::HashMap;

type Outcome = Result<(), String>;

/// The network up to some node of the chain.
pub struct Builder<'a> {
    constants: &'a Constants<'a>,
    /// Images in a batch where the file fixes it.
    pub batch: Option<i64>,
    layers: Vec<FloatLayer>,
    stage: usize,
    place: usize,
    /// Shape of the current value, for one image.
    pub shape: Shape,
    /// Its dimensions.
    pub form: Form,
    /// Whether a ReLU has followed the last layer (or there is no layer yet).
    activated: bool,
    /// What batch norm after the last ReLU does, for the next layer to absorb.
    pending: Affine,
    /// An average pool for the next dense layer to absorb, and the map that it reads.
    average: Option<(Average, Shape)>,
    /// Zeros that a Pad puts around the map for the next convolution: top, left, bottom, right.
    padding: [i64; 4],
    /// What has ended the network behind its logits, such as a softmax.
    pub ended: Option<String>,
    /// Whether weights are codes, which nothing may be folded into.
    pub codes: bool,
    /// What the graph does to the image before the first layer.
    pub scaling: Option<Affine>,
    /// Dimensions of every value of the chain so far.
    dims: HashMap<String, Vec<Extent>>,
    /// Names of the values of the chain so far.
    taps: Taps,
}

impl<'a> Builder<'a> {
    /// At the graph's input.
    pub fn new(chain: &Chain, constants: &'a Constants<'a>, input: Shape, order: Order) -> Self {
        let mut builder = Self {
            constants,
            batch: chain.input_dims.first().copied().flatten().map(|b| b as i64),
            layers: vec![],
            stage: 1,
            place: 0,
            shape: input,
            form: Form::Map(order),
            activated: true,
            pending: Affine::identity(input.c),
            average: None,
            padding: [0; 4],
            ended: None,
            codes: false,
            scaling: None,
            dims: HashMap::new(),
            taps: Taps::default(),
        };
        builder.dims.insert(chain.input.clone(), builder.current_dims());
        builder
    }

    /// The current value.
    fn value(&self) -> Value {
        Value { shape: self.shape, form: self.form, batch: self.batch }
    }

    /// Adds one node.
    pub fn apply(&mut self, node: &NodeProto) -> Outcome {
        if self.ended.is_some() && !["Identity", "Cast", "ArgMax", "Squeeze"].contains(&node.op_type.as_str())
        {
            return Err("stands behind the network's end".into());
        }
        let fused =
            node.domain == "com.microsoft" && ["FusedConv", "FusedGemm"].contains(&node.op_type.as_str());
        if !["", "ai.onnx"].contains(&node.domain.as_str()) && !fused {
            return Err(format!("operators of {} are not supported", node.domain));
        }
        if self.padding != [0; 4]
            && !["Conv", "FusedConv", "Transpose", "Identity"].contains(&node.op_type.as_str())
        {
            return Err("follows a Pad, which only a convolution may".into());
        }
        match node.op_type.as_str() {
            "Pad" => self.pad(node)?,
            "Conv" => self.conv(node)?,
            "Gemm" | "MatMul" => self.dense(node)?,
            "FusedConv" | "FusedGemm" => self.fused(node)?,
            "Relu" => self.relu()?,
            "Clip" | "Max" => self.clip(node)?,
            "MaxPool" => self.max_pool(node)?,
            "BatchNormalization" => self.batch_norm(node)?,
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node)?,
            "GlobalAveragePool" | "AveragePool" | "ReduceMean" => self.average_pool(node)?,
            "Transpose" | "Reshape" | "Flatten" | "Squeeze" => {
                let shape_of = |name: &str| self.dims.get(name).cloned();
                self.form = shape_ops::apply(self.value(), node, self.constants, &shape_of)?;
            }
            "Softmax" | "LogSoftmax" => self.softmax(node)?,
            "Sigmoid" | "ArgMax" => self.end(&node.op_type)?,
            "Dropout" => self.dropout(node)?,
            "Identity" => {}
            "Cast" => self.cast(node)?,
            "LeakyRelu" | "PRelu" | "Elu" | "Selu" | "HardSwish" | "Gelu" | "Softplus" | "Tanh"
            | "HardSigmoid" => {
                return Err(
                    "only ReLU is supported between layers: train a few epochs with ReLU in its place".into(),
                );
            }
            _ => return Err("this operator is not supported".into()),
        }
        if let Some(name) = node.output.first() {
            self.dims.insert(name.clone(), self.current_dims());
            self.tap(node, name);
        }
        Ok(())
    }

    /// Which point of the network the node's value is.
    fn tap(&mut self, node: &NodeProto, name: &str) {
        let Some(layer) = self.layers.len().checked_sub(1) else { return };
        match node.op_type.as_str() {
            "Relu" | "Clip" | "Max" | "FusedConv" | "FusedGemm" if self.activated => {
                self.taps.add(name, layer, Point::Activation)
            }
            "MaxPool" if self.activated => self.taps.add(name, layer + 1, Point::Input),
            "Conv" | "Gemm" | "MatMul" | "FusedConv" | "FusedGemm" => {
                self.taps.add(name, layer, Point::PreActivation)
            }
            "BatchNormalization" | "Add" | "Sub" | "Mul" | "Div" if !self.activated => {
                self.taps.replace(name, layer, Point::PreActivation);
            }
            _ => {}
        }
    }

    /// The layers and the names of their values, if the chain ended in a dense layer's sums.
    pub fn finish(self) -> Result<(Vec<FloatLayer>, Taps), String> {
        match self.layers.last() {
            None => Err("the graph has no layers".into()),
            Some(_) if self.padding != [0; 4] => Err("the graph ends in a Pad".into()),
            Some(l) if matches!(l.op, Op::Conv { .. }) && !self.is_flat_pixel() => {
                Err("the graph does not end in a dense layer".into())
            }
            Some(_) if self.activated => {
                Err("the graph ends in a ReLU, must end in a dense layer's sums".into())
            }
            Some(_) => Ok((self.layers, self.taps)),
        }
    }

    /// Whether the current value is a flattened map of 1×1.
    fn is_flat_pixel(&self) -> bool {
        matches!(self.form, Form::Flat(_)) && self.shape.h * self.shape.w == 1
    }

    /// Dimensions of the current value, batch first.
    pub fn current_dims(&self) -> Vec<Extent> {
        let sizes = [self.shape.c, self.shape.h, self.shape.w].map(|s| Some(s as i64));
        match self.form {
            Form::Map(order) => [vec![None], order.map(|axis| sizes[axis]).into()].concat(),
            Form::Flat(_) => vec![None, Some(self.shape.len() as i64)],
        }
    }

    /// A layer may follow: the one before has its ReLU.
    fn demand_activated(&self) -> Outcome {
        match self.layers.last() {
            Some(l) if !self.activated => {
                Err(format!("no ReLU stands between it and the layer before ({})", l.name))
            }
            _ => Ok(()),
        }
    }

    fn demand_channels_first(&self) -> Outcome {
        match self.form {
            Form::Map(CHANNELS_FIRST) if self.average.is_none() => Ok(()),
            Form::Map(CHANNELS_FIRST) => Err("only a dense layer may follow an average pool; between convolutions \
                                              max pools are supported: train a few epochs with MaxPool2d in its place"
                .into()),
            _ => Err("its input is not in batch, channel, row, column order".into()),
        }
    }

    /// Adds a layer, which absorbs what was pending.
    fn push(&mut self, name: String, op: Op, mut weight: Vec<f32>, mut bias: Vec<f32>) -> Outcome {
        if !self.pending.is_identity() {
            let plane = weight.len() / bias.len() / self.shape.c;
            self.pending.fold_into_inputs(&mut weight, &mut bias, plane);
        }
        if let Some((average, from)) = self.average.take() {
            weight = average.unfold(&weight, from)?;
            self.shape = from;
        }
        self.shape = op.output(self.shape);
        if matches!(op, Op::Dense { .. }) {
            self.form = Form::Flat(CHANNELS_FIRST);
        }
        self.pending = Affine::identity(self.shape.c);
        self.activated = false;
        self.layers.push(FloatLayer {
            name,
            op,
            weight,
            bias,
            batch_norm: None,
            quantizer: None,
            saturation: None,
        });
        Ok(())
    }
}
