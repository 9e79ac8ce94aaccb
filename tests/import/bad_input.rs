//! Damaged and unsuitable files are refused with a reason that names the culprit: never a panic, never an allocation
//! that the file does not justify.

use super::mutate::mutated;
use prost::Message;
use safetensors::tensor::{Dtype, TensorView};
use std::io::Write;
use std::path::Path;
use vgg2rtl::float::import::onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use vgg2rtl::float::import::{Options, from_bytes};
use vgg2rtl::net::Shape;

/// Mutations of each file of the corpus.
const MUTATIONS: u64 = 1500;

fn corpus(name: &str) -> Vec<u8> {
    std::fs::read(super::data().join(name)).unwrap()
}

/// Why `bytes` are refused.
fn reason(bytes: &[u8], options: &Options) -> String {
    from_bytes(bytes, "bad", Path::new("."), options).map(|m| m.model.layers.len()).unwrap_err()
}

fn refused(bytes: &[u8], want: &str) {
    let options = Options { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Options::default() };
    let found = reason(bytes, &options);
    assert!(found.contains(want), "{want}: {found}");
}

#[test]
fn mutated_files_never_panic() {
    let options = Options { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Options::default() };
    let files = [
        "vgg11_bn.pth",
        "vgg16.safetensors",
        "vgg13.onnx",
        "keras.onnx",
        "keras/sequential.h5",
        "keras/nested.keras",
        "keras/compressed.h5",
        "keras/alone.weights.h5",
        "arrays/weights.npz",
        "arrays/dict.npy",
        "arrays/version1.caffemodel",
        "arrays/version2.caffemodel",
        "zoo/legacy.pth",
        "zoo/parametrized.pth",
        "steps.safetensors",
        "quantized/ort_channels.onnx",
        "quantized/ort_operators.onnx",
        "quantized/brevitas_qcdq.onnx",
        "quantized/qonnx_quant.onnx",
    ];
    for name in files {
        // These say their input themselves.
        let options = if name.starts_with("quantized") { Options::default() } else { options.clone() };
        let bytes = corpus(name);
        let mut refused = 0;
        for seed in 0..MUTATIONS {
            let file = mutated(&bytes, seed);
            match from_bytes(&file, name, Path::new("."), &options) {
                Err(reason) => {
                    assert!(!reason.is_empty());
                    refused += 1;
                }
                Ok(imported) => {
                    drop(imported.model.validate());
                    drop(imported.quantized.map(|codes| vgg2rtl::quantize::given(&imported.model, &codes)));
                }
            }
        }
        assert!(refused > MUTATIONS / 20, "{name}: only {refused} of {MUTATIONS} refused");
    }
}

/// `vgg13.onnx` after `change`, which gets the graph.
fn onnx(change: impl FnOnce(&mut GraphProto)) -> Vec<u8> {
    let mut file = ModelProto::decode(&corpus("vgg13.onnx")[..]).unwrap();
    change(file.graph.as_mut().unwrap());
    file.encode_to_vec()
}

fn first<'a>(graph: &'a mut GraphProto, op: &str) -> &'a mut NodeProto {
    graph.node.iter_mut().find(|n| n.op_type == op).unwrap()
}

fn attribute<'a>(node: &'a mut NodeProto, name: &str) -> &'a mut AttributeProto {
    node.attribute.iter_mut().find(|a| a.name == name).unwrap()
}

/// The first ReLU as Clip from 0 to the new constant `name`.
fn clip(graph: &mut GraphProto, name: &str, most: f32) {
    let number = |name: &str, v: f32| TensorProto {
        name: name.into(),
        data_type: 1,
        raw_data: v.to_le_bytes().into(),
        ..Default::default()
    };
    graph.initializer.extend([number("0", 0.0), number(name, most)]);
    let relu = first(graph, "Relu");
    relu.op_type = "Clip".into();
    relu.input.extend(["0".into(), name.into()]);
}

/// Opset 9 to 13's batch norm in training, with running statistics as outputs, before the first ReLU.
fn batch_norm(graph: &mut GraphProto) {
    let relu = first(graph, "Relu");
    relu.op_type = "BatchNormalization".into();
    relu.output.extend(["mean".into(), "var".into(), "saved_mean".into(), "saved_var".into()]);
}

/// The zeros of a Pad are the next convolution's.
#[test]
fn pads_before_convolutions() {
    let pads = |sizes: Vec<i64>, mode: &str, own: i64| {
        onnx(|graph| {
            let name = graph.node[0].input[0].clone();
            *attribute(first(graph, "Conv"), "pads") = AttributeProto::ints("pads", &[own; 4]);
            first(graph, "Conv").input[0] = "padded".into();
            let attributes = vec![AttributeProto::ints("pads", &sizes), AttributeProto::text("mode", mode)];
            graph.node.insert(0, NodeProto::new("Pad", &[&name], "padded", attributes));
        })
    };
    let options = Options { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Options::default() };
    let layers = |bytes: &[u8]| from_bytes(bytes, "m", Path::new("."), &options).unwrap().model.layers;
    assert_eq!(layers(&pads(vec![0, 0, 1, 1, 0, 0, 1, 1], "constant", 0)), layers(&corpus("vgg13.onnx")));
    refused(
        &pads(vec![0, 0, 1, 1, 0, 0, 1, 1], "constant", 1),
        "only 3×3 convolutions with stride 1 and padding 1",
    );
    refused(
        &pads(vec![0, 0, 1, 1, 0, 0, 0, 1], "constant", 0),
        "only 3×3 convolutions with stride 1 and padding 1",
    );
    refused(&pads(vec![0, 0, -1, -1, 0, 0, -1, -1], "constant", 2), "node padded (Pad): its pads");
    refused(&pads(vec![0, 1, 1, 1, 0, 0, 1, 1], "constant", 0), "pads images or channels");
    refused(&pads(vec![0, 0, 1, 1, 0, 0, 1, 1], "reflect", 0), "only zeros");
    let relu = onnx(|graph| {
        let relu = graph.node.iter().position(|n| n.op_type == "Relu").unwrap();
        let name = std::mem::replace(&mut graph.node[relu].input[0], "padded".into());
        let attributes = vec![AttributeProto::ints("pads", &[0, 0, 1, 1, 0, 0, 1, 1])];
        graph.node.insert(relu, NodeProto::new("Pad", &[&name], "padded", attributes));
    });
    refused(&relu, "follows a Pad");
}

/// Half precision in `int32_data`, as onnx.helper.make_tensor writes it.
#[test]
fn half_precision_in_integers() {
    let options = Options { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Options::default() };
    let bias = |change: &dyn Fn(&mut TensorProto)| {
        let file = onnx(|graph| {
            let name = first(graph, "Conv").input[2].clone();
            change(graph.initializer.iter_mut().find(|t| t.name == name).unwrap());
        });
        from_bytes(&file, "m", Path::new("."), &options).map(|m| m.model.layers[0].bias.clone())
    };
    let halves = |count: usize| {
        move |t: &mut TensorProto| {
            t.data_type = 10;
            t.raw_data.clear();
            t.float_data.clear();
            t.int32_data = vec![0x3c00; count]; // 1.0
        }
    };
    let channels = bias(&|_| {}).unwrap().len();
    assert_eq!(bias(&halves(channels)).unwrap(), vec![1.0; channels]);
    assert!(bias(&halves(channels - 1)).unwrap_err().contains("elements where"));
}

/// Clip(0, ∞) and Max(x, 0) are a ReLU.
#[test]
fn other_spellings_of_a_relu() {
    let layers = |bytes: &[u8]| {
        let options = Options { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Options::default() };
        from_bytes(bytes, "relu", Path::new("."), &options).unwrap().model.layers
    };
    let plain = layers(&corpus("vgg13.onnx"));
    assert_eq!(layers(&onnx(|g| clip(g, "most", f32::INFINITY))), plain);
    let saturating = layers(&onnx(|g| clip(g, "most", 6.0)));
    assert_eq!(saturating[0].saturation, Some(6.0));
    assert_eq!(saturating[1..], plain[1..]);
    let max = onnx(|g| {
        clip(g, "most", f32::MAX);
        let relu = first(g, "Clip");
        relu.op_type = "Max".into();
        relu.input.truncate(2);
    });
    assert_eq!(layers(&max), plain);
    let cast = onnx(|g| {
        let relu = first(g, "Relu");
        let (before, name) = (relu.input[0].clone(), "cast".to_string());
        relu.input[0] = name.clone();
        let node = NodeProto {
            op_type: "Cast".into(),
            input: vec![before],
            output: vec![name],
            ..Default::default()
        };
        g.node.push(node);
    });
    assert_eq!(layers(&cast), plain);
}

/// A factor and an offset in front of the first convolution become part of the preprocessing.
#[test]
fn scaling_in_the_graph_is_preprocessing() {
    let scaled = onnx(|g| {
        clip(g, "most", f32::MAX);
        let value = |name: &str, v: f32| TensorProto {
            name: name.into(),
            data_type: 1,
            raw_data: v.to_le_bytes().into(),
            ..Default::default()
        };
        g.initializer.extend([value("by", 1.0 / 128.0), value("less", 0.5)]);
        let x = g.input[0].name.clone();
        let node = |op: &str, input: [&str; 2], output: &str| NodeProto {
            op_type: op.into(),
            input: input.map(String::from).into(),
            output: vec![output.into()],
            ..Default::default()
        };
        first(g, "Conv").input[0] = "ready".into();
        g.node.extend([node("Mul", [&x, "by"], "small"), node("Sub", ["small", "less"], "ready")]);
    });
    let options = Options { input: Some(Shape { c: 3, h: 32, w: 32 }), ..Options::default() };
    let p = from_bytes(&scaled, "scaled", Path::new("."), &options).unwrap().model.header.preprocessing;
    // (byte · 1 − 64) / 128 = byte / 128 − 0.5
    assert_eq!((p.scale, p.mean, p.std), (1.0, vec![64.0; 3], vec![128.0; 3]));
}

#[test]
fn files_that_are_something_else_are_named() {
    let tar = [&[b'a'; 257][..], b"ustar", &[0; 300]].concat();
    let table: [(&[u8], &str); 10] = [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer"),
        (b"\n<!DOCTYPE html><html>", "an HTML page"),
        (b"\x1f\x8b\x08\x00", "compressed with gzip"),
        (&tar, "a tar archive"),
        (&[b"pickle\0", &tar[7..]].concat(), "a tar of PyTorch before 0.1.10"),
        (b"Rar!\x1a\x07\x00", "a RAR archive"),
        (b"\x89HDF\r\n\x1a\n", "not a whole HDF5 file"),
        (b"\x1c\x00\x00\x00TFL3", "a TFLite file"),
        (b"\x80\x04N.", "a pickle, but not one of torch.save"),
        (&pth(&[("inner/model.pth", b"x")]), "a zip with inner/model.pth in it: `unzip` it first"),
    ];
    for (bytes, want) in table {
        refused(bytes, want);
    }
}

#[test]
fn onnx_graphs_that_are_no_vgg() {
    type Change = fn(&mut GraphProto);
    let table: [(Change, &str); 15] = [
        (
            |g| {
                let last = g.node.last().unwrap().output[0].clone();
                g.node[0].input[0] = last;
            },
            "the graph runs in a cycle through node",
        ),
        (|g| g.node[0].input[0] = "nobody".into(), "no node makes the value \"nobody\""),
        (|g| first(g, "Relu").op_type = "Tanh".into(), "(Tanh): only ReLU is supported between layers"),
        (|g| first(g, "Relu").op_type = "Sigmoid".into(), "(Sigmoid): only supported behind the logits"),
        (|g| first(g, "Relu").op_type = "Unknown".into(), "(Unknown): this operator is not supported"),
        (|g| clip(g, "0", 0.0), "(Clip): leaves nothing between 0 and 0"),
        (|g| batch_norm(g), "(BatchNormalization): is in training mode: export after model.eval()"),
        (
            |g| first(g, "Conv").domain = "com.microsoft".into(),
            "operators of com.microsoft are not supported",
        ),
        (
            |g| attribute(first(g, "Conv"), "strides").ints = vec![2, 2],
            "(Conv): only 3×3 convolutions with stride 1",
        ),
        (
            |g| attribute(first(g, "MaxPool"), "kernel_shape").ints = vec![3, 3],
            "(MaxPool): only 2×2 max pools with stride 2",
        ),
        (
            |g| {
                let relu = first(g, "Relu");
                (relu.op_type, relu.input) = ("Add".into(), vec![relu.input[0].clone(); 2]);
            },
            "(Add): joins two branches",
        ),
        (|g| g.output.push(g.output[0].clone()), "the graph has several outputs"),
        (|g| g.input.clear(), "the graph has no inputs"),
        (|g| g.node.clear(), "no node makes the value"),
        (|g| drop(first(g, "Gemm").input.drain(1..)), "(Gemm): has no weights"),
    ];
    for (change, want) in table {
        refused(&onnx(change), want);
    }
    refused(&[8, 8], "an ONNX file without a graph");
    let wide = Options { input: Some(Shape { c: 3, h: 64, w: 64 }), ..Options::default() };
    assert_eq!(reason(&corpus("vgg13.onnx"), &wide), "--input says 64 where the file says 32");
}

#[test]
fn onnx_weights_that_are_none() {
    /// Sets sizes, element type and bytes of the first convolution's weights.
    fn weights(dims: &[i64], data_type: i32, bytes: Vec<u8>) -> Vec<u8> {
        onnx(|g| {
            let name = first(g, "Conv").input[1].clone();
            let tensor = g.initializer.iter_mut().find(|t| t.name == name).unwrap();
            tensor.dims = dims.into();
            (tensor.data_type, tensor.raw_data) = (data_type, bytes);
        })
    }
    let count = 2 * 3 * 9;
    let sizes = [2, 3, 3, 3];
    refused(&weights(&sizes, 1, f32::NAN.to_le_bytes().repeat(count)), "holds NaN");
    refused(&weights(&sizes, 1, f32::INFINITY.to_le_bytes().repeat(count)), "holds inf");
    refused(&weights(&sizes, 7, vec![0; 8 * count]), "has element type 7, no float type");
    refused(&weights(&sizes, 1, vec![0; 4 * count - 4]), "has 53 elements where 54 are needed");
    refused(&weights(&[i64::MAX, i64::MAX, 3, 3], 1, vec![0; 4 * count]), "has sizes [9223372036854775807");
    refused(&weights(&[-2, 3, 3, 3], 1, vec![0; 4 * count]), "has sizes [-2, 3, 3, 3]");
    refused(&weights(&[1 << 40, 3, 3, 3], 1, vec![]), "has 0 elements where");
    refused(&weights(&[2, 1, 3, 9], 1, vec![0; 4 * count]), "must be [outputs, 3, 3, 3]");
    let outside = onnx(|g| {
        let name = first(g, "Conv").input[1].clone();
        let tensor = g.initializer.iter_mut().find(|t| t.name == name).unwrap();
        tensor.data_location = 1;
        let entry = |key: &str, value: &str| vgg2rtl::float::import::onnx::proto::StringStringEntryProto {
            key: key.into(),
            value: value.into(),
        };
        tensor.external_data = vec![entry("location", "../secret")];
    });
    refused(&outside, "external data in \"../secret\", which leaves the model's folder");
}

/// `vgg16.safetensors` with tensor `name` replaced.
fn safetensors(name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let bytes = corpus("vgg16.safetensors");
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file.tensors();
    let place = tensors.iter_mut().find(|(n, _)| n == name).unwrap();
    place.1 = TensorView::new(dtype, shape.into(), data).unwrap();
    safetensors::serialize(tensors, None).unwrap()
}

#[test]
fn state_dicts_that_are_no_vgg() {
    let bytes = corpus("vgg16.safetensors");
    let name = "features.0.bias";
    refused(
        &safetensors(name, Dtype::F32, &[2], &[0, 0, 0xc0, 0x7f, 0, 0, 0, 0]),
        "tensor features.0.bias holds NaN",
    );
    refused(
        &safetensors(name, Dtype::I32, &[2], &[0; 8]),
        "tensor features.0.bias is I32, must be a float type",
    );
    refused(&safetensors(name, Dtype::F32, &[3], &[0; 12]), "has shape [3], must be [2]");
    let steps = safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors();
    let step =
        ("features.0.quant.step_size".to_string(), TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap());
    let quantized = safetensors::serialize(steps.into_iter().chain([step]), None).unwrap();
    refused(&quantized, "the step 0 of features.0.quant is not a positive number");
    let headers = [u64::MAX, 1 << 62, 1 << 40, 100_000_000, 9];
    for size in headers {
        refused(&[&size.to_le_bytes()[..], b"{\"a\": 1}"].concat(), "not a safetensors file of weights");
    }
    let own =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("models/vgg16-small-fashion.safetensors"))
            .unwrap();
    refused(&own, "a model file of this program already");
    let tiny = Options { input: Some(Shape { c: 3, h: 8, w: 8 }), ..Options::default() };
    assert!(reason(&corpus("vgg16.safetensors"), &tiny).contains("the input is too small"));
    let grey = Options { input: Some(Shape { c: 1, h: 32, w: 32 }), ..Options::default() };
    let want = "--input has 1 channels, the first convolution reads 3";
    assert_eq!(reason(&corpus("vgg16.safetensors"), &grey), want);
}

/// A zip of stored entries, as `torch.save` makes it.
fn pth(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(vec![]));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in entries {
        zip.start_file(*name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A pickle is a program; this one would make a file if anything ran it.
#[test]
fn nothing_in_a_pickle_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("witness");
    let command = format!("touch {}", witness.display());
    let mut pickle = b"\x80\x02cos\nsystem\nX".to_vec();
    pickle.extend((command.len() as u32).to_le_bytes());
    pickle.extend(command.as_bytes());
    pickle.extend(b"\x85R.");
    refused(&pth(&[("a/data.pkl", &pickle)]), "holds no state dict");
    assert!(!witness.exists());
}

#[test]
fn zips_that_torch_did_not_write() {
    refused(&pth(&[("a/readme", b"hello")]), "a zip with a/readme: not made by torch.save");
    refused(&pth(&[("a/data.pkl", b"\x80\x02}")]), "data.pkl: the pickle is cut short");
    refused(&pth(&[("a/data.pkl", b"\x80\x02i.")]), "data.pkl: pickle opcode 0x69 at byte 2 cannot be read");
    refused(&pth(&[("a/data.pkl", b"\x80\x02}."), ("a/byteorder", b"big")]), "big-endian");
    refused(b"PK\x03\x04 and no more", "not a whole zip file");
    refused(b"\x80\x02}.", "a pickle, but not one of torch.save");
    refused(b"", "the file is empty");
    refused(b"GIF89a", "neither .safetensors, nor torch.save's .pth, nor ONNX");
}
