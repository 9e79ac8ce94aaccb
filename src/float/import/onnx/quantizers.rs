//! The quantizers along a chain with QuantizeLinear and DequantizeLinear: which codes each layer reads.
//!
//! Zero points are subtracted: codes are then multiples of the step, 0 is the code of 0, and zero padding adds nothing. What
//! stands between a layer and its QuantizeLinear and only clips (Relu, Clip) is part of the codes' range, exactly, since
//! rounding keeps order.

use super::chain::Chain;
use super::codes::Scale;
use super::constants::{Constants, LONGEST};
use super::proto::NodeProto;
use crate::arith::{self, Levels, Quantizer};

/// What a graph says about the integers of one layer.
pub struct Layer<'a> {
    /// The Conv, Gemm or MatMul.
    pub node: &'a NodeProto,
    /// Codes that it reads.
    pub input: Quantizer,
    /// Steps and range of its weights.
    pub weight: Scale,
    /// Names of the constants that are added to its sums.
    pub biases: Vec<&'a str>,
}

/// The chain without its quantizers.
pub struct Track<'a> {
    /// Nodes that a float network has, for `build`.
    pub nodes: Vec<NodeProto>,
    /// In order of execution.
    pub layers: Vec<Layer<'a>>,
    /// Codes that a QuantizeLinear behind the last layer would make of the sums.
    pub end: Option<Quantizer>,
}

/// What flows through the chain at some node.
#[derive(Clone, Copy, Debug)]
enum Value {
    /// Real numbers within bounds.
    Real { least: f32, most: f32 },
    /// Integers: codes plus a zero point.
    Codes(Quantizer, i32),
    /// Codes times their step.
    Multiples(Quantizer),
}

const ANY: Value = Value::Real { least: f32::NEG_INFINITY, most: f32::INFINITY };

/// Operators of which a graph is one that somebody quantized.
pub const QUANTIZERS: [&str; 2] = ["QuantizeLinear", "DequantizeLinear"];

/// Nodes that let codes pass; `build` knows which of them fit.
const PASSING: [&str; 12] = [
    "MaxPool",
    "Flatten",
    "Reshape",
    "Transpose",
    "Squeeze",
    "Identity",
    "Dropout",
    "GlobalAveragePool",
    "AveragePool",
    "ReduceMean",
    "Cast",
    "Unsqueeze",
];
/// Nodes with which a network ends.
const ENDS: [&str; 4] = ["Softmax", "LogSoftmax", "Sigmoid", "ArgMax"];

impl<'a> Track<'a> {
    /// Follows the quantizers of `chain`.
    ///
    /// # Errors
    /// The node at which values are no codes where a layer needs them, or are quantized in a way that no integer model has.
    pub fn new(chain: &Chain<'a>, constants: &Constants) -> Result<Self, String> {
        let mut walk = Walk {
            constants,
            value: ANY,
            ended: false,
            track: Track { nodes: vec![], layers: vec![], end: None },
        };
        for &node in &chain.nodes {
            walk.step(node).map_err(|reason| node.fault(&reason))?;
        }
        walk.finish()
    }
}

struct Walk<'a, 'c> {
    constants: &'c Constants<'c>,
    value: Value,
    /// Whether a Softmax or the like stands behind the logits.
    ended: bool,
    track: Track<'a>,
}

impl<'a> Walk<'a, '_> {
    fn step(&mut self, node: &'a NodeProto) -> Result<(), String> {
        let op = node.op_type.as_str();
        let mut kept = node.clone();
        match op {
            _ if ENDS.contains(&op) => self.ended = true,
            "QuantizeLinear" | "DequantizeLinear" if self.ended => kept = passing(node),
            _ if self.ended || PASSING.contains(&op) => {}
            "QuantizeLinear" => {
                self.quantize(node)?;
                kept = passing(node);
            }
            "DequantizeLinear" => {
                self.dequantize(node)?;
                kept = passing(node);
            }
            "Relu" => {
                self.clip(0.0, f32::INFINITY)?;
                kept = passing(node);
            }
            "Clip" => {
                self.clip_node(node)?;
                kept = passing(node);
            }
            "Conv" | "Gemm" | "MatMul" => self.layer(node)?,
            "Add" | "Sub" | "Mul" | "Div" if self.track.layers.is_empty() => match self.value {
                Value::Real { .. } => {}
                _ => return Err("changes the image's codes before the first layer".into()),
            },
            "Add" => self.bias(node)?,
            "Sub" | "Mul" | "Div" | "BatchNormalization" => {
                return Err(
                    "stands between quantized layers; fold it into the convolution before quantizing \
                            (onnxruntime.quantization.shape_inference.quant_pre_process does)"
                        .into(),
                );
            }
            _ => return Err("this operator is not supported in a quantized graph".into()),
        }
        self.track.nodes.push(kept);
        Ok(())
    }

    fn quantize(&mut self, node: &NodeProto) -> Result<(), String> {
        let scale = self.value_scale(node, None)?;
        let step = scale.steps[0];
        let zero = scale.zero(0);
        let own = scale.levels().ok_or_else(|| {
            format!(
                "its codes, zero point {zero} subtracted, need more than 16 bits: set symmetric activations in the exporter \
                 (ONNX Runtime: extra_options={{\"ActivationSymmetric\": True}})"
            )
        })?;
        let levels = match self.value {
            Value::Real { least, most } => {
                let levels =
                    Levels { a: arith::quantize(least, step, own), b: arith::quantize(most, step, own) };
                if least >= most { Levels { a: 0, b: 0 } } else { levels }
            }
            Value::Codes(..) => return Err("quantizes codes".into()),
            // Codes of the same step stay what they are.
            Value::Multiples(q) if q.step == step => {
                Levels { a: own.clip(q.levels.a.into()), b: own.clip(q.levels.b.into()) }
            }
            Value::Multiples(q) => {
                return Err(format!(
                    "quantizes anew, from scale {} to {step}, without a layer between: give both the same scale (for a max pool \
                     or a reshape, exporters do), or exclude the node before it from quantization",
                    q.step
                ));
            }
        };
        if !levels.is_valid() {
            return Err(format!("leaves codes {} … {} alone", levels.a, levels.b));
        }
        self.value = Value::Codes(Quantizer { step, levels }, zero);
        Ok(())
    }

    /// The one scale of values that are no constants.
    fn value_scale(&self, node: &NodeProto, kind: Option<i32>) -> Result<Scale, String> {
        let count = self.constants.floats(node.operand(1).ok_or("has no scale")?)?.data.len();
        match count {
            1 => self.constants.scale(node, kind, &[]),
            _ => Err(format!("quantizes values by {count} scales; one for all channels is supported")),
        }
    }

    fn dequantize(&mut self, node: &NodeProto) -> Result<(), String> {
        let Value::Codes(q, zero) = self.value else {
            return Err("its input is neither a constant nor codes of a QuantizeLinear".into());
        };
        let stored = node.operand(2).map(|name| self.constants.integers(name, LONGEST)).transpose()?;
        let scale = self.value_scale(node, stored.map(|s| s.kind))?;
        let same = scale.steps == [q.step] && scale.zero(0) == zero;
        match same {
            true => self.value = Value::Multiples(q),
            false => {
                return Err(format!(
                    "has scale {} and zero point {}, the codes it reads have {} and {zero}",
                    scale.steps[0],
                    scale.zero(0),
                    q.step
                ));
            }
        }
        Ok(())
    }

    /// Clips values at real bounds.
    fn clip(&mut self, low: f32, high: f32) -> Result<(), String> {
        match &mut self.value {
            Value::Real { least, most } => {
                (*least, *most) = (least.max(low).min(high), most.min(high).max(low))
            }
            Value::Codes(..) => return Err("clips codes by real numbers".into()),
            Value::Multiples(Quantizer { step, levels }) => {
                let bound = |real: f32, none: i32| {
                    let code = arith::quantize(real, *step, *levels);
                    let exact = code == none || arith::dequantize(code, *step) == real;
                    if exact {
                        Ok(code)
                    } else {
                        Err(format!("clips at {real}, which is no multiple of {step}"))
                    }
                };
                *levels = Levels { a: bound(low, levels.a)?, b: bound(high, levels.b)? };
                if !levels.is_valid() {
                    return Err("leaves one code alone".into());
                }
            }
        }
        Ok(())
    }

    fn clip_node(&mut self, node: &NodeProto) -> Result<(), String> {
        if let Value::Codes(q, zero) = &mut self.value {
            let stored = Levels { a: q.levels.a + *zero, b: q.levels.b + *zero };
            let left = self.constants.clipped(node, stored)?;
            q.levels = Levels { a: left.a - *zero, b: left.b - *zero };
            return match q.levels.is_valid() {
                true => Ok(()),
                false => Err(format!("leaves codes {} … {}, 0 not among them", q.levels.a, q.levels.b)),
            };
        }
        let bound = |i: usize, attribute: &str, none: f32| match node.operand(i) {
            Some(name) => {
                let number = self.constants.computed_number(name).filter(|v| !v.is_nan());
                number.ok_or_else(|| format!("its bound {name:?} is no constant number"))
            }
            None => Ok(node.float(attribute).unwrap_or(none)),
        };
        let (low, high) = (bound(1, "min", f32::NEG_INFINITY)?, bound(2, "max", f32::INFINITY)?);
        if low.is_nan() || high.is_nan() {
            return Err("clips at NaN".into());
        }
        self.clip(low, high)
    }

    fn layer(&mut self, node: &'a NodeProto) -> Result<(), String> {
        let Value::Multiples(input) = self.value else {
            return Err(match self.value {
                Value::Real { .. } => {
                    "its input is not quantized, its weights are: quantize activations, too \
                                       (static quantization with calibration)"
                        .into()
                }
                _ => "reads codes without a DequantizeLinear".to_string(),
            });
        };
        if let Some(before) = self.track.layers.last() {
            if input.levels.a < 0 {
                return Err(format!(
                    "no ReLU stands between it and the layer before ({}): it reads codes {} … {}",
                    before.node.label(),
                    input.levels.a,
                    input.levels.b
                ));
            }
            self.track.nodes.push(relu(node));
        }
        if node.op_type == "Gemm"
            && [node.float("alpha"), node.float("beta")].iter().flatten().any(|&v| v != 1.0)
        {
            return Err("alpha and beta of a quantized Gemm must be 1".into());
        }
        let weight = self.constants.scale_of(node.operand(1).ok_or("has no weights")?)?;
        let outputs = match node.op_type.as_str() {
            "Conv" => 0,
            _ if node.op_type == "Gemm" && node.int("transB").unwrap_or(0) != 0 => 0,
            _ => 1,
        };
        if let Some(axis) = weight.axis.filter(|&axis| axis != outputs) {
            return Err(format!(
                "the scales of its weights differ along axis {axis}, must along its outputs, {outputs}"
            ));
        }
        let biases = node.operand(2).filter(|_| node.op_type != "MatMul").into_iter().collect();
        self.track.layers.push(Layer { node, input, weight, biases });
        self.value = ANY;
        Ok(())
    }

    /// An Add of constants to the sums of the layer before.
    fn bias(&mut self, node: &'a NodeProto) -> Result<(), String> {
        let (Some(left), Some(right)) = (node.operand(0), node.operand(1)) else {
            return Err("must have two inputs".into());
        };
        let name = if self.constants.is_constant(left) { left } else { right };
        let plain = matches!(self.value, Value::Real { least, most } if least == f32::NEG_INFINITY && most == f32::INFINITY);
        match (plain, self.track.layers.last_mut()) {
            (true, Some(layer)) => layer.biases.push(name),
            _ => {
                return Err("adds to values that are quantized or clipped; a bias must stand right behind its layer: fuse it \
                            before quantizing (quant_pre_process does)"
                    .into());
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Track<'a>, String> {
        match self.value {
            Value::Real { least, .. } if least >= 0.0 && !self.track.layers.is_empty() => {
                return Err("the graph ends in a ReLU, must end in a layer's sums".into());
            }
            Value::Codes(q, _) | Value::Multiples(q) => self.track.end = Some(q),
            Value::Real { .. } => {}
        }
        match self.track.layers.is_empty() {
            true => Err("the graph has no layers".into()),
            false => Ok(self.track),
        }
    }
}

/// `node` as one that does nothing: its quantizer is known.
fn passing(node: &NodeProto) -> NodeProto {
    let input = node.input.iter().take(1).cloned().collect();
    NodeProto { op_type: "Identity".into(), domain: String::new(), attribute: vec![], input, ..node.clone() }
}

/// A ReLU in front of layer `node`.
fn relu(node: &NodeProto) -> NodeProto {
    let value: Vec<String> = node.input.iter().take(1).cloned().collect();
    NodeProto { op_type: "Relu".into(), input: value.clone(), output: value, ..Default::default() }
}
