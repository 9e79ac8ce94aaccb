//! From a chain of ONNX nodes to the layers of a float network, node by node; each node that cannot be mapped
//! exactly says why.

use super::chain::Chain;
use super::constants::{Constants, Extent};
use super::dense;
use super::proto::NodeProto;
use super::{Layout, shape_ops};
use crate::float::import::affine::Affine;
use crate::float::import::average::Average;
use crate::float::import::layout::{Order, channels_first, in_the_centre};
use crate::float::import::taps::Taps;
use crate::float::{BatchNorm, FloatLayer, Point};
use crate::net::{KERNEL, Op, Shape};
use std::collections::HashMap;

type Outcome = Result<(), String>;

/// How the current value's dimensions stand behind the batch dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Four dimensions, the map's three in this order.
    Map(Order),
    /// Two dimensions, the second is the map flattened in this order.
    Flat(Order),
}

const CHANNELS_FIRST: Order = [0, 1, 2];

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
    pub fn new(chain: &Chain, constants: &'a Constants<'a>, input: Shape, layout: Layout) -> Self {
        let order = if layout == Layout::ChannelsLast { [1, 2, 0] } else { CHANNELS_FIRST };
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
            ended: None,
            codes: false,
            scaling: None,
            dims: HashMap::new(),
            taps: Taps::default(),
        };
        builder.dims.insert(chain.input.clone(), builder.current_dims());
        builder
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
        match node.op_type.as_str() {
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
                self.form = shape_ops::apply(self, node, self.constants, &shape_of)?;
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

    fn conv(&mut self, node: &NodeProto) -> Outcome {
        self.demand_activated()?;
        if matches!(self.form, Form::Map(CHANNELS_FIRST)) && self.average.is_some() {
            self.demand_whole_map()?;
        } else {
            self.demand_channels_first()?;
        }
        let mut weight = self.constants.floats(node.operand(1).ok_or("has no weights")?)?;
        let ci = self.shape.c;
        let co = weight.dims.first().copied().unwrap_or(0);
        let sides = weight.dims.get(2..).unwrap_or_default();
        let whole =
            self.is_behind_convolutions() && sides == [self.shape.h, self.shape.w] && is_plain(node, 0);
        let point = sides == [1, 1] && is_plain(node, 0) && !whole;
        if !whole && !point && !is_plain(node, 1) {
            return Err("only 3×3 convolutions with stride 1 and padding 1 in one group are supported".into());
        }
        let side = if whole || point { sides.to_vec() } else { vec![KERNEL; 2] };
        if weight.dims != [&[co, ci], &side[..]].concat() || co == 0 {
            return Err(format!("its weights have sizes {:?}, must be [outputs, {ci}, 3, 3]", weight.dims));
        }
        if point {
            weight.data = in_the_centre(&weight.data);
        }
        let bias = match node.operand(2) {
            None => vec![0.0; co],
            Some(name) => self.constants.floats(name)?.data,
        };
        if bias.len() != co {
            return Err(format!("has {} biases for {co} outputs", bias.len()));
        }
        if whole {
            let denses = self.layers.iter().filter(|l| matches!(l.op, Op::Dense { .. })).count();
            let name = format!("fc{}", self.stage + denses);
            self.push(name, Op::Dense { co }, weight.data, bias)?;
            self.form = Form::Map(CHANNELS_FIRST);
            return Ok(());
        }
        if self.layers.iter().any(|l| matches!(l.op, Op::Dense { .. })) {
            return Err("a convolution behind dense layers".into());
        }
        if self.pending.t.iter().any(|t| *t != 0.0) {
            return Err(
                "batch norm after the ReLU before it moves the zeros of its padding: not a VGG".into()
            );
        }
        self.place += 1;
        let name = format!("conv{}_{}", self.stage, self.place);
        self.push(name, Op::Conv { co, pool: false }, weight.data, bias)
    }

    /// A convolution over 1×1 maps behind an average pool or a dense layer is a dense layer.
    fn demand_whole_map(&self) -> Outcome {
        match self.shape.h * self.shape.w {
            1 => Ok(()),
            _ => Err("only a dense layer may follow an average pool".into()),
        }
    }

    /// Whether the current value is the last map: after a pool over it, a dense layer, or convolutions alone.
    fn is_behind_convolutions(&self) -> bool {
        let (h, w) = (self.shape.h, self.shape.w);
        let dense = self.layers.iter().any(|l| matches!(l.op, Op::Dense { .. }));
        !self.layers.is_empty()
            && (dense || self.average.is_some() || (h, w) != (1, 1) && (h, w) != (KERNEL, KERNEL))
    }

    fn dense(&mut self, node: &NodeProto) -> Outcome {
        self.demand_activated()?;
        let Form::Flat(order) = self.form else {
            return Err("its input is not flattened".into());
        };
        let (weight, bias) = dense::parameters(node, self.constants, self.shape.len())?;
        let weight = channels_first(weight, self.shape, order);
        let denses = self.layers.iter().filter(|l| matches!(l.op, Op::Dense { .. })).count();
        let name = format!("fc{}", self.stage + denses);
        self.push(name, Op::Dense { co: bias.len() }, weight, bias)
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
        self.layers.push(FloatLayer { name, op, weight, bias, batch_norm: None, quantizer: None });
        Ok(())
    }

    fn relu(&mut self) -> Outcome {
        if self.layers.is_empty() {
            return Err("a ReLU before the first layer".into());
        }
        if self.activated && !self.pending.is_identity() {
            return Err("a second ReLU after batch norm".into());
        }
        self.activated = true;
        Ok(())
    }

    fn max_pool(&mut self, node: &NodeProto) -> Outcome {
        self.demand_channels_first()?;
        demand_2x2(node, self.shape)?;
        if !self.pending.keeps_order() {
            return Err("batch norm with negative factors stands before it".into());
        }
        match self.layers.last_mut().map(|l| &mut l.op) {
            Some(Op::Conv { pool, .. }) if !*pool => *pool = true,
            _ => return Err("does not follow a convolution".into()),
        }
        self.shape = Shape { c: self.shape.c, h: self.shape.h / 2, w: self.shape.w / 2 };
        (self.stage, self.place) = (self.stage + 1, 0);
        match self.shape.is_empty() {
            true => Err("leaves no pixels: the input is too small".into()),
            false => Ok(()),
        }
    }

    fn batch_norm(&mut self, node: &NodeProto) -> Outcome {
        // Opset 14 has an attribute for it; before, training showed in outputs for the running statistics.
        let statistics = node.output.iter().skip(1).any(|name| !name.is_empty());
        if node.int("training_mode").unwrap_or(0) != 0 || statistics {
            return Err("is in training mode: export after model.eval()".into());
        }
        if !matches!(self.form, Form::Map(CHANNELS_FIRST)) && self.shape.h * self.shape.w != 1 {
            return Err("its input is not in batch, channel, row, column order".into());
        }
        let parameter = |i: usize| {
            let values =
                self.constants.floats(node.operand(i).ok_or_else(|| format!("has no input {i}"))?)?.data;
            if values.len() == self.shape.c {
                Ok(values)
            } else {
                Err(format!("has {} values of input {i}", values.len()))
            }
        };
        let (gamma, beta, mean, var) = (parameter(1)?, parameter(2)?, parameter(3)?, parameter(4)?);
        let eps = node.float("epsilon").unwrap_or(1e-5);
        if !var.iter().all(|v| v + eps > 0.0) {
            return Err("a variance is not positive".into());
        }
        self.affine(Affine::of_batch_norm(&BatchNorm { gamma, beta, mean, var, eps }))
    }

    fn arithmetic(&mut self, node: &NodeProto) -> Outcome {
        let (Some(left), Some(right)) = (node.operand(0), node.operand(1)) else {
            return Err("must have two inputs".into());
        };
        let constant_first = self.constants.is_constant(left);
        let values = self.per_channel(if constant_first { left } else { right })?;
        let c = values.len();
        let affine = match (node.op_type.as_str(), constant_first) {
            ("Add", _) => Affine { k: vec![1.0; c], t: values },
            ("Sub", false) => Affine { k: vec![1.0; c], t: values.iter().map(|v| -v).collect() },
            ("Sub", true) => Affine { k: vec![-1.0; c], t: values },
            ("Mul", _) => Affine { k: values, t: vec![0.0; c] },
            ("Div", false) => Affine { k: values.iter().map(|v| 1.0 / v).collect(), t: vec![0.0; c] },
            _ => return Err("divides by the image".into()),
        };
        match affine.k.iter().all(|k| k.is_finite()) {
            true => self.affine(affine),
            false => Err("divides by 0".into()),
        }
    }

    /// The constant `name` as one value a channel, if it broadcasts so.
    fn per_channel(&self, name: &str) -> Result<Vec<f64>, String> {
        let constant = self.constants.floats(name)?;
        let values: Vec<f64> = constant.data.iter().map(|&v| v.into()).collect();
        let (rank, channel) = match self.form {
            Form::Map(order) => (4, 1 + order.iter().position(|axis| *axis == 0).unwrap_or(0)),
            Form::Flat(_) => (2, 1),
        };
        let c = self.shape.c;
        let whole_map = matches!(self.form, Form::Flat(_)) && self.shape.len() != c;
        let from_end = rank - 1 - channel;
        let fits = constant.dims.iter().rev().enumerate().all(|(i, &d)| d == 1 || (i == from_end && d == c));
        match values[..] {
            [v] if constant.dims.len() <= rank => Ok(vec![v; c]),
            _ if fits && !whole_map && constant.dims.len() <= rank => Ok(values),
            _ => Err(format!("a constant of sizes {:?} is not one value a channel", constant.dims)),
        }
    }

    /// Folds into the layer before its ReLU, keeps for the next layer after it.
    fn affine(&mut self, affine: Affine) -> Outcome {
        if self.activated {
            if self.layers.is_empty() {
                if affine.k.iter().any(|k| *k <= 0.0) {
                    return Err(
                        "changes the image before the first layer by a factor that is not positive".into()
                    );
                }
                let before = self.scaling.take().unwrap_or_else(|| Affine::identity(self.shape.c));
                self.scaling = Some(before.then(&affine)).filter(|s| !s.is_identity());
                return Ok(());
            }
            self.pending = self.pending.then(&affine);
            return Ok(());
        }
        let Some(layer) = self.layers.last_mut() else { return Ok(()) };
        if matches!(layer.op, Op::Conv { pool: true, .. }) && !affine.keeps_order() {
            return Err("has negative factors and stands after a max pool".into());
        }
        affine.fold_into_outputs(&mut layer.weight, &mut layer.bias);
        Ok(())
    }

    fn average_pool(&mut self, node: &NodeProto) -> Outcome {
        let from = self.shape;
        let (average, form) = shape_ops::average(self, node, self.constants)?;
        self.form = form;
        let identity = Average::windows(from, [1, 1], [1, 1]);
        if average == identity {
            return Ok(());
        }
        if self.codes {
            return Err("an average pool between quantized layers rounds sums of its own, which max pools do not: train with \
                        a max pool or a flattened map in its place"
                .into());
        }
        if self.average.is_some() || self.layers.is_empty() {
            return Err("an average pool may only stand between convolutions and dense layers; between \
                        convolutions max pools are: train a few epochs with MaxPool2d in its place"
                .into());
        }
        self.demand_activated()?;
        self.shape = average.output(from);
        self.average = Some((average, from));
        if self.shape.is_empty() { Err("leaves no pixels".into()) } else { Ok(()) }
    }

    /// Between float types nothing is lost that matters here; to an integer type the values would change.
    fn cast(&self, node: &NodeProto) -> Outcome {
        use super::proto::data_type::{BFLOAT16, DOUBLE, FLOAT, FLOAT16};
        let to = node.int("to").unwrap_or(i64::from(FLOAT));
        match self.ended.is_some() || [FLOAT, DOUBLE, FLOAT16, BFLOAT16].iter().any(|t| i64::from(*t) == to) {
            true => Ok(()),
            false => Err(format!("turns values into element type {to}, which is no float type")),
        }
    }

    /// Does nothing but in training.
    fn dropout(&self, node: &NodeProto) -> Outcome {
        match node.operand(2).is_some_and(|name| self.constants.is_true(name)) {
            true => Err("is in training mode: export after model.eval()".into()),
            false => Ok(()),
        }
    }

    fn softmax(&mut self, node: &NodeProto) -> Outcome {
        match (self.form, node.int("axis").unwrap_or(1)) {
            (Form::Flat(_), 1 | -1) => self.end(&node.op_type),
            _ => Err("must be over the classes at the network's end".into()),
        }
    }

    /// Drops a node behind the logits that keeps their order.
    fn end(&mut self, op: &str) -> Outcome {
        if !matches!(self.form, Form::Flat(_)) || self.layers.is_empty() {
            return Err("only supported behind the logits, at the network's end".into());
        }
        self.ended.get_or_insert(op.into());
        Ok(())
    }

    /// ONNX Runtime's convolution or Gemm with the activation in it.
    fn fused(&mut self, node: &NodeProto) -> Outcome {
        if node.op_type == "FusedConv" {
            self.conv(node)?
        } else {
            self.dense(node)?
        }
        match node.text("activation").unwrap_or_default().as_str() {
            "" => Ok(()),
            "Relu" => self.relu(),
            other => Err(format!("its activation {other} is not supported, only Relu is")),
        }
    }

    /// Clip(0, ∞) and Max(x, 0) are a ReLU; others are none.
    fn clip(&mut self, node: &NodeProto) -> Outcome {
        let number = |name: &str| match self.constants.computed_number(name) {
            Some(v) => Ok(v),
            None => Err(format!("its bound {name:?} is no constant number")),
        };
        let bound = |i: usize, attribute: &str| match (node.operand(i), node.float(attribute)) {
            (Some(name), _) => number(name).map(Some),
            (None, v) => Ok(v),
        };
        let (least, most) = match node.op_type.as_str() {
            "Max" => {
                let other = node.input.iter().find(|i| self.constants.is_constant(i));
                (Some(number(other.ok_or("joins two branches")?)?), None)
            }
            _ => (bound(1, "min")?, bound(2, "max")?),
        };
        // Older files write "no bound" as the largest float.
        match (least, most.filter(|m| *m < f32::MAX)) {
            (Some(0.0), None) => self.relu(),
            (Some(0.0), Some(most)) => Err(format!(
                "clips at {most} (ReLU6 clips at 6): layers here end in a plain ReLU; train a few epochs with ReLU in its place"
            )),
            _ => Err("is no ReLU: its lower bound is not 0".into()),
        }
    }
}

/// Whether a convolution has stride 1, no dilation, one group, and this padding on all sides.
fn is_plain(node: &NodeProto, padding: i64) -> bool {
    let auto = node.text("auto_pad").unwrap_or_default();
    let padded = match auto.as_str() {
        "" | "NOTSET" => match node.ints("pads") {
            Some(pads) => pads.len() == 4 && pads.iter().all(|p| *p == padding),
            None => padding == 0,
        },
        "VALID" => padding == 0,
        _ => padding == 1 || node.ints("kernel_shape") == Some(&[1, 1]),
    };
    let plain = |name: &str| node.ints(name).is_none_or(|v| v.iter().all(|&v| v == 1));
    padded && plain("strides") && plain("dilations") && node.int("group").unwrap_or(1) == 1
}

/// A 2×2 max pool with stride 2 that leaves out the last row and column of an odd `map`.
fn demand_2x2(node: &NodeProto, map: Shape) -> Outcome {
    let two = |name: &str| node.ints(name) == Some(&[2, 2]);
    let all = |name: &str, value: i64| node.ints(name).is_none_or(|v| v.iter().all(|&v| v == value));
    let auto = node.text("auto_pad").unwrap_or_default();
    let even = map.h.is_multiple_of(2) && map.w.is_multiple_of(2);
    let floor = even || (node.int("ceil_mode").unwrap_or(0) == 0 && !auto.starts_with("SAME"));
    match two("kernel_shape") && two("strides") && all("pads", 0) && all("dilations", 1) && floor {
        true => Ok(()),
        false => Err("only 2×2 max pools with stride 2 and without padding are supported".into()),
    }
}
