//! The accumulators of a written row, one group a cycle.

use crate::config::Bounds;
use crate::hw::control::Turn;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, K, LayerPort, Reg, Sig, u};
use rust_hdl::prelude::*;

/// After `go_i`, issues pixel → plane → group → position of the pooling window, one in each cycle with `enable_i`; a raw row
/// issues its group once for each lane instead. The next `go_i` may come with `free_o`. A row's inputs are taken with
/// `go_i`; the others belong to the layer and are stable from the cycle before the first `go_i` on.
#[derive(LogicBlock)]
pub struct RowRead {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// A row begins with the next cycle.
    pub go_i: Signal<In, Bit>,
    /// An address may be issued.
    pub enable_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// First accumulator of the row.
    pub acc_addr_i: Sig<In>,
    /// Its first group of columns.
    pub group_i: Sig<In>,
    /// Its accumulator bank.
    pub bank_i: Signal<In, Bit>,
    /// It is the last of its output tile.
    pub ends_tile_i: Signal<In, Bit>,
    /// A row is under way.
    pub busy_o: Signal<Out, Bit>,
    /// The next row may begin: none is under way, or its last address is issued in this cycle.
    pub free_o: Signal<Out, Bit>,
    /// An address is issued.
    pub valid_o: Signal<Out, Bit>,
    /// Accumulator.
    pub addr_o: Sig<Out>,
    /// Bank.
    pub bank_o: Signal<Out, Bit>,
    /// Group of columns.
    pub group_o: Sig<Out>,
    /// Lane of the group whose sum goes out, if raw.
    pub lane_o: Sig<Out>,
    /// Plane of the codes; 0 without planes.
    pub plane_o: Sig<Out>,
    /// First position of a window.
    pub first_o: Signal<Out, Bit>,
    /// Last position of a window.
    pub last_o: Signal<Out, Bit>,
    /// Last address of the row.
    pub row_end_o: Signal<Out, Bit>,
    /// Last address of the output tile.
    pub tile_end_o: Signal<Out, Bit>,
    busy: Flop<Bit>,
    top: Reg,
    row_less: Reg,
    window: Reg,
    group_at: Reg,
    // Pixels after this one, and whether there is none.
    x_left: Reg,
    last_x: Flop<Bit>,
    more_x: Reg,
    one_x: Flop<Bit>,
    addr: Reg,
    pixel: Reg,
    group: Reg,
    first_group: Reg,
    bank: Flop<Bit>,
    ends_tile: Flop<Bit>,
    issue: Signal<Local, Bit>,
    last_window: Signal<Local, Bit>,
    ends_pixel: Signal<Local, Bit>,
    ends_row: Signal<Local, Bit>,
    step: Sig<Local>,
    next_pixel: Sig<Local>,
    ends_plane: Signal<Local, Bit>,
    plane: Vec<Turn>,
    last_group: K,
    last_lane: K,
    _planes: usize,
}

impl RowRead {
    /// For `groups` groups of `lanes` columns, `block_groups` of them in a block, and banks of `acc_depth`
    /// accumulators, on a build of these bounds; codes have up to `planes` planes.
    pub fn new(
        groups: usize,
        block_groups: usize,
        lanes: usize,
        acc_depth: usize,
        planes: usize,
        bounds: &Bounds,
    ) -> Self {
        let (pixels, address, group) = (u(bounds.map), u(address_bits(acc_depth)), u(address_bits(groups)));
        let (lane, in_block) = (u(address_bits(lanes)), u(address_bits(block_groups)));
        let window = u(lane.bits.max(2));
        let plane = u(address_bits(planes));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            go_i: Default::default(),
            enable_i: Default::default(),
            layer_i: LayerPort::narrow(bounds, &[("unit_positions", u(address.bits.min(bounds.map)))]),
            acc_addr_i: Sig::new(address),
            group_i: Sig::new(group),
            bank_i: Default::default(),
            ends_tile_i: Default::default(),
            busy_o: Default::default(),
            free_o: Default::default(),
            valid_o: Default::default(),
            addr_o: Sig::new(address),
            bank_o: Default::default(),
            group_o: Sig::new(group),
            lane_o: Sig::new(lane),
            plane_o: Sig::new(plane),
            first_o: Default::default(),
            last_o: Default::default(),
            row_end_o: Default::default(),
            tile_end_o: Default::default(),
            busy: Default::default(),
            top: Reg::new(window),
            row_less: Reg::new(address),
            window: Reg::new(window),
            group_at: Reg::new(in_block),
            x_left: Reg::new(pixels),
            last_x: Default::default(),
            more_x: Reg::new(pixels),
            one_x: Default::default(),
            addr: Reg::new(address),
            pixel: Reg::new(address),
            group: Reg::new(group),
            first_group: Reg::new(group),
            bank: Default::default(),
            ends_tile: Default::default(),
            issue: Default::default(),
            last_window: Default::default(),
            ends_pixel: Default::default(),
            ends_row: Default::default(),
            step: Sig::new(address),
            next_pixel: Sig::new(address),
            ends_plane: Default::default(),
            plane: (planes > 1).then(|| Turn::new(plane.bits)).into_iter().collect(),
            last_group: K::new(in_block, block_groups as i64 - 1),
            last_lane: K::new(lane, lanes as i64 - 1),
            _planes: (planes > 1) as usize,
        }
    }
}

impl Logic for RowRead {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module row_read: the accumulators of a written row, one group a cycle");
        dff_setup!(
            self,
            clk_i,
            busy,
            top,
            row_less,
            window,
            group_at,
            x_left,
            last_x,
            more_x,
            one_x,
            addr,
            pixel,
            group,
            first_group,
            bank,
            ends_tile
        );
        self.top.d.next = 0;
        if self.layer_i.pool.val() == 1 {
            self.top.d.next = 3;
        }
        if self.layer_i.raw.val() == 1 {
            self.top.d.next = self.last_lane.val();
        }
        self.more_x.d.next = self.layer_i.out_w.val() - 1;
        self.one_x.d.next = self.layer_i.out_w.val() == 1;
        self.row_less.d.next = self.layer_i.unit_positions.val() - 1;

        self.issue.next = self.busy.q.val() && self.enable_i.val();
        self.last_window.next = self.window.q.val() == self.top.q.val();
        self.ends_plane.next = self.last_window.val() && (self.group_at.q.val() == self.last_group.val());
        self.ends_pixel.next = self.ends_plane.val();
        self.plane_o.next = 0;
        for i in 0..self._planes {
            self.plane[i].clk_i.next = self.clk_i.val();
            self.plane[i].restart_i.next = self.go_i.val();
            self.plane[i].count_i.next = self.layer_i.y_planes.val();
            self.plane[i].step_i.next = self.issue.val() && self.ends_plane.val();
            self.ends_pixel.next = self.ends_plane.val() && self.plane[i].last_o.val();
            self.plane_o.next = self.plane[i].at_o.val();
        }
        self.ends_row.next = self.ends_pixel.val() && self.last_x.q.val();
        self.busy_o.next = self.busy.q.val();
        self.free_o.next = !self.busy.q.val() || (self.issue.val() && self.ends_row.val());
        self.valid_o.next = self.issue.val();
        self.addr_o.next = self.addr.q.val();
        self.bank_o.next = self.bank.q.val();
        self.group_o.next = self.group.q.val();
        self.lane_o.next = self.window.q.val();
        self.first_o.next = self.window.q.val() == 0;
        self.last_o.next = self.last_window.val();
        self.row_end_o.next = self.ends_row.val();
        self.tile_end_o.next = self.ends_row.val() && self.ends_tile.q.val();

        comment!("Through the window: right, down and back, right.");
        self.step.next = 1;
        if (self.window.q.val() & 1) == 1 {
            self.step.next = self.row_less.q.val();
        }
        if self.layer_i.raw.val() == 1 {
            self.step.next = 0;
        }
        self.next_pixel.next = self.pixel.q.val() + 1;
        if self.layer_i.pool.val() == 1 {
            self.next_pixel.next = self.pixel.q.val() + 2;
        }
        if self.issue.val() {
            self.window.d.next = self.window.q.val() + 1;
            self.addr.d.next = self.addr.q.val() + self.step.val();
            if self.last_window.val() {
                self.window.d.next = 0;
                self.group_at.d.next = self.group_at.q.val() + 1;
                self.group.d.next = self.group.q.val() + 1;
                self.addr.d.next = self.pixel.q.val();
            }
            if self.ends_plane.val() {
                self.group_at.d.next = 0;
                self.group.d.next = self.first_group.q.val();
            }
            if self.ends_pixel.val() {
                self.x_left.d.next = self.x_left.q.val() - 1;
                self.last_x.d.next = self.x_left.q.val() == 1;
                self.pixel.d.next = self.next_pixel.val();
                self.addr.d.next = self.next_pixel.val();
            }
            if self.ends_row.val() {
                self.busy.d.next = false;
            }
        }
        if self.go_i.val() {
            self.busy.d.next = true;
            self.window.d.next = 0;
            self.group_at.d.next = 0;
            self.x_left.d.next = self.more_x.q.val();
            self.last_x.d.next = self.one_x.q.val();
            self.addr.d.next = self.acc_addr_i.val();
            self.pixel.d.next = self.acc_addr_i.val();
            self.group.d.next = self.group_i.val();
            self.first_group.d.next = self.group_i.val();
            self.bank.d.next = self.bank_i.val();
            self.ends_tile.d.next = self.ends_tile_i.val();
        }
        if !self.rst_ni.val() {
            self.busy.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    /// Random rows, back to back where nothing stalls.
    fn check(groups: usize, block_groups: usize, lanes: usize, acc_depth: usize) {
        let mut bench =
            Bench::new(RowRead::new(groups, block_groups, lanes, acc_depth, 1, &Bounds::WIDEST), |b| {
                &mut b.clk_i
            });
        let mut rng = random((groups * lanes) as u64);
        let address = u(address_bits(acc_depth));
        bench.cycle(); // reset
        bench.block.rst_ni.next = true;
        for layer in 0..12 {
            let (pool, raw) = (layer % 3 == 1, layer % 3 == 2);
            let out_w = if raw { 1 } else { rng.random_range(1..=4) };
            let positions = if raw { 1 } else { out_w * 2 + rng.random_range(0..=1) };
            let x = &mut bench.block;
            (x.layer_i.next.pool, x.layer_i.next.raw) = (pool.into(), raw.into());
            (x.layer_i.next.out_w, x.layer_i.next.unit_positions) = (out_w, positions);
            bench.cycle();
            let mut want = vec![]; // addr, group, lane, first, last, row end, tile end
            let (mut at, mut rows) = (0, 8);
            for t in 0.. {
                let x = &mut bench.block;
                x.enable_i.next = layer < 3 || rng.random_bool(0.8);
                x.go_i.next = false;
                if at + x.enable_i.next as usize >= want.len() && rows > 0 {
                    let (addr, group) = (
                        rng.random_range(0..acc_depth as i64),
                        rng.random_range(0..groups / block_groups) * block_groups,
                    );
                    let ends_tile = rng.random();
                    x.go_i.next = true;
                    (x.acc_addr_i.next, x.group_i.next) = (addr, group as i64);
                    (x.ends_tile_i.next, x.bank_i.next) = (ends_tile, ends_tile);
                    let window: Vec<(i64, i64)> = match (raw, pool) {
                        (true, _) => (0..lanes as i64).map(|lane| (0, lane)).collect(),
                        (_, true) => vec![(0, 0), (1, 1), (positions, 2), (positions + 1, 3)],
                        _ => vec![(0, 0)],
                    };
                    for (px, g) in (0..out_w).flat_map(|px| (0..block_groups).map(move |g| (px, g))) {
                        for (k, &(offset, w)) in window.iter().enumerate() {
                            let last = k + 1 == window.len();
                            let row_end = last && px + 1 == out_w && g + 1 == block_groups;
                            let addr = address.wrap(addr + px * if pool { 2 } else { 1 } + offset);
                            let place = (addr, (group + g) as i64, w);
                            want.push((place, k == 0, last, row_end, row_end && ends_tile));
                        }
                    }
                    rows -= 1;
                }
                // The description goes in beside the last address of the row before.
                let (go, enable) = (bench.block.go_i.next, bench.block.enable_i.next);
                let busy = bench.block.busy_o.val();
                if busy && enable {
                    at += 1;
                }
                bench.cycle();
                let x = &bench.block;
                assert_eq!(x.busy_o.val(), at < want.len(), "cycle {t}");
                let Some(&(place, first, last, row_end, tile_end)) = want.get(at) else { break };
                let lane = if raw { x.lane_o.val() } else { place.2 };
                assert_eq!((x.addr_o.val(), x.group_o.val(), lane), place, "cycle {t}, go {go}");
                let flags = (x.first_o.val(), x.last_o.val(), x.row_end_o.val(), x.tile_end_o.val());
                assert_eq!(flags, (first, last, row_end, tile_end), "cycle {t}");
                assert_eq!((x.valid_o.val(), x.free_o.val()), (enable, enable && row_end));
            }
            assert_eq!(at, want.len());
        }
        bench.verilog("row_read", 4);
    }

    #[test]
    fn every_position_of_every_group_is_read() {
        check(4, 4, 2, 64);
        check(2, 1, 4, 50);
        check(6, 3, 1, 512);
        check(1, 1, 3, 16);
    }
}
