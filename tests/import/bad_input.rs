//! Damaged and unsuitable files are refused with a reason that names the culprit: never a panic, never an allocation
//! that the file does not justify.

use super::mutate::mutated;
use prost::Message;
use safetensors::tensor::{Dtype, TensorView};
use std::io::Write;
use std::path::Path;
use vgg2rtl::float::import::onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto};
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
    for name in ["vgg11_bn.pth", "vgg16.safetensors", "vgg13.onnx", "keras.onnx"] {
        let bytes = corpus(name);
        let mut refused = 0;
        for seed in 0..MUTATIONS {
            let file = mutated(&bytes, seed);
            match from_bytes(&file, name, Path::new("."), &options) {
                Err(reason) => {
                    assert!(!reason.is_empty());
                    refused += 1;
                }
                Ok(imported) => drop(imported.model.validate()),
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

#[test]
fn onnx_graphs_that_are_no_vgg() {
    type Change = fn(&mut GraphProto);
    let table: [(Change, &str); 11] = [
        (
            |g| {
                let last = g.node.last().unwrap().output[0].clone();
                g.node[0].input[0] = last;
            },
            "the graph runs in a cycle through node",
        ),
        (|g| g.node[0].input[0] = "nobody".into(), "no node makes the value \"nobody\""),
        (|g| first(g, "Relu").op_type = "Sigmoid".into(), "(Sigmoid): this operator is not supported"),
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
    let headers = [u64::MAX, 1 << 62, 1 << 40, 100_000_000, 9];
    for size in headers {
        refused(&[&size.to_le_bytes()[..], b"{\"a\": 1}"].concat(), "not a safetensors file");
    }
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
