//! Other spellings of quantized operators as QuantizeLinear, DequantizeLinear and the float operator between them.
//!
//! | spelling | written by |
//! |---|---|
//! | QLinearConv, QLinearMatMul, com.microsoft QGemm | ONNX Runtime's operator format (`QuantFormat.QOperator`) |
//! | Quant | QONNX: Brevitas `export_qonnx`, QKeras |
//! | QuantizeLinear, DequantizeLinear of com.microsoft | ONNX Runtime for 16 bits before opset 21 |

use super::constants::Constants;
use super::proto::{AttributeProto, GraphProto, NodeProto, TensorProto, data_type};
use crate::arith::{Levels, WIDTHS};

/// Domains in which Quant is QONNX's.
const QONNX: [&str; 4] = ["qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas", ""];
/// Of a bias; other codes have [`WIDTHS`].
const BIAS_BITS: u32 = 32;
const MICROSOFT: &str = "com.microsoft";

/// Operators that are written anew, or that only quantized graphs have.
pub const SPELLINGS: [&str; 4] = ["QLinearConv", "QLinearMatMul", "QGemm", "Quant"];

/// The graph in the one spelling; `constants` are those of `graph`.
///
/// # Errors
/// The node that has no such spelling.
pub fn rewritten(graph: &GraphProto, constants: &Constants) -> Result<GraphProto, String> {
    let mut to = Rewriter { constants, nodes: vec![], initializers: vec![] };
    for node in &graph.node {
        to.node(node).map_err(|reason| node.fault(&reason))?;
    }
    let mut rewritten = GraphProto { node: to.nodes, ..graph.clone() };
    rewritten.initializer.extend(to.initializers);
    Ok(rewritten)
}

struct Rewriter<'c> {
    constants: &'c Constants<'c>,
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl Rewriter<'_> {
    fn node(&mut self, node: &NodeProto) -> Result<(), String> {
        match node.op_type.as_str() {
            "QLinearConv" => self.conv(node),
            "QLinearMatMul" => self.mat_mul(node),
            "QGemm" if node.domain == MICROSOFT => self.gemm(node),
            "Quant" if QONNX.contains(&node.domain.as_str()) => self.quant(node),
            "QuantizeLinear" | "DequantizeLinear" if node.domain == MICROSOFT => {
                self.nodes.push(NodeProto { domain: String::new(), ..node.clone() });
                Ok(())
            }
            _ => {
                self.nodes.push(node.clone());
                Ok(())
            }
        }
    }

    /// Adds a node; the name of its value.
    fn add(
        &mut self,
        from: &NodeProto,
        op: &str,
        part: &str,
        inputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) -> String {
        let name = format!("{}/{part}", from.label());
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|i| i.to_string()).collect(),
            output: vec![name.clone()],
            name: from.label().into(),
            op_type: op.into(),
            attribute,
            domain: String::new(),
        });
        name
    }

    fn dequantized(
        &mut self,
        from: &NodeProto,
        part: &str,
        [x, scale, zero]: [&str; 3],
        axis: i64,
    ) -> String {
        self.add(from, "DequantizeLinear", part, &[x, scale, zero], vec![AttributeProto::int("axis", axis)])
    }

    /// The last node becomes that of the value which `from` makes.
    fn end(&mut self, from: &NodeProto) {
        if let Some(last) = self.nodes.last_mut() {
            last.output.clone_from(&from.output);
        }
    }

    fn quantized(&mut self, from: &NodeProto, value: &str, scale: &str, zero: &str) {
        self.add(from, "QuantizeLinear", "codes", &[value, scale, zero], vec![]);
        self.end(from);
    }

    /// A bias of `scale_x · scale_w`, if there is one.
    fn bias(&mut self, from: &NodeProto, bias: Option<&str>, [x, w]: [&str; 2]) -> Option<String> {
        let bias = bias?;
        let step = self.add(from, "Mul", "bias_scale", &[x, w], vec![]);
        Some(self.dequantized(from, "bias", [bias, &step, ""], 0))
    }

    fn conv(&mut self, node: &NodeProto) -> Result<(), String> {
        let [x, xs, xz, w, ws, wz, ys, yz] = operands(node)?;
        if node.int("channels_last").unwrap_or(0) != 0 {
            return Err("with channels last is not supported: export before that optimisation".into());
        }
        let real = self.dequantized(node, "x", [x, xs, xz], 1);
        let weight = self.dequantized(node, "w", [w, ws, wz], 0);
        let bias = self.bias(node, node.operand(8), [xs, ws]);
        let inputs: Vec<&str> =
            [Some(real.as_str()), Some(&weight), bias.as_deref()].into_iter().flatten().collect();
        let sums = self.add(node, "Conv", "sums", &inputs, node.attribute.clone());
        self.quantized(node, &sums, ys, yz);
        Ok(())
    }

    fn mat_mul(&mut self, node: &NodeProto) -> Result<(), String> {
        let [a, a_scale, a_zero, b, b_scale, b_zero, ys, yz] = operands(node)?;
        let real = self.dequantized(node, "x", [a, a_scale, a_zero], 1);
        let weight = self.dequantized(node, "w", [b, b_scale, b_zero], 1);
        let sums = self.add(node, "MatMul", "sums", &[&real, &weight], vec![]);
        self.quantized(node, &sums, ys, yz);
        Ok(())
    }

    fn gemm(&mut self, node: &NodeProto) -> Result<(), String> {
        let [a, a_scale, a_zero, b, b_scale, b_zero] = operands(node)?;
        let axis = if node.int("transB").unwrap_or(0) != 0 { 0 } else { 1 };
        let real = self.dequantized(node, "x", [a, a_scale, a_zero], 1);
        let weight = self.dequantized(node, "w", [b, b_scale, b_zero], axis);
        let bias = self.bias(node, node.operand(6), [a_scale, b_scale]);
        let inputs: Vec<&str> =
            [Some(real.as_str()), Some(&weight), bias.as_deref()].into_iter().flatten().collect();
        let sums = self.add(node, "Gemm", "sums", &inputs, node.attribute.clone());
        match (node.operand(7), node.operand(8)) {
            (Some(scale), zero) => self.quantized(node, &sums, scale, zero.unwrap_or_default()),
            (None, _) => self.end(node),
        }
        Ok(())
    }

    /// QONNX: codes of any width, clipped to those of `bitwidth`, `signed` and `narrow`.
    fn quant(&mut self, node: &NodeProto) -> Result<(), String> {
        let [x, scale, zero, width] = operands(node)?;
        let number = |name: &str, what: &str| {
            let found = self.constants.computed_number(name);
            found.ok_or_else(|| format!("its {what} {name:?} is no constant number"))
        };
        let bits = number(width, "bit width")?;
        let signed = node.int("signed").unwrap_or(1) != 0;
        let narrow = node.int("narrow").unwrap_or(0) != 0;
        // A bias of the sums' step may have more bits than codes have.
        let most = if signed && self.constants.is_constant(x) { BIAS_BITS } else { *WIDTHS.end() };
        if !(*WIDTHS.start()..=most).contains(&(bits as u32)) || bits.fract() != 0.0 {
            return Err(format!("quantizes to {bits} bits; 2 to {most} are supported"));
        }
        let rounding = node.text("rounding_mode").unwrap_or("ROUND".into());
        if !["ROUND", "HALF_EVEN"].contains(&rounding.to_uppercase().as_str()) {
            return Err(format!("its rounding mode {rounding} is not supported, ROUND (half to even) is"));
        }
        if number(zero, "zero point")? != 0.0 {
            return Err(
                "has a zero point; only 0 is supported: set symmetric quantization in the exporter".into()
            );
        }
        let bits = bits as u32;
        let levels = match (signed, narrow) {
            (true, _) if bits == BIAS_BITS => Levels { a: i32::MIN + i32::from(narrow), b: i32::MAX },
            (true, false) => Levels::signed(bits),
            (true, true) => Levels::narrow(bits),
            (false, false) => Levels::unsigned(bits),
            (false, true) => Levels { a: 0, b: Levels::unsigned(bits).b - 1 },
        };
        let kind = match (signed, bits) {
            (true, 0..=8) => data_type::INT8,
            (true, 9..=16) => data_type::INT16,
            (true, _) => data_type::INT32,
            (false, 0..=8) => data_type::UINT8,
            (false, _) => data_type::UINT16,
        };
        let [origin, least, most] =
            [("zero", 0), ("least", levels.a), ("most", levels.b)].map(|(part, v)| {
                let name = format!("{}/{part}", node.label());
                self.initializers.push(TensorProto {
                    data_type: kind,
                    name: name.clone(),
                    int32_data: vec![v],
                    ..Default::default()
                });
                name
            });
        let codes = self.add(node, "QuantizeLinear", "codes", &[x, scale, &origin], vec![]);
        let clipped = self.add(node, "Clip", "clipped", &[&codes, &least, &most], vec![]);
        self.add(node, "DequantizeLinear", "real", &[&clipped, scale, &origin], vec![]);
        self.end(node);
        Ok(())
    }
}

/// The first inputs of `node`; a zero point may be left out.
fn operands<const N: usize>(node: &NodeProto) -> Result<[&str; N], String> {
    let all: Vec<&str> = (0..N).map(|i| node.operand(i).unwrap_or_default()).collect();
    match all.iter().position(|name| name.is_empty()) {
        Some(i) => Err(format!("has no input {i}")),
        None => all.try_into().map_err(|_| "has too few inputs".into()),
    }
}
