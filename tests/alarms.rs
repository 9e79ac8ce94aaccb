//! Alarms that cannot be silent: injected faults change a word that is compared, a bundle's benches say that they passed,
//! files that were tampered with and tools that do nothing are noticed, and whatever does not end is ended.

#[path = "common/tools.rs"]
mod programs;

use programs::present;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::cosim::{Cache, InProcess, MemoryOptions, Network, inject, tools};
use vgg2rtl::int::{Golden, IntModel, random};
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::schedule::{fit, schedule};

fn vgg2rtl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vgg2rtl")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn small_model(seed: u64) -> IntModel {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut ops: Vec<Op> = (0..rng.random_range(0..=2))
        .map(|_| Op::Conv { co: rng.random_range(1..=6), pool: rng.random() })
        .collect();
    ops.extend((0..rng.random_range(1..=2)).map(|_| Op::Dense { co: rng.random_range(1..=6) }));
    random::model(&random::Recipe {
        input: Shape { c: 1, h: rng.random_range(4..=6), w: rng.random_range(4..=6) },
        ops,
        w: rng.random_range(2..=8),
        a: rng.random_range(2..=8),
        power_of_two: rng.random(),
        per_channel: rng.random(),
        seed,
    })
}

/// A network whose layers give 0 whatever a weight is: no flip of a bit can be seen.
fn dead_model() -> IntModel {
    let mut model = random::model(&random::Recipe {
        input: Shape { c: 1, h: 4, w: 4 },
        ops: vec![Op::Dense { co: 3 }, Op::Dense { co: 2 }],
        w: 4,
        a: 4,
        power_of_two: false,
        per_channel: false,
        seed: 1,
    });
    model.layers[0].bias.fill(-1_000_000);
    model
}

/// `VGG2RTL_MODELS` sets how many (`sim/nightly.sh` takes 1,000).
#[test]
fn an_injected_fault_is_seen_or_refused() {
    let count =
        std::env::var("VGG2RTL_MODELS").map_or(16, |n| n.parse().expect("VGG2RTL_MODELS is a number"));
    let folder = TempDir::new().unwrap();
    let cache = Cache::open(Some(folder.path())).unwrap();
    let config = ArrayConfig { rows: 4, cols: 4, requantizers: 1, ..ArrayConfig::preset("tiny").unwrap() };
    let (mut seen, mut refused) = (0, 0);
    for seed in 0..count {
        let model = small_model(seed);
        let config = fit(&model, &config);
        let codes = random::images(&model, 1, seed);
        let trace = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
        let mut schedule = schedule(&model, &config, 1).unwrap();
        let layers = 0..model.layers.len();
        let fault = match inject(&mut schedule, &model, codes.view(), &trace, layers) {
            Ok(fault) => fault,
            Err(error) => {
                assert!(error.to_string().contains("no fault is injected"), "seed {seed}: {error}");
                refused += 1;
                continue;
            }
        };
        let simulator = InProcess::new(&config).unwrap();
        let memory = MemoryOptions::default();
        let network = Network {
            simulator: &simulator,
            schedule: &schedule,
            cache: &cache,
            memory,
            jobs: 1,
            resume: false,
        };
        let reports = network.chain(codes.view(), &trace, &|_| ()).unwrap();
        assert!(
            reports[fault.layer].comparison.mismatches > 0,
            "seed {seed}: {fault:?} is not seen: {reports:?}"
        );
        assert!(
            reports[..fault.layer].iter().all(|r| r.comparison.mismatches == 0),
            "seed {seed}: {fault:?}"
        );
        seen += 1;
    }
    println!("{count} networks: {seen} injected faults seen, {refused} refused");
    assert!(seen * 10 >= count * 9, "{refused} of {count} refused");
}

#[test]
fn the_verb_says_what_it_injected_or_that_it_could_not() {
    let folder = TempDir::new().unwrap();
    let (path, cache) = (folder.path().join("m.safetensors"), folder.path().join("cache"));
    let run = |model: &IntModel, more: &[&str]| {
        model.save(&path).unwrap();
        let base = ["cosim", path.to_str().unwrap(), "--preset", "tiny", "--simulator", "in-process"];
        vgg2rtl(&[&base[..], &["--cache", cache.to_str().unwrap(), "--inject-fault"], more].concat())
    };
    for more in [&[][..], &["--chain"], &["--images", "2"]] {
        let output = run(&small_model(2), more);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains("injected: layer "), "{}", said(&output));
    }
    let output = run(&dead_model(), &[]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(
        said(&output).contains("changes a word for these images: no fault is injected"),
        "{}",
        said(&output)
    );
}

/// A generated bundle of a small network.
struct Bundle {
    _folder: TempDir,
    path: PathBuf,
}

impl Bundle {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let (model, path) = (folder.path().join("m.safetensors"), folder.path().join("bundle"));
        small_model(2).save(&model).unwrap();
        let output =
            vgg2rtl(&["generate", model.to_str().unwrap(), "--preset", "tiny", "-o", path.to_str().unwrap()]);
        assert!(output.status.success(), "{}", said(&output));
        Self { _folder: folder, path }
    }

    /// Whether `make TARGET` ends well, and what it says.
    fn make(&self, target: &str) -> (bool, String) {
        let output = Command::new("make").arg(target).current_dir(&self.path).output().unwrap();
        (output.status.success(), said(&output))
    }

    /// What `with` gives while the bytes of file `name` are changed.
    fn changed<T>(&self, name: &str, change: impl Fn(&mut Vec<u8>), with: impl Fn() -> T) -> T {
        let path = self.path.join(name);
        let before = std::fs::read(&path).unwrap();
        let mut bytes = before.clone();
        change(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let result = with();
        std::fs::write(&path, before).unwrap();
        result
    }

    /// As [`Bundle::changed`], with a new list of checksums, as somebody makes it who changes a file on purpose.
    fn sealed<T>(&self, name: &str, change: impl Fn(&mut Vec<u8>), with: impl Fn() -> T) -> T {
        let seal = || assert!(self.make("seal").0);
        let result = self.changed(name, change, || {
            seal();
            with()
        });
        seal();
        result
    }

    fn files(&self) -> Vec<String> {
        let list = std::fs::read_to_string(self.path.join("SHA256SUMS")).unwrap();
        list.lines().map(|line| line[66..].to_string()).collect()
    }
}

#[test]
fn every_target_of_a_bundle_notices_an_edited_file() {
    if !present(&["make", "verilator", "iverilog"]) {
        return;
    }
    let bundle = Bundle::new();
    let files = bundle.files();
    let (named, list) =
        (["design.json", "data/program.hex", "data/golden.safetensors"], "SHA256SUMS".to_string());
    assert!(named.iter().all(|name| files.contains(&name.to_string())));
    for name in files.iter().filter(|name| *name != "design.mk" && *name != "Makefile") {
        let (passed, text) = bundle.changed(name, |bytes| bytes.push(b' '), || bundle.make("sums"));
        assert!(!passed && text.contains(&format!("{name}: FAILED")), "{name}: {text}");
    }
    for target in ["lint", "verilator", "icarus", "cocotb", "all"] {
        let (passed, text) = bundle.changed("design.json", |bytes| bytes.push(b' '), || bundle.make(target));
        assert!(!passed && text.contains("design.json: FAILED"), "{target}: {text}");
    }
    let (passed, text) = bundle.changed(&list, |bytes| bytes.truncate(70), || bundle.make("sums"));
    assert!(!passed, "{text}");
    assert!(bundle.make("sums").0);
}

#[test]
fn the_benches_of_a_bundle_want_exact_sizes_and_a_verdict() {
    if !present(&["make", "verilator", "iverilog"]) {
        return;
    }
    let bundle = Bundle::new();
    for target in ["icarus", "verilator"] {
        let (passed, text) = bundle.make(target);
        assert!(passed, "{target}: {text}");
        for name in ["data/image.bin", "data/expected.bin"] {
            let longer: fn(&mut Vec<u8>) = |bytes| bytes.extend([0; 8]);
            let shorter: fn(&mut Vec<u8>) = |bytes| bytes.truncate(bytes.len() - 8);
            for change in [longer, shorter] {
                let (passed, text) = bundle.sealed(name, change, || bundle.make(target));
                assert!(!passed && text.contains(name), "{target}, {name}: {text}");
            }
        }
    }
    let top = bundle.files().into_iter().find(|name| name.ends_with("_accelerator.v")).unwrap();
    // The Verilog ends the simulation, which is no failure of the simulator.
    let finish = |bytes: &mut Vec<u8>| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        *bytes = text.replace("endmodule", "always @(posedge clk) $finish;\nendmodule").into_bytes();
    };
    for target in ["icarus", "verilator"] {
        let (passed, text) = bundle.sealed(&top, finish, || bundle.make(target));
        assert!(!passed && text.contains(&format!("FAIL {target} ends with status 0")), "{target}: {text}");
    }
    let (passed, text) = bundle.make("icarus");
    assert!(passed, "{text}");
}

/// A folder of programs that stand in front of the others in PATH.
#[cfg(unix)]
fn tool(folder: &Path, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    let version = format!("[ \"$1\" = --version ] || [ \"$1\" = -V ] && echo {name} 0 && exit");
    std::fs::write(&path, format!("#!/bin/sh\n{version}\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
#[cfg(unix)]
fn tools_that_do_nothing_are_named() {
    let folder = TempDir::new().unwrap();
    let (model, cache) = (folder.path().join("m.safetensors"), folder.path().join("cache"));
    small_model(2).save(&model).unwrap();
    let run = |simulator: &str| {
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
        command.env("PATH", path).arg("cosim").arg(&model).args([
            "--preset",
            "tiny",
            "--simulator",
            simulator,
        ]);
        let output = command.arg("--cache").arg(&cache).output().unwrap();
        (output.status.code(), said(&output))
    };
    for name in ["verilator", "g++", "iverilog", "vvp"] {
        tool(folder.path(), name, "exit 0");
    }
    let (code, text) = run("verilator");
    assert!(code == Some(3) && text.contains("verilator failed: it reports no error, but made no"), "{text}");
    let (code, text) = run("icarus");
    assert!(
        code == Some(3) && text.contains("iverilog failed: it reports no error, but made no tb.vvp"),
        "{text}"
    );
    tool(folder.path(), "iverilog", "touch tb.vvp");
    let (code, text) = run("icarus");
    assert!(code == Some(3) && text.contains("vvp failed"), "{text}");
    tool(
        folder.path(),
        "verilator",
        "mkdir obj_dir; printf '#!/bin/sh\\n' > obj_dir/Vaccelerator; chmod +x obj_dir/*",
    );
    let (code, text) = run("verilator");
    assert!(code == Some(3) && text.contains("its statistics cannot be read"), "{text}");
}

/// Nothing ever comes out of a pipe that nobody writes to, nor an end out of a device.
#[test]
#[cfg(unix)]
fn a_pipe_or_device_is_no_model() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let to = folder.path().join("out");
    for model in [pipe.to_str().unwrap(), "/dev/zero"] {
        let to = to.to_str().unwrap();
        let verbs: [&[&str]; 7] = [
            &["import", model, "-o", to],
            &["inspect", model],
            &["cosim", model, "--preset", "tiny"],
            &["generate", model, "--preset", "tiny", "-o", to],
            &["export", model, "--onnx", to],
            &["quantize", model, "--calib", "models", "-o", to],
            &["eval", model, "--data", "models", "--engine", "float"],
        ];
        for verb in verbs {
            let limit = Duration::from_secs(60);
            let output = tools::call_within(env!("CARGO_BIN_EXE_vgg2rtl"), verb, None, limit).unwrap();
            assert_eq!(output.status.code(), Some(5), "{verb:?}: {}", said(&output));
            assert!(said(&output).contains("a file is needed"), "{verb:?}: {}", said(&output));
        }
    }
    assert!(!to.exists());
    // Data sets, and what lies beside them, by the names that say what they are.
    let model = "models/vgg16-small-fashion.safetensors";
    for name in ["test_batch.bin", "t10k-images-idx3-ubyte", "x.npz", "x.npy", "x.tar.gz", "labels.csv"] {
        let pipe = folder.path().join(name);
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let pipe = pipe.to_str().unwrap();
        let options =
            if name == "labels.csv" { ["models", "--labels", pipe] } else { [pipe, "--engine", "float"] };
        let verb = [&["eval", model, "--data"][..], &options].concat();
        let limit = Duration::from_secs(60);
        let output = tools::call_within(env!("CARGO_BIN_EXE_vgg2rtl"), &verb, None, limit).unwrap();
        assert_eq!(output.status.code(), Some(5), "{verb:?}: {}", said(&output));
        assert!(said(&output).contains(name), "{verb:?}: {}", said(&output));
    }
}
