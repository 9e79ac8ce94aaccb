//! The walk over the written rows of a layer: stripe → output tile → block of channels → row.

use crate::config::Bounds;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, K, LayerPort, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Describes the next written row; each `go_i` takes it and turns to the one after. The layer's inputs are stable from
/// `start_i` on. After the last row of a stripe there is none for one cycle.
#[derive(LogicBlock)]
pub struct DrainWalk {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The row is taken.
    pub go_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// Rows are left, now or after a cycle.
    pub busy_o: Signal<Out, Bit>,
    /// There is a next row.
    pub pending_o: Signal<Out, Bit>,
    /// Its address in memory.
    pub y_addr_o: Sig<Out>,
    /// Its first accumulator.
    pub acc_addr_o: Sig<Out>,
    /// First group of its columns.
    pub group_o: Sig<Out>,
    /// Its accumulator bank.
    pub bank_o: Signal<Out, Bit>,
    /// It is the last of its output tile.
    pub ends_tile_o: Signal<Out, Bit>,
    // Of the layer, a cycle after its fields.
    last_plane: Reg,
    last_tile: Reg,
    pending: Flop<Bit>,
    settled: Flop<Bit>,
    // Of the stripe, a cycle after `unit`.
    stripe_settled: Flop<Bit>,
    rows: Reg,
    last_stripe: Flop<Bit>,
    row_step: Reg,
    // Of the row, a cycle after the counters.
    last_row: Flop<Bit>,
    ends_tile: Flop<Bit>,
    ends_stripe: Flop<Bit>,
    last_outer: Flop<Bit>,
    row: Reg,
    block: Reg,
    plane: Reg,
    tile: Reg,
    unit: Reg,
    outer: Reg,
    bank: Flop<Bit>,
    group: Reg,
    acc_addr: Reg,
    y_row: Reg,
    y_plane: Reg,
    y_stripe: Reg,
    y_image: Reg,
    is_last_row: Signal<Local, Bit>,
    is_last_block: Signal<Local, Bit>,
    next_unit: Sig<Local>,
    here: Sig<Local>,
    next_plane: Sig<Local>,
    next_stripe: Sig<Local>,
    next_image: Sig<Local>,
    last_block: K,
    block_groups: K,
}

impl DrainWalk {
    /// For tiles of `blocks` blocks of `block_groups` groups, and banks of `acc_depth` accumulators, on a build of these
    /// bounds.
    pub fn new(blocks: usize, block_groups: usize, acc_depth: usize, bounds: &Bounds) -> Self {
        let (unit, byte) = (u(bounds.units), u(bounds.offset));
        let (address, group) = (u(address_bits(acc_depth)), u(address_bits(blocks * block_groups)));
        let block = u(address_bits(blocks));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            go_i: Default::default(),
            layer_i: LayerPort::narrow(bounds, &[("unit_positions", u(address.bits.min(bounds.map)))]),
            busy_o: Default::default(),
            pending_o: Default::default(),
            y_addr_o: Sig::new(byte),
            acc_addr_o: Sig::new(address),
            group_o: Sig::new(group),
            bank_o: Default::default(),
            ends_tile_o: Default::default(),
            last_plane: Reg::new(u(bounds.co_blocks)),
            last_tile: Reg::new(u(bounds.co_tiles)),
            pending: Default::default(),
            settled: Default::default(),
            stripe_settled: Default::default(),
            rows: Reg::new(unit),
            last_stripe: Default::default(),
            row_step: Reg::new(address),
            last_row: Default::default(),
            ends_tile: Default::default(),
            ends_stripe: Default::default(),
            last_outer: Default::default(),
            row: Reg::new(unit),
            block: Reg::new(block),
            plane: Reg::new(u(bounds.co_blocks)),
            tile: Reg::new(u(bounds.co_tiles)),
            unit: Reg::new(unit),
            outer: Reg::new(u(bounds.images)),
            bank: Default::default(),
            group: Reg::new(group),
            acc_addr: Reg::new(address),
            y_row: Reg::new(byte),
            y_plane: Reg::new(byte),
            y_stripe: Reg::new(byte),
            y_image: Reg::new(byte),
            is_last_row: Default::default(),
            is_last_block: Default::default(),
            next_unit: Sig::new(u(bounds.units + 1)),
            here: Sig::new(unit),
            next_plane: Sig::new(byte),
            next_stripe: Sig::new(byte),
            next_image: Sig::new(byte),
            last_block: K::new(block, blocks as i64 - 1),
            block_groups: K::new(u(8), block_groups as i64),
        }
    }
}

impl Logic for DrainWalk {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module drain_walk: the next written row of a layer");
        dff_setup!(
            self,
            clk_i,
            last_plane,
            last_tile,
            pending,
            settled,
            stripe_settled,
            rows,
            last_stripe,
            row_step,
            last_row,
            ends_tile,
            ends_stripe,
            last_outer,
            row,
            block,
            plane,
            tile,
            unit,
            outer,
            bank,
            group,
            acc_addr,
            y_row,
            y_plane,
            y_stripe,
            y_image
        );
        self.next_unit.next = self.unit.q.val() + self.layer_i.stripe.val();
        self.last_stripe.d.next = self.next_unit.val() >= self.layer_i.units.val();
        self.here.next = self.layer_i.stripe.val();
        if self.next_unit.val() >= self.layer_i.units.val() {
            self.here.next = self.layer_i.units.val() - self.unit.q.val();
        }
        self.rows.d.next = self.here.val();
        self.row_step.d.next = self.layer_i.unit_positions.val();
        if self.layer_i.pool.val() == 1 {
            self.rows.d.next = self.here.val() >> 1;
            self.row_step.d.next = self.layer_i.unit_positions.val() << 1;
        }
        self.stripe_settled.d.next = true;
        self.settled.d.next = self.stripe_settled.q.val();

        self.last_plane.d.next = self.layer_i.co_blocks.val() - 1;
        self.last_tile.d.next = self.layer_i.co_tiles.val() - 1;
        self.is_last_row.next = (self.row.q.val() + 1) == self.rows.q.val();
        self.is_last_block.next =
            (self.block.q.val() == self.last_block.val()) || (self.plane.q.val() == self.last_plane.q.val());
        self.last_row.d.next = self.is_last_row.val();
        self.ends_tile.d.next = self.is_last_row.val() && self.is_last_block.val();
        self.ends_stripe.d.next = self.is_last_row.val()
            && self.is_last_block.val()
            && (self.tile.q.val() == self.last_tile.q.val());
        self.last_outer.d.next = (self.outer.q.val() + 1) == self.layer_i.outer.val();
        self.next_plane.next = self.y_plane.q.val() + self.layer_i.y_plane_pitch.val();
        self.next_stripe.next = self.y_stripe.q.val() + self.layer_i.y_stripe_pitch.val();
        self.next_image.next = self.y_image.q.val() + self.layer_i.y_image_pitch.val();

        self.busy_o.next = self.pending.q.val();
        self.pending_o.next = self.pending.q.val() && self.settled.q.val();
        self.y_addr_o.next = self.y_row.q.val();
        self.acc_addr_o.next = self.acc_addr.q.val();
        self.group_o.next = self.group.q.val();
        self.bank_o.next = self.bank.q.val();
        self.ends_tile_o.next = self.ends_tile.q.val();

        if self.go_i.val() {
            self.settled.d.next = false;
            self.row.d.next = self.row.q.val() + 1;
            self.acc_addr.d.next = self.acc_addr.q.val() + self.row_step.q.val();
            self.y_row.d.next = self.y_row.q.val() + self.layer_i.y_row_pitch.val();
            if self.last_row.q.val() {
                self.row.d.next = 0;
                self.acc_addr.d.next = 0;
                self.block.d.next = self.block.q.val() + 1;
                self.group.d.next = self.group.q.val() + self.block_groups.val();
                self.plane.d.next = self.plane.q.val() + 1;
                self.y_plane.d.next = self.next_plane.val();
                self.y_row.d.next = self.next_plane.val();
            }
            if self.ends_tile.q.val() {
                self.block.d.next = 0;
                self.group.d.next = 0;
                self.tile.d.next = self.tile.q.val() + 1;
                self.bank.d.next = !self.bank.q.val();
            }
            if self.ends_stripe.q.val() {
                self.tile.d.next = 0;
                self.plane.d.next = 0;
                self.unit.d.next = self.next_unit.val();
                self.stripe_settled.d.next = false;
                self.y_stripe.d.next = self.next_stripe.val();
                self.y_plane.d.next = self.next_stripe.val();
                self.y_row.d.next = self.next_stripe.val();
            }
            if self.ends_stripe.q.val() && self.last_stripe.q.val() {
                self.unit.d.next = 0;
                self.outer.d.next = self.outer.q.val() + 1;
                self.pending.d.next = !self.last_outer.q.val();
                self.y_image.d.next = self.next_image.val();
                self.y_stripe.d.next = self.next_image.val();
                self.y_plane.d.next = self.next_image.val();
                self.y_row.d.next = self.next_image.val();
            }
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.pending.d.next = self.rst_ni.val();
            self.settled.d.next = false;
            self.stripe_settled.d.next = false;
            self.row.d.next = 0;
            self.block.d.next = 0;
            self.plane.d.next = 0;
            self.tile.d.next = 0;
            self.unit.d.next = 0;
            self.outer.d.next = 0;
            self.bank.d.next = false;
            self.group.d.next = 0;
            self.acc_addr.d.next = 0;
            self.y_row.d.next = self.layer_i.y_base.val();
            self.y_plane.d.next = self.layer_i.y_base.val();
            self.y_stripe.d.next = self.layer_i.y_base.val();
            self.y_image.d.next = self.layer_i.y_base.val();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;

    /// A row as the walk describes it: address, accumulator, group, bank, last of its tile.
    type Row = (i64, i64, i64, bool, bool);

    fn check(blocks: usize, block_groups: usize, acc_depth: usize) {
        let mut bench =
            Bench::new(DrainWalk::new(blocks, block_groups, acc_depth, &Bounds::WIDEST), |b| &mut b.clk_i);
        let mut rng = random(acc_depth as u64);
        bench.cycle(); // reset
        bench.block.rst_ni.next = true;
        for _ in 0..20 {
            let rows = describe(&mut bench.block, &mut rng, blocks, block_groups, acc_depth);
            bench.block.start_i.next = true;
            bench.cycle();
            bench.block.start_i.next = false;
            let mut idle = 0;
            let most = rows.len() + 2 * 4 * 3; // a cycle a row, and more a stripe
            for want in rows {
                bench.block.go_i.next = false;
                while !bench.block.pending_o.val() || rng.random_bool(0.2) {
                    assert!(bench.block.busy_o.val());
                    idle += !bench.block.pending_o.val() as usize;
                    bench.cycle();
                }
                let x = &mut bench.block;
                let got: Row = (
                    x.y_addr_o.val(),
                    x.acc_addr_o.val(),
                    x.group_o.val(),
                    x.bank_o.val(),
                    x.ends_tile_o.val(),
                );
                assert_eq!(got, want);
                x.go_i.next = true;
                bench.cycle();
            }
            bench.block.go_i.next = false;
            assert!(!bench.block.busy_o.val());
            assert!(idle > 0 && idle <= most, "{idle} cycles without a row");
        }
        bench.verilog("drain_walk", 2);
    }

    /// Sets a random layer; its rows.
    fn describe(
        x: &mut DrainWalk,
        rng: &mut ChaCha8Rng,
        blocks: usize,
        block_groups: usize,
        acc_depth: usize,
    ) -> Vec<Row> {
        let pool = rng.random();
        let scale = if pool { 2 } else { 1 };
        let (units, stripe) = (rng.random_range(1..=4) * scale, rng.random_range(1..=3) * scale);
        let (outer, positions) = (rng.random_range(1..=2), rng.random_range(1..=acc_depth / stripe));
        let co_blocks = rng.random_range(1..=2 * blocks);
        let [base, row, plane, image, step] = std::array::from_fn(|_| rng.random_range(0..1i64 << 32));
        x.layer_i.next.pool = i64::from(pool);
        let fields = &mut *x.layer_i.next;
        for (field, value) in [
            (&mut fields.units, units),
            (&mut fields.outer, outer),
            (&mut fields.stripe, stripe),
            (&mut fields.unit_positions, positions),
            (&mut fields.co_tiles, co_blocks.div_ceil(blocks)),
            (&mut fields.co_blocks, co_blocks),
        ] {
            *field = value as i64;
        }
        (x.layer_i.next.y_base, x.layer_i.next.y_row_pitch, x.layer_i.next.y_plane_pitch) =
            (base, row, plane);
        (x.layer_i.next.y_image_pitch, x.layer_i.next.y_stripe_pitch) = (image, step);
        let mut rows = vec![];
        let mut bank = false;
        for (n, at) in (0..outer).flat_map(|n| (0..units.div_ceil(stripe)).map(move |at| (n, at))) {
            let here = stripe.min(units - at * stripe) / scale;
            for tile in 0..co_blocks.div_ceil(blocks) {
                let of_tile = blocks.min(co_blocks - tile * blocks);
                for (b, y) in (0..of_tile).flat_map(|b| (0..here).map(move |y| (b, y))) {
                    let planes = (tile * blocks + b) as i64;
                    let addr = base + n as i64 * image + at as i64 * step + planes * plane + y as i64 * row;
                    rows.push((
                        u(32).wrap(addr),
                        u(address_bits(acc_depth)).wrap((y * scale * positions) as i64),
                        (b * block_groups) as i64,
                        bank,
                        b + 1 == of_tile && y + 1 == here,
                    ));
                }
                bank = !bank;
            }
        }
        rows
    }

    #[test]
    fn rows_come_in_the_order_of_the_accumulators() {
        check(1, 4, 16);
        check(2, 2, 50);
        check(3, 1, 64);
    }
}
