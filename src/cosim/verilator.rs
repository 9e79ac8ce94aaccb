//! From Verilog to a program that simulates it: Verilator, once for each content.

use super::bases::Bases;
use super::cache::Cache;
use super::simulator::{Job, Simulator, Statistics};
use super::tools;
use crate::config::ArrayConfig;
use crate::hw::emit::Module;
use crate::schedule::Regions;
use crate::{Error, Result, output, store};
use std::fs;
use std::path::{Path, PathBuf};

/// The bench around the model: name and text.
pub const HARNESS: [(&str, &str); 4] = [
    ("main.cpp", include_str!("../../sim/main.cpp")),
    ("device.h", include_str!("../../sim/device.h")),
    ("axi_memory.h", include_str!("../../sim/axi_memory.h")),
    ("isa.h", include_str!("../../sim/isa.h")),
];

/// Verilator's options, measured on arrays of 8×8 to 32×32.
const FLAGS: [&str; 11] = [
    "--cc",
    "--exe",
    "--build",
    "--top-module",
    "accelerator",
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--noassert",
];
/// For simulators that run long: files that two compilers share, and the processor's own instructions. Verilator's
/// makefile appends OPT_FAST to all other flags, and its default is -Os.
const RUN_FAST: [&str; 6] = [
    "--output-split",
    "5000",
    "--output-split-cfuncs",
    "500",
    "-MAKEFLAGS",
    "OPT_FAST=\"-O3 -march=native -mprefer-vector-width=256\"",
];
/// Cycles of a processing element in a second: a tenth of the least that was seen on a busy machine.
const PACE: u64 = 10_000_000;
/// For simulators of small designs that run some ten thousand cycles: half the files, a third of the time.
const BUILD_FAST: [&str; 2] = ["-MAKEFLAGS", "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0"];

/// A simulator of one design point.
#[derive(Clone, Debug)]
pub struct Verilated {
    /// The program; `sim/main.cpp` lists its options.
    program: PathBuf,
    /// Hash of everything that it was made from.
    key: String,
    /// Where it works.
    cache: Cache,
}

/// Builds the simulator of `modules`, the Verilog of `config`, or finds it in `cache`; `traced` ones can write
/// waveforms and are slower.
pub fn build(modules: &[Module], config: &ArrayConfig, traced: bool, cache: &Cache) -> Result<Verilated> {
    make(modules, arguments(modules, config, traced, &RUN_FAST), cache)
}

/// As [`build`], in a fraction of the time, for runs of some ten thousand cycles.
pub fn build_quickly(modules: &[Module], config: &ArrayConfig, cache: &Cache) -> Result<Verilated> {
    make(modules, arguments(modules, config, false, &BUILD_FAST), cache)
}

fn make(modules: &[Module], arguments: Vec<String>, cache: &Cache) -> Result<Verilated> {
    let mut parts: Vec<Vec<u8>> =
        vec![tools::version("verilator")?.into(), tools::version("g++")?.into(), processor()];
    parts.extend(arguments.iter().map(|a| a.clone().into()));
    parts.extend(modules.iter().map(|m| m.text.clone().into()));
    parts.extend(HARNESS.iter().map(|h| h.1.into()));
    let key = format!("verilator-{}", &store::digest(&parts)[..32]);
    if let Some(program) = cache.file(&key) {
        return Ok(Verilated { program, key, cache: cache.clone() });
    }
    let work = cache.workspace()?;
    let put = |name: &str, text: &str| {
        let path = work.path().join(name);
        fs::write(&path, text).map_err(Error::io(&path))
    };
    HARNESS.iter().try_for_each(|(name, text)| put(name, text))?;
    modules.iter().try_for_each(|m| put(&format!("{}.v", m.name), &m.text))?;
    compile(&arguments, work.path(), &cache.path(&format!("{key}.log")))?;
    let made = work.path().join("obj_dir/Vaccelerator");
    tools::product("verilator", &made)?;
    let program = cache.keep(&made, &key)?;
    Ok(Verilated { program, key, cache: cache.clone() })
}

/// Runs Verilator in `folder`; what it says stays in `log` if it fails.
fn compile(arguments: &[String], folder: &Path, log: &Path) -> Result<()> {
    let output = tools::call_within("verilator", arguments, Some(folder), tools::BUILD_LIMIT)?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stderr, output.stdout].concat();
    output::write(log, &text)?;
    let reason = format!("{} (log: {})", tools::first_error(&text), log.display());
    Err(Error::ToolFailed { tool: "verilator".into(), reason })
}

fn arguments(modules: &[Module], config: &ArrayConfig, traced: bool, speed: &[&str]) -> Vec<String> {
    let mut arguments: Vec<String> = FLAGS.iter().chain(speed).map(|&f| f.into()).collect();
    arguments.extend(["-j", "2"].map(String::from));
    arguments.extend(["-CFLAGS".into(), format!("-std=c++17 -DBUS_BITS={}", config.bus_bits)]);
    if traced {
        arguments.push("--trace".into());
    }
    arguments.extend(modules.iter().map(|m| format!("{}.v", m.name)));
    arguments.push("main.cpp".into());
    arguments
}

/// What -march=native depends on.
fn processor() -> Vec<u8> {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = |line: &&str| line.starts_with("flags") || line.starts_with("model name");
    text.lines().filter(named).take(2).collect::<Vec<_>>().join("\n").into()
}

impl Simulator for Verilated {
    fn key(&self) -> &str {
        &self.key
    }

    fn run(&self, job: &Job) -> Result<(Statistics, Vec<u8>)> {
        let work = self.cache.workspace()?;
        let window = job.schedule.write_window();
        let put = |name: &str, bytes: &[u8]| {
            let path = work.path().join(name);
            fs::write(&path, bytes).map_err(Error::io(&path)).map(|()| path)
        };
        let output = work.path().join("output.bin");
        let mut options = numbers(job);
        let mut file =
            |option: &str, path: &Path| options.extend([option.into(), path.display().to_string()]);
        file("--image", &put("image.bin", &job.image[..window.start])?);
        file("--output", &output);
        if let Some(expected) = job.expected {
            file("--expected", &put("expected.bin", expected)?);
        }
        if let Some(waveform) = &job.waveform {
            file("--vcd", &waveform.path);
        }
        let said = tools::call_within(&self.program, &options, None, job.time_limit(PACE))?;
        let failed = |reason: String| Error::ToolFailed { tool: "the simulator".into(), reason };
        if said.status.code() == Some(2) {
            return Err(failed(tools::first_error(&said.stderr)));
        }
        let statistics = serde_json::from_slice(&said.stdout);
        let statistics = statistics.map_err(|e| failed(format!("its statistics cannot be read: {e}")))?;
        Ok((statistics, tools::product("the simulator", &output)?))
    }
}

/// The options that are numbers.
fn numbers(job: &Job) -> Vec<String> {
    let regions = job.schedule.regions();
    let drawn = || Bases::drawn(&regions, 1, job.schedule.config.address_bits, job.memory.seed);
    let Bases { model, data } = job.memory.bases.clone().unwrap_or_else(drawn);
    let Regions { weights_at, model_bytes, window } = regions;
    let mut numbers = vec![
        ("--max-cycles", job.max_cycles),
        ("--model-base", model),
        ("--weights-at", weights_at),
        ("--model-bytes", model_bytes as u64),
        ("--write-base", window.start as u64),
        ("--write-limit", window.end as u64),
        ("--latency", job.memory.latency),
        ("--stall-percent", job.memory.stall_percent.into()),
        ("--seed", job.memory.seed),
    ];
    numbers.extend(data.into_iter().map(|base| ("--data-base", base)));
    let error_at =
        [("--read-error-at", job.memory.read_error_at), ("--write-error-at", job.memory.write_error_at)];
    numbers.extend(error_at.into_iter().filter_map(|(name, at)| Some((name, at?))));
    if let Some(waveform) = &job.waveform {
        numbers.extend([("--vcd-from", waveform.from), ("--vcd-to", waveform.to)]);
    }
    numbers.iter().flat_map(|(name, value)| [name.to_string(), value.to_string()]).collect()
}
