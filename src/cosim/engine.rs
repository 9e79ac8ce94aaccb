//! The choice of a simulator.

use super::cache::Cache;
use super::icarus::Icarus;
use super::in_process::InProcess;
use super::simulator::Simulator;
use super::{tools, verilator};
use crate::Result;
use crate::config::ArrayConfig;
use crate::hw::emit::Module;

/// A kind of simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Verilator: a compiled model of the Verilog, millions of cycles a second.
    Verilator,
    /// Icarus: an interpreter of the Verilog; for small networks.
    Icarus,
    /// rust_hdl's own: needs no tool, some ten thousand cycles a second.
    InProcess,
}

impl Engine {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Verilator, Self::Icarus, Self::InProcess];

    /// The name that users type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verilator => "verilator",
            Self::Icarus => "icarus",
            Self::InProcess => "in-process",
        }
    }

    /// The programs that it calls.
    pub fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Verilator => &["verilator", "g++"],
            Self::Icarus => &["iverilog"],
            Self::InProcess => &[],
        }
    }

    /// The fastest whose programs are there; and the first program that keeps a faster one from being used.
    pub fn fastest() -> (Self, Option<&'static str>) {
        let missing = Self::Verilator.programs().iter().find(|p| tools::version(p).is_err());
        (if missing.is_none() { Self::Verilator } else { Self::InProcess }, missing.copied())
    }

    /// A simulator of `modules`, the Verilog of `config`; built, or found in `cache`.
    pub fn start(
        self,
        modules: &[Module],
        config: &ArrayConfig,
        cache: &Cache,
    ) -> Result<Box<dyn Simulator>> {
        Ok(match self {
            Self::Verilator => Box::new(verilator::build(modules, config, false, cache)?),
            Self::Icarus => Box::new(Icarus::new(modules, cache)?),
            Self::InProcess => Box::new(InProcess::new(config)?),
        })
    }
}
