//! A sweep as it is asked for.

use super::accuracy::Images;
use super::budget::Budget;
use super::mixed::Mixed;
use super::network::Network;
use super::pareto::Axis;
use super::sweep::{Axes, Point};
use super::tune::Tuning;
use crate::config::ArrayConfig;
use crate::schedule::cycles::MemoryTiming;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The external memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct External {
    /// Cycles from an address to its first word.
    pub latency: u64,
    /// Share of cycles in which a channel stalls, in percent, 0 … 90.
    pub stall_percent: u64,
    /// Bytes a second each way, in millions; `None`: a word of the bus a cycle.
    pub megabytes_per_s: Option<f64>,
}

/// Most cycles from an address to its first word.
const LONGEST_LATENCY: u64 = 1_000_000;

/// A sweep, ready to be run here or elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// A float model file, or `vgg11` … `vgg19`: torchvision's geometry at 224×224, without weights.
    pub model: PathBuf,
    /// What accuracy is measured with; `None`: it is not.
    pub images: Option<Images>,
    /// Fine-tuning before accuracy is measured; `None`: post-training quantization.
    pub qat: Option<Tuning>,
    /// What varies.
    pub axes: Axes,
    /// Search for mixed precision, at the size of each of the axes' weight bits; needs `images`.
    pub mixed: Option<Mixed>,
    /// External memory.
    pub external: External,
    /// Images of a run.
    pub batch: usize,
    /// Clock where none is known from place and route, MHz.
    pub clock_mhz: f64,
    /// Areas by yosys rather than by the model.
    pub synth: bool,
    /// Clocks by nextpnr.
    pub place: bool,
    /// Go on where a tool of `synth` or `place` is missing: with the model's areas, without clocks.
    #[serde(default)]
    pub allow_missing: bool,
    /// What a design may take.
    pub budget: Option<Budget>,
    /// Axes of the Pareto front.
    pub pareto: Vec<Axis>,
    /// A point is on the front only if it is better than each of the others there by more than this share in some axis.
    #[serde(default)]
    pub tolerance: f64,
    /// Least share of right answers of a point on the front; `None`: half of the float network's.
    #[serde(default)]
    pub floor: Option<f64>,
    /// Images a second that the cheapest point is wanted for.
    #[serde(default)]
    pub target_fps: Option<f64>,
    /// Tools that run at a time.
    pub jobs: usize,
    /// Folder of results.
    pub cache: Option<PathBuf>,
}

impl Task {
    /// Checks every limit.
    pub fn validate(&self, network: &Network) -> Result<()> {
        self.axes.validate(&network.model)?;
        if !(self.clock_mhz > 0.0 && self.clock_mhz.is_finite()) {
            return Err(Error::usage("--clock", format!("{} is no clock in MHz", self.clock_mhz)));
        }
        if let Some(rate) = self.external.megabytes_per_s
            && !(rate > 0.0 && rate.is_finite())
        {
            return Err(Error::usage("--bandwidth", format!("{rate} is no rate in MB/s")));
        }
        if self.external.stall_percent > 90 {
            let reason = format!("{} where 0 … 90 are possible", self.external.stall_percent);
            return Err(Error::usage("--stall-percent", reason));
        }
        if self.external.latency > LONGEST_LATENCY {
            let reason = format!("{} cycles, at most {LONGEST_LATENCY}", self.external.latency);
            return Err(Error::usage("--latency", reason));
        }
        if !(1..=1 << 12).contains(&self.batch) {
            return Err(Error::usage(
                "--batch",
                format!("{} images a run, 1 … 4096 are possible", self.batch),
            ));
        }
        if self.images.is_some() && !network.is_trained() {
            let reason = format!("{} has no weights to measure the accuracy of", self.model.display());
            return Err(Error::usage("--data", reason));
        }
        Ok(())
    }

    /// The points of slice `(i, n)`: every n-th from the i-th on.
    pub(super) fn points(&self, (first, step): (usize, usize)) -> Vec<Point> {
        self.axes.points().into_iter().filter(|p| p.index % step == first).collect()
    }

    /// The memory as the cycle model sees it at a clock: what its bandwidth does not give counts as stalls.
    pub(super) fn timing(&self, config: &ArrayConfig, clock_mhz: f64) -> Result<MemoryTiming> {
        let External { latency, stall_percent, megabytes_per_s } = self.external;
        let stalls = match megabytes_per_s {
            None => 0,
            Some(rate) => {
                let percent = (100.0 * rate / (config.bus_bytes() as f64 * clock_mhz)).floor();
                if percent < 1.0 {
                    let reason = format!("{rate} MB/s are less than 1 % of what the bus takes");
                    return Err(Error::usage("--bandwidth", reason));
                }
                100 - percent.min(100.0) as u64
            }
        };
        Ok(MemoryTiming { latency, stall_percent: stall_percent.max(stalls) })
    }
}
