//! What is known of one point of a sweep: a row of the report.

use super::budget::Lack;
use super::coding::Coding;
use super::cost::NetworkCost;
use super::sweep::Point;
use super::{Family, Resources};
use crate::Error;
use crate::config::{ArrayConfig, Multipliers, Requantize};
use serde::{Deserialize, Serialize};

/// Where an area comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The analytical model.
    Model,
    /// Synthesis by yosys.
    Synthesis,
}

/// One point and all that is known of it. What is not known is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Place in the sweep, from 0.
    pub point: usize,
    /// FPGA family.
    pub family: Family,
    /// Weight bits of layers without bits of their own.
    pub weights: u32,
    /// Activation bits.
    pub acts: u32,
    /// Name of the bit assignment, where layers have weight bits of their own.
    pub assignment: Option<String>,
    /// Requantization.
    pub requantize: Requantize,
    /// What the array's products are made of.
    pub multipliers: Multipliers,
    /// Rows of the array.
    pub rows: usize,
    /// Columns of the array.
    pub cols: usize,
    /// Bits of the bus.
    pub bus_bits: usize,
    /// Weight bits of each layer.
    pub layer_bits: Vec<u32>,
    /// Bits of all weights together, each layer at its own width.
    pub weight_bits_total: u64,
    /// The design point.
    pub config: Option<ArrayConfig>,
    /// Look-up tables, flip-flops, carry cells, multipliers, block RAMs.
    pub resources: Option<Resources>,
    /// Where `resources` come from.
    pub source: Option<Source>,
    /// Bits of on-chip memory.
    pub memory_bits: Option<u64>,
    /// Clock after place and route, MHz.
    pub fmax_mhz: Option<f64>,
    /// The clock that `images_per_s` is for, MHz: `fmax_mhz`, or else the one that the user gave.
    pub clock_mhz: f64,
    /// Cycles, utilization and traffic.
    pub network: Option<NetworkCost>,
    /// Images a second.
    pub images_per_s: Option<f64>,
    /// Share of labelled images that the integer network gets right.
    pub accuracy: Option<f64>,
    /// How many that are.
    pub correct: Option<usize>,
    /// Least and greatest share that they are in keeping with, at 95 %.
    #[serde(default)]
    pub accuracy_interval: Option<(f64, f64)>,
    /// On the Pareto front of its family over the report's axes.
    pub pareto: bool,
    /// Whether the area is known and within the budget; `None` without one.
    pub fits: Option<bool>,
    /// What the point lacks on the chosen part or budget.
    pub lacks: Vec<Lack>,
    /// Why the point cannot be built, or what failed: a refused point has no numbers.
    pub refused: Option<String>,
    /// A tool or a measurement that failed; the other numbers hold.
    pub failed: Option<String>,
    /// The exit code of what refused or failed first.
    pub exit_code: Option<u8>,
    /// The commands that make the design, in their order.
    #[serde(default)]
    pub commands: Vec<String>,
}

impl Row {
    /// The row of `point`, of which nothing is known, for a clock of `clock_mhz`.
    pub(super) fn unknown(point: &Point, clock_mhz: f64) -> Self {
        let Coding { weights, acts, requantize, ref assignment, .. } = point.coding;
        Self {
            point: point.index,
            family: point.family,
            weights,
            acts,
            assignment: assignment.as_ref().map(|a| a.name.clone()),
            requantize,
            multipliers: point.multipliers,
            rows: point.array.0,
            cols: point.array.1,
            bus_bits: point.bus.unwrap_or(ArrayConfig::near(point.array.0, point.array.1).bus_bits),
            layer_bits: vec![],
            weight_bits_total: 0,
            config: None,
            resources: None,
            source: None,
            memory_bits: None,
            fmax_mhz: None,
            clock_mhz,
            network: None,
            images_per_s: None,
            accuracy: None,
            correct: None,
            accuracy_interval: None,
            pareto: false,
            fits: None,
            lacks: vec![],
            refused: None,
            failed: None,
            exit_code: None,
            commands: vec![],
        }
    }

    /// Whether it has all the numbers that were asked for.
    pub fn has_result(&self) -> bool {
        self.refused.is_none() && self.failed.is_none()
    }

    /// `W4A8`, with the assignment's name where there is one.
    pub fn coding(&self) -> String {
        let name = self.assignment.iter().map(|name| format!(" {name}")).collect::<String>();
        format!("W{}A{}{name}", self.weights, self.acts)
    }

    /// Whether the point can be built, and fits the budget where there is one.
    pub fn is_candidate(&self) -> bool {
        self.refused.is_none() && self.fits != Some(false)
    }

    /// `dsp` or `lut`, and `dsp/N` where N columns share a multiplier.
    pub fn products(&self) -> String {
        let shared = self.config.as_ref().map(|c| c.pack).filter(|&pack| pack > 1);
        format!("{:?}{}", self.multipliers, shared.map_or(String::new(), |n| format!("/{n}"))).to_lowercase()
    }

    /// Sets the clock after place and route, and what follows from it.
    pub fn set_clock(&mut self, mhz: f64) {
        self.clock_mhz = mhz;
        self.images_per_s = self.network.as_ref().map(|n| mhz * 1e6 / n.cycles.max(1) as f64);
    }

    /// Notes that the point cannot be built.
    pub fn refuse(&mut self, error: &Error) {
        self.refused = Some(error.to_string());
        self.exit_code.get_or_insert(error.exit_code());
    }

    /// Notes a failure, after those before it, and its exit code.
    pub fn fail(&mut self, reason: impl std::fmt::Display, code: u8) {
        self.exit_code.get_or_insert(code);
        let before = self.failed.take().map_or(String::new(), |before| format!("{before}; "));
        self.failed = Some(format!("{before}{reason}"));
    }
}
