//! An integer network as ONNX with QuantizeLinear and DequantizeLinear (QDQ), so that ONNX Runtime can check us, or with
//! QONNX's Quant; [`torch`] writes state dicts.
//!
//! Every tensor keeps its codes and steps. Where levels are narrower than the ONNX type, a Clip stands before the
//! QuantizeLinear. With power-of-two steps ONNX Runtime computes the golden integers wherever |acc| < 2^24; with
//! other steps its requantization uses the steps where ours uses `m / 2^s`, which differ by at most 2^-16.

mod pickle;
pub mod torch;

use crate::arith::{Levels, Step, WIDTHS, dequantize};
use crate::float::import::onnx::own::{self, Own, OwnLayer};
use crate::float::import::onnx::proto::{self, *};
use crate::int::{IntLayer, IntModel, Output, Quantizer};
use crate::net::Op;
use crate::{Error, Result, output};
use prost::Message;
use std::path::Path;

/// Opset of 8-bit QDQ with a step a channel, and of the 16-bit types.
const OPSET_8_BITS: i64 = 13;
const OPSET_16_BITS: i64 = 21;
/// IR versions that go with them.
const IR_8_BITS: i64 = 8;
const IR_16_BITS: i64 = 10;
/// Domain of Quant.
const QONNX: &str = "qonnx.custom_op.general";

/// Writes `model` as an ONNX file: input `x` `(n, c, h, w)`, preprocessed; output `logits` `(n, classes)`, real.
///
/// The output of every layer but the last also exists as codes, in the value `NAME_codes`. All other values of a layer
/// are called `NAME/…`, which no layer can be. A bias whose integer does not
/// fit ONNX's 32 bits is written as real numbers. What ONNX cannot say stands in the metadata, so that an import gives
/// `model` again.
///
/// # Errors
/// Where [`IntModel::validate`] fails, or the file cannot be written.
pub fn onnx(model: &IntModel, path: &Path) -> Result<()> {
    output::write(path, &onnx_file(model, Spelling::Qdq)?.encode_to_vec())
}

/// As [`onnx`] with QONNX's Quant nodes, the weights as real numbers before them: for FINN, hls4ml and Brevitas. Biases are
/// real numbers.
///
/// # Errors
/// As for [`onnx`].
pub fn qonnx(model: &IntModel, path: &Path) -> Result<()> {
    output::write(path, &onnx_file(model, Spelling::Qonnx)?.encode_to_vec())
}

/// How a graph says that values are codes times a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Spelling {
    /// QuantizeLinear and DequantizeLinear.
    #[default]
    Qdq,
    /// Quant (Pappalardo et al. 2022, arXiv 2206.07527).
    Qonnx,
}

fn onnx_file(model: &IntModel, spelling: Spelling) -> Result<ModelProto> {
    model.validate()?;
    let mut graph = Graph { spelling, ..Graph::default() };
    let mut value = graph.quantized("x", "input", model.input);
    let mut flat = false;
    for (layer, input) in model.layers.iter().zip(model.input_quantizers()) {
        if matches!(layer.op, Op::Dense { .. }) && !flat {
            value = graph.node(
                "Flatten",
                &[&value],
                &format!("{}/flat", layer.name),
                vec![AttributeProto::int("axis", 1)],
            );
            flat = true;
        }
        value = graph.layer(layer, input.step, &value);
    }
    if !flat {
        value = graph.node("Flatten", &[&value], "logits", vec![AttributeProto::int("axis", 1)]);
    }
    let classes = model.outputs();
    let shape = model.header.input;
    let (opset, ir_version) =
        if graph.wide { (OPSET_16_BITS, IR_16_BITS) } else { (OPSET_8_BITS, IR_8_BITS) };
    let graph = GraphProto {
        name: model.header.name.clone(),
        node: graph.nodes,
        initializer: graph.initializers,
        input: vec![ValueInfoProto::floats("x", &[None, Some(shape.c), Some(shape.h), Some(shape.w)])],
        output: vec![ValueInfoProto::floats(&value, &[None, Some(classes)])],
    };
    Ok(ModelProto {
        ir_version,
        producer_name: "vgg2rtl".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        opset_import: opsets(spelling, opset),
        metadata_props: vec![StringStringEntryProto { key: own::KEY.into(), value: own(model, spelling)? }],
    })
}

fn opsets(spelling: Spelling, version: i64) -> Vec<OperatorSetIdProto> {
    let mut opsets = vec![OperatorSetIdProto { domain: String::new(), version }];
    if spelling == Spelling::Qonnx {
        opsets.push(OperatorSetIdProto { domain: QONNX.into(), version: 1 });
    }
    opsets
}

/// What ONNX cannot say of `model`, for a later import.
fn own(model: &IntModel, spelling: Spelling) -> Result<String> {
    let is_real = |l: &IntLayer| spelling == Spelling::Qonnx || narrow(&l.bias).is_none();
    let layer = |l: &IntLayer| OwnLayer {
        name: l.name.clone(),
        weight_levels: l.weight_levels,
        multipliers: match &l.output {
            Output::Requantized { by, .. } => by.clone(),
            Output::Logits => vec![],
        },
        bias: is_real(l).then(|| l.bias.clone()),
    };
    let own = Own { header: model.header.clone(), layers: model.layers.iter().map(layer).collect() };
    serde_json::to_string(&own).map_err(|e| Error::bad_layer("-", e.to_string()))
}

/// The biases in ONNX's 32 bits, if they fit.
fn narrow(bias: &[i64]) -> Option<Vec<i32>> {
    bias.iter().map(|&b| i32::try_from(b).ok()).collect()
}

#[derive(Default)]
struct Graph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
    /// Whether a 16-bit type is used.
    wide: bool,
    spelling: Spelling,
}

impl Graph {
    /// Adds a node and returns the name of its output.
    fn node(&mut self, op: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) -> String {
        self.nodes.push(NodeProto::new(op, inputs, output, attribute));
        output.into()
    }

    fn constant(&mut self, name: String, dims: &[usize], data_type: i32, raw_data: Vec<u8>) -> String {
        let dims = dims.iter().map(|&d| d as i64).collect();
        self.initializers.push(TensorProto {
            dims,
            data_type,
            name: name.clone(),
            raw_data,
            ..Default::default()
        });
        name
    }

    fn float(&mut self, name: String, dims: &[usize], values: impl IntoIterator<Item = f32>) -> String {
        let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
        self.constant(name, dims, proto::data_type::FLOAT, bytes)
    }

    /// Codes in the ONNX type for `levels`.
    fn codes(
        &mut self,
        name: String,
        dims: &[usize],
        levels: Levels,
        codes: impl Iterator<Item = i32>,
    ) -> String {
        let (data_type, _) = self.container(levels);
        let bytes = if levels.bits() > 8 { 2 } else { 1 };
        let raw = codes.flat_map(|c| c.to_le_bytes().into_iter().take(bytes)).collect();
        self.constant(name, dims, data_type, raw)
    }

    /// The narrowest ONNX type that holds `levels`, and its own levels.
    fn container(&mut self, levels: Levels) -> (i32, Levels) {
        self.wide |= levels.bits() > 8;
        match (levels.is_signed(), levels.bits() > 8) {
            (true, false) => (proto::data_type::INT8, Levels::signed(8)),
            (false, false) => (proto::data_type::UINT8, Levels::unsigned(8)),
            (true, true) => (proto::data_type::INT16, Levels::signed(16)),
            (false, true) => (proto::data_type::UINT16, Levels::unsigned(16)),
        }
    }

    /// QONNX's Quant, to the codes of `bits` bits that are signed or not, narrow or not.
    fn quant(&mut self, value: &str, name: &str, steps: (Vec<usize>, Vec<f32>), levels: Levels) -> String {
        let step = self.float(format!("{name}/step"), &steps.0, steps.1);
        let zero = self.float(format!("{name}/zero"), &[], [0.0]);
        let bits = self.float(format!("{name}/bits"), &[], [quant_bits(levels) as f32]);
        let attributes = vec![
            AttributeProto::int("signed", levels.is_signed().into()),
            AttributeProto::int("narrow", (levels == Levels::narrow(quant_bits(levels))).into()),
            AttributeProto::text("rounding_mode", "ROUND"),
        ];
        let real = format!("{name}/real");
        self.node("Quant", &[value, &step, &zero, &bits], &real, attributes);
        if let Some(node) = self.nodes.last_mut() {
            node.domain = QONNX.into();
        }
        real
    }

    /// `value` quantized and dequantized by `q`; the codes of QuantizeLinear are called `NAME_codes`.
    fn quantized(&mut self, value: &str, name: &str, q: Quantizer) -> String {
        let container = match self.spelling {
            Spelling::Qdq => self.container(q.levels).1,
            Spelling::Qonnx => quant_levels(q.levels),
        };
        let mut value = value.to_string();
        if q.levels != container {
            let bound = |code: i32| code as f32 * q.step.get();
            let lo = self.float(format!("{name}/least"), &[], [bound(q.levels.a)]);
            let hi = self.float(format!("{name}/greatest"), &[], [bound(q.levels.b)]);
            value = self.node("Clip", &[&value, &lo, &hi], &format!("{name}/clipped"), vec![]);
        }
        if self.spelling == Spelling::Qonnx {
            return self.quant(&value, name, (vec![], vec![q.step.get()]), container);
        }
        let step = self.float(format!("{name}/step"), &[], [q.step.get()]);
        let zero = self.codes(format!("{name}/zero"), &[], q.levels, [0].into_iter());
        let codes = self.node("QuantizeLinear", &[&value, &step, &zero], &format!("{name}_codes"), vec![]);
        self.node("DequantizeLinear", &[&codes, &step, &zero], &format!("{name}/real"), vec![])
    }

    /// One layer behind `value`; returns the name of its output.
    fn layer(&mut self, layer: &IntLayer, input: Step, value: &str) -> String {
        let name = &layer.name;
        let weight = self.weight(layer);
        let bias = self.bias(layer, input);
        let ends = layer.output == Output::Logits && matches!(layer.op, Op::Dense { .. });
        let sums = if ends { "logits".to_string() } else { format!("{name}/sums") };
        let sums = match layer.op {
            Op::Conv { .. } => {
                let pads = vec![
                    AttributeProto::ints("pads", &[1; 4]),
                    AttributeProto::ints("kernel_shape", &[3, 3]),
                ];
                self.node("Conv", &[value, &weight, &bias], &sums, pads)
            }
            Op::Dense { .. } => {
                self.node("Gemm", &[value, &weight, &bias], &sums, vec![AttributeProto::int("transB", 1)])
            }
        };
        let Output::Requantized { quantizer, .. } = layer.output else { return sums };
        let real = self.node("Relu", &[&sums], &format!("{name}/relu"), vec![]);
        let real = self.quantized(&real, name, quantizer);
        let Op::Conv { pool: true, .. } = layer.op else { return real };
        let windows =
            vec![AttributeProto::ints("kernel_shape", &[2, 2]), AttributeProto::ints("strides", &[2, 2])];
        self.node("MaxPool", &[&real], &format!("{name}/pool"), windows)
    }

    /// The weights as codes and a DequantizeLinear.
    fn weight(&mut self, layer: &IntLayer) -> String {
        let (name, co) = (&layer.name, layer.op.co());
        let inputs = layer.weight.len() / co;
        let dims = match layer.op {
            Op::Conv { .. } => vec![co, inputs / 9, 3, 3],
            Op::Dense { .. } => vec![co, inputs],
        };
        let count = layer.weight_steps.len();
        if self.spelling == Spelling::Qonnx {
            let step = |c: usize| layer.weight_steps[if count == 1 { 0 } else { c }];
            let real = layer.weight.iter().enumerate().map(|(i, &w)| dequantize(w.into(), step(i / inputs)));
            let real = self.float(format!("{name}/weight_real"), &dims, real);
            let shape = if count == 1 { vec![] } else { [&[co][..], &vec![1; dims.len() - 1]].concat() };
            let steps = layer.weight_steps.iter().map(|s| s.get()).collect();
            return self.quant(
                &real,
                &format!("{name}/weight"),
                (shape, steps),
                quant_levels(layer.weight_levels),
            );
        }
        let codes = layer.weight.iter().map(|&w| w.into());
        let codes = self.codes(format!("{name}/weight_codes"), &dims, layer.weight_levels, codes);
        let shape = if count == 1 { vec![] } else { vec![count] };
        let steps =
            self.float(format!("{name}/weight_step"), &shape, layer.weight_steps.iter().map(|s| s.get()));
        let zeros = vec![0; count].into_iter();
        let zero = self.codes(format!("{name}/weight_zero"), &shape, layer.weight_levels, zeros);
        self.node(
            "DequantizeLinear",
            &[&codes, &steps, &zero],
            &format!("{name}/weight"),
            vec![AttributeProto::int("axis", 0)],
        )
    }

    /// The bias as 32-bit codes and a DequantizeLinear of step `step_w · step_x`, or as the real numbers of wider codes.
    fn bias(&mut self, layer: &IntLayer, input: Step) -> String {
        let (name, co) = (&layer.name, layer.op.co());
        let step = |c: usize| layer.weight_steps[if layer.weight_steps.len() == 1 { 0 } else { c }].get();
        let codes = narrow(&layer.bias).filter(|_| self.spelling == Spelling::Qdq);
        let Some(codes) = codes else {
            let real =
                |(c, &b): (usize, &i64)| (b as f64 * f64::from(step(c)) * f64::from(input.get())) as f32;
            return self.float(format!("{name}/bias"), &[co], layer.bias.iter().enumerate().map(real));
        };
        let raw = codes.into_iter().flat_map(i32::to_le_bytes).collect();
        let codes = self.constant(format!("{name}/bias_codes"), &[co], proto::data_type::INT32, raw);
        let count = layer.weight_steps.len();
        let shape = if count == 1 { vec![] } else { vec![count] };
        let steps = layer.weight_steps.iter().map(|s| s.get() * input.get());
        let steps = self.float(format!("{name}/bias_step"), &shape, steps);
        self.node(
            "DequantizeLinear",
            &[&codes, &steps],
            &format!("{name}/bias"),
            vec![AttributeProto::int("axis", 0)],
        )
    }
}

/// Bits of a Quant whose codes hold `levels`.
fn quant_bits(levels: Levels) -> u32 {
    levels.bits().max(*WIDTHS.start())
}

/// The least levels of a Quant that hold `levels`.
fn quant_levels(levels: Levels) -> Levels {
    let bits = quant_bits(levels);
    match levels.is_signed() {
        true if levels == Levels::narrow(bits) => levels,
        true => Levels::signed(bits),
        false => Levels::unsigned(bits),
    }
}
