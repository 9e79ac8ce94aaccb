//! What the benches run: the network, and where that takes slow simulators long a short program of some of its layers.

use super::contents::{Bundle, MEMORY};
use crate::Result;
use crate::schedule::cycles::{self, Cycles, MemoryTiming};
use crate::schedule::{Excerpt, Regions, Schedule};
use serde::Serialize;

/// Cycles of a processing element that Icarus may take for a network, the rest of the accelerator being worth [`REST`] of them: half
/// a minute on a slow core.
const SLOW: u64 = 2_500_000;
const REST: u64 = 256;
/// Cycles without a write after which the bench goes on, and what its first layer takes at the least of them.
const NO_WRITES: u64 = 5000;

/// The short run in `design.json`: as the network's, and the layers that it is of.
#[derive(Serialize)]
pub(super) struct Short<'a> {
    layers: Vec<&'a str>,
    read_limit: usize,
    write_base: usize,
    write_limit: usize,
    max_cycles: u64,
    words: usize,
}

impl<'a> Short<'a> {
    pub(super) fn of(short: &'a Excerpt) -> Self {
        let Regions { model_bytes, window, .. } = short.schedule.regions();
        Self {
            layers: short.schedule.layers.iter().map(|layer| &layer.name[..]).collect(),
            read_limit: model_bytes,
            write_base: window.start,
            write_limit: window.end,
            max_cycles: cycles::limit(&short.schedule, MEMORY),
            words: short.words(),
        }
    }
}

impl Bundle<'_> {
    /// The short run; none where the network itself does not take long.
    pub(super) fn short(&self) -> Result<Option<Excerpt>> {
        let config = &self.schedule.config;
        let cycles: u64 = cycles::estimate(self.schedule, MEMORY).iter().map(|c| c.total).sum();
        if cycles * ((config.rows * config.cols) as u64 + REST) <= SLOW {
            return Ok(None);
        }
        Excerpt::of(self.model, self.schedule, self.codes, self.trace, MEMORY).map(Some)
    }

    /// What the benches need, name and value.
    pub(super) fn numbers(&self) -> Vec<(&'static str, u64)> {
        numbers(self.schedule, self.trace.words(), NO_WRITES)
    }

    /// `design.mk`.
    pub(super) fn make_variables(&self, short: Option<&Excerpt>) -> String {
        let line = |before: &str, (name, value): (&str, u64)| format!("{before}{name} := {value}\n");
        let whole: String = self.numbers().into_iter().map(|number| line("", number)).collect();
        let Some(short) = short else { return format!("TOP := {}\n{whole}", self.top()) };
        let Short { layers, words, .. } = Short::of(short);
        let first = cycles::estimate(&short.schedule, MEMORY)[0].total;
        let numbers = numbers(&short.schedule, words, NO_WRITES.min(2 * first));
        let numbers: String = numbers.into_iter().map(|number| line("SHORT_", number)).collect();
        let layers: Vec<String> = layers.into_iter().map(plain).collect();
        format!("TOP := {}\n{whole}SHORT_LAYERS := {}\n{numbers}", self.top(), layers.join(","))
    }
}

/// `name` in characters that mean nothing to make and a shell.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "._/-".contains(c) { c } else { '_' }).collect()
}

fn numbers(schedule: &Schedule, words: usize, no_writes: u64) -> Vec<(&'static str, u64)> {
    let layers = cycles::estimate(schedule, MemoryTiming { latency: 0, stall_percent: 0 });
    let sum = |beats: fn(&Cycles) -> u64| layers.iter().map(beats).sum();
    let run = [
        ("WEIGHT_BEATS", sum(|c| c.weight_beats)),
        ("ACT_BEATS", sum(|c| c.act_beats)),
        ("WRITE_BEATS", sum(|c| c.write_beats)),
        ("POSITIONS", sum(|c| c.positions)),
        ("WORDS", words as u64),
        ("NO_WRITES", no_writes),
        ("MAX_CYCLES", cycles::limit(schedule, MEMORY)),
    ];
    schedule.bench_numbers().into_iter().chain(run).collect()
}
