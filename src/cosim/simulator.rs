//! One run of the accelerator in a simulator, from its memory image to its output.

use super::cache::Cache;
use super::memory::MemoryOptions;
use super::tools;
use super::verilator::Simulator;
use crate::schedule::Schedule;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// What to run.
pub struct Job<'a> {
    /// Program and regions.
    pub schedule: &'a Schedule,
    /// Memory from address 0, inputs filled in, at least up to the write window.
    pub image: &'a [u8],
    /// The write window after the run, where it is known: the simulator then tells when it is first wrong.
    pub expected: Option<&'a [u8]>,
    /// External memory.
    pub memory: &'a MemoryOptions,
    /// Cycles after which the run counts as hanging.
    pub max_cycles: u64,
    /// Waveform to write, by a traced simulator.
    pub waveform: Option<Waveform>,
}

/// A VCD file of some cycles.
#[derive(Clone, Debug)]
pub struct Waveform {
    /// The file.
    pub path: PathBuf,
    /// First cycle.
    pub from: u64,
    /// Last cycle.
    pub to: u64,
}

/// What the simulator tells of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Statistics {
    /// No interrupt came.
    pub hang: bool,
    /// Error code of the accelerator, 0 for none.
    pub error: u32,
    /// Command that it belongs to.
    pub error_command: u32,
    /// Cycles from reset to the interrupt.
    pub cycles: u64,
    /// The accelerator's own counters: cycles busy, cycles in which the array computes, words of the bus.
    pub busy_cycles: u64,
    /// See above.
    pub array_cycles: u64,
    /// See above.
    pub weight_beats: u64,
    /// See above.
    pub act_beats: u64,
    /// See above.
    pub write_beats: u64,
    /// First breach of the AXI rules; empty if none.
    pub violation: String,
    /// Cycle in which a written word first was wrong.
    pub wrong_cycle: Option<u64>,
    /// Marks of time: each command of the program and the end mark when they are fetched, then the interrupt.
    pub commands: Vec<Mark>,
}

/// A cycle, and the words of the bus until then.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Mark {
    /// Cycle.
    pub cycle: u64,
    /// Words read for weights and parameters.
    pub weight_beats: u64,
    /// Words read for activations.
    pub act_beats: u64,
    /// Words written.
    pub write_beats: u64,
}

/// What the accelerator's error codes mean, from code 1.
pub const ERRORS: [&str; 8] = [
    "unknown opcode",
    "a field of the command cannot work",
    "memory answered a read with an error",
    "memory answered a write with an error",
    "a read beyond READ_LIMIT",
    "a write outside WRITE_BASE … WRITE_LIMIT",
    "no progress",
    "the program has no end mark",
];

impl Simulator {
    /// Runs it; gives the statistics and the bytes of the write window. Differences are for the caller to judge.
    pub fn run(&self, job: &Job, cache: &Cache) -> Result<(Statistics, Vec<u8>)> {
        let work = cache.workspace()?;
        let window = job.schedule.write_window();
        let put = |name: &str, bytes: &[u8]| {
            let path = work.path().join(name);
            fs::write(&path, bytes).map_err(Error::io(&path)).map(|()| path)
        };
        let output = work.path().join("output.bin");
        let mut arguments = arguments(job);
        let mut file =
            |option: &str, path: &Path| arguments.extend([option.into(), path.display().to_string()]);
        file("--image", &put("image.bin", &job.image[..window.start])?);
        file("--output", &output);
        if let Some(expected) = job.expected {
            file("--expected", &put("expected.bin", expected)?);
        }
        if let Some(waveform) = &job.waveform {
            file("--vcd", &waveform.path);
        }
        let said = tools::call(&self.program, &arguments, None)?;
        let failed = |reason: String| Error::ToolFailed { tool: "the simulator".into(), reason };
        if said.status.code() == Some(2) {
            return Err(failed(tools::first_error(&said.stderr)));
        }
        let statistics = serde_json::from_slice(&said.stdout);
        let statistics = statistics.map_err(|e| failed(format!("its statistics cannot be read: {e}")))?;
        Ok((statistics, fs::read(&output).map_err(Error::io(&output))?))
    }
}

fn arguments(job: &Job) -> Vec<String> {
    let schedule = job.schedule;
    let window = schedule.write_window();
    let mut numbers = vec![
        ("--max-cycles", job.max_cycles),
        ("--weights-at", schedule.layers[0].command.weights.into()),
        ("--maps-at", schedule.memory.region("input").base.into()),
        ("--write-base", window.start as u64),
        ("--write-limit", window.end as u64),
        ("--latency", job.memory.latency),
        ("--stall-percent", job.memory.stall_percent.into()),
        ("--seed", job.memory.seed),
    ];
    let error_at =
        [("--read-error-at", job.memory.read_error_at), ("--write-error-at", job.memory.write_error_at)];
    numbers.extend(error_at.into_iter().filter_map(|(name, at)| Some((name, at?))));
    if let Some(waveform) = &job.waveform {
        numbers.extend([("--vcd-from", waveform.from), ("--vcd-to", waveform.to)]);
    }
    numbers.iter().flat_map(|(name, value)| [name.to_string(), value.to_string()]).collect()
}

impl Statistics {
    /// What went wrong besides wrong words; the layers' names by command.
    pub fn check(&self, layers: &[&str]) -> Result<()> {
        let at = |command: usize| layers.get(command).copied().unwrap_or("the program's end");
        let wrong = |at: &str, reason: String| Err(Error::Mismatch(format!("{at}: {reason}")));
        if !self.violation.is_empty() {
            return wrong("AXI", self.violation.clone());
        }
        if self.hang {
            let reason = format!("no interrupt after {} cycles, 4 times what it should take", self.cycles);
            return wrong(at(self.commands.len().saturating_sub(1)), reason);
        }
        if self.error > 0 {
            let name = ERRORS.get(self.error as usize - 1).unwrap_or(&"unknown");
            return wrong(at(self.error_command as usize), format!("error {}, {name}", self.error));
        }
        if self.commands.len() != layers.len() + 2 {
            let fetched = self.commands.len().saturating_sub(2);
            return wrong("the program", format!("{fetched} of {} commands ran", layers.len()));
        }
        Ok(())
    }

    /// What command `layer` of `layers` took, from its fetch to the next one's, the last one to the interrupt.
    pub fn taken(&self, layer: usize, layers: usize) -> Mark {
        let end = if layer + 1 == layers { layer + 2 } else { layer + 1 };
        let (from, to) = (self.commands[layer], self.commands[end]);
        Mark {
            cycle: to.cycle - from.cycle,
            weight_beats: to.weight_beats - from.weight_beats,
            act_beats: to.act_beats - from.act_beats,
            write_beats: to.write_beats - from.write_beats,
        }
    }
}
