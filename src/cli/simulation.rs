//! Options of simulated runs, shared by the verbs that simulate Verilog.

use super::design::Design;
use super::number;
use super::print::note;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::path::{Path, PathBuf};
use std::time::Instant;
use vgg2rtl::cosim::{Cache, Engine, MemoryOptions, Network, Testbench};
use vgg2rtl::int::IntModel;
use vgg2rtl::schedule::schedule;
use vgg2rtl::{Error, Result};

/// The simulator and the memory around the accelerator.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Simulation")]
pub struct Simulation {
    /// Simulator [default: verilator, in-process where it is missing].
    #[arg(long, value_name = "NAME", value_parser = engine())]
    simulator: Option<Engine>,
    /// Simulators that run at a time; one a core by default.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Images of a run.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number::batch())]
    batch: usize,
    /// Cycles from an address to its first word.
    #[arg(long, value_name = "CYCLES", default_value_t = 20, value_parser = number::latency())]
    latency: u64,
    /// Share of cycles in which a channel of the memory stalls.
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=90))]
    stall_percent: u32,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Folder of built simulators and finished results [default: vgg2rtl in the user's cache folder].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Simulate again what the cache has results of.
    #[arg(long)]
    rerun: bool,
}

impl Simulation {
    /// Schedules `model`, emits the Verilog of its design point and builds the simulator; how many seconds that took.
    pub fn testbench(&self, model: &IntModel, design: &Design) -> Result<(Testbench, f64)> {
        let schedule = schedule(model, &design.config(model)?, self.batch)?;
        let cache = Cache::open(self.cache.as_deref())?;
        let engine = self.simulator.unwrap_or_else(|| {
            let (engine, missing) = Engine::fastest();
            if let Some(program) = missing {
                note!("{program} is not installed (`vgg2rtl doctor` tells how): simulating in process");
            }
            engine
        });
        let start = Instant::now();
        let bench = Testbench::new(schedule, engine, cache)?;
        Ok((bench, start.elapsed().as_secs_f64()))
    }

    /// The network of `bench` under these options.
    pub fn network<'a>(&self, bench: &'a Testbench) -> Network<'a> {
        let network = bench.network(self.memory());
        Network { jobs: self.jobs.map_or(network.jobs, usize::from), resume: !self.rerun, ..network }
    }

    /// Folder of --cache.
    pub fn cache(&self) -> Option<&Path> {
        self.cache.as_deref()
    }

    /// External memory.
    pub fn memory(&self) -> MemoryOptions {
        MemoryOptions {
            latency: self.latency,
            stall_percent: self.stall_percent,
            seed: self.seed,
            ..MemoryOptions::default()
        }
    }

    /// Refuses numbers of images that are not whole runs.
    pub fn check_images(&self, images: usize) -> Result<()> {
        if images == 0 || !images.is_multiple_of(self.batch) {
            let reason = format!("{images} images are no whole runs of {}", self.batch);
            return Err(Error::usage("--images", reason));
        }
        Ok(())
    }
}

/// Parses the name of a simulator.
fn engine() -> impl TypedValueParser<Value = Engine> {
    let named = |name: String| Engine::ALL.into_iter().find(|e| e.name() == name);
    PossibleValuesParser::new(Engine::ALL.map(Engine::name))
        .map(move |name| named(name).expect("a possible value"))
}
