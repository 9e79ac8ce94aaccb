//! Parameters of two output tiles: one in use, one arriving.

use super::{RecordRam, SHIFT_BITS};
use crate::arith::MULTIPLIER_BITS;
use crate::config::Requantize;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, K, Lanes, Reg, Sig, s, u};
use rust_hdl::prelude::*;

/// Takes a record a column, tile after tile, into two banks, and gives them in groups.
#[derive(LogicBlock)]
pub struct ParamStore {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins; what is held is forgotten.
    pub start_i: Signal<In, Bit>,
    /// The record of the next column is there; only with `room_o`.
    pub record_valid_i: Signal<In, Bit>,
    /// Its bias.
    pub bias_i: Sig<In>,
    /// Its multiplier m; ignored where steps are powers of two.
    pub multiplier_i: Sig<In>,
    /// Its shift s.
    pub shift_i: Sig<In>,
    /// A bank is empty or filling: records may come up to the end of their tile.
    pub room_o: Signal<Out, Bit>,
    /// A tile's records are there that have not been taken.
    pub ready_o: Signal<Out, Bit>,
    /// One cycle, with `ready_o`: they are taken; they stay readable until `free_i`.
    pub take_i: Signal<In, Bit>,
    /// One cycle: the records that were taken first are no longer needed.
    pub free_i: Signal<In, Bit>,
    /// Bank to read; banks alternate, from 0.
    pub bank_i: Signal<In, Bit>,
    /// Group to read.
    pub group_i: Sig<In>,
    /// Its biases, one cycle later.
    pub bias_o: Lanes<Out>,
    /// Its shifts, and above them its multipliers where they are kept.
    pub scale_o: Lanes<Out>,
    ram: RecordRam,
    lane: Reg,
    group: Reg,
    bank: Flop<Bit>,
    full: Reg,
    fresh: Reg,
    ends_group: Signal<Local, Bit>,
    ends_tile: Signal<Local, Bit>,
    last_lane: K,
    last_group: K,
    upper: K,
    banks: K,
}

impl ParamStore {
    /// Cycles from `group_i` to the records.
    pub const LATENCY: usize = RecordRam::LATENCY;

    /// For `cols` columns read in groups of `lanes`, a divisor of `cols`, with biases of `acc_bits`.
    pub fn new(cols: usize, lanes: usize, acc_bits: u32, mode: Requantize) -> Self {
        let groups = cols / lanes;
        let (lane, group) = (u(address_bits(lanes)), u(address_bits(groups)));
        let ram = RecordRam::new(2 << group.bits, lanes, acc_bits, mode);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            record_valid_i: Default::default(),
            bias_i: Sig::new(s(acc_bits)),
            multiplier_i: Sig::new(u(MULTIPLIER_BITS)),
            shift_i: Sig::new(u(SHIFT_BITS)),
            room_o: Default::default(),
            ready_o: Default::default(),
            take_i: Default::default(),
            free_i: Default::default(),
            bank_i: Default::default(),
            group_i: Sig::new(group),
            bias_o: Lanes::new(lanes, s(acc_bits)),
            scale_o: Lanes::new(lanes, ram.scale_o.ty()),
            lane: Reg::new(lane),
            group: Reg::new(group),
            bank: Default::default(),
            full: Reg::new(u(2)),
            fresh: Reg::new(u(2)),
            ends_group: Default::default(),
            ends_tile: Default::default(),
            last_lane: K::new(lane, lanes as i64 - 1),
            last_group: K::new(group, groups as i64 - 1),
            upper: K::new(ram.addr_i.ty(), 1 << group.bits),
            banks: K::new(u(2), 2),
            ram,
        }
    }
}

impl Logic for ParamStore {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module param_store: parameters of two output tiles, one in use, one arriving");
        dff_setup!(self, clk_i, lane, group, bank, full, fresh);
        self.ram.clk_i.next = self.clk_i.val();
        self.ram.write_i.next = self.record_valid_i.val();
        self.ram.lane_i.next = self.lane.q.val();
        self.ram.bias_i.next = self.bias_i.val();
        self.ram.multiplier_i.next = self.multiplier_i.val();
        self.ram.shift_i.next = self.shift_i.val();
        self.ram.write_addr_i.next = self.group.q.val();
        if self.bank.q.val() {
            self.ram.write_addr_i.next = self.group.q.val() | self.upper.val();
        }
        self.ram.addr_i.next = self.group_i.val();
        if self.bank_i.val() {
            self.ram.addr_i.next = self.group_i.val() | self.upper.val();
        }
        self.bias_o.next = self.ram.bias_o.val();
        self.scale_o.next = self.ram.scale_o.val();
        self.room_o.next = self.full.q.val() != self.banks.val();
        self.ready_o.next = self.fresh.q.val() != 0;

        self.ends_group.next = self.record_valid_i.val() && (self.lane.q.val() == self.last_lane.val());
        self.ends_tile.next = self.ends_group.val() && (self.group.q.val() == self.last_group.val());
        if self.record_valid_i.val() {
            self.lane.d.next = self.lane.q.val() + 1;
        }
        if self.ends_group.val() {
            self.lane.d.next = 0;
            self.group.d.next = self.group.q.val() + 1;
        }
        if self.ends_tile.val() {
            self.group.d.next = 0;
            self.bank.d.next = !self.bank.q.val();
        }
        if self.ends_tile.val() && !self.free_i.val() {
            self.full.d.next = self.full.q.val() + 1;
        }
        if self.free_i.val() && !self.ends_tile.val() {
            self.full.d.next = self.full.q.val() - 1;
        }
        if self.ends_tile.val() && !self.take_i.val() {
            self.fresh.d.next = self.fresh.q.val() + 1;
        }
        if self.take_i.val() && !self.ends_tile.val() {
            self.fresh.d.next = self.fresh.q.val() - 1;
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.lane.d.next = 0;
            self.group.d.next = 0;
            self.bank.d.next = false;
            self.full.d.next = 0;
            self.fresh.d.next = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use rand::Rng;

    /// Tiles of random records come and go at random; each is read while it is held.
    fn check(cols: usize, lanes: usize, acc_bits: u32, mode: Requantize) {
        let mut bench = Bench::new(ParamStore::new(cols, lanes, acc_bits, mode), |b| &mut b.clk_i);
        let mut rng = random(cols as u64);
        bench.cycle(); // reset
        bench.block.rst_ni.next = true;
        let (mut arrived, mut taken, mut freed): (Vec<(i64, i64)>, _, _) = (vec![], 0, 0);
        for t in 0..cols * 30 {
            let x = &mut bench.block;
            let tiles = arrived.len() / cols;
            assert_eq!((x.room_o.val(), x.ready_o.val()), (tiles - freed < 2, taken < tiles), "cycle {t}");
            let record = (random_value(&mut rng, s(acc_bits)), rng.random_range(0..1i64 << 22));
            let (m, shift) = (record.1 >> 6, record.1 % 64);
            x.record_valid_i.next = tiles - freed < 2 && rng.random_bool(0.8);
            (x.bias_i.next, x.multiplier_i.next, x.shift_i.next) = (record.0, m, shift);
            x.take_i.next = taken < tiles && rng.random_bool(0.1);
            x.free_i.next = freed < taken && rng.random_bool(0.1);
            // The tile to read: the last that is free of `free_i`, if there is one.
            let group = rng.random_range(0..cols / lanes);
            (x.bank_i.next, x.group_i.next) = (freed % 2 == 1, group as i64);
            let readable = freed < tiles;
            let want: Vec<(i64, i64)> =
                if readable { arrived[freed * cols + group * lanes..][..lanes].into() } else { vec![] };
            if x.record_valid_i.next {
                arrived.push((record.0, if mode == Requantize::Scale { record.1 } else { shift }));
            }
            taken += x.take_i.next as usize;
            freed += x.free_i.next as usize;
            bench.cycle();
            for (lane, want) in want.into_iter().enumerate() {
                let got = (bench.block.bias_o.val()[lane], bench.block.scale_o.val()[lane]);
                assert_eq!(got, want, "cycle {t}, group {group}, lane {lane}");
            }
        }
        assert!(freed > 2);
        bench.verilog("param_store", cols * 5);
    }

    #[test]
    fn two_tiles_are_held() {
        check(8, 2, 32, Requantize::Scale);
        check(12, 4, 48, Requantize::Pow2);
        check(4, 4, 19, Requantize::Scale);
        check(6, 1, 24, Requantize::Pow2);
    }
}
