//! The sequencer: runs the sweeps of a layer over the array.
//!
//! A sweep starts as soon as its patch is loaded, the next weights stand in the shadow registers and an accumulator
//! bank is free; while it runs, the next one is already worked out, so that sweeps follow each other without a bubble.

use super::{DigitWalk, Shifts, Sweep, Walk};
use crate::config::Bounds;
use crate::hw::rt::{Flop, K, LayerPort, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Runs a layer from `start_i` to the end of its last sweep; the layer's inputs are stable meanwhile.
#[derive(LogicBlock)]
pub struct Sequencer {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// One cycle for each patch that has been loaded.
    pub patch_done_i: Signal<In, Bit>,
    /// The next tile of weights stands in the shadow registers.
    pub shadow_full_i: Signal<In, Bit>,
    /// One cycle for each accumulator bank that has been drained.
    pub bank_free_i: Signal<In, Bit>,
    /// A position enters lane 0 of the activation buffer.
    pub valid_o: Signal<Out, Bit>,
    /// Its address.
    pub addr_o: Sig<Out>,
    /// It reads the border of zeros; the address does not matter.
    pub zero_o: Signal<Out, Bit>,
    /// It is the first of its sweep: the array takes the weights of the shadow registers.
    pub swap_o: Signal<Out, Bit>,
    /// Its accumulator.
    pub acc_addr_o: Sig<Out>,
    /// Its accumulator starts from 0.
    pub first_o: Signal<Out, Bit>,
    /// Its accumulator bank.
    pub bank_o: Signal<Out, Bit>,
    /// It is the last that reads its patch: the slot is free once this has left the last lane.
    pub patch_end_o: Signal<Out, Bit>,
    /// It is the last of its output tile.
    pub tile_end_o: Signal<Out, Bit>,
    /// Activations of its sweep are two's complement.
    pub signed_o: Signal<Out, Bit>,
    /// Shift of its partial sums, see [`Shifts`]; 0 without digits.
    pub shift_o: Sig<Out>,
    walk: Walk,
    digits: Vec<DigitWalk>,
    sweep: Sweep,
    patches: Reg,
    banks: Reg,
    hold: Reg,
    // A cycle after the counters: the walk's next sweep is not pending before that.
    patch: Flop<Bit>,
    bank: Flop<Bit>,
    held: Flop<Bit>,
    ready: Signal<Local, Bit>,
    go: Signal<Local, Bit>,
    takes_patch: Signal<Local, Bit>,
    takes_bank: Signal<Local, Bit>,
    idle: Signal<Local, Bit>,
    hold_cycles: K,
    all_banks: K,
    _digits: usize,
}

impl Sequencer {
    /// Cycles from `start_i` to the first position, if nothing holds it.
    pub const START: usize = 3;

    /// A sequencer for an array of `rows` rows, `act_depth` words of activations and two banks of `acc_depth`
    /// accumulators a column, on a build of these bounds; with `shifts` for layers that are wider than the build.
    pub fn new(
        rows: usize,
        act_depth: usize,
        acc_depth: usize,
        shifts: Option<Shifts>,
        bounds: &Bounds,
    ) -> Self {
        let planes = shifts.is_some_and(|shifts| shifts.planes);
        let (walk, sweep) = (Walk::new(act_depth, planes, bounds), Sweep::new(act_depth, acc_depth, bounds));
        let (address, position) = (sweep.addr_o.ty(), sweep.acc_addr_o.ty());
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            layer_i: LayerPort::of(bounds),
            patch_done_i: Default::default(),
            shadow_full_i: Default::default(),
            bank_free_i: Default::default(),
            valid_o: Default::default(),
            addr_o: Sig::new(address),
            zero_o: Default::default(),
            swap_o: Default::default(),
            acc_addr_o: Sig::new(position),
            first_o: Default::default(),
            bank_o: Default::default(),
            patch_end_o: Default::default(),
            tile_end_o: Default::default(),
            signed_o: Default::default(),
            shift_o: Sig::new(u(shifts.map_or(1, |shifts| shifts.bits))),
            walk,
            digits: shifts.map(|shifts| DigitWalk::new(shifts, address.bits)).into_iter().collect(),
            sweep,
            patches: Reg::new(u(bounds.slots)),
            banks: Reg::new(u(2)),
            hold: Reg::new(u(7)),
            patch: Default::default(),
            bank: Default::default(),
            held: Default::default(),
            ready: Default::default(),
            go: Default::default(),
            takes_patch: Default::default(),
            takes_bank: Default::default(),
            idle: Default::default(),
            hold_cycles: K::new(u(7), rows as i64 - 2),
            all_banks: K::new(u(2), 2),
            _digits: shifts.is_some() as usize,
        }
    }
}

impl Logic for Sequencer {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module sequencer: runs the sweeps of a layer over the array");
        dff_setup!(self, clk_i, patches, banks, hold, patch, bank, held);
        self.walk.clk_i.next = self.clk_i.val();
        self.walk.rst_ni.next = self.rst_ni.val();
        self.walk.start_i.next = self.start_i.val();
        self.walk.layer_i.next = self.layer_i.val();
        self.sweep.clk_i.next = self.clk_i.val();
        self.sweep.rst_ni.next = self.rst_ni.val();
        self.sweep.layer_i.next = self.layer_i.val();
        self.sweep.addr_i.next = self.walk.addr_o.val();
        self.sweep.first_i.next = self.walk.takes_bank_o.val();
        self.sweep.bank_i.next = self.walk.bank_o.val();
        self.sweep.ends_patch_i.next = self.walk.ends_patch_o.val();
        self.sweep.ends_tile_i.next = self.walk.ends_tile_o.val();
        self.sweep.last_unit_i.next = self.walk.last_unit_o.val();
        self.sweep.left_i.next = self.walk.left_o.val();
        self.sweep.right_i.next = self.walk.right_o.val();
        self.sweep.top_i.next = self.walk.top_o.val();
        self.sweep.bottom_i.next = self.walk.bottom_o.val();
        self.sweep.bottom_unit_i.next = self.walk.bottom_unit_o.val();
        self.valid_o.next = self.sweep.valid_o.val();
        self.addr_o.next = self.sweep.addr_o.val();
        self.zero_o.next = self.sweep.zero_o.val();
        self.swap_o.next = self.sweep.swap_o.val();
        self.acc_addr_o.next = self.sweep.acc_addr_o.val();
        self.first_o.next = self.sweep.first_o.val();
        self.bank_o.next = self.sweep.bank_o.val();
        self.patch_end_o.next = self.sweep.patch_end_o.val();
        self.tile_end_o.next = self.sweep.tile_end_o.val();
        self.signed_o.next = self.layer_i.x_signed.val() == 1;
        self.shift_o.next = 0;

        self.takes_patch.next = self.walk.takes_patch_o.val();
        self.takes_bank.next = self.walk.takes_bank_o.val();
        self.ready.next = self.walk.settled_o.val()
            && self.shadow_full_i.val()
            && (!self.takes_patch.val() || self.patch.q.val())
            && (!self.takes_bank.val() || self.bank.q.val());
        self.idle.next = (!self.sweep.valid_o.val() && !self.held.q.val())
            || (self.sweep.last_o.val() && (self.layer_i.aligned.val() == 0));
        comment!("The sweeps of a kernel position: the first plane takes weights, the others keep them.");
        for i in 0..self._digits {
            self.digits[i].clk_i.next = self.clk_i.val();
            self.digits[i].rst_ni.next = self.rst_ni.val();
            self.digits[i].start_i.next = self.start_i.val();
            self.digits[i].layer_i.next = self.layer_i.val();
            self.takes_patch.next = self.walk.takes_patch_o.val() && self.digits[i].first_o.val();
            self.takes_bank.next = self.walk.takes_bank_o.val() && self.digits[i].first_o.val();
            self.ready.next = self.walk.settled_o.val()
                && self.digits[i].ready_o.val()
                && (self.digits[i].keeps_o.val() || self.shadow_full_i.val())
                && (!self.takes_patch.val() || self.patch.q.val())
                && (!self.takes_bank.val() || self.bank.q.val());
            if self.digits[i].keeps_o.val() {
                self.idle.next = !self.sweep.valid_o.val() || self.sweep.last_o.val();
            }
            self.sweep.addr_i.next = self.walk.addr_o.val() + self.digits[i].plane_o.val();
            self.sweep.first_i.next = self.takes_bank.val();
            self.sweep.ends_patch_i.next = self.walk.ends_patch_o.val() && self.digits[i].last_o.val();
            self.sweep.ends_tile_i.next = self.walk.ends_tile_o.val() && self.digits[i].last_o.val();
            self.swap_o.next = self.sweep.swap_o.val() && !self.digits[i].kept_o.val();
            self.signed_o.next = self.digits[i].signed_o.val();
            self.shift_o.next = self.digits[i].shift_o.val();
        }
        self.go.next = self.ready.val() && self.idle.val();
        self.walk.go_i.next = self.go.val();
        for i in 0..self._digits {
            self.digits[i].go_i.next = self.go.val();
            self.walk.go_i.next = self.go.val() && self.digits[i].last_o.val();
        }
        self.sweep.go_i.next = self.go.val();

        self.patch.d.next = self.patches.q.val() != 0;
        self.bank.d.next = self.banks.q.val() != 0;
        if self.patch_done_i.val() && !(self.go.val() && self.takes_patch.val()) {
            self.patches.d.next = self.patches.q.val() + 1;
        }
        if !self.patch_done_i.val() && self.go.val() && self.takes_patch.val() {
            self.patches.d.next = self.patches.q.val() - 1;
        }
        if self.bank_free_i.val() && !(self.go.val() && self.takes_bank.val()) {
            self.banks.d.next = self.banks.q.val() + 1;
        }
        if !self.bank_free_i.val() && self.go.val() && self.takes_bank.val() {
            self.banks.d.next = self.banks.q.val() - 1;
        }
        self.held.d.next = self.hold.q.val() > 1;
        if self.held.q.val() {
            self.hold.d.next = self.hold.q.val() - 1;
        }
        if self.sweep.last_o.val() && (self.layer_i.aligned.val() == 1) {
            self.hold.d.next = self.hold_cycles.val();
            self.held.d.next = self.hold_cycles.val() != 0;
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.patches.d.next = 0;
            self.banks.d.next = self.all_banks.val();
            self.hold.d.next = 0;
            self.held.d.next = false;
            self.patch.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::Bench;
    use crate::isa::kernel;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// What a position shows: address (`None` in the border), accumulator, bank, and the flags
    /// swap, first, patch end, tile end.
    type Position = (Option<i64>, i64, bool, [bool; 4]);

    /// A layer's numbers.
    #[derive(Clone, Copy, Debug)]
    struct Layer {
        conv: bool,
        resident: bool,
        aligned: bool,
        h: i64,
        w: i64,
        units: i64,
        outer: i64,
        stripe: i64,
        slots: i64,
        ci_tiles: i64,
        co_tiles: i64,
    }

    impl Layer {
        fn random(rng: &mut ChaCha8Rng, rows: i64) -> Self {
            let conv = rng.random();
            let (h, w) = (rng.random_range(2..=6), rng.random_range(2..=5));
            let units = if conv { h - rng.random_range(0..=1) } else { rng.random_range(1..=5) };
            let ci_tiles = rng.random_range(1..=3);
            let slots = rng.random_range(1..=5);
            let mut layer = Layer {
                conv,
                resident: slots >= ci_tiles && rng.random(),
                aligned: false,
                h,
                w,
                units,
                outer: if conv { rng.random_range(1..=2) } else { 1 },
                stripe: rng.random_range(1..=units),
                slots,
                ci_tiles,
                co_tiles: rng.random_range(1..=3),
            };
            layer.aligned = layer.stripe * layer.unit_positions() <= rows;
            layer
        }

        fn unit_positions(&self) -> i64 {
            if self.conv { self.w } else { 1 }
        }

        fn patch(&self) -> i64 {
            if self.conv { (self.stripe + 2).min(self.h) * self.w } else { self.stripe * self.h * self.w }
        }

        /// The positions in order, from the geometry: which row and column of the map each one reads.
        fn positions(&self) -> Vec<Position> {
            let (kh, kw) = if self.conv { (3, 3) } else { (self.h, self.w) };
            let (mut all, mut loaded, mut tile) = (vec![], 0, 0);
            for _ in 0..self.outer {
                for unit0 in (0..self.units).step_by(self.stripe as usize) {
                    let units = self.stripe.min(self.units - unit0);
                    let first_row = if self.conv { (unit0 - 1).max(0) } else { 0 };
                    for co in 0..self.co_tiles {
                        for ci in 0..self.ci_tiles {
                            let patch = if self.resident { loaded + ci } else { loaded };
                            let base = patch % self.slots * self.patch();
                            for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                                let count = units * self.unit_positions();
                                let last_pass = (ky, kx) == (kh - 1, kw - 1);
                                for p in 0..count {
                                    let word = if self.conv {
                                        let (y, x) = (unit0 + p / self.w + ky - 1, p % self.w + kx - 1);
                                        let inside = (0..self.h).contains(&y) && (0..self.w).contains(&x);
                                        inside.then_some((y - first_row) * self.w + x)
                                    } else {
                                        Some((p * self.h + ky) * self.w + kx)
                                    };
                                    let last = p == count - 1 && last_pass;
                                    let frees = !self.resident || co == self.co_tiles - 1;
                                    all.push((
                                        word.map(|word| base + word),
                                        p,
                                        tile % 2 == 1,
                                        [
                                            p == 0,
                                            ci + ky + kx == 0,
                                            last && frees,
                                            last && ci == self.ci_tiles - 1,
                                        ],
                                    ));
                                }
                            }
                            loaded += !self.resident as i64;
                        }
                        tile += 1;
                    }
                    loaded += if self.resident { self.ci_tiles } else { 0 };
                }
            }
            all
        }
    }

    fn drive(dut: &mut Sequencer, l: &Layer) {
        dut.layer_i.next.kernel = if l.conv { kernel::CONV } else { kernel::DENSE };
        dut.layer_i.next.resident = l.resident.into();
        dut.layer_i.next.aligned = l.aligned.into();
        let (kh, kw) = if l.conv { (3, 3) } else { (l.h, l.w) };
        let step = if l.conv { 1 } else { l.h * l.w };
        let fields = &mut *dut.layer_i.next;
        for (field, value) in [
            (&mut fields.in_h, l.h),
            (&mut fields.in_w, l.w),
            (&mut fields.units, l.units),
            (&mut fields.outer, l.outer),
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
            *field = value;
        }
    }

    fn clock(dut: &mut Sequencer) {
        for level in [false, true] {
            dut.clk_i.next = level.into();
            assert!(simulate(dut, 20));
        }
    }

    /// Runs a layer; patches, weights and banks come when `rng` says so. Positions and cycles.
    fn run(dut: &mut Sequencer, l: &Layer, rng: &mut ChaCha8Rng, ready_percent: u32) -> (Vec<Position>, u64) {
        let (mut seen, mut cycles, mut drained) = (vec![], 0, 0);
        let (positions, mut sweeps) = (l.positions().len(), l.positions().iter().filter(|p| p.3[0]).count());
        drive(dut, l);
        dut.start_i.next = true;
        clock(dut);
        dut.start_i.next = false;
        loop {
            let chance = |rng: &mut ChaCha8Rng| rng.random_range(0..100) < ready_percent;
            dut.patch_done_i.next = chance(rng);
            dut.shadow_full_i.next = sweeps != 0 && chance(rng);
            let finished = seen.iter().filter(|p: &&Position| p.3[3]).count();
            dut.bank_free_i.next = finished > drained && chance(rng);
            drained += dut.bank_free_i.next as usize;
            dut.clk_i.next = false.into();
            assert!(simulate(dut, 20));
            sweeps -= dut.go.val() as usize;
            if seen.len() >= positions && !dut.valid_o.val() {
                return (seen, cycles);
            }
            if dut.valid_o.val() {
                let addr = (!dut.zero_o.val()).then_some(dut.addr_o.val());
                let flags =
                    [&dut.swap_o, &dut.first_o, &dut.patch_end_o, &dut.tile_end_o].map(|flag| flag.val());
                seen.push((addr, dut.acc_addr_o.val(), dut.bank_o.val(), flags));
            }
            dut.clk_i.next = true.into();
            assert!(simulate(dut, 20));
            cycles += 1;
            assert!(cycles < 100_000, "hangs: {l:?}");
        }
    }

    fn sequencer(rows: usize) -> Sequencer {
        let mut dut = Sequencer::new(rows, 1024, 64, None, &Bounds::WIDEST);
        dut.connect_all();
        dut.rst_ni.next = false;
        clock(&mut dut);
        dut.rst_ni.next = true;
        dut
    }

    #[test]
    fn positions_follow_the_geometry_whatever_stalls() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut dut = sequencer(4);
        for _ in 0..60 {
            let layer = Layer::random(&mut rng, 4);
            let percent = rng.random_range(30..=100);
            let (seen, _) = run(&mut dut, &layer, &mut rng, percent);
            let want = layer.positions();
            let differs = seen.iter().zip(&want).position(|(s, w)| s != w);
            assert_eq!(differs.map(|i| (i, seen[i], want[i])), None, "{layer:?}");
            assert_eq!(seen.len(), want.len(), "{layer:?}");
        }
    }

    #[test]
    fn sweeps_follow_each_other_without_a_bubble() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut dut = sequencer(4);
        let layer = Layer {
            aligned: false,
            conv: true,
            resident: false,
            h: 6,
            w: 5,
            units: 6,
            outer: 1,
            stripe: 3,
            slots: 2,
            ci_tiles: 3,
            co_tiles: 1,
        };
        let (seen, cycles) = run(&mut dut, &layer, &mut rng, 100);
        assert_eq!(cycles as usize, seen.len() + Sequencer::START);
        let aligned =
            Layer { aligned: true, conv: false, h: 3, w: 3, units: 1, outer: 1, stripe: 1, ..layer };
        let (seen, cycles) = run(&mut dut, &aligned, &mut rng, 100);
        assert_eq!(cycles as usize, (seen.len() - 1) * 4 + 1 + Sequencer::START); // a position every `rows` cycles
    }

    #[test]
    fn verilog_does_the_same() {
        let mut rng = crate::hw::check::random(3);
        let mut bench = Bench::new(Sequencer::new(4, 1024, 64, None, &Bounds::WIDEST), |s| &mut s.clk_i);
        for _ in 0..12 {
            let layer = Layer::random(&mut rng, 4);
            drive(&mut bench.block, &layer);
            for t in 0..40 {
                bench.block.rst_ni.next = bench.vectors() > 1;
                bench.block.start_i.next = t == 0;
                bench.block.patch_done_i.next = rng.random_bool(0.5);
                bench.block.shadow_full_i.next = rng.random_bool(0.8);
                bench.block.bank_free_i.next = rng.random_bool(0.05);
                bench.cycle();
            }
        }
        bench.verilog("sequencer", 80); // addresses have no value before the first sweep
    }
}
