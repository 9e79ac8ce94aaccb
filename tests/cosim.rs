//! Co-simulation and bundles: the accelerator's Verilog in Verilator and Icarus. Without those tools nothing is tested,
//! except where the environment variable CI is set.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;
use vgg2rtl::config::{ArrayConfig, Pack};
use vgg2rtl::cosim::{
    Bases, Cache, Engine, InProcess, Job, MemoryOptions, Network, Simulator, build, inject, tools,
};
use vgg2rtl::hw;
use vgg2rtl::hw::emit::Module;
use vgg2rtl::int::{Golden, IntModel, random};
use vgg2rtl::isa::address;
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::schedule::{Schedule, fit, schedule};

fn present(program: &str) -> bool {
    let present = tools::version(program).is_ok();
    assert!(present || std::env::var_os("CI").is_none(), "{program} is missing");
    present
}

/// Kept from run to run: entries are found by content.
fn cache_folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cosim")
}

fn cache() -> Cache {
    Cache::open(Some(&cache_folder())).unwrap()
}

fn model() -> IntModel {
    random::model(&random::Recipe {
        input: Shape { c: 3, h: 9, w: 8 },
        ops: vec![
            Op::Conv { co: 6, pool: true },
            Op::Conv { co: 9, pool: false },
            Op::Dense { co: 7 },
            Op::Dense { co: 5 },
        ],
        w: 5,
        a: 6,
        power_of_two: false,
        per_channel: true,
        seed: 3,
    })
}

fn config() -> ArrayConfig {
    let tiny = ArrayConfig { requantizers: 2, ..ArrayConfig::preset("tiny").unwrap() };
    fit(&model(), &tiny)
}

fn simulator(engine: Engine, cache: &Cache) -> Box<dyn Simulator> {
    engine.start(&hw::verilog(&config()).unwrap(), &config(), cache).unwrap()
}

fn network<'a>(
    simulator: &'a dyn Simulator,
    schedule: &'a Schedule,
    cache: &'a Cache,
    memory: MemoryOptions,
) -> Network<'a> {
    Network { simulator, schedule, cache, memory, jobs: 2, resume: false }
}

#[test]
fn layers_and_chain_equal_the_golden_model_and_a_fault_is_seen() {
    if !present("verilator") {
        return;
    }
    let (model, cache) = (model(), cache());
    let simulator = simulator(Engine::Verilator, &cache);
    let codes = random::images(&model, 4, 5);
    let trace = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
    let words: usize = trace.activations.iter().map(|x| x.len()).sum::<usize>() + trace.logits.len();
    let mut schedule = schedule(&model, &config(), 2).unwrap();
    for (latency, stall_percent, seed) in [(0, 0, 1), (20, 10, 2), (3, 50, 3)] {
        let memory = MemoryOptions { latency, stall_percent, seed, ..MemoryOptions::default() };
        let network = network(&*simulator, &schedule, &cache, memory);
        let layers = network.layers(0..4, codes.view(), &trace, &|_| ()).unwrap();
        let chain = network.chain(codes.view(), &trace, &|_| ()).unwrap();
        for reports in [&layers, &chain] {
            assert_eq!(reports.iter().map(|r| r.comparison.words).sum::<usize>(), words);
            assert!(reports.iter().all(|r| r.comparison.mismatches == 0), "{reports:#?}");
        }
        for (layer, chained) in layers.iter().zip(&chain) {
            assert_eq!(
                (layer.macs, layer.weight_beats, layer.act_beats),
                (chained.macs, chained.weight_beats, chained.act_beats)
            );
        }
        assert_eq!(
            network.logits(codes.slice(ndarray::s![..3, .., .., ..])).unwrap(),
            trace.logits.slice(ndarray::s![..3, ..])
        );
    }
    inject(&mut schedule, &model, codes.view(), &trace, 1..2).unwrap();
    let network = network(&*simulator, &schedule, &cache, MemoryOptions::default());
    let layers = network.layers(0..4, codes.view(), &trace, &|_| ()).unwrap();
    let wrong: Vec<usize> = (0..4).filter(|&l| layers[l].comparison.mismatches > 0).collect();
    assert_eq!(wrong, [1]);
    assert!(layers[1].wrong_cycle.is_some() && layers[1].comparison.first.is_some());
}

/// The same network in each simulator that is there, words of the bus and cycles: memory stalls in the same cycles in
/// Verilator and in process, in Icarus in others.
#[test]
fn the_simulators_agree() {
    let (model, cache) = (model(), cache());
    let codes = random::images(&model, 1, 5);
    let trace = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
    let schedule = schedule(&model, &config(), 1).unwrap();
    let mut seen = vec![];
    for engine in Engine::ALL {
        if !engine.programs().iter().all(|p| present(p)) {
            println!("{} is skipped: not installed", engine.name());
            continue;
        }
        let simulator = simulator(engine, &cache);
        for stall_percent in [0, 20] {
            let memory = MemoryOptions { latency: 7, stall_percent, ..MemoryOptions::default() };
            let reports =
                network(&*simulator, &schedule, &cache, memory).chain(codes.view(), &trace, &|_| ()).unwrap();
            assert!(reports.iter().all(|r| r.comparison.mismatches == 0), "{}: {reports:#?}", engine.name());
            let words =
                reports.iter().map(|r| [r.weight_beats, r.act_beats, r.write_beats]).collect::<Vec<_>>();
            let cycles = reports.iter().map(|r| r.cycles).collect::<Vec<_>>();
            println!("{} with {stall_percent} % stalls: {cycles:?} cycles, {words:?} words", engine.name());
            seen.push((engine, stall_percent, words, cycles));
        }
    }
    for (engine, stall_percent, words, cycles) in &seen {
        assert_eq!(words, &seen[0].2, "{engine:?}");
        let others = seen.iter().filter(|other| other.1 == *stall_percent && other.0 != Engine::Icarus);
        for (other, _, _, same) in others.filter(|_| *stall_percent == 0 || *engine != Engine::Icarus) {
            assert_eq!(cycles, same, "{engine:?}, {other:?}, {stall_percent} % stalls");
        }
    }
}

/// A small VGG, from its start to its interrupt: folded, resident and dense layers, some of a few hundred cycles.
#[test]
fn the_cycle_model_agrees_with_the_simulation_of_whole_networks() {
    let conv = |co, pool| Op::Conv { co, pool };
    let model = random::model(&random::Recipe {
        input: Shape { c: 3, h: 16, w: 16 },
        ops: [conv(8, false), conv(16, true), conv(16, false), conv(32, true), conv(32, true)]
            .into_iter()
            .chain([Op::Dense { co: 48 }, Op::Dense { co: 10 }])
            .collect(),
        w: 8,
        a: 8,
        power_of_two: false,
        per_channel: true,
        seed: 7,
    });
    let (cache, codes) = (cache(), random::images(&model, 1, 5));
    let trace = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
    for (preset, rows, cols, latency) in
        [("ecp5-85k", 8, 8, 20), ("ecp5-85k", 16, 8, 5), ("16x16", 16, 16, 20), ("16x16", 8, 16, 40)]
    {
        let base = ArrayConfig { rows, cols, requantizers: 2, ..ArrayConfig::preset(preset).unwrap() };
        let config = fit(&model, &base);
        let schedule = schedule(&model, &config, 1).unwrap();
        let simulator = InProcess::new(&config).unwrap();
        let memory = MemoryOptions { latency, stall_percent: 0, ..MemoryOptions::default() };
        let reports =
            network(&simulator, &schedule, &cache, memory).chain(codes.view(), &trace, &|_| ()).unwrap();
        let pairs: Vec<(u64, u64)> = reports.iter().map(|r| (r.cycles, r.model_cycles)).collect();
        let (rtl, modelled) = pairs.iter().fold((0, 0), |(r, m), p| (r + p.0, m + p.1));
        assert!(
            rtl.abs_diff(modelled) * 100 <= rtl,
            "{rows}×{cols}: {rtl} cycles, model {modelled}: {pairs:?}"
        );
        for (rtl, modelled) in &pairs {
            assert!(rtl.abs_diff(*modelled) <= 15.max(rtl * 3 / 100), "{rows}×{cols}: {pairs:?}");
        }
    }
}

/// Columns that share multipliers: every word is the golden model's, in every simulator for one of the packs, and the cycle
/// model knows the shorter way through the array.
#[test]
fn packed_products_give_the_same_network() {
    let cache = cache();
    for (w, a, cols, pack, multiplier_bits, engines) in [
        (5, 6, 4, 2, 18, &Engine::ALL[..]),
        (4, 8, 4, 2, 25, &[Engine::InProcess]), // lanes of the product as far apart as partial sums
        (3, 3, 8, 3, 18, &[Engine::InProcess]), // two columns are left
        (3, 3, 4, 3, 18, &Engine::ALL),         // one is
        (2, 2, 4, 4, 18, &[Engine::InProcess]),
    ] {
        let ops = vec![Op::Conv { co: 6, pool: true }, Op::Conv { co: 9, pool: false }, Op::Dense { co: 7 }];
        let input = Shape { c: 3, h: 6, w: 5 };
        let recipe = random::Recipe { input, ops, w, a, power_of_two: false, per_channel: true, seed: 11 };
        let model = random::model(&recipe);
        let base = ArrayConfig { requantizers: 2, cols, ..ArrayConfig::preset("tiny").unwrap() };
        let alone = fit(&model, &base);
        let config = alone.clone().with_pack(Pack::Lanes(pack), multiplier_bits);
        config.validate().unwrap();
        let codes = random::images(&model, 1, 5);
        let trace = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
        let schedules = [&alone, &config].map(|config| schedule(&model, config, 1).unwrap());
        assert_eq!(
            schedules[0].memory.bytes, schedules[1].memory.bytes,
            "the memory image knows of no packing"
        );
        let memory = MemoryOptions { latency: 7, stall_percent: 0, ..MemoryOptions::default() };
        let cycles_of = |simulator: &dyn Simulator, schedule: &Schedule| {
            let network = network(simulator, schedule, &cache, memory.clone());
            let reports = network.chain(codes.view(), &trace, &|_| ()).unwrap();
            assert!(reports.iter().all(|r| r.comparison.mismatches == 0), "pack {pack}: {reports:#?}");
            reports.iter().map(|r| (r.cycles, r.model_cycles)).collect::<Vec<_>>()
        };
        let before = cycles_of(&InProcess::new(&alone).unwrap(), &schedules[0]);
        for &engine in engines {
            if !engine.programs().iter().all(|p| present(p)) {
                continue;
            }
            let simulator = engine.start(&hw::verilog(&config).unwrap(), &config, &cache).unwrap();
            let after = cycles_of(&*simulator, &schedules[1]);
            println!("W{w}A{a} on 4×{cols}, {pack} a multiplier, {engine:?}: {before:?} -> {after:?}");
            for (before, after) in before.iter().zip(&after) {
                // What the model says of the difference is what is counted, and it is less.
                let (counted, modelled) = (before.0 - after.0, before.1 - after.1);
                assert!(counted > 0 && counted.abs_diff(modelled) <= 2, "{before:?} -> {after:?}");
            }
        }
    }
}

#[test]
fn counters_agree_with_the_memory_and_errors_are_named() {
    if !present("verilator") {
        return;
    }
    let (model, cache) = (model(), cache());
    let simulator = simulator(Engine::Verilator, &cache);
    let schedule = schedule(&model, &config(), 1).unwrap();
    let mut image = schedule.memory.clone();
    schedule.put_images(&mut image, random::images(&model, 1, 1).view());
    let names: Vec<&str> = model.layers.iter().map(|l| l.name.as_str()).collect();
    let run = |memory: &MemoryOptions, max_cycles: u64| {
        let job = Job {
            schedule: &schedule,
            image: &image.bytes,
            expected: None,
            memory,
            max_cycles,
            waveform: None,
        };
        simulator.run(&job).unwrap().0
    };
    let good = MemoryOptions::default();
    let statistics = run(&good, 1_000_000);
    statistics.check(&names).unwrap();
    let end = statistics.commands.last().unwrap();
    assert_eq!(statistics.counted(), end.traffic);
    let weights = schedule.layers[2].command.weights.into();
    let bad = MemoryOptions { read_error_at: Some(weights), ..good.clone() };
    let error = run(&bad, 1_000_000).check(&names).unwrap_err();
    assert_eq!(error.exit_code(), 4);
    assert_eq!(error.to_string(), "fc3: error 3, memory answered a read with an error");
    let hang = run(&good, 500).check(&names).unwrap_err().to_string();
    assert!(hang.contains("no interrupt after 500 cycles"), "{hang}");
}

/// Of three starts at once, each with a data area of its own, the second follows the first and the third is refused.
#[test]
fn queued_runs_share_a_model() {
    if !present("verilator") {
        return;
    }
    let (model, cache) = (model(), cache());
    let simulator = simulator(Engine::Verilator, &cache);
    let schedule = schedule(&model, &config(), 2).unwrap();
    let mut image = schedule.memory.clone();
    let codes = random::images(&model, 2, 1);
    schedule.put_images(&mut image, codes.view());
    let expected = schedule.expected(&Golden::new(&model).unwrap().trace(codes.view()).unwrap());
    for seed in 0..4 {
        let bases = Some(Bases::drawn(&schedule.regions(), 3, 32, seed));
        let job = Job {
            schedule: &schedule,
            image: &image.bytes,
            expected: Some(&expected),
            memory: &MemoryOptions { bases, seed, ..MemoryOptions::default() },
            max_cycles: 1_000_000,
            waveform: None,
        };
        let (run, output) = simulator.run(&job).unwrap();
        assert_eq!((run.hang, run.violation.as_str(), run.wrong_cycle), (false, "", None));
        assert_eq!((run.error(), run.completed(), run.refused_start()), (0, 4, true));
        assert_eq!(run.register(address::RUNS), 2);
        // Every word of the second run was compared as it was written, and there are as many as in the first.
        assert_eq!(run.counted(), run.commands.last().unwrap().traffic);
        assert_eq!(output, expected);
        let between = run.between_runs.unwrap();
        println!("{between} cycles from the end of a run to the first request of the next");
        assert!(between <= 100);
    }
}

#[test]
fn verilog_that_does_not_compile_leaves_a_log_and_no_simulator() {
    if !present("verilator") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let cache = Cache::open(Some(folder.path())).unwrap();
    let modules =
        [Module { name: "accelerator".into(), text: "module accelerator; nonsense endmodule\n".into() }];
    let error = build(&modules, &config(), false, &cache).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    let text = error.to_string();
    assert!(text.contains("%Error: accelerator.v:1") && text.contains(".log"), "{text}");
    let entries = entries(folder.path());
    assert!(entries.len() == 1 && entries[0].ends_with(".log"), "{entries:?}");
}

fn vgg2rtl(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vgg2rtl")).args(arguments).output().unwrap()
}

fn saved(folder: &TempDir) -> String {
    let path = folder.path().join("model.safetensors");
    model().save(&path).unwrap();
    path.to_str().unwrap().into()
}

#[test]
fn the_verb_reports_and_fails_by_class() {
    if !present("verilator") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let (model, cache) = (saved(&folder), cache_folder());
    let base = ["cosim", &model, "--preset", "tiny", "--cache", cache.to_str().unwrap()];
    let passed = vgg2rtl(&[&base[..], &["--images", "2", "--json"]].concat());
    assert!(passed.status.success(), "{}", String::from_utf8_lossy(&passed.stderr));
    let json: Value = serde_json::from_slice(&passed.stdout).unwrap();
    assert_eq!((&json["pass"], json["layers"].as_array().unwrap().len()), (&true.into(), 4));
    assert_eq!(json["layers"][1]["layer"], "conv2");
    let failed = vgg2rtl(&[&base[..], &["--chain", "--inject-fault"]].concat());
    let text = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(4), "{text}");
    assert!(
        text.contains("layer conv2:") && text.contains("expected") && text.contains("--vcd conv2.vcd"),
        "{text}"
    );
    for wrong in [
        &["--layer", "none"][..],
        &["--images", "3", "--batch", "2"],
        &["--array", "1x1"],
        &["--acc-bits", "99"],
    ] {
        assert_eq!(vgg2rtl(&[&base[..], wrong].concat()).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn without_tools_the_verb_simulates_in_process() {
    let folder = TempDir::new().unwrap();
    let (model, cache) = (saved(&folder), folder.path().join("cache"));
    let base = ["cosim", &model, "--preset", "tiny", "--cache", cache.to_str().unwrap(), "--json"];
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
        command.env("PATH", "").args(base).args(arguments).output().unwrap()
    };
    let passed = run(&[]);
    let text = String::from_utf8_lossy(&passed.stderr);
    assert!(passed.status.success() && text.contains("verilator is not installed"), "{text}");
    let json: Value = serde_json::from_slice(&passed.stdout).unwrap();
    assert_eq!((&json["pass"], &json["simulator"]), (&true.into(), &"in-process".into()));
    assert_eq!(run(&["--inject-fault"]).status.code(), Some(4));
    let asked = run(&["--simulator", "verilator"]);
    assert_eq!(asked.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("apt-get install verilator"));
    assert_eq!(run(&["--simulator", "icarus"]).status.code(), Some(3));
}

/// Names of what lies in `folder`.
fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
#[cfg(unix)]
fn a_killed_tool_leaves_no_simulator() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let (model, cache) = (saved(&folder), folder.path().join("cache"));
    let tool = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(
            &path,
            format!("#!/bin/sh\n[ \"$1\" = --version ] && echo {name} 0 && exit\n{text}\n"),
        )
        .unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    let run = || {
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
        command.env("PATH", path).args(["cosim", &model, "--preset", "tiny", "--cache"]).arg(&cache);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    tool("g++", "exit 1");
    tool("verilator", "kill -9 $$");
    let (code, text) = run();
    assert!(code == Some(3) && text.contains("verilator failed: signal: 9"), "{code:?} {text}");
    assert_eq!(entries(&cache), [""; 0]);
    // The simulator itself is killed: it stays, its result is not kept.
    tool(
        "verilator",
        "mkdir obj_dir; printf '#!/bin/sh\\nkill -9 $$' > obj_dir/Vaccelerator; chmod +x obj_dir/Vaccelerator",
    );
    let (code, text) = run();
    assert!(code == Some(3) && text.contains("signal: 9"), "{code:?} {text}");
    assert!(entries(&cache).iter().all(|name| name.starts_with("verilator-")), "{:?}", entries(&cache));
}

/// No file may grow: what a full disk does to a write.
#[test]
#[cfg(unix)]
fn a_full_disk_leaves_nothing_half_written() {
    let folder = TempDir::new().unwrap();
    let (model, cache, bundle) = (saved(&folder), folder.path().join("cache"), folder.path().join("bundle"));
    let run = |limit: &str, arguments: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\"")]);
        command.arg(env!("CARGO_BIN_EXE_vgg2rtl")).args(arguments).output().unwrap()
    };
    let cosim = [
        "cosim",
        &model,
        "--preset",
        "tiny",
        "--simulator",
        "in-process",
        "--cache",
        cache.to_str().unwrap(),
    ];
    let generate = ["generate", &model, "--preset", "tiny", "-o", bundle.to_str().unwrap()];
    // A verdict is not lost: only the cache does not keep it.
    for (verb, code) in [(&cosim[..], 0), (&generate, 5)] {
        let full = run("0", verb);
        let text = String::from_utf8_lossy(&full.stderr);
        assert_eq!(full.status.code(), Some(code), "{verb:?}: {text}");
        assert!(text.contains(folder.path().to_str().unwrap()) && text.contains("File too large"), "{text}");
        assert_eq!(String::from_utf8_lossy(&full.stdout).contains("PASS"), code == 0);
    }
    assert_eq!(entries(&cache), [""; 0]);
    let mut left = entries(folder.path());
    left.sort();
    assert_eq!(left, ["cache", "model.safetensors"]);
    assert!(run("unlimited", &cosim).status.success());
}

#[test]
fn a_bundle_checks_itself() {
    if !present("verilator")
        || !present("iverilog")
        || Command::new("make").arg("--version").output().is_err()
    {
        return;
    }
    let folder = TempDir::new().unwrap();
    let to = folder.path().join("bundle");
    let generated = vgg2rtl(&["generate", &saved(&folder), "--preset", "tiny", "-o", to.to_str().unwrap()]);
    assert!(generated.status.success(), "{}", String::from_utf8_lossy(&generated.stderr));
    let make = |target: &str| {
        let output = Command::new("make").arg(target).current_dir(&to).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    for target in ["lint", "verilator", "icarus", "driver"] {
        let (passed, text) = make(target);
        assert!(passed, "{target}: {text}");
    }
    for name in ["data/expected.bin", "data/logits.bin"] {
        let mut bytes = std::fs::read(to.join(name)).unwrap();
        bytes[3] ^= 4;
        std::fs::write(to.join(name), bytes).unwrap();
    }
    for target in ["verilator", "icarus", "driver"] {
        let (passed, text) = make(target);
        assert!(!passed, "{target} does not see a flipped bit: {text}");
    }
}
