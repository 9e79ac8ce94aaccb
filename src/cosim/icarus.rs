//! The Verilog in Icarus: another reading of the language than Verilator's, a few hundred to some thousand cycles a
//! second. The bench is the bundle's, `testbenches/tb.v`.

use super::bases::Bases;
use super::cache::Cache;
use super::memory::Traffic;
use super::simulator::{Job, Mark, Simulator, Statistics};
use super::tools;
use crate::hw::emit::Module;
use crate::{Error, Result, store};
use std::fs;
use std::path::Path;

/// The bench, and the constants that it includes.
const BENCH: &str = include_str!("../../testbenches/tb.v");
const CONSTANTS: &str = include_str!("../../testbenches/isa.vh");
/// Cycles that the bench can count, in a signed word of 32 bits, with those that it waits for the registers.
const COUNTED: u64 = (1 << 31) - 20_000;
/// Cycles of a processing element in a second: a tenth of the least that was seen on a busy machine.
const PACE: u64 = 10_000;
/// What it says when no interrupt comes.
const HANGS: &str = "no interrupt";

/// Icarus with the Verilog of one design point.
#[derive(Clone, Debug)]
pub struct Icarus {
    modules: Vec<Module>,
    cache: Cache,
    key: String,
}

impl Icarus {
    /// A simulator of `modules`; fails where Icarus is missing.
    pub fn new(modules: &[Module], cache: &Cache) -> Result<Self> {
        let texts = modules.iter().map(|m| m.text.as_str());
        let version = tools::version("iverilog")?;
        let key = format!("icarus-{}", &store::digest(texts.chain([BENCH, CONSTANTS, &version]))[..32]);
        Ok(Self { modules: modules.to_vec(), cache: cache.clone(), key })
    }

    /// Compiles the bench for `job` in `folder`.
    fn compile(&self, job: &Job, folder: &Path) -> Result<()> {
        let run = [
            ("MAX_CYCLES", job.max_cycles),
            ("LATENCY", job.memory.latency),
            ("STALL_PERCENT", job.memory.stall_percent.into()),
            ("SEED", job.memory.seed & 0x7fff_ffff),
        ];
        let config = &job.schedule.config;
        let drawn = || Bases::drawn(&job.schedule.regions(), 1, config.address_bits, job.memory.seed);
        let bases = job.memory.bases.clone().unwrap_or_else(drawn);
        let bases = [("MODEL_BASE", bases.model), ("DATA_BASE", bases.data[0])];
        let parameters = job.schedule.bench_numbers().into_iter().chain(run);
        let mut arguments: Vec<String> =
            ["-g2005", "-o", "tb.vvp", "-s", "tb", "tb.v"].map(String::from).into();
        arguments.extend(parameters.map(|(name, value)| format!("-Ptb.{name}={value}")));
        arguments.extend(bases.map(|(name, value)| format!("-Ptb.{name}=64'h{value:x}")));
        arguments.extend(self.modules.iter().map(|m| format!("{}.v", m.name)));
        let said = tools::call_within("iverilog", &arguments, Some(folder), tools::BUILD_LIMIT)?;
        if said.status.success() {
            return tools::product("iverilog", &folder.join("tb.vvp")).map(drop);
        }
        let reason = tools::first_error(&[said.stderr, said.stdout].concat());
        Err(Error::ToolFailed { tool: "iverilog".into(), reason })
    }
}

impl Simulator for Icarus {
    fn key(&self) -> &str {
        &self.key
    }

    fn run(&self, job: &Job) -> Result<(Statistics, Vec<u8>)> {
        let refuse = |option: &str, what: &str| {
            Err(Error::usage(option, format!("Icarus {what}: it takes Verilator")))
        };
        if job.waveform.is_some() {
            return refuse("--vcd", "writes no waveforms here");
        }
        if job.memory.read_error_at.or(job.memory.write_error_at).is_some() {
            return refuse("memory", "has a bench whose memory makes no errors");
        }
        if job.memory.bases.as_ref().is_some_and(|bases| bases.data.len() > 1) {
            return refuse("memory", "has a bench of one data area");
        }
        let cycles = job.max_cycles.saturating_add(job.memory.latency);
        if cycles > COUNTED {
            return refuse("--latency", &format!("counts {COUNTED} cycles, this run may take {cycles}"));
        }
        let work = self.cache.workspace()?;
        let put = |name: &str, bytes: &[u8]| {
            let path = work.path().join(name);
            fs::write(&path, bytes).map_err(Error::io(&path))
        };
        let data = work.path().join("data");
        fs::create_dir(&data).map_err(Error::io(&data))?;
        put("tb.v", BENCH.as_bytes())?;
        put("isa.vh", CONSTANTS.as_bytes())?;
        self.modules.iter().try_for_each(|m| put(&format!("{}.v", m.name), m.text.as_bytes()))?;
        put("data/image.bin", &job.image[..job.schedule.write_window().start])?;
        self.compile(job, work.path())?;
        let limit = job.time_limit(PACE);
        let said = tools::call_within("vvp", &["tb.vvp", "+output=output.hex"], Some(work.path()), limit)?;
        let statistics = statistics(&String::from_utf8_lossy(&said.stdout), job)?;
        let output = match said.status.success() {
            true => words(&work.path().join("output.hex"), job)?,
            false => vec![0; job.schedule.write_window().len()],
        };
        Ok((statistics, output))
    }
}

/// What the bench prints.
fn statistics(text: &str, job: &Job) -> Result<Statistics> {
    let mut statistics = Statistics::default();
    for line in text.lines() {
        let numbers: Vec<u64> =
            line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
        match (line.split(' ').next(), &numbers[..]) {
            (Some("mark"), &[_, cycle, weight_beats, act_beats, write_beats]) => {
                let traffic = Traffic { weight_beats, act_beats, write_beats };
                statistics.commands.push(Mark { cycle, traffic });
            }
            (Some("register"), &[index, value]) if index < 16 => {
                statistics.registers[index as usize] = value as u32;
            }
            (Some("FAIL"), _) if line.contains(HANGS) => statistics.hang = true,
            (Some("FAIL"), _) => statistics.violation = line.trim_start_matches("FAIL").trim().into(),
            _ => {}
        }
    }
    match statistics.commands.last() {
        Some(_) if statistics.hang => statistics.cycles = job.max_cycles,
        Some(end) => statistics.cycles = end.cycle,
        None if statistics.hang || !statistics.violation.is_empty() => {}
        None => {
            let reason = tools::first_error(text.as_bytes());
            return Err(Error::ToolFailed { tool: "vvp".into(), reason });
        }
    }
    Ok(statistics)
}

/// The words of the write window, 64 bits a line.
fn words(path: &Path, job: &Job) -> Result<Vec<u8>> {
    let text = String::from_utf8_lossy(&tools::product("vvp", path)?).into_owned();
    let base = job.schedule.write_window().start;
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for (i, line) in text.lines().enumerate() {
        let word = u64::from_str_radix(line.trim(), 16).map_err(|_| {
            Error::Mismatch(format!("unknown bits, {line}, are written at byte {:#x}", base + 8 * i))
        })?;
        bytes.extend(word.to_le_bytes());
    }
    Ok(bytes)
}
