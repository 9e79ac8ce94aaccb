//! The modules of a design point by their place: how many there are, and the numbers that each depends on.
//!
//! This mirrors the constructors of `hw`; a test compares the places with those of the emitted Verilog.

use crate::arith::{MULTIPLIER_BITS, SHIFT_BITS, WIDTHS};
use crate::config::{ArrayConfig, Bounds, Multipliers, Requantize};
use crate::hw::ComputeCore;
use crate::hw::control::{Shifts, Turn};
use crate::hw::datapath::{Accumulators, Array, LaneBuffer, Packing, address_bits};
use crate::hw::drain::{GroupSelect, RawBeat, Requantizers};
use crate::isa::FIELDS;

/// All instances of a module at one place of the design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Names of the instances from the top; a generate loop's is named once.
    pub path: &'static str,
    /// The module: parts of one kind with the same arguments are the same.
    pub kind: &'static str,
    /// Instances.
    pub count: u64,
    /// What shapes the module: widths and sizes.
    pub args: Vec<u32>,
}

/// The parts of `config`, which is valid.
pub fn parts(config: &ArrayConfig) -> Vec<Part> {
    let mut list = List(vec![]);
    host(&mut list, config);
    act_loader(&mut list, config);
    weight_loader(&mut list, config);
    core(&mut list, config);
    drain(&mut list, config);
    ports(&mut list, config);
    list.0
}

struct List(Vec<Part>);

impl List {
    fn add(&mut self, path: &'static str, kind: &'static str, count: usize, args: &[usize]) {
        let args = args.iter().map(|&a| a as u32).collect();
        self.0.push(Part { path, kind, count: count as u64, args });
    }

    fn ram(&mut self, path: &'static str, count: usize, depth: usize, bits: usize) {
        self.add(path, "ram", count, &[bits_of(depth), bits]);
    }

    fn fifo(&mut self, paths: [&'static str; 2], bus: usize) {
        self.add(paths[0], "fifo", 1, &[bus]);
        self.add(paths[1], "lanes_ram", 1, &[6, bus]);
    }

    /// A stream of runs of less than 2^`beats` words of the bus, whose addresses have `offset` bits.
    fn stream(&mut self, paths: [&'static str; 4], bus: usize, offset: u32, beats: u32) {
        let shape = [bus, offset as usize, beats as usize];
        self.add(paths[0], "read_stream", 1, &[bus]);
        self.add(paths[1], "splitter", 1, &shape);
        self.fifo([paths[2], paths[3]], bus);
    }
}

fn bits_of(depth: usize) -> usize {
    address_bits(depth) as usize
}

fn host(list: &mut List, config: &ArrayConfig) {
    let bus = config.bus_bits;
    list.add("top", "accelerator", 1, &[]);
    list.add("top.host", "host", 1, &[]);
    // Its constants are the design point's.
    list.add("top.host.registers", "registers", 1, &[]);
    // The model is fitted to addresses of 32 bits.
    list.add("top.host.registers.model_base", "base_register", 1, &[]);
    list.add("top.host.registers.data_base", "base_register", 1, &[]);
    list.add("top.host.bases", "bases", 1, &[]);
    list.add("top.host.counters", "counters", 1, &[]);
    list.add("top.host.controller", "controller", 1, &[ComputeCore::latency(config.rows, config.groups())]);
    list.add("top.host.fetch", "fetch", 1, &[bus]);
    list.add("top.host.fields", "command", 1, &[bus]);
    list.add("top.host.check", "field_check", 1, &[config.fold_width, beyond(&config.bounds())]);
}

/// Bits of the fields of a command that a build's bounds leave out, and that must be 0.
fn beyond(bounds: &Bounds) -> usize {
    FIELDS.iter().map(|f| bounds.bits(f.name).map_or(0, |kept| f.bits - kept) as usize).sum()
}

fn act_loader(list: &mut List, config: &ArrayConfig) {
    let ArrayConfig { rows, act_bits, bus_bits: bus, fold_channels: channels, fold_width, .. } = *config;
    let (a, block, folds) = (act_bits as usize, config.block(), (channels > 0) as usize);
    let (whole, planes) = (config.code_bits() as usize, config.act_digits);
    let cut = folds * (planes > 1) as usize;
    let groups = rows / block;
    let blocks = (9 * channels).div_ceil(rows).max(1) * groups;
    let (group, lane_block) = (bits_of(groups), bits_of(blocks));
    let held = blocks.max((9 * channels).div_ceil(block));
    list.add("top.acts", "act_loader", 1, &[folds, groups, block * a]);
    let bounds = config.bounds();
    let [ci, co, slots] = [bounds.ci_tiles, bounds.co_tiles, bounds.slots].map(|bits| bits as usize);
    list.add("top.acts.walk", "act_walk", 1, &[groups, lane_block, ci, co, slots]);
    list.add("top.acts.rows", "queue", 1, &[4, 5 + group + lane_block]);
    let paths =
        ["top.acts.stream", "top.acts.stream.splitter", "top.acts.stream.fifo", "top.acts.stream.fifo.ram"];
    list.stream(paths, bus, bounds.offset, bounds.x_row_beats);
    list.add("top.acts.pixels", "unpacker", 1, &[bus, block * a]);
    if folds > 0 {
        list.add("top.acts.fold_pixels_0", "unpacker", 1, &[bus, channels * whole]);
        let fold = [channels, whole, bits_of(fold_width), block, bits_of(held)];
        list.add("top.acts.fold_0", "fold", 1, &fold);
    }
    let unpack = [group, lane_block, bits_of(config.act_depth), bits_of(fold_width), slots, cut];
    list.add("top.acts.unpack", "act_unpack", 1, &unpack);
    if cut > 0 {
        list.add("top.acts.unpack.gap_0", "step_gap", 1, &[]);
        list.add("top.acts.fold_planes_0", "fold_planes", 1, &[]);
        list.add("top.acts.fold_planes_0.plane", "turn", 1, &[bits_of(planes)]);
        list.add("top.acts.fold_planes_0.select", "plane_select", 1, &[block, whole, planes, a]);
    }
    list.add("top.acts.group", "one_hot", 1, &[groups]);
}

fn weight_loader(list: &mut List, config: &ArrayConfig) {
    let (bus, cols, acc) = (config.bus_bits, config.cols, config.acc_bits as usize);
    let record = acc + (MULTIPLIER_BITS + SHIFT_BITS) as usize;
    let bounds = config.bounds();
    let [co, rows, beats] =
        [bounds.co_tiles, bounds.weight_rows, bounds.weight_beats].map(|bits| bits as usize);
    list.add("top.weights", "weight_loader", 1, &[bits_of(cols), config.weight_depth, cols, rows]);
    list.add("top.weights.walk", "weight_walk", 1, &[bus, co, beats]);
    let paths = [
        "top.weights.stream",
        "top.weights.stream.splitter",
        "top.weights.stream.fifo",
        "top.weights.stream.fifo.ram",
    ];
    list.stream(paths, bus, bounds.offset, bounds.weight_beats);
    list.add("top.weights.rows", "unpacker", 1, &[bus, cols * config.weight_bits as usize]);
    list.add("top.weights.records", "unpacker", 1, &[bus, record.div_ceil(64) * 64]);
    list.add("top.weights.record", "record", 1, &[acc]);
    list.add("top.weights.write", "one_hot", 1, &[1]);
}

fn core(list: &mut List, config: &ArrayConfig) {
    let ArrayConfig { rows, cols, act_depth, weight_depth, acc_depth, pack, .. } = *config;
    let (w, a, acc) = (config.weight_bits as usize, config.act_bits as usize, config.acc_bits as usize);
    let (psum, act, position) = (config.psum_bits() as usize, bits_of(act_depth), bits_of(acc_depth));
    let weight = bits_of(weight_depth);
    list.add("top.core", "compute_core", 1, &[]);
    let bounds = config.bounds();
    let [ci, co, slots] = [bounds.ci_tiles, bounds.co_tiles, bounds.slots].map(|bits| bits as usize);
    let (shifts, planes) = (Shifts::of(config), (config.act_digits > 1) as usize);
    let shift = shifts.map_or(0, |shifts| shifts.bits as usize);
    list.add("top.core.sequencer", "sequencer", 1, &[act, position, rows, shift, (shift > 0) as usize]);
    list.add("top.core.sequencer.walk", "walk", 1, &[act, ci, co, slots, planes]);
    list.add("top.core.sequencer.sweep", "sweep", 1, &[act, position]);
    list.add("top.core.shifter", "weight_shifter", 1, &[weight, rows, config.groups(), weight_depth]);
    list.add("top.core.acts", "lane_buffer", 1, &[rows]);
    list.add("top.core.acts.lane", "lane", rows, &[act, a]);
    list.ram("top.core.acts.lane.ram", rows, act_depth, a);
    list.add("top.core.weights", "lane_buffer", 1, &[config.groups()]);
    list.add("top.core.weights.lane", "lane", cols / pack, &[weight, pack * w]);
    list.ram("top.core.weights.lane.ram", cols / pack, weight_depth, pack * w);
    if !cols.is_multiple_of(pack) {
        list.add("top.core.weights.rest", "lane", 1, &[weight, cols % pack * w]);
        list.ram("top.core.weights.rest.ram", 1, weight_depth, cols % pack * w);
    }
    match planes {
        0 => list.add("top.core.extend_0", "extend", 1, &[rows, a]),
        _ => {
            list.add("top.core.plane_extend_0", "plane_extend", 1, &[rows, a]);
            list.add("top.core.act_signed_0", "delay", 1, &[1, LaneBuffer::LATENCY]);
        }
    }
    list.add("top.core.array", "array", 1, &[]);
    match config.multipliers {
        _ if pack > 1 => packed_array(list, config),
        Multipliers::Dsp => list.add("top.core.array.pe", "pe", rows * cols, &[w, a, psum]),
        Multipliers::Lut => {
            list.add("top.core.array.pe", "pe_lut", rows * cols, &[w, a, psum]);
            list.add("top.core.array.pe.rows_0", "row_multiplier", rows * cols, &[w, a]);
        }
    }
    list.add("top.core.accumulators", "accumulators", 1, &[]);
    let operand = acc.min(psum + config.most_shift() as usize);
    list.add("top.core.accumulators.accumulator", "accumulator", cols, &[position, acc, operand]);
    list.ram("top.core.accumulators.accumulator.bank0", cols, acc_depth, acc);
    list.ram("top.core.accumulators.accumulator.bank1", cols, acc_depth, acc);
    let late = LaneBuffer::LATENCY + Array::latency(rows);
    list.add("top.core.valid", "delay", 1, &[1, late]);
    list.add("top.core.first", "delay", 1, &[1, late]);
    list.add("top.core.bank", "delay", 1, &[1, late]);
    list.add("top.core.addr", "delay", 1, &[position, late]);
    list.add("top.core.tile_end", "delay", 1, &[1, ComputeCore::latency(rows, config.groups())]);
    list.add("top.core.patch_end", "delay", 1, &[1, rows]);
    if let Some(shifts) = shifts {
        digits(list, config, shifts, (operand, late));
    }
}

/// What runs layers digit by digit: the walk over the digits, and the shift of their sums of `operand` bits, `late` cycles
/// behind.
fn digits(list: &mut List, config: &ArrayConfig, shifts: Shifts, (operand, late): (usize, usize)) {
    let shift = shifts.bits as usize;
    let unit = config.shift_unit() as usize;
    let pixel = bits_of(config.act_depth).min(Turn::BITS as usize);
    list.add("top.core.sequencer.digits_0", "digit_walk", 1, &[pixel, shift]);
    list.add("top.core.sequencer.digits_0.plane", "turn", 1, &[Turn::BITS as usize]);
    list.add("top.core.sequencer.digits_0.digit", "turn", 1, &[Turn::BITS as usize]);
    list.add("top.core.shift_0", "delay", 1, &[shift, late]);
    let shape = [config.cols, config.groups(), operand, shift, unit, config.psum_bits() as usize];
    list.add("top.core.digit_shift_0", "digit_shift", 1, &shape);
}

/// Elements of groups of columns, and what is above and below them.
fn packed_array(list: &mut List, config: &ArrayConfig) {
    let ArrayConfig { rows, cols, pack, weight_bits, act_bits, multiplier_bits, .. } = *config;
    let psum = config.psum_bits();
    let pitch = Packing::new(pack, weight_bits, act_bits, psum, multiplier_bits).pitch;
    let [w, a, psum, pitch] = [weight_bits, act_bits, psum, pitch].map(|bits| bits as usize);
    let full = cols / pack;
    list.add("top.core.array.digits", "weight_digits", full, &[pack, w]);
    list.add("top.core.array.split", "split_sums", full, &[pack, psum]);
    list.add("top.core.array.packed_pe", "packed_pe", rows * full, &[pack, w, a, pitch, psum]);
    match cols % pack {
        0 => {}
        1 => list.add("top.core.array.rest", "pe", rows, &[w, a, psum]),
        rest => {
            list.add("top.core.array.rest_digits", "weight_digits", 1, &[rest, w]);
            list.add("top.core.array.rest_split", "split_sums", 1, &[rest, psum]);
            list.add("top.core.array.rest", "packed_pe", rows, &[rest, w, a, pitch, psum]);
        }
    }
}

fn drain(list: &mut List, config: &ArrayConfig) {
    let ArrayConfig { cols, requantizers: lanes, bus_bits: bus, requantize: mode, .. } = *config;
    let (a, acc, block) = (config.act_bits as usize, config.acc_bits as usize, config.block());
    let (planes, code) = (config.act_digits, config.code_bits().min(*WIDTHS.end()) as usize);
    let cut = (planes > 1) as usize;
    let (groups, block_groups, position) = (cols / lanes, block / lanes, bits_of(config.acc_depth));
    let pow2 = (mode == Requantize::Pow2) as usize;
    list.add("top.drain", "drain", 1, &[bus, pow2, cut]);
    let [co, blocks] = [config.bounds().co_tiles, config.bounds().co_blocks].map(|bits| bits as usize);
    list.add("top.drain.walk", "drain_walk", 1, &[position, cols / block, block_groups, co, blocks]);
    list.add("top.drain.read", "row_read", 1, &[position, lanes, block_groups, groups, cut]);
    list.add("top.drain.store", "param_store", 1, &[lanes, groups]);
    list.add("top.drain.store.ram", "record_ram", 1, &[lanes]);
    let (depth, scale) = (2 << bits_of(groups), SHIFT_BITS + MULTIPLIER_BITS * (1 - pow2 as u32));
    list.ram("top.drain.store.ram.bias", lanes, depth, acc);
    list.ram("top.drain.store.ram.scale", lanes, depth, scale as usize);
    list.add("top.drain.select", "group_select", 1, &[groups, lanes, acc]);
    list.add("top.drain.requantizers", "requantizers", 1, &[]);
    let product = acc - 1 + (1 - pow2) * MULTIPLIER_BITS as usize;
    let requantizer = ["requantizer", "requantizer_pow2"][pow2];
    list.add("top.drain.requantizers.requantizer", requantizer, lanes, &[code, acc]);
    list.add("top.drain.requantizers.requantizer.round_shift", "round_shift", lanes, &[code, product]);
    list.add("top.drain.requantizers.max_pool", "max_pool", lanes, &[code]);
    list.add("top.drain.raw_beat", "raw_beat", 1, &[bus, lanes, acc]);
    list.add("top.drain.packer", "packer", 1, &[bus, lanes * a]);
    let to_requantizers = Accumulators::DRAIN_LATENCY + GroupSelect::LATENCY;
    let to_sums = to_requantizers + Requantizers::SUM_LATENCY;
    list.add("top.drain.group", "delay", 1, &[bits_of(groups), Accumulators::DRAIN_LATENCY]);
    list.add("top.drain.bank", "delay", 1, &[1, Accumulators::DRAIN_LATENCY]);
    list.add("top.drain.params_end", "delay", 1, &[1, Accumulators::DRAIN_LATENCY]);
    list.add("top.drain.lane", "delay", 1, &[bits_of(lanes), to_sums]);
    list.add("top.drain.raw_valid", "delay", 1, &[1, to_sums + RawBeat::LATENCY]);
    for path in ["top.drain.code_valid", "top.drain.code_first"] {
        list.add(path, "delay", 1, &[1, to_requantizers + Requantizers::code_latency(mode)]);
    }
    for path in ["top.drain.item_valid", "top.drain.item_last"] {
        list.add(path, "delay", 1, &[1, to_requantizers + Requantizers::latency(mode)]);
    }
    if cut > 0 {
        let late = to_requantizers + Requantizers::latency(mode);
        list.add("top.drain.read.plane_0", "turn", 1, &[bits_of(planes)]);
        list.add("top.drain.plane_0", "delay", 1, &[bits_of(planes), late]);
        list.add("top.drain.plane_select_0", "plane_select", 1, &[lanes, code, planes, a]);
    }
}

fn ports(list: &mut List, config: &ArrayConfig) {
    let bus = config.bus_bits;
    list.add("top.read", "read_port", 1, &[bus]);
    list.add("top.read.order", "queue", 1, &[5, 2]);
    list.add("top.write", "write_port", 1, &[bus]);
    let [offset, beats] = [config.bounds().offset, config.bounds().y_row_beats].map(|bits| bits as usize);
    list.add("top.write.runs", "queue", 1, &[3, offset + beats]);
    list.add("top.write.splitter", "splitter", 1, &[bus, offset, beats]);
    list.fifo(["top.write.fifo", "top.write.fifo.ram"], bus);
    list.add("top.write.bursts", "queue", 1, &[4, 4]);
    list.add("top.strobe", "strobe", 1, &[]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets;
    use crate::explore::synth_source::{Source, sources};
    use std::collections::BTreeSet;

    fn places(sources: &[Source], at: usize, path: &str, found: &mut BTreeSet<(String, String)>) {
        let name = sources[at].name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
        found.insert((path.into(), if name == "requantizer_pow" { &*sources[at].name } else { name }.into()));
        for (name, child) in &sources[at].children {
            places(sources, *child, &format!("{path}.{name}"), found);
        }
    }

    #[test]
    fn parts_are_those_of_the_verilog() {
        let pow2 = ArrayConfig { requantize: Requantize::Pow2, rows: 12, ..ArrayConfig::default() };
        let luts = ArrayConfig { multipliers: Multipliers::Lut, ..ArrayConfig::default() };
        let flat = ArrayConfig { fold_channels: 0, cols: 16, ..ArrayConfig::default() };
        // No column left over, one, and two of them.
        let packed = [(4, 2), (3, 3), (4, 4)].map(|(cols, pack)| {
            let narrow = ArrayConfig {
                weight_bits: 2,
                act_bits: 3,
                acc_bits: 20,
                requantizers: 1,
                ..ArrayConfig::default()
            };
            let (rows, cols) = (4, cols + [0, 1, 2][pack - 2]);
            ArrayConfig { rows, cols, pack, ..narrow }
        });
        let digits = [(4, 2, 2), (4, 2, 1), (3, 1, 3)].map(|(bits, weight_digits, act_digits)| ArrayConfig {
            weight_bits: bits,
            act_bits: bits,
            weight_digits,
            act_digits,
            ..ArrayConfig::default()
        });
        for config in presets()
            .into_iter()
            .map(|p| p.2)
            .chain([pow2, flat, luts])
            .chain(packed)
            .chain(digits)
            .filter(|c| c.rows <= 16)
        {
            let sources = sources(&config).unwrap();
            let mut emitted = BTreeSet::new();
            places(&sources, sources.len() - 1, "top", &mut emitted);
            let listed: BTreeSet<_> = parts(&config)
                .iter()
                .map(|p| (p.path.into(), p.kind.trim_end_matches("_lut").into()))
                .collect();
            assert_eq!(listed, emitted);
        }
    }
}
