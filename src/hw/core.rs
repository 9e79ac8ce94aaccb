//! The compute core: from loaded buffers to accumulators.

use super::control::{Sequencer, Shifts, WeightShifter};
use super::datapath::{Accumulators, Array, Delay, DigitShift, Extend, LaneBuffer, Packing, PlaneExtend};
use super::rt::{Lanes, LayerPort, Sig, u};
use crate::config::ArrayConfig;
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Sequencer, weight shifter, lane buffers, array and accumulators. Loaders write patches and weights, the drain reads
/// accumulators; the core does the rest of a layer by itself. The layer's inputs are stable from `start_i` until
/// the last `tile_done_o` has come.
///
/// Flags under way outlive a reset by [`ComputeCore::latency`] cycles: hold the reset that long.
#[derive(LogicBlock)]
pub struct ComputeCore {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// Blocks of activation lanes to write.
    pub act_write_i: Lanes<In>,
    /// Word to write.
    pub act_addr_i: Sig<In>,
    /// A pixel's block of channels.
    pub act_data_i: Lanes<In>,
    /// One cycle for each patch that has been loaded, not before its last word was written.
    pub patch_done_i: Signal<In, Bit>,
    /// One cycle for each patch that may be overwritten.
    pub patch_free_o: Signal<Out, Bit>,
    /// Write a row of weights; only with `weight_room_o`.
    pub weight_write_i: Lanes<In>,
    /// With `weight_write_i`.
    pub weight_done_i: Signal<In, Bit>,
    /// Its word in the buffer: words are written one after the other, and around.
    pub weight_addr_i: Sig<In>,
    /// A row of weights, a lane a column.
    pub weight_data_i: Lanes<In>,
    /// The weight buffer takes a row.
    pub weight_room_o: Signal<Out, Bit>,
    /// One cycle for each output tile whose accumulators are complete; banks alternate, from 0.
    pub tile_done_o: Signal<Out, Bit>,
    /// One cycle for each bank that has been drained.
    pub bank_free_i: Signal<In, Bit>,
    /// Bank to read.
    pub drain_bank_i: Signal<In, Bit>,
    /// Accumulator to read.
    pub drain_addr_i: Sig<In>,
    /// What it holds, a lane a column, [`Accumulators::DRAIN_LATENCY`] cycles later.
    pub drain_o: Lanes<Out>,
    /// A position enters the array.
    pub active_o: Signal<Out, Bit>,
    sequencer: Sequencer,
    shifter: WeightShifter,
    acts: LaneBuffer,
    weights: LaneBuffer,
    extend: Vec<Extend>,
    plane_extend: Vec<PlaneExtend>,
    array: Array,
    digit_shift: Vec<DigitShift>,
    accumulators: Accumulators,
    // Positions on their way from the sequencer to the accumulators.
    valid: Delay,
    first: Delay,
    bank: Delay,
    addr: Delay,
    tile_end: Delay,
    patch_end: Delay,
    act_signed: Vec<Delay>,
    shift: Vec<Delay>,
    shift_unused: Sig<Local>,
    _extends: usize,
    _planes: usize,
    _plain: usize,
    _digits: usize,
}

impl ComputeCore {
    /// Cycles from a position in the sequencer to its partial sum at the accumulators of column 0.
    const fn to_accumulators(rows: usize) -> usize {
        timing::to_accumulators(rows)
    }

    /// Cycles from the last position of an output tile to `tile_done_o`, with columns in `groups`.
    pub const fn latency(rows: usize, groups: usize) -> usize {
        timing::core(rows, groups)
    }

    /// The core of the design point `config`, which is valid.
    pub fn new(config: &ArrayConfig) -> Self {
        let ArrayConfig { rows, cols, weight_bits, act_bits, pack, .. } = *config;
        let (block, psum_bits, groups) = (config.block(), config.psum_bits(), config.groups());
        let acts = LaneBuffer::new(rows / block, block, config.act_depth, u(act_bits));
        let weights = LaneBuffer::together(cols, pack, config.weight_depth, super::rt::s(weight_bits));
        let shifts = Shifts::of(config);
        let operand_bits = config.acc_bits.min(psum_bits + config.most_shift());
        let accumulators = Accumulators::new(cols, pack, config.acc_depth, config.acc_bits, operand_bits);
        let (address, position) = (acts.addr_i.ty(), accumulators.addr_i.ty());
        let late = Self::to_accumulators(rows);
        let array = match pack {
            1 => Array::new(rows, cols, weight_bits, act_bits, psum_bits, config.multipliers),
            _ => {
                let packing = Packing::new(pack, weight_bits, act_bits, psum_bits, config.multiplier_bits);
                Array::packed(rows, cols, packing)
            }
        };
        let flag = |cycles| Delay::new(u(1), cycles);
        let (planes, digits) = (config.act_digits > 1, shifts.is_some());
        let digit_shift = |shifts: Shifts| {
            DigitShift::new((cols, pack), psum_bits, (shifts.bits, config.shift_unit()), operand_bits)
        };
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            layer_i: LayerPort::new(),
            act_write_i: Lanes::new(rows / block, u(1)),
            act_addr_i: Sig::new(address),
            act_data_i: Lanes::new(block, u(act_bits)),
            patch_done_i: Default::default(),
            patch_free_o: Default::default(),
            weight_write_i: Lanes::new(1, u(1)),
            weight_done_i: Default::default(),
            weight_addr_i: Sig::new(weights.addr_i.ty()),
            weight_data_i: Lanes::new(cols, super::rt::s(weight_bits)),
            weight_room_o: Default::default(),
            tile_done_o: Default::default(),
            bank_free_i: Default::default(),
            drain_bank_i: Default::default(),
            drain_addr_i: Sig::new(position),
            drain_o: Lanes::new(cols, accumulators.drain_o.ty()),
            active_o: Default::default(),
            sequencer: Sequencer::new(rows, config.act_depth, config.acc_depth, shifts, &config.bounds()),
            shifter: WeightShifter::new(rows, groups, config.weight_depth),
            acts,
            weights,
            extend: (!planes).then(|| Extend::new(rows, act_bits)).into_iter().collect(),
            plane_extend: planes.then(|| PlaneExtend::new(rows, act_bits)).into_iter().collect(),
            array,
            digit_shift: shifts.map(digit_shift).into_iter().collect(),
            accumulators,
            valid: flag(late),
            first: flag(late),
            bank: flag(late),
            addr: Delay::new(position, late),
            tile_end: flag(Self::latency(rows, groups)),
            patch_end: flag(rows),
            act_signed: planes.then(|| flag(LaneBuffer::LATENCY)).into_iter().collect(),
            shift: shifts.map(|shifts| Delay::new(u(shifts.bits), late)).into_iter().collect(),
            shift_unused: Sig::new(u(shifts.map_or(1, |shifts| shifts.bits))),
            _extends: !planes as usize,
            _planes: planes as usize,
            _plain: !digits as usize,
            _digits: digits as usize,
        }
    }
}

impl Logic for ComputeCore {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module compute_core: from loaded buffers to accumulators");
        self.sequencer.clk_i.next = self.clk_i.val();
        self.shifter.clk_i.next = self.clk_i.val();
        self.acts.clk_i.next = self.clk_i.val();
        self.weights.clk_i.next = self.clk_i.val();
        self.array.clk_i.next = self.clk_i.val();
        self.accumulators.clk_i.next = self.clk_i.val();
        self.valid.clk_i.next = self.clk_i.val();
        self.first.clk_i.next = self.clk_i.val();
        self.bank.clk_i.next = self.clk_i.val();
        self.addr.clk_i.next = self.clk_i.val();
        self.tile_end.clk_i.next = self.clk_i.val();
        self.patch_end.clk_i.next = self.clk_i.val();
        self.sequencer.rst_ni.next = self.rst_ni.val();
        self.sequencer.start_i.next = self.start_i.val();
        self.sequencer.layer_i.next = self.layer_i.val();
        self.sequencer.patch_done_i.next = self.patch_done_i.val();
        self.sequencer.shadow_full_i.next = self.shifter.full_o.val();
        self.sequencer.bank_free_i.next = self.bank_free_i.val();
        self.active_o.next = self.sequencer.valid_o.val();

        self.shifter.rst_ni.next = self.rst_ni.val();
        self.shifter.start_i.next = self.start_i.val();
        self.shifter.aligned_i.next = self.layer_i.aligned.val() == 1;
        self.shifter.swap_i.next = self.sequencer.swap_o.val();
        self.shifter.word_done_i.next = self.weight_done_i.val();
        self.weight_room_o.next = self.shifter.room_o.val();

        self.acts.write_i.next = self.act_write_i.val();
        self.acts.write_addr_i.next = self.act_addr_i.val();
        self.acts.data_i.next = self.act_data_i.val();
        self.acts.addr_i.next = self.sequencer.addr_o.val();
        self.acts.zero_i.next = self.sequencer.zero_o.val();
        self.acts.tag_i.next = self.sequencer.swap_o.val();
        self.acts.aligned_i.next = self.layer_i.aligned.val() == 1;

        self.weights.write_i.next = self.weight_write_i.val();
        self.weights.write_addr_i.next = self.weight_addr_i.val();
        self.weights.data_i.next = self.weight_data_i.val();
        self.weights.addr_i.next = self.shifter.addr_o.val();
        self.weights.zero_i.next = false;
        self.weights.tag_i.next = self.shifter.shift_o.val();
        self.weights.aligned_i.next = false;

        for i in 0..self._extends {
            self.extend[i].signed_i.next = self.sequencer.signed_o.val();
            self.extend[i].code_i.next = self.acts.word_o.val();
            self.array.act_i.next = self.extend[i].act_o.val();
        }
        for i in 0..self._planes {
            self.act_signed[i].clk_i.next = self.clk_i.val();
            self.act_signed[i].value_i.next = 0;
            if self.sequencer.signed_o.val() {
                self.act_signed[i].value_i.next = 1;
            }
            self.plane_extend[i].clk_i.next = self.clk_i.val();
            self.plane_extend[i].signed_i.next = self.act_signed[i].value_o.val() == 1;
            self.plane_extend[i].code_i.next = self.acts.word_o.val();
            self.array.act_i.next = self.plane_extend[i].act_o.val();
        }
        self.array.swap_i.next = self.acts.tag_o.val();
        self.array.shift_i.next = self.weights.tag_o.val();
        self.array.weight_i.next = self.weights.word_o.val();

        self.valid.value_i.next = 0;
        if self.sequencer.valid_o.val() {
            self.valid.value_i.next = 1;
        }
        self.first.value_i.next = 0;
        if self.sequencer.first_o.val() {
            self.first.value_i.next = 1;
        }
        self.bank.value_i.next = 0;
        if self.sequencer.bank_o.val() {
            self.bank.value_i.next = 1;
        }
        self.tile_end.value_i.next = 0;
        if self.sequencer.tile_end_o.val() {
            self.tile_end.value_i.next = 1;
        }
        self.patch_end.value_i.next = 0;
        if self.sequencer.patch_end_o.val() {
            self.patch_end.value_i.next = 1;
        }
        self.addr.value_i.next = self.sequencer.acc_addr_o.val();
        self.accumulators.valid_i.next = self.valid.value_o.val() == 1;
        self.accumulators.first_i.next = self.first.value_o.val() == 1;
        self.accumulators.bank_i.next = self.bank.value_o.val() == 1;
        self.accumulators.addr_i.next = self.addr.value_o.val();
        for _i in 0..self._plain {
            self.accumulators.psum_i.next = self.array.psum_o.val();
        }
        self.shift_unused.next = self.sequencer.shift_o.val();
        for i in 0..self._digits {
            self.shift[i].clk_i.next = self.clk_i.val();
            self.shift[i].value_i.next = self.sequencer.shift_o.val();
            self.digit_shift[i].clk_i.next = self.clk_i.val();
            self.digit_shift[i].shift_i.next = self.shift[i].value_o.val();
            self.digit_shift[i].psum_i.next = self.array.psum_o.val();
            self.accumulators.psum_i.next = self.digit_shift[i].operand_o.val();
        }
        self.accumulators.drain_bank_i.next = self.drain_bank_i.val();
        self.accumulators.drain_addr_i.next = self.drain_addr_i.val();
        self.drain_o.next = self.accumulators.drain_o.val();
        self.tile_done_o.next = self.tile_end.value_o.val() == 1;
        self.patch_free_o.next = self.patch_end.value_o.val() == 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use crate::isa::kernel;
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;

    /// A layer, its operands and its weights.
    struct Layer {
        conv: bool,
        signed: bool,
        resident: bool,
        h: usize,
        w: usize,
        units: usize,
        stripe: usize,
        slots: usize,
        ci_tiles: usize,
        co_tiles: usize,
        /// Codes `[image][channel][row][column]`.
        x: Vec<Vec<Vec<Vec<i64>>>>,
        /// `[output][channel][kernel row][kernel column]`.
        weights: Vec<Vec<Vec<Vec<i64>>>>,
    }

    fn nest<T: Clone>(n: usize, make: impl FnMut() -> T) -> Vec<T> {
        std::iter::repeat_with(make).take(n).collect()
    }

    impl Layer {
        fn random(rng: &mut ChaCha8Rng, config: &ArrayConfig) -> Self {
            let (conv, signed) = (rng.random(), rng.random());
            let (h, w) = (rng.random_range(2..=5), rng.random_range(2..=5));
            let units = if conv { h } else { rng.random_range(1..=3) };
            let (ci_tiles, co_tiles) = (rng.random_range(1..=2), rng.random_range(1..=2));
            let slots = rng.random_range(ci_tiles.min(2)..=3);
            let (kh, kw) = if conv { (3, 3) } else { (h, w) };
            let a = config.act_bits;
            let code = if signed { -(1 << (a - 1))..1i64 << (a - 1) } else { 0..1 << a };
            let weight = -(1i64 << (config.weight_bits - 1))..1 << (config.weight_bits - 1);
            let channels = ci_tiles * config.rows;
            Layer {
                conv,
                signed,
                resident: slots >= ci_tiles && rng.random(),
                h,
                w,
                units,
                stripe: rng.random_range(1..=units),
                slots,
                ci_tiles,
                co_tiles,
                x: nest(units, || nest(channels, || nest(h, || nest(w, || rng.random_range(code.clone()))))),
                weights: nest(co_tiles * config.cols, || {
                    nest(channels, || nest(kh, || nest(kw, || rng.random_range(weight.clone()))))
                }),
            }
        }

        fn kernel(&self) -> (usize, usize) {
            if self.conv { (3, 3) } else { (self.h, self.w) }
        }

        fn unit_positions(&self) -> usize {
            if self.conv { self.w } else { 1 }
        }

        fn patch(&self) -> usize {
            if self.conv { (self.stripe + 2).min(self.h) * self.w } else { self.stripe * self.h * self.w }
        }

        fn stripes(&self) -> Vec<std::ops::Range<usize>> {
            (0..self.units).step_by(self.stripe).map(|u| u..(u + self.stripe).min(self.units)).collect()
        }

        /// Image and row of each row of a stripe's patch.
        fn patch_rows(&self, units: &std::ops::Range<usize>) -> Vec<(usize, usize)> {
            match self.conv {
                true => {
                    (units.start.saturating_sub(1)..(units.end + 1).min(self.h)).map(|y| (0, y)).collect()
                }
                false => units.clone().flat_map(|image| (0..self.h).map(move |y| (image, y))).collect(),
            }
        }

        /// The sum that accumulator `position` of a stripe must hold for output `co`.
        fn sum(&self, unit0: usize, position: usize, co: usize) -> i64 {
            let (kh, kw) = self.kernel();
            let mut sum = 0;
            for (ci, kernel) in self.weights[co].iter().enumerate() {
                for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                    let x = match self.conv {
                        true => {
                            let (y, x) = (unit0 + position / self.w + ky, position % self.w + kx);
                            let inside = (1..=self.h).contains(&y) && (1..=self.w).contains(&x);
                            if inside { self.x[0][ci][y - 1][x - 1] } else { 0 }
                        }
                        false => self.x[unit0 + position][ci][ky][kx],
                    };
                    sum += kernel[ky][kx] * x;
                }
            }
            sum
        }

        /// Writes to the activation buffer: block, word, data; `None` after the last word of a patch.
        fn act_writes(&self, config: &ArrayConfig) -> Vec<Option<(usize, usize, Vec<i64>)>> {
            let block = config.block();
            let mut writes = vec![];
            let mut patches = 0;
            for units in self.stripes() {
                for ci in (0..if self.resident { 1 } else { self.co_tiles }).flat_map(|_| 0..self.ci_tiles) {
                    let base = patches % self.slots * self.patch();
                    for group in 0..config.rows / block {
                        let first = ci * config.rows + group * block;
                        let rows = self.patch_rows(&units);
                        let pixels = rows.iter().flat_map(|&(n, y)| (0..self.w).map(move |x| (n, y, x)));
                        for (word, (n, y, x)) in pixels.enumerate() {
                            let pixel = (first..first + block).map(|c| self.x[n][c][y][x]).collect();
                            writes.push(Some((group, base + word, pixel)));
                        }
                    }
                    writes.push(None);
                    patches += 1;
                }
            }
            writes
        }

        /// Rows of weights in the order of their use.
        fn weight_rows(&self, config: &ArrayConfig) -> Vec<Vec<i64>> {
            let (kh, kw) = self.kernel();
            let mut words = vec![];
            for _ in self.stripes() {
                for (co, ci) in (0..self.co_tiles).flat_map(|co| (0..self.ci_tiles).map(move |ci| (co, ci))) {
                    for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                        for row in (0..config.rows).rev() {
                            let column = |c: usize| &self.weights[co * config.cols + c];
                            let weight = |c: usize| column(c)[ci * config.rows + row][ky][kx];
                            words.push((0..config.cols).map(weight).collect());
                        }
                    }
                }
            }
            words
        }
    }

    fn describe(core: &mut ComputeCore, l: &Layer, config: &ArrayConfig) {
        let (kh, kw) = l.kernel();
        let step = if l.conv { 1 } else { l.h * l.w };
        core.layer_i.next.x_signed = l.signed.into();
        core.layer_i.next.kernel = if l.conv { kernel::CONV } else { kernel::DENSE };
        core.layer_i.next.resident = l.resident.into();
        core.layer_i.next.aligned = (l.stripe * l.unit_positions() <= config.rows).into();
        let fields = &mut *core.layer_i.next;
        for (field, value) in [
            (&mut fields.in_h, l.h),
            (&mut fields.in_w, l.w),
            (&mut fields.units, l.units),
            (&mut fields.outer, 1),
            (&mut fields.stripe, l.stripe),
            (&mut fields.patch, l.patch()),
            (&mut fields.slots, l.slots),
            (&mut fields.kernel_h, kh),
            (&mut fields.kernel_w, kw),
            (&mut fields.ci_tiles, l.ci_tiles),
            (&mut fields.co_tiles, l.co_tiles),
            (&mut fields.unit_positions, l.unit_positions()),
            (&mut fields.step, step),
        ] {
            *field = value as i64;
        }
    }

    /// Runs a layer with loaders and a drain that stall at random; checks every accumulator.
    fn run(
        bench: &mut Bench<ComputeCore>,
        l: &Layer,
        config: &ArrayConfig,
        rng: &mut ChaCha8Rng,
        percent: u32,
    ) {
        describe(&mut bench.block, l, config);
        bench.block.start_i.next = true;
        bench.cycle();
        bench.block.start_i.next = false;
        let mut acts = l.act_writes(config).into_iter().peekable();
        let mut weights = l.weight_rows(config).into_iter().enumerate().peekable();
        let tiles: Vec<_> =
            l.stripes().into_iter().flat_map(|u| (0..l.co_tiles).map(move |co| (u.clone(), co))).collect();
        let (mut free_slots, mut complete, mut drained, mut position, mut asked) = (l.slots, 0, 0, 0, None);
        for cycle in 0.. {
            assert!(cycle < 50_000, "hangs with {drained} of {} tiles drained", tiles.len());
            let mut chance = || rng.random_range(0..100) < percent;
            let core = &mut bench.block;
            core.act_write_i.drive(|_| 0);
            core.patch_done_i.next = false;
            core.weight_write_i.drive(|_| 0);
            core.weight_done_i.next = false;
            core.bank_free_i.next = false;
            if free_slots > 0 && chance() {
                match acts.next() {
                    Some(Some((group, word, pixel))) => {
                        core.act_write_i.set(group, 1);
                        core.act_addr_i.next = word as i64;
                        let mask = (1i64 << config.act_bits) - 1;
                        core.act_data_i.drive(|c| pixel[c] & mask);
                    }
                    Some(None) => {
                        core.patch_done_i.next = true;
                        free_slots -= 1;
                    }
                    None => {}
                }
            }
            if core.weight_room_o.val()
                && chance()
                && let Some((i, row)) = weights.next()
            {
                core.weight_write_i.set(0, 1);
                core.weight_done_i.next = true;
                core.weight_addr_i.next = (i % config.weight_depth) as i64;
                core.weight_data_i.drive(|c| row[c]);
            }
            if complete > drained && asked.is_none() {
                core.drain_bank_i.next = drained % 2 == 1;
                core.drain_addr_i.next = position as i64;
                asked = Some((position, Accumulators::DRAIN_LATENCY));
            }
            bench.cycle();
            let core = &mut bench.block;
            complete += core.tile_done_o.val() as usize;
            free_slots += core.patch_free_o.val() as usize;
            asked = asked.map(|(p, cycles)| (p, cycles - 1));
            if let Some((p, 0)) = asked {
                asked = None;
                let (units, co) = &tiles[drained];
                for c in 0..config.cols {
                    let want = l.sum(units.start, p, co * config.cols + c);
                    assert_eq!(core.drain_o.val()[c], want, "tile {drained}, position {p}, column {c}");
                }
                position += 1;
                if position == units.len() * l.unit_positions() {
                    (position, drained) = (0, drained + 1);
                    core.bank_free_i.next = true;
                    core.act_write_i.drive(|_| 0);
                    core.patch_done_i.next = false;
                    core.weight_write_i.drive(|_| 0);
                    core.weight_done_i.next = false;
                    bench.cycle();
                    complete += bench.block.tile_done_o.val() as usize;
                    free_slots += bench.block.patch_free_o.val() as usize;
                    bench.block.bank_free_i.next = false;
                }
            }
            if drained == tiles.len() {
                assert!(!bench.block.active_o.val(), "no sweep is left");
                return;
            }
        }
    }

    #[test]
    fn every_accumulator_of_random_layers_is_right_in_process_and_in_verilog() {
        let base = ArrayConfig { act_depth: 128, acc_depth: 32, acc_bits: 32, ..ArrayConfig::default() };
        for (seed, rows, cols, weight_bits, act_bits, pack) in [
            (1, 4, 4, 8, 8, 1),
            (2, 6, 4, 3, 5, 1),
            (3, 4, 8, 4, 2, 1),
            (4, 8, 2, 2, 7, 1),
            (5, 4, 4, 4, 8, 2),
            (6, 4, 8, 3, 3, 3),
            (7, 3, 6, 2, 2, 4),
        ] {
            let mut rng = random(seed);
            let config = ArrayConfig {
                rows,
                cols,
                weight_bits,
                act_bits,
                pack,
                weight_depth: 2 * rows + cols + 2,
                ..base.clone()
            };
            let mut bench = Bench::new(ComputeCore::new(&config), |c| &mut c.clk_i);
            let settle = ComputeCore::latency(rows, config.groups()) + 2;
            bench.block.rst_ni.next = false;
            (0..settle).for_each(|_| bench.cycle());
            bench.block.rst_ni.next = true;
            for _ in 0..3 {
                let layer = Layer::random(&mut rng, &config);
                let percent = rng.random_range(40..=100);
                run(&mut bench, &layer, &config, &mut rng, percent);
            }
            bench.verilog("compute_core", 1 << 20); // accumulators have no value before their first sum
        }
    }
}
