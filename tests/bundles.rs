//! Bundles: each bench ends in its verdict, a short run stands in for a long one and is a check, two accelerators live in one
//! design. `VGG2RTL_COCOTB=1` runs the bench for cocotb, too, in a python (`VGG2RTL_PYTHON`) that has cocotb and cocotbext-axi.

#[path = "common/tools.rs"]
mod programs;

use programs::present;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use vgg2rtl::int::{IntModel, random};
use vgg2rtl::net::{Op, Shape};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn model(input: Shape, ops: Vec<Op>) -> IntModel {
    let (power_of_two, per_channel) = (false, true);
    random::model(&random::Recipe { input, ops, w: 8, a: 8, power_of_two, per_channel, seed: 3 })
}

/// No bench takes long.
fn quick() -> IntModel {
    let ops = vec![Op::Conv { co: 4, pool: true }, Op::Dense { co: 6 }, Op::Dense { co: 3 }];
    model(Shape { c: 3, h: 4, w: 4 }, ops)
}

/// Long enough for a short run.
fn long() -> IntModel {
    let conv = |co, pool| Op::Conv { co, pool };
    let ops = vec![
        conv(5, false),
        conv(9, true),
        conv(8, false),
        conv(6, true),
        Op::Dense { co: 20 },
        Op::Dense { co: 7 },
    ];
    model(Shape { c: 3, h: 16, w: 16 }, ops)
}

fn generate(model: &IntModel, to: &Path, more: &[&str]) -> Output {
    let file = to.with_extension("safetensors");
    model.save(&file).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
    command.arg("generate").arg(&file).args(["--preset", "tiny", "-o"]).arg(to).args(more).output().unwrap()
}

fn generated(model: &IntModel, to: &Path, more: &[&str]) -> PathBuf {
    let output = generate(model, to, more);
    assert!(output.status.success(), "{}", said(&output));
    to.into()
}

fn make(bundle: &Path, arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new("make").args(arguments).current_dir(bundle).stderr(Stdio::null()).output().unwrap();
    (output.status.success(), said(&output))
}

/// The last line of `text`, which alone is a verdict.
fn verdict(text: &str) -> &str {
    let verdicts = text.lines().filter(|l| l.starts_with("PASS") || l.starts_with("FAIL")).count();
    assert_eq!(verdicts, 1, "{text}");
    text.lines().last().unwrap()
}

/// Words, cycles and layers of a PASS.
fn passed(text: &str) -> (usize, usize, Option<Vec<String>>) {
    let mut words = verdict(text).split(' ');
    assert_eq!(words.next(), Some("PASS"), "{text}");
    let mut value = |name: &str| words.next().map(|word| word.strip_prefix(name).unwrap().to_string());
    let number = |text: Option<String>| text.unwrap().parse().unwrap();
    let (count, cycles) = (number(value("words=")), number(value("cycles=")));
    (count, cycles, value("layers=").map(|names| names.split(',').map(String::from).collect()))
}

fn design(bundle: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(bundle.join("design.json")).unwrap()).unwrap()
}

/// Numbers in the golden trace but for the input, by the header of the file.
fn golden_words(bundle: &Path) -> usize {
    let bytes = std::fs::read(bundle.join("data/golden.safetensors")).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let tensors = header
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !["__metadata__", "input"].contains(&&name[..]));
    let product = |shape: &Value| {
        shape.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).product::<usize>()
    };
    tensors.map(|(_, tensor)| product(&tensor["shape"])).sum()
}

/// Changes a byte of `name`, with new checksums.
fn flip(bundle: &Path, name: &str, at: usize) {
    let path = bundle.join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    assert!(make(bundle, &["seal"]).0);
}

#[test]
fn every_bench_ends_in_its_verdict() {
    if !present(&["make", "verilator", "iverilog"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let bundle = generated(&quick(), &folder.path().join("bundle"), &["--images", "2"]);
    let words = golden_words(&bundle);
    assert_eq!(words, 2 * (4 * 2 * 2 + 6 + 3));
    for (target, wanted) in [("icarus", words), ("verilator", words), ("driver", 2 * 2 * 3)] {
        let (ended, text) = make(&bundle, &[target]);
        let (count, cycles, layers) = passed(&text);
        assert!(ended && count == wanted && layers.is_none(), "{target}: {text}");
        assert!((100..100_000).contains(&cycles), "{target}: {text}");
    }
    flip(&bundle, "data/expected.bin", 3);
    flip(&bundle, "data/logits.bin", 3);
    for target in ["icarus", "verilator", "driver"] {
        let (ended, text) = make(&bundle, &[target]);
        assert!(
            !ended && verdict(&text).starts_with("FAIL ") && verdict(&text).len() > 15,
            "{target}: {text}"
        );
    }
}

#[test]
fn a_verdict_is_one_and_is_believed_of_a_bench_that_ended_well() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/testbenches/verdict.sh");
    let good = "PASS words=7 cycles=9";
    let cases = [
        ("a line\nPASS words=7 cycles=9\nmore\nstatus 0\n", Some(good)),
        ("PASS words=7 cycles=9 layers=a,b\nstatus 0\n", Some("PASS words=7 cycles=9 layers=a,b")),
        ("PASS words=7 cycles=9\nstatus 1\n", None),
        ("PASS words=7 cycles=9\nstatus 0\nstatus 139\n", None),
        ("PASS words=7 cycles=9\nFAIL it is wrong\nstatus 0\n", None),
        ("PASS words=7 cycles=9\nPASS words=7 cycles=9\nstatus 0\n", None),
        ("PASS words=0 cycles=9\nstatus 0\n", None),
        ("PASS\nstatus 0\n", None),
        ("status 0\n", None),
        ("", None),
        ("FAIL it is wrong\nFATAL: more\nstatus 1\n", None),
    ];
    for (lines, wanted) in cases {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("said");
        std::fs::write(&file, lines).unwrap();
        let input = std::fs::File::open(&file).unwrap();
        let output = Command::new("sh").args([script, "bench"]).stdin(input).output().unwrap();
        let text = said(&output);
        match wanted {
            Some(wanted) => assert!(output.status.success() && verdict(&text) == wanted, "{lines}: {text}"),
            None => assert!(
                output.status.code() == Some(1) && verdict(&text).starts_with("FAIL "),
                "{lines}: {text}"
            ),
        }
    }
}

#[test]
fn a_short_run_has_each_kind_of_layer_and_is_a_check() {
    if !present(&["make", "iverilog"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("bundle");
    let output = generate(&long(), &to, &[]);
    assert!(
        output.status.success() && said(&output).contains("make icarus and make cocotb run parts of"),
        "{}",
        said(&output)
    );
    let (ended, text) = make(&to, &["icarus"]);
    let (words, _, layers) = passed(&text);
    let layers = layers.unwrap();
    // The first convolution, one that pools, a dense layer with codes, the logits.
    let named: BTreeSet<&str> = layers.iter().map(String::as_str).collect();
    assert!(
        ended && named.contains("conv1") && named.contains("fc5") && layers.last().unwrap() == "fc6",
        "{text}"
    );
    assert!((named.contains("conv2") || named.contains("conv4")) && named.len() < 6, "{text}");
    assert!(text.contains(&format!("runs some layers: {}", layers.join(","))), "{text}");
    assert!(words < golden_words(&to) / 4 && words > 20, "{text}");
    assert_eq!(design(&to)["short"]["words"], words);
    // The dense layers are whole but for their channels: 4 codes and 4 logits of the golden trace's first.
    let expected = std::fs::read(to.join("data/short_expected.bin")).unwrap();
    for at in (0..expected.len()).filter(|&at| expected[at] != 0).take(1) {
        flip(&to, "data/short_expected.bin", at);
        let (ended, text) = make(&to, &["icarus"]);
        assert!(!ended && verdict(&text).starts_with("FAIL the output differs"), "{text}");
        flip(&to, "data/short_expected.bin", at);
    }
    let variables = make(&to, &["-n", "icarus", "WHOLE=1"]).1;
    assert!(!variables.contains("short.bin"), "{variables}");
    // The design that ships: with a fault in it the short run fails.
    let rtl = to.join("rtl");
    let file = std::fs::read_dir(&rtl)
        .unwrap()
        .map(|e| e.unwrap().path())
        .find(|p| p.ends_with(top_name(&to, "pe")));
    let text = std::fs::read_to_string(file.as_ref().unwrap()).unwrap();
    assert_eq!(text.matches(" * ").count(), 1, "{text}");
    std::fs::write(file.unwrap(), text.replace(" * ", " - ")).unwrap();
    assert!(make(&to, &["seal"]).0);
    let (ended, text) = make(&to, &["icarus"]);
    assert!(!ended && verdict(&text).starts_with("FAIL "), "{text}");
}

/// The file of the module that is called `name` behind the prefix.
fn top_name(bundle: &Path, name: &str) -> String {
    let top = design(bundle)["top"].as_str().unwrap().to_string();
    format!("{}{name}.v", top.strip_suffix("accelerator").unwrap())
}

fn rtl(bundle: &Path) -> Vec<String> {
    let list = std::fs::read_to_string(bundle.join("rtl/files.f")).unwrap();
    list.lines().map(|line| bundle.join(line).to_str().unwrap().to_string()).collect()
}

#[test]
fn two_accelerators_and_a_fifo_of_anyones_live_in_one_design() {
    if !present(&["verilator", "iverilog"]) {
        return;
    }
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let one = generated(&quick(), &at("one"), &["--prefix", "one"]);
    let two = generated(&quick(), &at("two"), &["--prefix", "Two_2", "--id-bits", "3"]);
    let plain = generated(&quick(), &at("plain"), &[]);
    let tops = [&one, &two, &plain].map(|bundle| design(bundle)["top"].as_str().unwrap().to_string());
    assert_eq!(tops[..2], ["one_accelerator", "Two_2_accelerator"]);
    assert!(tops[2].starts_with("vgg_") && tops[2].len() == "vgg_012345_accelerator".len(), "{tops:?}");
    let text = "module fifo (input wire clk); wire unused = clk; endmodule\n".to_string();
    let instances: String =
        tops.iter().enumerate().map(|(i, top)| format!("    {top} u{i} (.clk(clk));\n")).collect();
    let system =
        format!("{text}module system (input wire clk);\n    fifo u (.clk(clk));\n{instances}endmodule\n");
    let file = at("system.v");
    std::fs::write(&file, system).unwrap();
    let sources: Vec<String> = [&one, &two, &plain].iter().flat_map(|bundle| rtl(bundle)).collect();
    let elaborated = |command: &mut Command, sources: &[String]| {
        let output = command.arg(&file).args(sources).output().unwrap();
        (output.status.success(), said(&output))
    };
    let icarus = || {
        let mut command = Command::new("iverilog");
        command.args(["-g2005", "-s", "system", "-o"]).arg(at("system.vvp"));
        command
    };
    let verilator = || {
        let mut command = Command::new("verilator");
        command.args(["--lint-only", "--top-module", "system", "-Wno-PINMISSING", "-Wno-DECLFILENAME"]);
        command
    };
    for command in [&icarus as &dyn Fn() -> Command, &verilator] {
        let (good, text) = elaborated(&mut command(), &sources);
        assert!(good, "{text}");
        // The same twice is what prefixes are for.
        let (good, text) = elaborated(&mut command(), &[&sources[..], &rtl(&one)].concat());
        assert!(!good || text.contains("MODDUP"), "{text}");
    }
    for (bundle, top) in [&one, &two, &plain].into_iter().zip(&tops) {
        let lint = Command::new("verilator")
            .args(["--lint-only", "-Wall", "--top-module", top])
            .args(rtl(bundle))
            .output();
        let lint = lint.unwrap();
        assert!(lint.status.success() && said(&lint).is_empty(), "{top}: {}", said(&lint));
        let everywhere = ["component.xml", "accelerator.core", "design.mk", "README.md"];
        for name in everywhere {
            let text = std::fs::read_to_string(bundle.join(name)).unwrap();
            assert!(text.contains(top.as_str()), "{name} of {top}");
        }
    }
}

#[test]
fn a_prefix_that_is_no_identifier_is_refused_by_name() {
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("bundle");
    for prefix in ["", "2nd", "a-b", "a.b", "é"] {
        let output = generate(&quick(), &to, &["--prefix", prefix]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(2), "{prefix}: {text}");
        assert!(
            text.contains("--prefix") && text.contains(prefix) && text.contains("letters, digits and _"),
            "{text}"
        );
        assert!(!to.exists());
    }
}

/// Each channel waits where it is told to, the same seed gives the same run, and no stalls give the quickest one.
#[test]
fn cocotb_holds_up_all_five_channels() {
    if std::env::var_os("VGG2RTL_COCOTB").is_none() {
        println!("skipped: VGG2RTL_COCOTB is not set");
        return;
    }
    let folder = TempDir::new().unwrap();
    let bundle = generated(&quick(), &folder.path().join("bundle"), &[]);
    // A python of the user's own stands in front of the others.
    let python = std::env::var("VGG2RTL_PYTHON").unwrap_or("python3".into());
    let run = |variables: &[&str]| {
        let mut command = Command::new("make");
        command.arg("cocotb").arg(format!("PYTHON={python}")).args(variables).current_dir(&bundle);
        let output = command.output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let waited = |text: &str| -> Vec<(String, usize)> {
        let line = text.lines().find_map(|line| line.strip_prefix("cycles held up: ")).expect(text);
        let pair =
            |part: &str| part.split_once(' ').map(|(name, count)| (name.to_string(), count.parse().unwrap()));
        line.split(", ").map(|part| pair(part).unwrap()).collect()
    };
    let free = run(&["STALL_PERCENT=0"]).1;
    assert!(waited(&free).iter().all(|(_, count)| *count == 0), "{free}");
    let held = run(&["STALL_PERCENT=60", "SEED=5"]).1;
    let counts = waited(&held);
    let names: Vec<&str> = counts.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names, ["AR", "R", "AW", "W", "B"]);
    assert!(counts.iter().all(|(_, count)| *count > 0), "{counts:?}");
    assert!(held.contains("held up in 60 % of all cycles, SEED=5"), "{held}");
    assert!(passed(&held).1 > passed(&free).1 * 11 / 10, "{held}");
    assert_eq!(passed(&held).0, golden_words(&bundle));
    let again = run(&["STALL_PERCENT=60", "SEED=5"]).1;
    assert_eq!((waited(&again), passed(&again)), (counts, passed(&held)));
    assert_ne!(waited(&run(&["STALL_PERCENT=60", "SEED=6"]).1), waited(&held));
    flip(&bundle, "data/expected.bin", 3);
    let (ended, text) = run(&[]);
    assert!(!ended && verdict(&text).starts_with("FAIL "), "{text}");
}
