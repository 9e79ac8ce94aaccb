//! The drain: from accumulators to runs and beats for memory.

use super::{DrainWalk, GroupSelect, ParamStore, RawBeat, Requantizers, RowRead, SHIFT_BITS};
use crate::arith::{MULTIPLIER_BITS, WIDTHS};
use crate::config::{ArrayConfig, Requantize};
use crate::hw::datapath::{Accumulators, Delay, PlaneSelect};
use crate::hw::memory::Packer;
use crate::hw::rt::{Flop, K, Lanes, LayerPort, Reg, Sig, s, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Requantizes, pools, packs and hands over every output tile of a layer, in the order stripe → output tile → block of
/// channels → written row. The layer's inputs are stable from `start_i` until `done_o` rises.
///
/// A tile starts when its accumulators and its parameters are there; then one group of columns is read in each cycle
/// with room, without a gap between rows. Flags under way outlive a reset by [`Drain::latency`] cycles: hold the reset
/// that long.
#[derive(LogicBlock)]
pub struct Drain {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// One cycle for each output tile whose accumulators are complete; banks alternate, from 0.
    pub tile_done_i: Signal<In, Bit>,
    /// One cycle for each bank that has been drained.
    pub bank_free_o: Signal<Out, Bit>,
    /// Bank to read.
    pub drain_bank_o: Signal<Out, Bit>,
    /// Accumulator to read.
    pub drain_addr_o: Sig<Out>,
    /// What it holds, a lane a column, [`Accumulators::DRAIN_LATENCY`] cycles later.
    pub drain_i: Lanes<In>,
    /// The record of the next column of the next tile is there; only with `params_room_o`.
    pub record_valid_i: Signal<In, Bit>,
    /// Its bias.
    pub bias_i: Sig<In>,
    /// Its multiplier m; ignored where steps are powers of two.
    pub multiplier_i: Sig<In>,
    /// Its shift s.
    pub shift_i: Sig<In>,
    /// Records may come up to the end of their tile; seen at the end of a tile, for all of the next one.
    pub params_room_o: Signal<Out, Bit>,
    /// A row will be written; its beats come after this, or while it waits.
    pub run_valid_o: Signal<Out, Bit>,
    /// Address of the row.
    pub run_addr_o: Sig<Out>,
    /// Beats of the row.
    pub run_beats_o: Sig<Out>,
    /// The row is taken.
    pub run_ready_i: Signal<In, Bit>,
    /// The next beat.
    pub beat_valid_o: Signal<Out, Bit>,
    /// Its words.
    pub beat_o: Lanes<Out>,
    /// Room for [`Drain::latency`] beats and those that the user has not counted yet.
    pub room_i: Signal<In, Bit>,
    /// All rows and beats of the layer have been handed over; low from the cycle after `start_i` until then.
    pub done_o: Signal<Out, Bit>,
    walk: DrainWalk,
    read: RowRead,
    store: ParamStore,
    select: GroupSelect,
    requantizers: Requantizers,
    raw_beat: RawBeat,
    packer: Packer,
    // Complete tiles that have not been taken.
    tiles: Reg,
    run_valid: Flop<Bit>,
    run_addr: Reg,
    // Cycles until the last address read has left as a beat.
    flight: Reg,
    tile_end: Flop<Bit>,
    // Addresses on their way to beats.
    bank: Delay,
    group: Delay,
    params_end: Delay,
    lane: Delay,
    raw_valid: Delay,
    code_valid: Delay,
    code_first: Delay,
    item_valid: Delay,
    item_last: Delay,
    plane: Vec<Delay>,
    plane_select: Vec<PlaneSelect>,
    plane_unused: Sig<Local>,
    go: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    flight_cycles: K,
    _whole: usize,
    _planes: usize,
}

impl Drain {
    /// Cycles from an address to its accumulators at the requantizers.
    const TO_REQUANTIZERS: usize = Accumulators::DRAIN_LATENCY + GroupSelect::LATENCY;
    /// Parameters come with the accumulators.
    const _ALIGNED: () = assert!(ParamStore::LATENCY == GroupSelect::LATENCY);

    /// Cycles from an address to the last beat that it completes, at most.
    pub const fn latency(mode: Requantize) -> usize {
        timing::drain(Requantizers::code_latency(mode))
    }

    /// The drain of the design point `config`, which is valid.
    pub fn new(config: &ArrayConfig) -> Self {
        let ArrayConfig { cols, act_bits, acc_bits, acc_depth, requantizers: lanes, bus_bits, .. } = *config;
        let (mode, block) = (config.requantize, config.block());
        let (blocks, block_groups) = (cols / block, block / lanes);
        let bounds = config.bounds();
        let walk = DrainWalk::new(blocks, block_groups, acc_depth, &bounds);
        let (planes, code_bits) = (config.act_digits, config.code_bits().min(*WIDTHS.end()));
        let read = RowRead::new(cols / lanes, block_groups, lanes, acc_depth, planes, &bounds);
        let address = read.addr_o.ty();
        let flag = |cycles| Delay::new(u(1), cycles);
        let to_codes = Self::TO_REQUANTIZERS + Requantizers::code_latency(mode);
        let to_items = Self::TO_REQUANTIZERS + Requantizers::latency(mode);
        let to_sums = Self::TO_REQUANTIZERS + Requantizers::SUM_LATENCY;
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            layer_i: LayerPort::narrow(&bounds, &[("clip", u(code_bits))]),
            tile_done_i: Default::default(),
            bank_free_o: Default::default(),
            drain_bank_o: Default::default(),
            drain_addr_o: Sig::new(address),
            drain_i: Lanes::new(cols, s(acc_bits)),
            record_valid_i: Default::default(),
            bias_i: Sig::new(s(acc_bits)),
            multiplier_i: Sig::new(u(MULTIPLIER_BITS)),
            shift_i: Sig::new(u(SHIFT_BITS)),
            params_room_o: Default::default(),
            run_valid_o: Default::default(),
            run_addr_o: Sig::new(u(bounds.offset)),
            run_beats_o: Sig::new(u(bounds.y_row_beats)),
            run_ready_i: Default::default(),
            beat_valid_o: Default::default(),
            beat_o: Lanes::new(bus_bits / 32, u(32)),
            room_i: Default::default(),
            done_o: Default::default(),
            store: ParamStore::new(cols, lanes, acc_bits, mode),
            select: GroupSelect::new(cols, lanes, acc_bits),
            requantizers: Requantizers::new(lanes, acc_bits, code_bits, mode),
            raw_beat: RawBeat::new(lanes, acc_bits, bus_bits),
            packer: Packer::new(bus_bits, lanes, u(act_bits)),
            tiles: Reg::new(u(2)),
            run_valid: Default::default(),
            run_addr: Reg::new(u(bounds.offset)),
            flight: Reg::new(u(5)),
            tile_end: Default::default(),
            bank: flag(Accumulators::DRAIN_LATENCY),
            group: Delay::new(read.group_o.ty(), Accumulators::DRAIN_LATENCY),
            params_end: flag(Accumulators::DRAIN_LATENCY),
            lane: Delay::new(read.lane_o.ty(), to_sums),
            raw_valid: flag(to_sums + RawBeat::LATENCY),
            code_valid: flag(to_codes),
            code_first: flag(to_codes),
            item_valid: flag(to_items),
            item_last: flag(to_items),
            plane: (planes > 1).then(|| Delay::new(read.plane_o.ty(), to_items)).into_iter().collect(),
            plane_select: (planes > 1)
                .then(|| PlaneSelect::new(lanes, code_bits, planes, act_bits))
                .into_iter()
                .collect(),
            plane_unused: Sig::new(read.plane_o.ty()),
            go: Default::default(),
            take: Default::default(),
            flight_cycles: K::new(u(5), Self::latency(mode) as i64),
            _whole: (planes == 1) as usize,
            _planes: (planes > 1) as usize,
            walk,
            read,
        }
    }
}

impl Logic for Drain {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module drain: from accumulators to rows of codes for memory");
        dff_setup!(self, clk_i, tiles, run_valid, run_addr, flight, tile_end);
        self.walk.clk_i.next = self.clk_i.val();
        self.read.clk_i.next = self.clk_i.val();
        self.store.clk_i.next = self.clk_i.val();
        self.select.clk_i.next = self.clk_i.val();
        self.requantizers.clk_i.next = self.clk_i.val();
        self.raw_beat.clk_i.next = self.clk_i.val();
        self.packer.clk_i.next = self.clk_i.val();
        self.bank.clk_i.next = self.clk_i.val();
        self.group.clk_i.next = self.clk_i.val();
        self.params_end.clk_i.next = self.clk_i.val();
        self.lane.clk_i.next = self.clk_i.val();
        self.raw_valid.clk_i.next = self.clk_i.val();
        self.code_valid.clk_i.next = self.clk_i.val();
        self.code_first.clk_i.next = self.clk_i.val();
        self.item_valid.clk_i.next = self.clk_i.val();
        self.item_last.clk_i.next = self.clk_i.val();

        comment!("Rows: a row begins when the one before is read and its run is taken.");
        self.walk.rst_ni.next = self.rst_ni.val();
        self.walk.start_i.next = self.start_i.val();
        self.walk.layer_i.next = self.layer_i.val();
        self.go.next = self.walk.pending_o.val()
            && self.read.free_o.val()
            && (self.tiles.q.val() != 0)
            && self.store.ready_o.val()
            && (!self.run_valid.q.val() || self.run_ready_i.val());
        self.take.next = self.go.val() && self.walk.ends_tile_o.val();
        self.walk.go_i.next = self.go.val();
        if self.tile_done_i.val() && !self.take.val() {
            self.tiles.d.next = self.tiles.q.val() + 1;
        }
        if self.take.val() && !self.tile_done_i.val() {
            self.tiles.d.next = self.tiles.q.val() - 1;
        }
        if self.run_ready_i.val() {
            self.run_valid.d.next = false;
        }
        if self.go.val() {
            self.run_valid.d.next = true;
            self.run_addr.d.next = self.walk.y_addr_o.val();
        }
        self.run_valid_o.next = self.run_valid.q.val();
        self.run_addr_o.next = self.run_addr.q.val();
        self.run_beats_o.next = self.layer_i.y_row_beats.val();

        comment!("Addresses.");
        self.read.rst_ni.next = self.rst_ni.val();
        self.read.go_i.next = self.go.val();
        self.read.enable_i.next = self.room_i.val();
        self.read.layer_i.next = self.layer_i.val();
        self.read.acc_addr_i.next = self.walk.acc_addr_o.val();
        self.read.group_i.next = self.walk.group_o.val();
        self.read.bank_i.next = self.walk.bank_o.val();
        self.read.ends_tile_i.next = self.walk.ends_tile_o.val();
        self.drain_bank_o.next = self.read.bank_o.val();
        self.drain_addr_o.next = self.read.addr_o.val();
        self.tile_end.d.next = self.read.valid_o.val() && self.read.tile_end_o.val();
        self.bank_free_o.next = self.tile_end.q.val();
        self.bank.value_i.next = 0;
        if self.read.bank_o.val() {
            self.bank.value_i.next = 1;
        }
        self.params_end.value_i.next = 0;
        if self.read.valid_o.val() && self.read.tile_end_o.val() {
            self.params_end.value_i.next = 1;
        }
        self.group.value_i.next = self.read.group_o.val();

        comment!("Accumulators and parameters.");
        self.store.rst_ni.next = self.rst_ni.val();
        self.store.start_i.next = self.start_i.val();
        self.store.record_valid_i.next = self.record_valid_i.val();
        self.store.bias_i.next = self.bias_i.val();
        self.store.multiplier_i.next = self.multiplier_i.val();
        self.store.shift_i.next = self.shift_i.val();
        self.store.take_i.next = self.take.val();
        self.store.free_i.next = self.params_end.value_o.val() == 1;
        self.store.bank_i.next = self.bank.value_o.val() == 1;
        self.store.group_i.next = self.group.value_o.val();
        self.params_room_o.next = self.store.room_o.val();
        self.select.word_i.next = self.drain_i.val();
        self.select.group_i.next = self.group.value_o.val();

        comment!("Codes.");
        self.code_valid.value_i.next = 0;
        if self.read.valid_o.val() {
            self.code_valid.value_i.next = 1;
        }
        self.code_first.value_i.next = 0;
        if self.read.first_o.val() {
            self.code_first.value_i.next = 1;
        }
        self.requantizers.acc_i.next = self.select.acc_o.val();
        self.requantizers.bias_i.next = self.store.bias_o.val();
        self.requantizers.scale_i.next = self.store.scale_o.val();
        self.requantizers.top_i.next = self.layer_i.clip.val();
        self.requantizers.valid_i.next = self.code_valid.value_o.val() == 1;
        self.requantizers.first_i.next = self.code_first.value_o.val() == 1;

        comment!("Beats.");
        self.item_valid.value_i.next = 0;
        if self.read.valid_o.val() && self.read.last_o.val() && (self.layer_i.raw.val() == 0) {
            self.item_valid.value_i.next = 1;
        }
        self.item_last.value_i.next = 0;
        if self.read.row_end_o.val() {
            self.item_last.value_i.next = 1;
        }
        self.packer.rst_ni.next = self.rst_ni.val();
        self.packer.valid_i.next = self.item_valid.value_o.val() == 1;
        self.packer.last_i.next = self.item_last.value_o.val() == 1;
        for _i in 0..self._whole {
            self.packer.item_i.next = self.requantizers.code_o.val();
        }
        self.plane_unused.next = self.read.plane_o.val();
        for i in 0..self._planes {
            self.plane[i].clk_i.next = self.clk_i.val();
            self.plane[i].value_i.next = self.read.plane_o.val();
            self.plane_select[i].plane_i.next = self.plane[i].value_o.val();
            self.plane_select[i].code_i.next = self.requantizers.code_o.val();
            self.packer.item_i.next = self.plane_select[i].item_o.val();
        }
        self.raw_valid.value_i.next = 0;
        if self.read.valid_o.val() && (self.layer_i.raw.val() == 1) {
            self.raw_valid.value_i.next = 1;
        }
        self.lane.value_i.next = self.read.lane_o.val();
        self.raw_beat.sum_i.next = self.requantizers.sum_o.val();
        self.raw_beat.lane_i.next = self.lane.value_o.val();
        self.beat_valid_o.next = self.packer.valid_o.val() || (self.raw_valid.value_o.val() == 1);
        self.beat_o.next = self.packer.beat_o.val();
        if self.layer_i.raw.val() == 1 {
            self.beat_o.next = self.raw_beat.beat_o.val();
        }

        if self.flight.q.val() != 0 {
            self.flight.d.next = self.flight.q.val() - 1;
        }
        if self.read.valid_o.val() {
            self.flight.d.next = self.flight_cycles.val();
        }
        self.done_o.next = !self.walk.busy_o.val()
            && !self.read.busy_o.val()
            && !self.run_valid.q.val()
            && (self.flight.q.val() == 0);
        if self.start_i.val() || !self.rst_ni.val() {
            self.tiles.d.next = 0;
            self.run_valid.d.next = false;
        }
        if !self.rst_ni.val() {
            self.flight.d.next = 0;
        }
    }
}

#[cfg(test)]
mod tests;
