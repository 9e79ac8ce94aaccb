//! `vgg2rtl explore` from outside: reports, choices, bad input, the page in a browser, Slurm, Snakemake.
//!
//! Tests of tools that are missing say so and pass, except where the environment variable CI is set.

mod browser;
mod commands;
mod devtools;
#[path = "../common/tools.rs"]
mod programs;
mod slurm;

use programs::present;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;
use tempfile::TempDir;

fn models(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name).display().to_string()
}

fn small() -> String {
    models("vgg16-small-fashion.safetensors")
}

fn images() -> String {
    models("fashion-test-256-images-idx3-ubyte.gz")
}

/// `explore` with a cache of its own in `folder`.
fn explore(folder: &TempDir, arguments: &[&str]) -> Output {
    let cache = folder.path().join("cache");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
    command.arg("explore").args(arguments).arg("--cache").arg(cache);
    command.output().unwrap()
}

fn json(folder: &TempDir, arguments: &[&str]) -> Value {
    let output = explore(folder, &[arguments, &["--json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(folder: &TempDir, arguments: &[&str]) -> String {
    let output = explore(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn points(report: &Value) -> &Vec<Value> {
    report["points"].as_array().unwrap()
}

#[test]
fn a_thousand_points_of_the_whole_vgg16_take_seconds() {
    let folder = TempDir::new().unwrap();
    let start = Instant::now();
    let lists =
        ["--weights", "2..16", "--acts", "2..15", "--array", "8x8,16x16,32x32", "--family", "ecp5,xc7"];
    let report = json(&folder, &[&["vgg16"], &lists[..]].concat());
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    assert_eq!(points(&report).len(), 15 * 14 * 3 * 2);
    let point =
        points(&report).iter().find(|p| p["rows"] == 16 && p["weights"] == 8 && p["acts"] == 8).unwrap();
    let shares = point["network"]["layer_utilization"].as_array().unwrap();
    assert!(shares[1..13].iter().all(|s| s.as_f64().unwrap() > 0.97), "{point}"); // all convolutions but the first
    let layers = report["layers"].as_array().unwrap();
    assert_eq!((layers[0]["layer"].as_str(), layers[15]["layer"].as_str()), (Some("conv1_1"), Some("fc8")));
    let macs: u64 = layers.iter().map(|l| l["macs"].as_u64().unwrap()).sum();
    assert_eq!(macs, 15_346_630_656 + 123_633_664);
}

#[test]
fn accuracy_is_measured_and_every_key_is_documented() {
    let folder = TempDir::new().unwrap();
    let (small, images) = (small(), images());
    let base = [&small, "--data", &images, "--weights", "4,8", "--acts", "8", "--array", "4x4,8x8"];
    let report = json(&folder, &base);
    assert_eq!((points(&report).len(), report["images"].as_u64()), (4, Some(192)));
    assert!(report["float_accuracy"].as_f64().unwrap() > 0.93);
    let docs =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reports.md")).unwrap();
    let page = docs.split("## `vgg2rtl explore`").nth(1).unwrap();
    let documented = |keys: &Value| {
        for key in keys.as_object().unwrap().keys() {
            assert!(page.contains(&format!("`{key}`")), "{key} is not in docs/reports.md");
        }
    };
    documented(&report);
    documented(&report["layers"][0]);
    for point in points(&report) {
        documented(point);
        documented(&point["network"]);
        documented(&point["resources"]);
        assert!(point["accuracy"].as_f64().unwrap() > 0.9, "{point}");
        assert!(point["config"]["acc_bits"].as_u64().unwrap() < 30, "proven, not by type: {point}");
    }
    let front: Vec<usize> = serde_json::from_value(report["front"].clone()).unwrap();
    assert!(!front.is_empty() && front.iter().all(|&i| points(&report)[i]["pareto"] == true));
    // The same again, from the cache; then with every entry of it broken.
    assert_eq!(json(&folder, &base)["points"], report["points"]);
    for entry in std::fs::read_dir(folder.path().join("cache")).unwrap() {
        std::fs::write(entry.unwrap().path(), "{\"labelled\": 1").unwrap();
    }
    assert_eq!(json(&folder, &base)["points"], report["points"]);
}

/// At the weight size of uniform W4, layers of different widths are right more often.
#[test]
fn mixed_precision_beats_uniform_w4() {
    let folder = TempDir::new().unwrap();
    let (small, images) = (small(), images());
    let arguments = [&small, "--data", &images, "--weights", "4", "--acts", "8", "--ends", "2", "--mixed"];
    let report = json(&folder, &[&arguments[..], &["--rounding", "nearest"]].concat());
    let [uniform, mixed] = &points(&report)[..] else { panic!("{report}") };
    let size = |p: &Value| p["weight_bits_total"].as_u64().unwrap();
    assert!(uniform["assignment"].is_null() && size(mixed) <= size(uniform), "{report}");
    let correct = |p: &Value| p["correct"].as_u64().unwrap();
    assert!(correct(mixed) > correct(uniform), "{} {}", correct(mixed), correct(uniform));
}

/// Images of CIFAR-10's binary format whose class is their brightness, with a grain.
fn bright(count: usize) -> Vec<u8> {
    let image = |i: usize| {
        let class = (i % 10) as u8;
        let pixels = (0..3072).map(move |k| class * 20 + ((i * 31 + k * 17) % 23) as u8);
        std::iter::once(class).chain(pixels)
    };
    (0..count).flat_map(image).collect()
}

/// Assignments are fine-tuned too, those of a search where nothing is as small and nearer to the float network.
#[test]
fn assignments_are_fine_tuned() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    for (set, file, count) in [("train", "data_batch_1.bin", 70), ("test", "test_batch.bin", 20)] {
        std::fs::create_dir(at(set)).unwrap();
        std::fs::write(Path::new(&at(set)).join(file), bright(count)).unwrap();
    }
    let (data, train, float, bits) = (at("test"), at("train"), at("float.safetensors"), at("bits"));
    let line = [
        "train", "--model", "vgg11", "--width", "1/64", "--batch", "20", "--epochs", "1", "--data", &train,
        "-o", &float,
    ];
    let trained = Command::new(env!("CARGO_BIN_EXE_vgg2rtl")).args(line).output().unwrap();
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    std::fs::write(&bits, "conv1_1=3\nconv5_2=6:5 # more than A\n").unwrap();
    let widths = ["--weights", "3", "--acts", "4", "--ends", "2", "--rounding", "nearest"];
    let tuned = ["--mixed", "--mixed-most", "4", "--assign", &bits, "--qat", "1", "--train", &train];
    let line = [&[&float, "--data", &data, "--calib", &train][..], &widths, &tuned].concat();
    let report = json(&folder, &line);
    let of = |name: Option<&str>| points(&report).iter().find(|p| p["assignment"].as_str() == name).unwrap();
    assert_eq!((&of(Some(&bits))["layer_bits"][0], of(None)["layer_bits"][0].as_u64()), (&3.into(), Some(3)));
    assert!(points(&report).iter().all(|p| p["failed"].is_null() && p["accuracy"].is_f64()), "{report}");
    // The search's assignment is a point, or a note says why not; where it is one, its text is an option.
    let notes = report["notes"].to_string();
    match points(&report).iter().any(|p| p["assignment"] == "mixed as small as W3") {
        true => assert!(text(&folder, &line).contains("mixed as small as W3: --assign conv1_1=")),
        false => {
            assert!(notes.contains("mixed as small as W3 with A4: another coding is as small"), "{notes}")
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let folder = TempDir::new().unwrap();
    let fits = text(&folder, &["vgg16", "--weights", "2..8", "--array", "8x8,16x16", "--fit", "ecp5-85k"]);
    assert!(fits.contains("7 fit"), "a 16×16 array has more multipliers than the part: {fits}");
    let nothing = text(&folder, &["vgg16", "--array", "16x16,32x32", "--fit", "ecp5-25k"]);
    assert!(nothing.contains("nothing fits; the nearest points lack:\n  W8A8 16×16: "), "{nothing}");
    let budget = text(&folder, &["vgg16", "--array", "8x8", "--budget", "dsp=3"]);
    assert!(budget.contains("of 3"), "{budget}");
    let small_buffers = text(&folder, &["vgg16", "--array", "4x4,8x8"]);
    assert!(small_buffers.contains("refused, 1 points: layer conv1_1: its smallest stripe needs acc_depth"));
}

/// With ends of 8 bits, builds have the widths that are swept: fewer bits of memory and traffic and a smaller design than
/// with `--wide-builds`, and the same accuracy.
#[test]
fn ends_of_8_bits_on_narrow_builds() {
    let folder = TempDir::new().unwrap();
    let (small, images) = (small(), images());
    let base = [
        &small,
        "--data",
        &images,
        "--weights",
        "2,4",
        "--acts",
        "4",
        "--array",
        "8x8",
        "--rounding",
        "nearest",
    ];
    let (wide, narrow) = (json(&folder, &[&base[..], &["--wide-builds"]].concat()), json(&folder, &base));
    for (wide, narrow) in points(&wide).iter().zip(points(&narrow)) {
        assert!(narrow["refused"].is_null(), "{narrow}");
        let bits = |p: &Value| {
            (p["config"]["weight_bits"].as_u64().unwrap(), p["config"]["act_bits"].as_u64().unwrap())
        };
        assert_eq!((bits(wide), bits(narrow)), ((8, 8), (narrow["weights"].as_u64().unwrap(), 4)));
        assert_eq!(wide["correct"], narrow["correct"], "the same network");
        let less =
            |key: &str| narrow["network"][key].as_f64().unwrap() / wide["network"][key].as_f64().unwrap();
        assert!(less("weight_bytes") < 0.6 && less("act_bytes") < 0.75, "{narrow}");
        assert!(narrow["memory_bits"].as_u64() < wide["memory_bits"].as_u64());
        let lut = |p: &Value| p["resources"]["lut"].as_u64().unwrap();
        assert!(lut(narrow) > 5000 && lut(narrow) < lut(wide), "{narrow} {wide}");
    }
    let (wide, narrow) = (wide["notes"].to_string(), narrow["notes"].to_string());
    assert!(narrow.contains("they run by digits") && wide.contains("--wide-builds"), "{narrow} {wide}");
}

/// The cheapest design for a rate is no faster than it needs to be, and the page says where it stands.
#[test]
fn the_cheapest_design_for_a_rate() {
    let folder = TempDir::new().unwrap();
    let base = ["vgg16", "--weights", "4,8", "--array", "8x8,16x16", "--fit", "ecp5-85k"];
    let cheapest = |fps: &str| {
        let report = json(&folder, &[&base[..], &["--target-fps", fps]].concat());
        report["cheapest"].as_u64().map(|place| points(&report)[place as usize].clone())
    };
    let slow = cheapest("0.1").unwrap();
    assert_eq!((slow["rows"].as_u64(), slow["weights"].as_u64()), (Some(8), Some(4)), "{slow}");
    assert!(slow["images_per_s"].as_f64().unwrap() >= 0.1 && slow["fits"] == true);
    assert_eq!(cheapest("1e4"), None);
    let said = text(&folder, &[&base[..], &["--target-fps", "1e4"]].concat());
    assert!(said.contains("no point of 10000 images/s; the fastest, point "), "{said}");
    let said = text(&folder, &[&base[..], &["--target-fps", "0.1"]].concat());
    assert!(said.contains("cheapest of 0.1 images/s: point ") && said.contains(" W4A8 8×8: "), "{said}");
}

#[test]
fn bad_input_is_refused_before_the_work() {
    let folder = TempDir::new().unwrap();
    let (small, images) = (small(), images());
    let cases: &[(&[&str], i32, &str)] = &[
        (&["vgg16", "--family", "spartan"], 2, "known: ecp5, ice40, xc7, xcup, gowin"),
        (&["vgg16", "--fit", "ecp5-1k"], 2, "known: ecp5-25k"),
        (&["vgg16", "--fit", "ecp5-25k", "--family", "xc7"], 2, "is of family ecp5"),
        (&["vgg16", "--pareto", "beauty"], 2, "known: lut"),
        (&["vgg16", "--budget", "lut=many"], 2, "--budget"),
        (&["vgg16", "--tolerance", "101"], 2, "--tolerance"),
        (&["vgg16", "--target-fps", "0"], 2, "--target-fps"),
        (&["vgg16", "--weights", "1..4"], 2, "--weights: 1 bits where 2 … 16"),
        (&["vgg16", "--weights", "8..2"], 2, "no range"),
        (&["vgg16", "--weights", "2..99999999999"], 2, "no range"),
        (&["vgg16", "--acts", "17"], 2, "--acts"),
        (&["vgg16", "--bus", "96"], 2, "--bus: 96"),
        (&["vgg16", "--array", "18446744073709551615x8"], 2, "--array"),
        (&["vgg16", "--array", "2x8"], 2, "--array"),
        (&["vgg16", "--latency", "18446744073709551615"], 2, "--latency"),
        (&["vgg16", "--clock", "0"], 2, "--clock"),
        (&["vgg16", "--clock", "nan"], 2, "--clock"),
        (&["vgg16", "--batch", "0"], 2, "--batch"),
        (&["vgg16", "--stall-percent", "99"], 2, "--stall-percent"),
        (&["vgg16", "--bandwidth=-1"], 2, "--bandwidth"),
        (&["vgg16", "--assign", "conv9_9=4"], 2, "no layer \"conv9_9\""),
        (&["vgg16", "--assign", "conv1_1"], 2, "NAME=W"),
        (&["vgg16", "--mixed"], 2, "--data"),
        (&["vgg16", "--data", &images], 2, "no weights"),
        (&[&small, "--data", &images, "--images", "0"], 2, "--images"),
        (&[&small, "--data", "/nowhere"], 5, "/nowhere"),
        (&[&images], 5, "safetensors"),
        (&["vgg17"], 5, "vgg17"),
        (&["vgg16", "--report", "/nowhere/page.html"], 5, "the folder /nowhere is not there"),
        (
            &[
                "vgg16",
                "--weights",
                "2..16",
                "--acts",
                "2..16",
                "--array",
                "8x8,9x9,10x10,11x11,12x12,13x13,14x14,15x15",
                "--bus",
                "64,128,256,512",
                "--family",
                "ecp5,xc7,xcup",
                "--report",
                "page.html",
            ],
            2,
            "--report",
        ),
    ];
    for (arguments, code, says) in cases {
        let output = explore(&folder, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(says), "{arguments:?}: {error}");
        assert_eq!(output.status.code(), Some(*code), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty() && !error.contains("panicked"), "{arguments:?}: {error}");
    }
}

#[test]
fn without_tools_the_model_answers_and_the_report_says_so() {
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
    command.args([
        "explore",
        "vgg16",
        "--weights",
        "4,8",
        "--synth",
        "--place",
        "--json",
        "--allow-missing",
        "--cache",
    ]);
    let output = command.arg(folder.path().join("cache")).env("PATH", "").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let notes = report["notes"].to_string();
    assert!(notes.contains("yosys is not installed") && notes.contains("fmax_mhz"), "{notes}");
    assert!(
        points(&report).iter().all(|p| p["source"] == "model" && p["resources"]["lut"].as_u64() > Some(0))
    );
    for (engine, program) in [("slurm", "sbatch"), ("snakemake", "snakemake")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
        command.args(["explore", "vgg16", "--engine", engine, "--shared"]).arg(folder.path().join("shared"));
        let output = command.env("PATH", "").output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        let said = error.contains(&format!("{program} is not installed"));
        assert!(output.status.code() == Some(3) && said, "{error}");
    }
}

#[test]
fn snakemake_finds_what_this_machine_does() {
    if !present(&["snakemake"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let sweep = ["vgg16", "--weights", "2..6", "--acts", "8", "--array", "4x4,8x8"];
    let here = json(&folder, &sweep);
    let shared = folder.path().join("shared {folder}");
    let engine = ["--engine", "snakemake", "--array-jobs", "3", "--snakemake=--quiet", "--shared"];
    let there = json(&folder, &[&sweep[..], &engine, &[shared.to_str().unwrap()]].concat());
    assert_eq!(points(&there), points(&here));
    assert!((0..3).all(|job| shared.join(format!("slice-{job}.json")).is_file()));
    assert!(shared.join("Snakefile").is_file());
}

#[test]
fn files_hold_every_point() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (csv, plots) = (at("points.csv"), at("plots"));
    let arguments =
        ["vgg16", "--weights", "2..8", "--acts", "4,8", "--array", "16x16", "--family", "ecp5,xc7"];
    text(&folder, &[&arguments[..], &["--csv", &csv, "--plots", &plots]].concat());
    let csv = std::fs::read_to_string(csv).unwrap();
    assert_eq!(csv.lines().count(), 1 + 28);
    let cells = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().all(|l| l.split(',').count() == cells));
    for (name, least) in [("front", 28), ("layers", 16), ("widths", 14)] {
        let path = Path::new(&plots).join(name);
        let svg = std::fs::read_to_string(path.with_extension("svg")).unwrap();
        let shapes = svg.matches("<circle").count() + svg.matches("<rect").count();
        assert!(svg.starts_with("<svg") && shapes >= least, "{name}: {shapes}");
        let says = match name {
            "front" => ["look-up tables (ecp5 LUT4, xc7 LUT6)", "images a second at 100 MHz"],
            // The fastest: ends of 8 bits take two digits of weights, and no more planes than the other layers.
            "layers" => ["cycles an image", "W4A8 on 16×16, ecp5"],
            _ => ["weight bits W", "look-up tables (ecp5 LUT4, xc7 LUT6)"],
        };
        assert!(says.iter().all(|text| svg.contains(text)), "{name}: {svg}");
        let png = image::open(path.with_extension("png")).unwrap().into_luma8();
        let dark = png.pixels().filter(|p| p.0[0] < 100).count(); // axes and letters
        assert!(png.width() >= 1440 && png.height() == 960 && dark > 2000, "{name}: {dark} dark pixels");
    }
}
