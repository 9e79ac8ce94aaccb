//! A whole network on a design point: cycles, utilization and traffic, by the closed-form cycle model.

use crate::Result;
use crate::config::ArrayConfig;
use crate::schedule::cycles::{MemoryTiming, of_layers};
use crate::schedule::{Geometry, plan};
use serde::{Deserialize, Serialize};

/// What a run costs, an image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkCost {
    /// Cycles of the whole network.
    pub cycles: u64,
    /// Cycles of each layer.
    pub layer_cycles: Vec<u64>,
    /// Achieved share of the array's peak in each layer, 0 … 1; zero-padding MACs are counted.
    pub layer_utilization: Vec<f64>,
    /// The same of the whole network.
    pub utilization: f64,
    /// Bytes read for weights and parameters.
    pub weight_bytes: u64,
    /// Bytes read and written for activations.
    pub act_bytes: u64,
}

/// Cycles and traffic of runs of `images` images on `config`, which must be valid.
///
/// # Errors
/// A layer that does not fit the design point, with the need and the have.
pub fn network_cost(
    geometry: &Geometry,
    config: &ArrayConfig,
    images: usize,
    memory: MemoryTiming,
) -> Result<NetworkCost> {
    let plan = plan(geometry, config, images)?;
    let cycles = of_layers(&plan.layers, config, memory);
    let runs = images as u64;
    let bytes = |beats: u64| beats * config.bus_bytes() as u64 / runs;
    let share =
        |macs: u64, cycles: u64| macs as f64 / (cycles.max(1) as f64 * (config.rows * config.cols) as f64);
    let layers = || plan.layers.iter().zip(&cycles);
    let total: u64 = cycles.iter().map(|c| c.total).sum();
    Ok(NetworkCost {
        cycles: total.div_ceil(runs),
        layer_cycles: cycles.iter().map(|c| c.total.div_ceil(runs)).collect(),
        layer_utilization: layers().map(|(l, c)| share(l.macs, c.total)).collect(),
        utilization: share(plan.layers.iter().map(|l| l.macs).sum(), total),
        weight_bytes: bytes(cycles.iter().map(|c| c.weight_beats).sum()),
        act_bytes: bytes(cycles.iter().map(|c| c.act_beats + c.write_beats).sum()),
    })
}
