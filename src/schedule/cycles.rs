//! The closed-form cycle model of a layer.
//!
//! A tile's sweep over M positions occupies the array for max(M, 2·rows) cycles, or M + rows − 1 where M ≤ rows
//! (`docs/accelerator.md`). Draining the accumulators, and the traffic of the read and the write channel, run
//! beside it; the slowest of the four sets the pace of an output tile. Before the first sweep the command, a patch and a
//! tile of weights are read, and after the last one the accumulators drain: that is not hidden.

use super::program::COMMAND_BYTES;
use super::{LayerSchedule, Schedule};
use crate::config::ArrayConfig;
use serde::Serialize;

/// What the memory gives: a word of the bus a cycle in each direction, less the stalls.
#[derive(Clone, Copy, Debug)]
pub struct MemoryTiming {
    /// Cycles from an address to its first word.
    pub latency: u64,
    /// Share of cycles in which a channel stalls, in percent, below 100.
    pub stall_percent: u64,
}

/// Cycles and traffic of one layer, for all images of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cycles {
    /// Cycles in which sweeps hold the array.
    pub array: u64,
    /// Cycles of the drain, all output tiles together.
    pub drain: u64,
    /// Words of the bus read for weights and parameters.
    pub weight_beats: u64,
    /// Words of the bus read for activations.
    pub act_beats: u64,
    /// Words of the bus written.
    pub write_beats: u64,
    /// Cycles of the layer from its command to its last write.
    pub total: u64,
}

impl Cycles {
    /// Achieved share of the array's peak, in hundredths of a percent: 10000 is one useful MAC a cycle and PE.
    pub fn utilization(&self, macs: u64, config: &ArrayConfig) -> u64 {
        macs * 10_000 / (self.total.max(1) * (config.rows * config.cols) as u64)
    }
}

/// Cycles that a sweep over `positions` holds the array.
pub fn sweep(positions: u64, rows: u64) -> u64 {
    if positions > rows { positions.max(2 * rows) } else { positions + rows - 1 }
}

/// Cycles of every layer of `schedule`.
pub fn estimate(schedule: &Schedule, memory: MemoryTiming) -> Vec<Cycles> {
    of_layers(&schedule.layers, &schedule.config, memory)
}

/// Cycles of planned or scheduled `layers` on the accelerator `config`.
pub fn of_layers(layers: &[LayerSchedule], config: &ArrayConfig, memory: MemoryTiming) -> Vec<Cycles> {
    layers.iter().map(|l| layer(l, config, memory)).collect()
}

/// Cycles from the last position of an output tile to its drain, and from its end to the first position of the next
/// tile in the same bank.
fn hand_over(config: &ArrayConfig) -> u64 {
    (config.rows + config.cols) as u64 + 17
}

/// Cycles after which a run of `schedule` hangs: four times what it should take, and some to set it up.
pub fn limit(schedule: &Schedule, memory: MemoryTiming) -> u64 {
    4 * estimate(schedule, memory).iter().map(|c| c.total).sum::<u64>() + 20_000
}

/// The part of a layer that one stripe takes, for one output tile.
struct StripeTile {
    array: u64,
    drain: u64,
    weight_beats: u64,
    act_beats: u64,
    write_beats: u64,
}

fn layer(layer: &LayerSchedule, config: &ArrayConfig, memory: MemoryTiming) -> Cycles {
    let (c, t) = (&layer.command, &layer.tiling);
    let co_tiles = c.co_tiles as u64;
    let mut sum = Cycles::default();
    for first in (0..t.units).step_by(t.stripe) {
        let units = t.stripe.min(t.units - first);
        let tile = stripe_tile(layer, config, first, units);
        let runs = co_tiles * t.outer as u64;
        // A resident stripe's activations are read once, in the shadow of all its output tiles.
        let act_beats = if t.resident { tile.act_beats.div_ceil(co_tiles) } else { tile.act_beats };
        let words = |beats: u64| beats * 100 / (100 - memory.stall_percent);
        // A bank is drained before it takes the sums of the next tile but one.
        let banks = (tile.array + tile.drain + hand_over(config)) / 2;
        let pace =
            [tile.array, tile.drain, banks, words(tile.weight_beats + act_beats), words(tile.write_beats)];
        sum.array += tile.array * runs;
        sum.drain += tile.drain * runs;
        sum.weight_beats += tile.weight_beats * runs;
        sum.act_beats += tile.act_beats * if t.resident { t.outer as u64 } else { runs };
        sum.write_beats += tile.write_beats * runs;
        sum.total += pace.into_iter().max().unwrap_or(0) * runs;
    }
    let last = stripe_tile(layer, config, 0, t.stripe);
    let first_patch = last.act_beats / t.ci_tiles as u64;
    let fetch = (COMMAND_BYTES / config.bus_bytes()) as u64;
    sum.total += fetch + first_patch + hand_over(config) + last.drain + 4 * memory.latency;
    sum
}

fn stripe_tile(layer: &LayerSchedule, config: &ArrayConfig, first: usize, units: usize) -> StripeTile {
    let (c, t) = (&layer.command, &layer.tiling);
    let bus = config.bus_bytes() as u64;
    let positions = (units * t.unit_positions) as u64;
    let blocks_of_tile = (config.cols / config.block()).min(c.co_blocks as usize) as u64;
    let rows_read = match t.kernel {
        super::program::Kernel::Dense => units * c.in_h as usize,
        _ => (first + units + 1).min(c.in_h as usize) - first.saturating_sub(1),
    };
    let blocks_read = t.ci_tiles * (config.rows / config.block());
    let rows_written = units / (1 + c.pool as usize);
    let groups = (config.block() / config.requantizers) as u64;
    let blocks_folded = if t.kernel == super::program::Kernel::Folded { 1 } else { blocks_read };
    StripeTile {
        array: sweep(positions, config.rows as u64) * (t.ci_tiles * t.passes()) as u64,
        drain: blocks_of_tile * positions * if c.raw { config.block() as u64 } else { groups },
        weight_beats: (c.weights_pitch + c.params_pitch) as u64 / bus,
        act_beats: (blocks_folded * rows_read * c.x_row_beats as usize) as u64,
        write_beats: blocks_of_tile * (rows_written * c.y_row_beats as usize) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int::random;
    use crate::net::{Op, Shape, vgg_convs};

    #[test]
    fn a_sweep_hides_the_shift_or_waits_for_it() {
        assert_eq!(sweep(1, 16), 16); // dense at batch 1: one row of weights a cycle
        assert_eq!(sweep(8, 16), 23);
        assert_eq!(sweep(17, 16), 32);
        assert_eq!(sweep(448, 16), 448);
    }

    #[test]
    fn vgg16_keeps_a_16x16_array_busy() {
        let convs = vgg_convs(16).unwrap().into_iter().map(|(co, pool)| Op::Conv { co, pool });
        let recipe = random::Recipe {
            input: Shape { c: 3, h: 224, w: 224 },
            ops: convs.chain([Op::Dense { co: 10 }]).collect(),
            w: 8,
            a: 8,
            power_of_two: false,
            per_channel: true,
            seed: 1,
        };
        let config = ArrayConfig::preset("16x16").unwrap();
        let schedule = crate::schedule::schedule(&random::model(&recipe), &config, 1).unwrap();
        let cycles = estimate(&schedule, MemoryTiming { latency: 20, stall_percent: 10 });
        let (macs, total) = schedule
            .layers
            .iter()
            .zip(&cycles)
            .take(13)
            .fold((0, 0), |(m, t), (l, c)| (m + l.macs, t + c.total));
        assert_eq!(macs, 15_346_630_656);
        assert!(macs * 100 / (total * 256) >= 97, "{total} cycles");
        for (layer, cycles) in schedule.layers.iter().zip(&cycles).take(13).skip(1) {
            let share = cycles.utilization(layer.macs, &config);
            assert!(share >= 9500, "{}: {share}", layer.name);
        }
    }
}
