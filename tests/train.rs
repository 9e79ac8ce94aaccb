//! `vgg2rtl train` from outside: float, a new head, one width after the other, and what it refuses.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// Images of CIFAR-10's binary format whose class is their brightness, with a grain.
fn data(images: usize) -> Vec<u8> {
    let mut bytes = vec![];
    for i in 0..images {
        let class = (i % 10) as u8;
        bytes.push(class);
        bytes.extend((0..3072).map(|k| class * 20 + ((i * 31 + k * 17) % 23) as u8));
    }
    bytes
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data_batch_1.bin"), data(60)).unwrap();
    std::fs::write(folder.path().join("test_batch.bin"), data(20)).unwrap();
    folder
}

/// The verb and options of `line`, in which `$` is `folder`.
fn vgg2rtl(folder: &Path, line: &str) -> Output {
    let line = line.replace('$', folder.to_str().unwrap());
    Command::new(env!("CARGO_BIN_EXE_vgg2rtl")).args(line.split(' ')).output().unwrap()
}

fn json(folder: &TempDir, line: &str) -> Value {
    let output = vgg2rtl(folder.path(), &format!("{line} --json"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(folder: &TempDir, line: &str) -> String {
    let output = vgg2rtl(folder.path(), line);
    assert!(!output.status.success(), "{line} should fail");
    String::from_utf8(output.stderr).unwrap()
}

const FLOAT: &str = "train --model vgg11 --width 1/16 --data $ --epochs 2 --batch 20 -o $/float.safetensors";

#[test]
fn float_then_one_width_after_the_other() {
    let folder = folder();
    json(&folder, FLOAT);
    let widths =
        "train $/float.safetensors --qat lsq --weights 8,4 --acts 8 --epochs 1,2 --batch 20 --data $";
    let report = json(&folder, &format!("{widths} -o $/int.safetensors"));
    let stages: Vec<_> =
        report["stages"].as_array().unwrap().iter().map(|s| (&s["stage"], &s["epochs"])).collect();
    assert_eq!(stages, [(&"W8A8".into(), &1.into()), (&"W4A8".into(), &2.into())]);
    for name in ["int-w8a8.safetensors", "int.safetensors", "int.csv", "int.svg"] {
        assert!(folder.path().join(name).is_file(), "{name}");
    }
    let eval = |engine: &str| json(&folder, &format!("eval $/int.safetensors --data $ --engine {engine}"));
    let (fake, golden) = (eval("fake"), eval("golden"));
    assert_eq!(fake["confusion"].as_array().map(Vec::len), Some(10));
    assert_eq!(fake["confusion"], golden["confusion"]);
    let error = refusal(&folder, &widths.replace("1,2", "1,2,3").replace("--data", "-o $/x --data"));
    assert!(error.contains("--epochs") && error.contains("3 numbers for 2"), "{error}");
}

#[test]
fn a_trained_trunk_gets_a_new_head() {
    let folder = folder();
    json(&folder, FLOAT);
    let report = json(
        &folder,
        "train $/float.safetensors --new-head --hidden 12,8 --data $ --epochs 1 --batch 20 -o $/head.safetensors",
    );
    assert_eq!(report["stages"][0]["stage"], "float");
    let layers = json(&folder, "inspect $/head.safetensors");
    let names: Vec<_> =
        layers["layers"].as_array().unwrap().iter().map(|l| l["layer"].as_str().unwrap()).collect();
    assert_eq!(names[8..], ["fc6", "fc7", "fc8"]);
    let small = concat!(env!("CARGO_MANIFEST_DIR"), "/models/vgg16-small-fashion.safetensors");
    let error = refusal(&folder, &format!("train {small} --new-head --data $ -o $/x"));
    assert!(error.contains("--new-head") && error.contains("3 channels"), "{error}");
    assert!(refusal(&folder, "train --new-head --data $ -o $/x").contains("<FLOAT>"));
}
