//! The commands that a sweep shows for a point make that point.

use super::{bright, json, points};
use serde_json::{Value, json as value};
use std::process::Command;
use tempfile::TempDir;

/// Runs a line in `folder`, by a shell; what it reports.
fn run(folder: &TempDir, line: &str) -> Value {
    let line = line.replacen("vgg2rtl", env!("CARGO_BIN_EXE_vgg2rtl"), 1);
    let output =
        Command::new("sh").args(["-c", &format!("{line} --json")]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{line}: {e}"))
}

/// The design that `generate` says it made, and the accuracy that `eval` measures, are those of the sweep. Training, which sees the
/// pictures in another order, has an accuracy of its own. 140 pictures: both sides calibrate with the same 128 of them.
#[test]
fn the_commands_of_a_point_make_it() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for (set, file, count) in [("train", "data_batch_1.bin", 140), ("te st", "test_batch.bin", 20)] {
        std::fs::create_dir(at(set)).unwrap();
        std::fs::write(folder.path().join(set).join(file), bright(count)).unwrap();
    }
    let (train, test, float) = (at("train"), at("te st"), at("it's mine.safetensors"));
    run(
        &folder,
        "vgg2rtl train --model vgg11 --width 1/64 --batch 20 --epochs 1 --data train -o \"it's mine.safetensors\"",
    );
    let base = [&*float, "--data", &test, "--calib", &train];
    let sweeps: &[&[&str]] = &[
        &["--weights", "4", "--acts", "4", "--array", "4x4", "--requantize", "scale,pow2"],
        &[
            "--weights",
            "4",
            "--acts",
            "12",
            "--array",
            "8x8",
            "--pack",
            "2",
            "--family",
            "xc7",
            "--bus",
            "64",
        ],
        &["--weights", "3", "--assign", "conv3_1=8:5", "--array", "4x8", "--multipliers", "lut"],
        &[
            "--weights",
            "2",
            "--acts",
            "4",
            "--array",
            "8x8",
            "--wide-builds",
            "--ends",
            "6",
            "--rounding",
            "nearest",
        ],
        &[
            "--weights",
            "3",
            "--acts",
            "3",
            "--array",
            "4x4",
            "--act-depth",
            "1024",
            "--qat",
            "1",
            "--train",
            &train,
        ],
    ];
    for sweep in sweeps {
        let report = json(&folder, &[&base[..], sweep].concat());
        for point in points(&report) {
            assert!(point["refused"].is_null(), "{sweep:?}: {point}");
            let [int, generate] = &point["commands"].as_array().unwrap()[..] else { panic!("{point}") };
            run(&folder, int.as_str().unwrap());
            let made = run(&folder, generate.as_str().unwrap());
            assert_eq!(made["config"], point["config"], "{sweep:?}: {generate}");
            if sweep.contains(&"--qat") {
                continue;
            }
            let file = int.as_str().unwrap().split(" -o ").nth(1).unwrap();
            let measured = run(&folder, &format!("vgg2rtl eval {file} --data 'te st'"));
            assert_eq!(measured["accuracy"], point["accuracy"], "{sweep:?}: {int}");
        }
    }
}

#[test]
fn what_is_not_there_has_a_name_to_fill_in() {
    let folder = TempDir::new().unwrap();
    let report = json(&folder, &["vgg16", "--weights", "4", "--array", "8x8,4x4"]);
    let commands: Vec<_> = points(&report).iter().map(|p| p["commands"].clone()).collect();
    let quantize =
        "vgg2rtl quantize vgg16.safetensors --weights 4 --acts 8 --calib DIR -o vgg16-w4a8.safetensors";
    let generate = "vgg2rtl generate vgg16-w4a8.safetensors --array 8x8 -o vgg16-w4a8-8x8";
    assert_eq!(commands[0], value!([quantize, generate]));
    assert_eq!(commands[1], value!([]), "4×4 is refused: {}", points(&report)[1]["refused"]);
    assert_eq!(report["knee"], 0);
}
