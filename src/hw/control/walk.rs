//! The walk over the sweeps of a layer: stripe → output tile → reduction tile → kernel row → kernel column.

use super::Turn;
use crate::config::Bounds;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, LayerPort, Reg, Sig, s, u};
use crate::isa::kernel;
use rust_hdl::prelude::*;

/// Describes the next sweep; each `go_i` takes it and turns to the one after, which is described in the second cycle
/// after that: the counters move first, what they compare to follows in registers of its own. The layer's inputs are
/// stable from `start_i` on. After the last stripe comes the first one again, of the batch's next image; after the last
/// image there are no weights to take it with.
#[derive(LogicBlock)]
pub struct Walk {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The sweep is taken.
    pub go_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// The outputs describe the next sweep.
    pub settled_o: Signal<Out, Bit>,
    /// It is the first that reads a newly loaded patch.
    pub takes_patch_o: Signal<Out, Bit>,
    /// It is the first of an output tile.
    pub takes_bank_o: Signal<Out, Bit>,
    /// Address of its first position.
    pub addr_o: Sig<Out>,
    /// Its accumulator bank.
    pub bank_o: Signal<Out, Bit>,
    /// It is the last that reads its patch.
    pub ends_patch_o: Signal<Out, Bit>,
    /// It is the last of an output tile.
    pub ends_tile_o: Signal<Out, Bit>,
    /// Last unit of the stripe, counted from its first.
    pub last_unit_o: Sig<Out>,
    /// The first position of every unit reads the border.
    pub left_o: Signal<Out, Bit>,
    /// The last position of every unit reads the border.
    pub right_o: Signal<Out, Bit>,
    /// The first unit reads the border.
    pub top_o: Signal<Out, Bit>,
    /// Unit `bottom_unit_o` reads the border.
    pub bottom_o: Signal<Out, Bit>,
    /// The map's last row, counted in units from the stripe's first.
    pub bottom_unit_o: Sig<Out>,
    kx: Reg,
    ky: Reg,
    ci: Reg,
    co: Reg,
    unit: Reg,
    bank: Flop<Bit>,
    offset: Reg,
    slot: Reg,
    base: Reg,
    stripe_slot: Reg,
    stripe_base: Reg,
    begins: Flop<Bit>,
    settled: Flop<Bit>,
    // Of the layer.
    row_step: Reg,
    above: Reg,
    last_row: Reg,
    units_less: Reg,
    last_stripe_from: Reg,
    // Of the counters, a cycle after them.
    first_kx: Flop<Bit>,
    first_ky: Flop<Bit>,
    first_ci: Flop<Bit>,
    first_co: Flop<Bit>,
    first_unit: Flop<Bit>,
    last_kx: Flop<Bit>,
    last_ky: Flop<Bit>,
    last_ci: Flop<Bit>,
    last_co: Flop<Bit>,
    last_stripe: Flop<Bit>,
    last_slot: Flop<Bit>,
    next_base: Reg,
    next_unit: Reg,
    addr: Reg,
    last_unit: Reg,
    bottom_unit: Reg,
    pad: Signal<Local, Bit>,
    first_pass: Signal<Local, Bit>,
    last_pass: Signal<Local, Bit>,
    slot_after: Sig<Local>,
    base_after: Sig<Local>,
    _planes: usize,
}

impl Walk {
    /// A walk over an activation buffer of `act_depth` words, whose pixels have several words if there are `planes`, on a
    /// build of these bounds.
    pub fn new(act_depth: usize, planes: bool, bounds: &Bounds) -> Self {
        let (map, unit, slot) = (u(bounds.map), u(bounds.units), u(bounds.slots));
        let address = u(address_bits(act_depth));
        let pixel = u(address.bits.min(Turn::BITS));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            go_i: Default::default(),
            layer_i: LayerPort::narrow(
                bounds,
                &[("in_w", u(address.bits.min(bounds.row))), ("patch", address), ("planes", pixel)],
            ),
            settled_o: Default::default(),
            takes_patch_o: Default::default(),
            takes_bank_o: Default::default(),
            addr_o: Sig::new(address),
            bank_o: Default::default(),
            ends_patch_o: Default::default(),
            ends_tile_o: Default::default(),
            last_unit_o: Sig::new(unit),
            left_o: Default::default(),
            right_o: Default::default(),
            top_o: Default::default(),
            bottom_o: Default::default(),
            bottom_unit_o: Sig::new(unit),
            kx: Reg::new(map),
            ky: Reg::new(map),
            ci: Reg::new(u(bounds.ci_tiles)),
            co: Reg::new(u(bounds.co_tiles)),
            unit: Reg::new(unit),
            bank: Default::default(),
            offset: Reg::new(address),
            slot: Reg::new(slot),
            base: Reg::new(address),
            stripe_slot: Reg::new(slot),
            stripe_base: Reg::new(address),
            begins: Default::default(),
            settled: Default::default(),
            row_step: Reg::new(address),
            above: Reg::new(address),
            last_row: Reg::new(map),
            units_less: Reg::new(unit),
            last_stripe_from: Reg::new(s(bounds.units + 1)),
            first_kx: Default::default(),
            first_ky: Default::default(),
            first_ci: Default::default(),
            first_co: Default::default(),
            first_unit: Default::default(),
            last_kx: Default::default(),
            last_ky: Default::default(),
            last_ci: Default::default(),
            last_co: Default::default(),
            last_stripe: Default::default(),
            last_slot: Default::default(),
            next_base: Reg::new(address),
            next_unit: Reg::new(unit),
            addr: Reg::new(address),
            last_unit: Reg::new(unit),
            bottom_unit: Reg::new(unit),
            pad: Default::default(),
            first_pass: Default::default(),
            last_pass: Default::default(),
            slot_after: Sig::new(slot),
            base_after: Sig::new(address),
            _planes: planes as usize,
        }
    }
}

impl Logic for Walk {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module walk: the next sweep of a layer");
        dff_setup!(
            self,
            clk_i,
            kx,
            ky,
            ci,
            co,
            unit,
            bank,
            offset,
            slot,
            base,
            stripe_slot,
            stripe_base,
            begins,
            settled,
            row_step,
            above,
            last_row,
            units_less,
            last_stripe_from,
            first_kx,
            first_ky,
            first_ci,
            first_co,
            first_unit,
            last_kx,
            last_ky,
            last_ci,
            last_co,
            last_stripe,
            last_slot,
            next_base,
            next_unit,
            addr,
            last_unit,
            bottom_unit
        );
        self.pad.next = self.layer_i.kernel.val() == kernel::CONV;
        self.row_step.d.next = self.layer_i.in_w.val() - self.layer_i.kernel_w.val() + 1;
        self.above.d.next = 0;
        if self.pad.val() {
            self.above.d.next = 0 - self.layer_i.in_w.val() - 1;
        }
        for _i in 0..self._planes {
            self.row_step.d.next = self.layer_i.planes.val();
            if self.pad.val() {
                self.row_step.d.next = self.layer_i.in_w.val() - (self.layer_i.planes.val() << 1);
                self.above.d.next = 0 - self.layer_i.in_w.val() - self.layer_i.planes.val();
            }
        }
        self.last_row.d.next = self.layer_i.in_h.val() - 1;
        self.units_less.d.next = self.layer_i.units.val() - 1;
        self.last_stripe_from.d.next = self.layer_i.units.val() - self.layer_i.stripe.val();

        self.first_kx.d.next = self.kx.q.val() == 0;
        self.first_ky.d.next = self.ky.q.val() == 0;
        self.first_ci.d.next = self.ci.q.val() == 0;
        self.first_co.d.next = self.co.q.val() == 0;
        self.first_unit.d.next = self.unit.q.val() == 0;
        self.last_kx.d.next = (self.kx.q.val() + 1) == self.layer_i.kernel_w.val();
        self.last_ky.d.next = (self.ky.q.val() + 1) == self.layer_i.kernel_h.val();
        self.last_ci.d.next = (self.ci.q.val() + 1) == self.layer_i.ci_tiles.val();
        self.last_co.d.next = (self.co.q.val() + 1) == self.layer_i.co_tiles.val();
        self.last_stripe.d.next = self.unit.q.val() >= self.last_stripe_from.q.val();
        self.last_slot.d.next = (self.slot.q.val() + 1) == self.layer_i.slots.val();
        self.next_base.d.next = self.base.q.val() + self.layer_i.patch.val();
        self.next_unit.d.next = self.unit.q.val() + self.layer_i.stripe.val();
        self.addr.d.next = self.base.q.val() + self.offset.q.val();
        self.last_unit.d.next = self.layer_i.stripe.val() - 1;
        if self.unit.q.val() >= self.last_stripe_from.q.val() {
            self.last_unit.d.next = self.units_less.q.val() - self.unit.q.val();
        }
        self.bottom_unit.d.next = self.last_row.q.val() - self.unit.q.val();

        self.first_pass.next = self.first_kx.q.val() && self.first_ky.q.val();
        self.last_pass.next = self.last_kx.q.val() && self.last_ky.q.val();
        self.settled_o.next = self.settled.q.val();
        self.takes_patch_o.next =
            self.first_pass.val() && ((self.layer_i.resident.val() == 0) || self.first_co.q.val());
        self.takes_bank_o.next = self.first_pass.val() && self.first_ci.q.val();
        self.addr_o.next = self.addr.q.val();
        self.bank_o.next = self.bank.q.val();
        self.ends_patch_o.next =
            self.last_pass.val() && ((self.layer_i.resident.val() == 0) || self.last_co.q.val());
        self.ends_tile_o.next = self.last_pass.val() && self.last_ci.q.val();
        self.left_o.next = self.pad.val() && self.first_kx.q.val();
        self.right_o.next = self.pad.val() && self.last_kx.q.val();
        self.top_o.next = self.pad.val() && self.first_ky.q.val() && self.first_unit.q.val();
        self.bottom_o.next = self.pad.val() && self.last_ky.q.val();
        self.bottom_unit_o.next = self.bottom_unit.q.val();
        self.last_unit_o.next = self.last_unit.q.val();

        self.slot_after.next = self.slot.q.val() + 1;
        self.base_after.next = self.next_base.q.val();
        if self.last_slot.q.val() {
            self.slot_after.next = 0;
            self.base_after.next = 0;
        }

        self.settled.d.next = true;
        self.begins.d.next = self.start_i.val();
        if self.go_i.val() {
            self.settled.d.next = false;
            self.kx.d.next = self.kx.q.val() + 1;
            self.offset.d.next = self.offset.q.val() + 1;
            for _i in 0..self._planes {
                self.offset.d.next = self.offset.q.val() + self.layer_i.planes.val();
            }
            if self.last_kx.q.val() {
                self.kx.d.next = 0;
                self.ky.d.next = self.ky.q.val() + 1;
                self.offset.d.next = self.offset.q.val() + self.row_step.q.val();
            }
            if self.last_pass.val() {
                self.ky.d.next = 0;
                self.ci.d.next = self.ci.q.val() + 1;
                self.slot.d.next = self.slot_after.val();
                self.base.d.next = self.base_after.val();
                self.offset.d.next = self.above.q.val();
                if self.pad.val() && !self.first_unit.q.val() {
                    self.offset.d.next = 0 - 1;
                    for _i in 0..self._planes {
                        self.offset.d.next = 0 - self.layer_i.planes.val();
                    }
                }
            }
            if self.last_pass.val() && self.last_ci.q.val() {
                self.ci.d.next = 0;
                self.bank.d.next = !self.bank.q.val();
                self.co.d.next = self.co.q.val() + 1;
                if (self.layer_i.resident.val() == 1) && !self.last_co.q.val() {
                    self.slot.d.next = self.stripe_slot.q.val();
                    self.base.d.next = self.stripe_base.q.val();
                }
            }
            if self.last_pass.val() && self.last_ci.q.val() && self.last_co.q.val() {
                self.co.d.next = 0;
                self.stripe_slot.d.next = self.slot_after.val();
                self.stripe_base.d.next = self.base_after.val();
                self.unit.d.next = self.next_unit.q.val();
                if self.pad.val() {
                    self.offset.d.next = 0 - 1;
                    for _i in 0..self._planes {
                        self.offset.d.next = 0 - self.layer_i.planes.val();
                    }
                }
                if self.last_stripe.q.val() {
                    self.unit.d.next = 0;
                    self.offset.d.next = self.above.q.val();
                }
            }
        }
        if self.begins.q.val() {
            self.settled.d.next = false;
            self.offset.d.next = self.above.q.val();
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.settled.d.next = false;
            self.kx.d.next = 0;
            self.ky.d.next = 0;
            self.ci.d.next = 0;
            self.co.d.next = 0;
            self.unit.d.next = 0;
            self.bank.d.next = false;
            self.slot.d.next = 0;
            self.base.d.next = 0;
            self.stripe_slot.d.next = 0;
            self.stripe_base.d.next = 0;
        }
        if !self.rst_ni.val() {
            self.begins.d.next = false;
        }
    }
}
