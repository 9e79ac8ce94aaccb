//! What `export` writes comes back bit by bit, and PyTorch computes it.

use super::quantized::read;
use ndarray::{Array2, Array4};
use safetensors::SafeTensors;
use std::path::Path;
use std::process::Command;
use vgg2rtl::export;
use vgg2rtl::float::FloatModel;
use vgg2rtl::float::import::options::Activation;
use vgg2rtl::float::import::{Options, from_bytes, import};
use vgg2rtl::int::random::{self, Recipe};
use vgg2rtl::int::{Golden, IntModel};
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::quantize::input_codes;

type Export = fn(&IntModel, &Path) -> vgg2rtl::Result<()>;

fn bytes(save: impl FnOnce(&Path) -> vgg2rtl::Result<()>) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    save(file.path()).unwrap();
    std::fs::read(file.path()).unwrap()
}

fn network(w: u32, a: u32, power_of_two: bool, per_channel: bool) -> IntModel {
    let conv = |co, pool| Op::Conv { co, pool };
    let ops = vec![conv(8, true), conv(6, false), Op::Dense { co: 10 }, Op::Dense { co: 5 }];
    let input = Shape { c: 3, h: 11, w: 8 };
    let mut model = random::model(&Recipe { input, ops, w, a, power_of_two, per_channel, seed: 7 });
    model.header.classes = (0..5).map(|c| format!("class {c}")).collect();
    model.header.preprocessing.std[0] = 0.3;
    model
}

#[test]
fn integer_networks_come_back_from_pytorch_s_format_and_qonnx() {
    let folder = tempfile::tempdir().unwrap();
    let formats: [(&str, Export); 2] = [("m.pth", export::torch::int), ("m.onnx", export::qonnx)];
    for (w, a) in [(2, 2), (3, 8), (8, 8), (9, 3), (16, 16)] {
        for (power_of_two, per_channel) in [(true, false), (true, true), (false, true)] {
            let mut model = network(w, a, power_of_two, per_channel);
            if w == 3 {
                model.layers[0].weight_levels = vgg2rtl::arith::Levels { a: -4, b: 7 };
                model.input.levels = vgg2rtl::arith::Levels { a: -5, b: 9 };
            }
            if w == 16 {
                model.layers[0].bias[0] = 1 << 35;
            }
            for (name, export) in formats {
                let path = folder.path().join(name);
                export(&model, &path).unwrap();
                let back = read(&path, false).unwrap_or_else(|e| panic!("{name} W{w}A{a}: {e}"));
                assert_eq!(back, model);
                assert_eq!(bytes(|p| back.save(p)), bytes(|p| model.save(p)));
            }
        }
    }
    // Convolutions alone, as no state dict of somebody else may be.
    let (ops, input) =
        (vec![Op::Conv { co: 4, pool: false }, Op::Conv { co: 3, pool: false }], Shape { c: 1, h: 1, w: 1 });
    let model =
        random::model(&Recipe { input, ops, w: 4, a: 4, power_of_two: true, per_channel: false, seed: 1 });
    let path = folder.path().join("m.pth");
    export::torch::int(&model, &path).unwrap();
    assert_eq!(read(&path, false).unwrap(), model);
}

#[test]
fn float_networks_come_back_with_their_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.pth");
    let options =
        Options { input: Some(Shape { c: 3, h: 32, w: 32 }), classes: vec![], ..Options::default() };
    for name in ["keras.onnx", "keras/sequential.h5", "zoo/seed.pth", "vgg11_bn.pth"] {
        let options = if name.contains("keras") { Options::default() } else { options.clone() };
        let options = if name == "zoo/seed.pth" {
            Options { input: Some(Shape { c: 3, h: 16, w: 16 }), ..options }
        } else {
            options
        };
        let options =
            Options { activation: (name == "vgg11_bn.pth").then_some(Activation::Relu6), ..options };
        let mut model = import(&super::data().join(name), &options).unwrap().model;
        assert_eq!(model.layers[0].saturation, (name == "vgg11_bn.pth").then_some(6.0));
        model.layers[0].name = "first".into();
        model.header.preprocessing.std[0] = 0.25;
        export::torch::float(&model, &path).unwrap();
        let back = import(&path, &Options::default()).unwrap().model;
        assert_eq!(back, model, "{name}");
        let bytes_of = |model: &FloatModel| bytes(|p| model.save(p));
        assert_eq!(bytes_of(&back), bytes_of(&model));
    }
}

#[test]
fn descriptions_that_are_not_the_tensors_are_refused() {
    let model = network(4, 4, true, false);
    let good = bytes(|p| export::torch::int(&model, p));
    let reason = |bytes: &[u8]| from_bytes(bytes, "m", Path::new("."), &Options::default()).unwrap_err();
    let replaced = |from: &[u8], to: &[u8]| {
        // Zip entries hold a checksum: the pickle is found by its bytes and the checksum is not looked at where they are stored.
        let at = good.windows(from.len()).position(|w| w == from).unwrap();
        let mut bad = good.clone();
        bad[at..at + to.len()].copy_from_slice(to);
        bad
    };
    assert!(reason(&replaced(b"features.0.bias", b"features.0.bios")).contains("data.pkl"));
    let options = Options { key: Some("state_dict".into()), ..Options::default() };
    let found = from_bytes(&good, "m", Path::new("."), &options).unwrap_err();
    assert!(found.contains("--key is for files of weights alone"), "{found}");
}

/// `docs/vgg2rtl_torch.py` computes the golden model's integers, and the float network's logits.
#[test]
fn pytorch_computes_what_is_exported() {
    let python = std::env::var("VGG2RTL_PYTHON").unwrap_or("python3".into());
    let found = Command::new(&python).args(["-c", "import torch, safetensors"]).output();
    if !found.is_ok_and(|o| o.status.success()) {
        println!("skipped: {python} lacks torch or safetensors");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let script = "import sys, torch\nfrom safetensors.torch import save_file\nfrom vgg2rtl_torch import load\n\
                  torch.manual_seed(0)\nx = torch.randn(16, *map(int, sys.argv[3:]))\nnet = load(sys.argv[1])\n\
                  with torch.no_grad():\n    save_file({'x': x, 'y': net(x).contiguous()}, sys.argv[2])\n";
    let run = |model: &Path, shape: Shape| {
        let out = folder.path().join("out.safetensors");
        let sizes = [shape.c, shape.h, shape.w].map(|s| s.to_string());
        let mut command = Command::new(&python);
        command.env("PYTHONPATH", &docs).env("PYTHONDONTWRITEBYTECODE", "1");
        let made = command.args(["-c", script]).args([model, &out]).args(sizes).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::read(out).unwrap()
    };
    let path = folder.path().join("m.pth");
    for (w, a, power_of_two, per_channel) in
        [(8, 8, false, true), (4, 4, true, false), (16, 16, false, false)]
    {
        let model = network(w, a, power_of_two, per_channel);
        export::torch::int(&model, &path).unwrap();
        let saved = run(&path, model.header.input);
        let file = SafeTensors::deserialize(&saved).unwrap();
        let golden = Golden::new(&model).unwrap().logits(input_codes(&model, &images(&file)).view()).unwrap();
        let y = file.tensor("y").unwrap();
        let y: Vec<i64> = y.data().as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
        assert_eq!(golden, Array2::from_shape_vec(golden.dim(), y).unwrap(), "W{w}A{a}");
    }
    let options = Options { input: Some(Shape { c: 3, h: 16, w: 16 }), ..Options::default() };
    let mut model = import(&super::data().join("zoo/seed.pth"), &options).unwrap().model;
    model.layers[1].saturation = Some(0.125);
    export::torch::float(&model, &path).unwrap();
    let saved = run(&path, model.header.input);
    let file = SafeTensors::deserialize(&saved).unwrap();
    let y = file.tensor("y").unwrap();
    let y: Vec<f32> = y.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let logits = model.forward(&images(&file)).unwrap();
    let largest = y.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(logits.iter().zip(&y).all(|(a, b)| (a - b).abs() <= super::TOLERANCE * largest));
}

fn images(file: &SafeTensors) -> Array4<f32> {
    let x = file.tensor("x").unwrap();
    let shape: [usize; 4] = x.shape().try_into().unwrap();
    let values = x.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    Array4::from_shape_vec(shape, values).unwrap()
}
