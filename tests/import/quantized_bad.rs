//! Quantized graphs that no integer model can hold are refused with the node that is in the way.

use prost::Message;
use std::path::Path;
use vgg2rtl::export;
use vgg2rtl::float::import::onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use vgg2rtl::float::import::{Options, from_bytes};
use vgg2rtl::int::random::{self, Recipe};
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::quantize::given;

/// Why the graph of `name` is refused after `change`.
fn reason(name: &str, change: impl FnOnce(&mut GraphProto)) -> String {
    let bytes = std::fs::read(super::data().join("quantized").join(name)).unwrap();
    let mut file = ModelProto::decode(&bytes[..]).unwrap();
    change(file.graph.as_mut().unwrap());
    let imported = from_bytes(&file.encode_to_vec(), "bad", Path::new("."), &Options::default());
    match imported {
        Err(reason) => reason,
        Ok(imported) => match given(&imported.model, &imported.quantized.expect("a quantized graph")) {
            Err(e) => e.to_string(),
            Ok(_) => "taken".into(),
        },
    }
}

/// Makes one value of each node of `graph`.
fn node<'a>(graph: &'a mut GraphProto, output: &str) -> &'a mut NodeProto {
    graph.node.iter_mut().find(|n| n.output[0] == output).unwrap_or_else(|| panic!("no node makes {output}"))
}

fn tensor<'a>(graph: &'a mut GraphProto, name: &str) -> &'a mut TensorProto {
    graph.initializer.iter_mut().find(|t| t.name == name).unwrap_or_else(|| panic!("no tensor {name}"))
}

fn floats(graph: &mut GraphProto, name: &str, values: &[f32]) {
    let t = tensor(graph, name);
    t.dims = if values.len() == 1 { vec![] } else { vec![values.len() as i64] };
    t.raw_data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.into(), i: Some(value), r#type: 2, ..Default::default() }
}

/// A node between `before` and everything that reads it.
fn between(graph: &mut GraphProto, before: &str, op: &str, more: &[&str]) {
    for n in &mut graph.node {
        n.input.iter_mut().filter(|i| *i == before).for_each(|i| *i = "between".into());
    }
    let input = std::iter::once(before).chain(more.iter().copied()).map(String::from).collect();
    graph.node.push(NodeProto {
        op_type: op.into(),
        input,
        output: vec!["between".into()],
        name: "between_node".into(),
        ..Default::default()
    });
}

/// Takes `node` out of the chain.
fn without(graph: &mut GraphProto, output: &str) {
    let input = node(graph, output).input[0].clone();
    for n in &mut graph.node {
        n.input.iter_mut().filter(|i| *i == output).for_each(|i| i.clone_from(&input));
    }
}

type Change = fn(&mut GraphProto);

#[test]
fn scales_and_zero_points_that_are_none() {
    let table: [(Change, &str); 14] = [
        (|g| floats(g, "act0_scale", &[0.0]), "(QuantizeLinear): its scale 0 is not a positive number"),
        (|g| floats(g, "act0_scale", &[-0.5]), "(QuantizeLinear): its scale -0.5 is not a positive number"),
        (|g| floats(g, "act0_scale", &[f32::NAN]), "\"act0_scale\" holds NaN"),
        (|g| floats(g, "act0_scale", &[f32::INFINITY]), "\"act0_scale\" holds inf"),
        (
            |g| floats(g, "act0_scale", &[0.1; 4]),
            "node act0_codes_node (QuantizeLinear): quantizes values by 4 scales",
        ),
        (
            |g| floats(g, "w0_scale", &[0.0]),
            "node w0_node (DequantizeLinear): its scale 0 is not a positive number",
        ),
        (
            |g| floats(g, "w0_scale", &[0.1; 5]),
            "node w0_node (DequantizeLinear): has 5 scales for 4 positions of axis 0",
        ),
        (|g| tensor(g, "w0_zero").data_type = 2, "its zero point is uint8, its codes are int8"),
        (
            |g| tensor(g, "w0_codes").data_type = 11,
            "\"w0_codes\" has element type 11, which is none of codes",
        ),
        (|g| tensor(g, "w0_codes").dims[0] = 5, "\"w0_codes\" has 108 elements where 135 are needed"),
        (|g| tensor(g, "w0_codes").dims = vec![1 << 40, 1 << 40], "has sizes [1099511627776, 1099511627776]"),
        (|g| tensor(g, "b0_codes").dims = vec![2, 2], "its quantized bias has sizes [2, 2]"),
        (|g| node(g, "w0").attribute.push(int("block_size", 16)), "quantizes by blocks"),
        (
            |g| g.initializer.retain(|t| t.name != "act0_scale"),
            "no node makes \"act0_scale\", no initializer has that name",
        ),
    ];
    for (change, want) in table {
        let found = reason("pow2_8.onnx", change);
        assert!(found.contains(want), "{want}: {found}");
    }
}

#[test]
fn channels_along_another_axis() {
    let table: [(Change, &str); 3] = [
        (|g| node(g, "w0").attribute[0].i = Some(1), "has 4 scales for 3 positions of axis 1"),
        (|g| node(g, "w0").attribute[0].i = Some(7), "its axis 7 is none of 4 dimensions"),
        // The third convolution has as many outputs as the second has inputs.
        (
            |g| {
                floats(g, "w2_scale", &[0.25; 6]);
                tensor(g, "w2_zero").dims = vec![6];
                tensor(g, "w2_zero").raw_data = vec![0; 6];
                node(g, "w2").attribute[0].i = Some(1);
            },
            "the scales of its weights differ along axis 1, must along its outputs, 0",
        ),
    ];
    for (change, want) in table {
        let found = reason("pow2_4.onnx", change);
        assert!(found.contains(want), "{want}: {found}");
    }
}

#[test]
fn graphs_that_compute_something_else() {
    let table: [(&str, Change, &str); 12] = [
        (
            "pow2_8.onnx",
            |g| node(g, "w0").input[0] = "w0".into(),
            "node w0_node (DequantizeLinear): is not computed from constants",
        ),
        (
            "pow2_8.onnx",
            |g| node(g, "w0").input[1] = "w0".into(),
            "node w0_node (DequantizeLinear): is not computed from constants",
        ),
        (
            "pow2_8.onnx",
            |g| node(g, "image_codes").input[0] = "act0".into(),
            "the graph runs in a cycle through node",
        ),
        (
            "pow2_8.onnx",
            |g| node(g, "act0").input[1] = "w0_scale".into(),
            "node act0_node (DequantizeLinear): has scale",
        ),
        (
            "pow2_8.onnx",
            |g| node(g, "pool0").op_type = "AveragePool".into(),
            "node pool0_node (AveragePool): an average pool between quantized layers",
        ),
        (
            "pow2_8.onnx",
            |g| node(g, "sums0").input[0] = "x".into(),
            "node sums0_node (Conv): its input is not quantized, its weights are",
        ),
        ("pow2_8.onnx", |g| node(g, "sums0").input[1] = "b0_scale".into(), "is not quantized"),
        (
            "pow2_8.onnx",
            |g| between(g, "sums0", "Mul", &["act0_scale"]),
            "node between_node (Mul): stands between quantized layers; fold it",
        ),
        (
            "pow2_8.onnx",
            |g| between(g, "act0", "Add", &["act0_scale"]),
            "node between_node (Add): adds to values that are quantized",
        ),
        (
            "pow2_8.onnx",
            |g| between(g, "pool0", "QuantizeLinear", &["w0_scale", "act1_zero"]),
            "node between_node (QuantizeLinear): quantizes anew",
        ),
        (
            "pow2_8.onnx",
            |g| between(g, "relu0", "Tanh", &[]),
            "node between_node (Tanh): this operator is not supported in a quantized graph",
        ),
        ("ort_symmetric.onnx", |g| without(g, "relu0"), "no ReLU stands between it and the layer before"),
    ];
    for (name, change, want) in table {
        let found = reason(name, change);
        assert!(found.contains(want), "{want}: {found}");
    }
}

#[test]
fn quant_nodes_that_round_otherwise() {
    let rounding = |g: &mut GraphProto| {
        let a = node(g, "act0").attribute.iter_mut().find(|a| a.name == "rounding_mode").unwrap();
        a.s = Some(b"FLOOR".into());
    };
    let found = reason("qonnx_quant.onnx", rounding);
    assert!(found.contains("node act0_node (Quant): its rounding mode FLOOR is not supported"), "{found}");
    let found = reason("qonnx_quant.onnx", |g| floats(g, "act0_bits", &[17.0]));
    assert!(found.contains("node act0_node (Quant): quantizes to 17 bits"), "{found}");
    let found = reason("qonnx_bias.onnx", |g| floats(g, "b0_bits", &[33.0]));
    assert!(found.contains("node b0_node (Quant): quantizes to 33 bits; 2 to 32 are supported"), "{found}");
    let found = reason("qonnx_bias.onnx", |g| floats(g, "w0_bits", &[17.0]));
    assert!(found.contains("need more than 16 bits"), "{found}");
    let found = reason("qonnx_quant.onnx", |g| floats(g, "act0_zero", &[1.0]));
    assert!(found.contains("node act0_node (Quant): has a zero point"), "{found}");
}

#[test]
fn metadata_that_contradict_the_graph() {
    let ops = vec![Op::Conv { co: 4, pool: true }, Op::Dense { co: 3 }];
    let input = Shape { c: 3, h: 6, w: 6 };
    let (w, a, power_of_two, per_channel, seed) = (4, 5, true, false, 9);
    let model = random::model(&Recipe { input, ops, w, a, power_of_two, per_channel, seed });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    export::onnx(&model, &path).unwrap();
    let reason = |from: &str, to: &str| {
        let mut file = ModelProto::decode(&std::fs::read(&path).unwrap()[..]).unwrap();
        let text = &mut file.metadata_props[0].value;
        assert!(text.contains(from), "{text}");
        *text = text.replacen(from, to, 1);
        match from_bytes(&file.encode_to_vec(), "m", &path, &Options::default()) {
            Err(reason) => reason,
            Ok(imported) => given(&imported.model, &imported.quantized.unwrap()).unwrap_err().to_string(),
        }
    };
    let by = model.layers[0].multiplier(0).unwrap();
    assert!(
        reason(&format!("\"s\":{}", by.s), "\"s\":3")
            .contains("layer conv1: channel 0 requantizes by 1 / 2^3")
    );
    assert!(reason("\"a\":-8,\"b\":7", "\"a\":-1,\"b\":1").contains("outside its levels -1 … 1"));
    assert!(reason("\"multipliers\"", "\"multiplier\"").contains("metadata vgg2rtl: missing field"));
    assert!(reason("\"name\":\"fc2\"", "\"name\":\"conv1\"").contains("two layers have the name"));
}
