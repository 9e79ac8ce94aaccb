//! The closed-form cycle model of a layer.
//!
//! A layer starts when its command is there and its first patch and weights are loaded, runs stripe after stripe, and
//! ends when its last output tile is drained and its last write is answered:
//!
//! * **Pace** of an output tile: the slowest of its sweeps (`docs/accelerator.md`), the drain of its accumulators, both of
//!   them where a bank waits for its turn, and the write channel.
//! * **Loads**: a patch is unpacked a pixel a cycle, with some cycles a row; a folded layer unpacks every block of lanes
//!   from all of its rows again, and is often no faster than that. Patches of the next stripe come in as soon as there
//!   are free slots. The read channel carries them beside the weights.
//! * **Start**: weights have the read channel first, until their FIFO and their buffer are full; the first patch comes
//!   behind them.
//! * **Weights**: a row a cycle, or what the read channel gives; then the parameters of the tile, a column a cycle. Where
//!   that is slower than the array (dense layers), a layer lasts as long as its weights.

use super::program::{COMMAND_BYTES, Kernel};
use super::{LayerSchedule, Schedule};
use crate::config::{ArrayConfig, STREAM_WORDS};
use crate::isa::timing;
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
    /// Positions that enter the array, a cycle each.
    pub positions: u64,
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

/// Words of a read stream's FIFO.
const FIFO: u64 = STREAM_WORDS as u64;
/// Words of the longest burst: a stream asks for one only when its FIFO has room for that many.
const BURST: u64 = FIFO / 4;

// Cycles from one event to another: latencies of blocks, and the handshakes between them; where memory is read or written,
// its latency comes on top.

/// From the fetch of a command to the start of its layer, beside its words: request and answer through the read port (4),
/// fields checked, command begun (2).
const COMMAND: u64 = 4 + timing::FIELD_CHECK as u64 + 2;
/// From the start of a layer to its first sweep, beside the unpacking of the patch: walk to the first row (4), request
/// and answer (5), beat to pixel, patch done to first position (2).
const FIRST_PATCH: u64 = 4 + 5 + timing::UNPACKER as u64 + 2;
/// The same beside the rows of weights: walk (2), request and answer (7), beat to row.
const FIRST_WEIGHTS: u64 = 2 + 7 + timing::UNPACKER as u64;
/// From the last position of a tile to its sums, beside rows and columns.
const SUMS: u64 = timing::core(0, 0) as u64 + 1;
/// From the last position of a layer to its end, beside rows, columns, drain and last burst: sums, requantizers and
/// packer, write port (4), nothing moves any more.
const LAST_WRITE: u64 = SUMS + timing::drain(timing::REQUANTIZER) as u64 + 1 + 4 + timing::SETTLE as u64 + 1;
/// From the end mark to the interrupt, beside rows and columns: reset of the datapath until no flag is under way.
const FLUSH: u64 = SUMS + timing::FLUSH_MARGIN as u64;
/// From the last position of an output tile to its drain, beside rows and columns, and from its end to the first position
/// of the next tile in the same bank: sums, and what core and drain tell each other (11).
const HAND_OVER: u64 = SUMS + 11;
/// From the request of a burst to the room that its words leave, beside the latency: port (2), FIFO, word taken (1),
/// words, room (2).
const BURST_TRIP: u64 = 2 + timing::FIFO as u64 + 1 + 2 + BURST;
/// Between the pixels of two rows of a patch; a folded row waits for its last window, too.
const ROW_GAP: u64 = 1;
const FOLDED_ROW_GAP: u64 = 5;
/// Cycles between two requests for rows, and rows described before their pixels have come: those of a round trip.
const REQUEST: u64 = 2;
const ROWS_AHEAD: u64 = 16;
const ROW_TRIP: u64 = 12;
/// From the weights of a tile to its parameters and back.
const TURN: u64 = 2;

/// Cycles that the sweeps over `positions` with one tile of weights, one for each of `planes`, hold the array.
pub fn sweep(positions: u64, rows: u64, planes: u64) -> u64 {
    // Two sums of an accumulator are three cycles apart.
    let all = (planes - 1) * positions.max(3) + positions;
    if positions > rows { all.max(2 * rows - 1) } else { all + rows - 1 }
}

/// Cycles of every layer of `schedule`.
pub fn estimate(schedule: &Schedule, memory: MemoryTiming) -> Vec<Cycles> {
    of_layers(&schedule.layers, &schedule.config, memory)
}

/// Cycles of planned or scheduled `layers`, a whole program, on the accelerator `config`. The end of the program is the
/// last layer's.
pub fn of_layers(layers: &[LayerSchedule], config: &ArrayConfig, memory: MemoryTiming) -> Vec<Cycles> {
    let model = |layer| Model { layer, config, memory };
    let mut cycles: Vec<Cycles> = layers.iter().map(|layer| model(layer).cycles()).collect();
    if let (Some(last), Some(layer)) = (cycles.last_mut(), layers.last()) {
        last.total += model(layer).command() + (config.rows + config.groups()) as u64 + FLUSH;
    }
    cycles
}

/// Cycles after which a run of `schedule` hangs: four times what it should take, and some to set it up.
pub fn limit(schedule: &Schedule, memory: MemoryTiming) -> u64 {
    4 * estimate(schedule, memory).iter().map(|c| c.total).sum::<u64>() + 20_000
}

/// A layer on an accelerator.
struct Model<'a> {
    layer: &'a LayerSchedule,
    config: &'a ArrayConfig,
    memory: MemoryTiming,
}

/// What one stripe takes.
struct Stripe {
    /// Positions of the sweeps of one tile of the reduction.
    positions: u64,
    /// Sweeps of one tile of the reduction.
    sweeps: u64,
    /// Of them, cycles after the last position.
    idle: u64,
    /// Unpacking of one patch.
    patch: u64,
    /// Words of one patch.
    patch_beats: u64,
    /// Drain of one output tile.
    drain: u64,
    /// Words of one output tile.
    write_beats: u64,
}

impl Model<'_> {
    fn cycles(&self) -> Cycles {
        let (c, t) = (&self.layer.command, &self.layer.tiling);
        let (co, ci, outer) = (c.co_tiles as u64, t.ci_tiles as u64, t.outer as u64);
        let (weight_beats, param_beats) = self.constants();
        let patches = ci * if t.resident { 1 } else { co };
        // Patches of the next stripe that find no slot before this one's are free.
        let late = if t.resident { ci.saturating_sub(t.slots as u64 - ci) } else { 0 };
        let first = self.stripe(0);
        let start = self.start(&first);
        let (mut sum, mut run, mut last) = (Cycles::default(), start, first);
        for unit in (0..t.units).step_by(t.stripe) {
            let stripe = self.stripe(unit);
            let array = stripe.sweeps * ci;
            // A bank is drained before it takes the sums of the next tile but one.
            let banks = (array + stripe.drain + self.diagonal() + HAND_OVER) / 2;
            let pace = array.max(stripe.drain).max(banks).max(self.words(stripe.write_beats));
            let act_beats = stripe.patch_beats * patches;
            let exposed = (co * array + 2 * stripe.sweeps + late * stripe.patch).saturating_sub(2 * array);
            let others = (co * pace)
                .max(stripe.patch * patches)
                .max(if late > 0 { exposed } else { 0 })
                .max(self.words(co * (weight_beats + param_beats) + act_beats));
            run += others * outer;
            if unit == 0 {
                // Its first patch is there, the others come while it runs, and no drain is under way.
                let loaded = stripe.patch * (patches - 1) + stripe.sweeps;
                let later = (co - 1) * pace;
                run -= others;
                run += if t.resident { array.max(loaded) + later } else { loaded.max(array + later) };
            }
            sum.positions += stripe.positions * ci * co * outer;
            sum.array += array * co * outer;
            sum.drain += stripe.drain * co * outer;
            sum.weight_beats += (weight_beats + param_beats) * co * outer;
            sum.act_beats += act_beats * outer;
            sum.write_beats += stripe.write_beats * co * outer;
            last = stripe;
        }
        let compute = run.max(self.weights(start, sum.act_beats)) - last.idle;
        let burst = BURST.min(c.y_row_beats as u64);
        let write = self.diagonal() + last.drain + burst + LAST_WRITE + self.memory.latency;
        sum.total = self.command() + compute + write;
        sum
    }

    /// From the fetch of the command to the start of its layer.
    fn command(&self) -> u64 {
        COMMAND + self.memory.latency + self.words((COMMAND_BYTES / self.config.bus_bytes()) as u64)
    }

    /// From the start of the layer to its first sweep.
    fn start(&self, first: &Stripe) -> u64 {
        let (tile, tiles) = (self.constants().0 + self.constants().1, self.tiles());
        let weights = tile * tiles;
        // Whole bursts of the next tile fit behind a short one.
        let ahead = weights.min(if tile < FIFO { tile + (FIFO - tile) / BURST * BURST } else { FIFO });
        // Then streams take turns, a FIFO each, until the buffer of weights is full; unpacking hides some of that.
        let acts = first.patch_beats.max(1);
        let buffered = self.buffered_rows() * (self.config.cols as u64 * self.config.weight_bits as u64)
            / self.config.bus_bits as u64;
        let between =
            weights.min(FIFO + buffered).min(FIFO * acts.div_ceil(self.held())).saturating_sub(FIFO);
        let hidden = between.div_ceil(FIFO) * self.held() * first.patch.saturating_sub(acts) / acts;
        let patch = FIRST_PATCH + self.words(ahead + between.saturating_sub(hidden)) + first.patch;
        let rows = self.config.rows as u64;
        let weights = FIRST_WEIGHTS + rows.max(self.words(self.constants().0 * rows / self.weight_rows()));
        self.memory.latency + patch.max(weights)
    }

    /// From the start of the layer to the end of its sweeps, if weights set the pace. They wait for room in their buffer
    /// until the first sweep begins after `start` cycles, and share the read channel with `act_beats` words.
    fn weights(&self, start: u64, act_beats: u64) -> u64 {
        let (config, tiles) = (self.config, self.tiles());
        let (weight_beats, param_beats) = self.constants();
        let rows = self.weight_rows() * tiles;
        let trip = weight_beats * tiles * (self.memory.latency + BURST_TRIP) / FIFO;
        let reading = rows.max(self.words(weight_beats * tiles + act_beats)).max(trip);
        let params = (config.cols as u64).max(self.words(param_beats)) + TURN;
        let all = reading + params * (tiles - 1) + config.rows as u64;
        let before = reading * self.buffered_rows().min(rows) / rows;
        (self.memory.latency + FIRST_WEIGHTS + all).max(start + all - before)
    }

    fn stripe(&self, first: usize) -> Stripe {
        let (layer, config, latency) = (self.layer, self.config, self.memory.latency);
        let (c, t) = (&layer.command, &layer.tiling);
        let (units, in_h) = (t.stripe.min(t.units - first), c.in_h as usize);
        let positions = (units * t.unit_positions) as u64;
        let sweep = sweep(positions, config.rows as u64, t.digits.acts as u64);
        let sweeps = (t.passes() * t.digits.weights) as u64;
        let (folded, groups) = (t.kernel == Kernel::Folded, (config.rows / config.block()) as u64);
        let stored = match t.kernel {
            Kernel::Dense => units * in_h,
            _ => (first + units + 1).min(in_h) - first.saturating_sub(1),
        };
        // A folded layer steps through a row of zeros below the map, and through a column of them behind each row.
        let rows = groups * (stored + (folded && first + units >= in_h) as usize) as u64;
        let gap = if folded { FOLDED_ROW_GAP } else { ROW_GAP };
        // Words of a row; a folded pixel takes a cycle for each of its planes.
        let words = c.in_w as u64 * if folded { c.planes.into() } else { 1 };
        let unpack = rows * (words + gap) + if folded { groups * units as u64 } else { 0 };
        let patch_beats = groups * stored as u64 * c.x_row_beats as u64;
        let described = rows * REQUEST.max((latency + ROW_TRIP).div_ceil(ROWS_AHEAD));
        let trip = patch_beats * (latency + BURST_TRIP) / self.held();
        let blocks = (config.cols / config.block()).min(c.co_blocks as usize) as u64;
        let a_position = if c.raw { config.block() } else { config.block() / config.requantizers } as u64;
        let pooled = (units * 2 * c.out_w as usize) as u64;
        let rows_written = (units / (1 + c.pool as usize)) as u64;
        Stripe {
            positions: positions * t.digits.acts as u64 * sweeps,
            sweeps: sweep * sweeps,
            idle: sweep - positions * t.digits.acts as u64,
            patch: unpack.max(described).max(trip).max(self.words(patch_beats)),
            patch_beats,
            drain: blocks * a_position * c.y_planes as u64 * if c.pool { pooled } else { positions },
            write_beats: blocks * rows_written * c.y_row_beats as u64,
        }
    }

    /// Cycles in which the memory gives or takes `beats` words.
    fn words(&self, beats: u64) -> u64 {
        beats * 100 / 100u64.saturating_sub(self.memory.stall_percent).max(1)
    }

    /// Words of activations that are asked for at a time: rows, while there is room for the longest burst.
    fn held(&self) -> u64 {
        let burst = (self.layer.command.x_row_beats as u64).clamp(1, BURST);
        ((FIFO - BURST) / burst + 1) * burst
    }

    /// Words of an output tile's weights, and of its parameters.
    fn constants(&self) -> (u64, u64) {
        let (c, bus) = (&self.layer.command, self.config.bus_bytes() as u64);
        (c.weights_pitch as u64 / bus, c.params_pitch as u64 / bus)
    }

    /// Rows of weights of an output tile.
    fn weight_rows(&self) -> u64 {
        (self.config.rows * self.layer.tiling.weight_tiles()).max(1) as u64
    }

    /// Rows of weights that the shadow registers and the buffer take before the first sweep.
    fn buffered_rows(&self) -> u64 {
        let ArrayConfig { rows, weight_depth, .. } = *self.config;
        (rows + weight_depth).saturating_sub(self.config.groups() + 2) as u64
    }

    /// Output tiles of the layer, in all its stripes.
    fn tiles(&self) -> u64 {
        (self.layer.tiling.stripes() * self.layer.command.co_tiles as usize).max(1) as u64
    }

    /// Cycles through the array, from the first row to the last group of columns.
    fn diagonal(&self) -> u64 {
        (self.config.rows + self.config.groups()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::int::random;
    use crate::net::{Op, Shape, vgg_convs};
    use crate::schedule::{Digits, Geometry, LayerGeometry, plan};

    #[test]
    fn a_sweep_hides_the_shift_or_waits_for_it() {
        assert_eq!(sweep(1, 16, 1), 16); // dense at batch 1: one row of weights a cycle
        assert_eq!(sweep(8, 16, 1), 23);
        assert_eq!(sweep(17, 16, 1), 31);
        assert_eq!(sweep(448, 16, 1), 448);
        assert_eq!(sweep(448, 16, 2), 896);
        assert_eq!(sweep(1, 16, 2), 19); // the second plane keeps the weights
    }

    /// Cycles and words of weights of whole VGG16 at 224×224 on 8×8, W4A4 and `ends` at both ends.
    fn vgg16_on_4_bits(ends: Digits) -> (u64, u64) {
        let convs = vgg_convs(16).unwrap().into_iter().map(|(co, pool)| Op::Conv { co, pool });
        let ops: Vec<Op> = convs.chain([4096, 4096, 1000].map(|co| Op::Dense { co })).collect();
        let layer = |(i, &op): (usize, &Op)| LayerGeometry {
            name: format!("layer{i}"),
            op,
            clip: (i + 1 < ops.len()).then_some(15),
            digits: if i == 0 || i + 1 == ops.len() { ends } else { Digits::ONE },
        };
        let input = Shape { c: 3, h: 224, w: 224 };
        let geometry = Geometry { input, signed: true, layers: ops.iter().enumerate().map(layer).collect() };
        let config = ArrayConfig {
            weight_bits: 4,
            act_bits: 4,
            weight_digits: ends.weights,
            act_digits: ends.acts,
            ..ArrayConfig::default()
        };
        let plan = plan(&geometry, &config, 1).unwrap();
        let cycles = of_layers(&plan.layers, &config, MemoryTiming { latency: 20, stall_percent: 10 });
        (cycles.iter().map(|c| c.total).sum(), cycles.iter().map(|c| c.weight_beats).sum())
    }

    #[test]
    fn ends_of_twice_the_bits_cost_a_few_percent_of_vgg16() {
        let (cycles, words) = vgg16_on_4_bits(Digits::ONE);
        let (by_digits, words_by_digits) = vgg16_on_4_bits(Digits { weights: 2, acts: 2 });
        println!(
            "{cycles} cycles, by digits {by_digits}; {words} words of weights, by digits {words_by_digits}"
        );
        assert!(by_digits > cycles && by_digits * 1000 <= cycles * 1025);
        assert!(words_by_digits > words && words_by_digits * 100 <= words * 104);
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
