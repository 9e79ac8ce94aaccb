//! One run of the accelerator in a simulator, from its memory image to its output.

use super::memory::{MemoryOptions, Traffic};
use crate::isa::{ErrorCode, address, bit};
use crate::schedule::Schedule;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// A simulator of one design point, whichever it is.
pub trait Simulator: Sync {
    /// Hash of everything, besides the job, that results follow from.
    fn key(&self) -> &str;

    /// Runs `job`; gives the statistics and the bytes of the write window. Differences are for the caller to judge.
    fn run(&self, job: &Job) -> Result<(Statistics, Vec<u8>)>;
}

/// What to run.
pub struct Job<'a> {
    /// Program and regions.
    pub schedule: &'a Schedule,
    /// The model and behind it the data, inputs filled in, at least up to the write window.
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

impl Job<'_> {
    /// How long the job may take in a simulator that does `pace` cycles of a processing element a second at the least;
    /// the rest of the accelerator costs as much as 256 of them.
    pub fn time_limit(&self, pace: u64) -> Duration {
        let elements = (self.schedule.config.rows * self.schedule.config.cols + 256) as u64;
        Duration::from_secs(60 + self.max_cycles.saturating_mul(elements) / pace)
    }
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

/// What a simulator tells of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Statistics {
    /// No interrupt came.
    pub hang: bool,
    /// The accelerator's registers after the run, by address.
    pub registers: [u32; 16],
    /// Cycles from reset to the interrupt.
    pub cycles: u64,
    /// First breach of the AXI rules; empty if none.
    pub violation: String,
    /// Cycles from the first run's interrupt to the queued one's first request; `None` if none was queued.
    pub between_runs: Option<u64>,
    /// Cycle in which a written word first was wrong.
    pub wrong_cycle: Option<u64>,
    /// Marks of time: each command of the program and the end mark when they are fetched, then the interrupt.
    pub commands: Vec<Mark>,
}

/// A cycle, and the words that crossed the memory's port until then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Cycle.
    pub cycle: u64,
    /// Words of the bus.
    #[serde(flatten)]
    pub traffic: Traffic,
}

impl Statistics {
    /// The register at `address` after the run.
    pub fn register(&self, address: usize) -> u32 {
        self.registers[address / 4]
    }

    /// Error code of the accelerator, 0 for none.
    pub fn error(&self) -> u32 {
        bit::ERROR.of(self.register(address::STATUS))
    }

    /// Commands completed.
    pub fn completed(&self) -> u32 {
        bit::COMPLETED.of(self.register(address::STATUS))
    }

    /// Whether a start came while the accelerator was busy.
    pub fn refused_start(&self) -> bool {
        bit::REFUSED.of(self.register(address::STATUS)) == 1
    }

    /// The words of the bus by the accelerator's own counters.
    pub fn counted(&self) -> Traffic {
        let counters = [address::WEIGHT_BEATS, address::ACT_BEATS, address::WRITE_BEATS];
        let [weight_beats, act_beats, write_beats] = counters.map(|at| self.register(at).into());
        Traffic { weight_beats, act_beats, write_beats }
    }

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
        if self.error() != 0 {
            let name = ErrorCode::new(self.error()).map_or("unknown", ErrorCode::name);
            let command = self.register(address::ERROR_COMMAND) as usize;
            return wrong(at(command), format!("error {}, {name}", self.error()));
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
            traffic: Traffic {
                weight_beats: to.traffic.weight_beats - from.traffic.weight_beats,
                act_beats: to.traffic.act_beats - from.traffic.act_beats,
                write_beats: to.traffic.write_beats - from.traffic.write_beats,
            },
        }
    }
}
