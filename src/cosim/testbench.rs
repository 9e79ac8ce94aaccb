//! A scheduled network with the Verilog and a simulator of its design point.

use super::{Cache, Engine, MemoryOptions, Network, Simulator, Verilated, build};
use crate::Result;
use crate::config::ArrayConfig;
use crate::hw::{self, emit::Module};
use crate::schedule::Schedule;

/// What is simulated, and with what.
pub struct Testbench {
    /// Program and memory image, for as many images as a run has.
    pub schedule: Schedule,
    /// The Verilog of its design point, the top last.
    pub modules: Vec<Module>,
    engine: Engine,
    simulator: Box<dyn Simulator>,
    cache: Cache,
}

impl Testbench {
    /// Emits the Verilog of `schedule`'s design point and builds its simulator, or finds it in `cache`.
    ///
    /// # Errors
    /// Where the simulator is missing or does not take the design.
    pub fn new(schedule: Schedule, engine: Engine, cache: Cache) -> Result<Self> {
        let modules = hw::verilog(&schedule.config)?;
        let simulator = engine.start(&modules, &schedule.config, &cache)?;
        Ok(Self { schedule, modules, engine, simulator, cache })
    }

    /// Design point.
    pub fn config(&self) -> &ArrayConfig {
        &self.schedule.config
    }

    /// The simulator.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The network with this external memory, a simulator a core; results of earlier runs are taken from the cache.
    pub fn network(&self, memory: MemoryOptions) -> Network<'_> {
        Network {
            simulator: &*self.simulator,
            schedule: &self.schedule,
            cache: &self.cache,
            memory,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            resume: true,
        }
    }

    /// A simulator of the same Verilog that can write waveforms.
    ///
    /// # Errors
    /// Where Verilator is missing or fails.
    pub fn traced(&self) -> Result<Verilated> {
        build(&self.modules, &self.schedule.config, true, &self.cache)
    }
}
