//! The walk over the sweeps of a layer: stripe → output tile → reduction tile → kernel row → kernel column.

use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Describes the next sweep; each `go_i` takes it and turns to the one after. The layer's inputs are stable from
/// `start_i` on. All outputs follow the registers within the cycle.
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
    /// The map has a border of zeros around it (convolution).
    pub pad_i: Signal<In, Bit>,
    /// The patches of a stripe stay loaded for all its output tiles.
    pub resident_i: Signal<In, Bit>,
    /// Rows of the input map.
    pub in_h_i: Sig<In>,
    /// Columns of the input map, modulo the words of a lane.
    pub in_w_i: Sig<In>,
    /// Units of the layer.
    pub units_i: Sig<In>,
    /// How often the units come.
    pub outer_i: Sig<In>,
    /// Units of a stripe.
    pub stripe_i: Sig<In>,
    /// Words of a patch, modulo the words of a lane.
    pub patch_i: Sig<In>,
    /// Patches that the buffer holds.
    pub slots_i: Sig<In>,
    /// Kernel rows.
    pub kernel_h_i: Sig<In>,
    /// Kernel columns.
    pub kernel_w_i: Sig<In>,
    /// Reduction tiles.
    pub ci_tiles_i: Sig<In>,
    /// Output tiles.
    pub co_tiles_i: Sig<In>,
    /// There is a next sweep.
    pub pending_o: Signal<Out, Bit>,
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
    pending: Flop<Bit>,
    kx: Reg,
    ky: Reg,
    ci: Reg,
    co: Reg,
    unit: Reg,
    outer: Reg,
    bank: Flop<Bit>,
    offset: Reg,
    slot: Reg,
    base: Reg,
    stripe_slot: Reg,
    stripe_base: Reg,
    last_kx: Signal<Local, Bit>,
    last_pass: Signal<Local, Bit>,
    last_ci: Signal<Local, Bit>,
    last_co: Signal<Local, Bit>,
    last_stripe: Signal<Local, Bit>,
    first_pass: Signal<Local, Bit>,
    next_slot: Sig<Local>,
    next_base: Sig<Local>,
    next_unit: Sig<Local>,
    rest: Sig<Local>,
    row_step: Sig<Local>,
    above: Sig<Local>,
}

impl Walk {
    /// A walk over an activation buffer of `act_depth` words.
    pub fn new(act_depth: usize) -> Self {
        let field = u(16);
        let address = u(address_bits(act_depth));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            go_i: Default::default(),
            pad_i: Default::default(),
            resident_i: Default::default(),
            in_h_i: Sig::new(field),
            in_w_i: Sig::new(address),
            units_i: Sig::new(field),
            outer_i: Sig::new(field),
            stripe_i: Sig::new(field),
            patch_i: Sig::new(address),
            slots_i: Sig::new(field),
            kernel_h_i: Sig::new(field),
            kernel_w_i: Sig::new(field),
            ci_tiles_i: Sig::new(field),
            co_tiles_i: Sig::new(field),
            pending_o: Default::default(),
            takes_patch_o: Default::default(),
            takes_bank_o: Default::default(),
            addr_o: Sig::new(address),
            bank_o: Default::default(),
            ends_patch_o: Default::default(),
            ends_tile_o: Default::default(),
            last_unit_o: Sig::new(field),
            left_o: Default::default(),
            right_o: Default::default(),
            top_o: Default::default(),
            bottom_o: Default::default(),
            bottom_unit_o: Sig::new(field),
            pending: Default::default(),
            kx: Reg::new(field),
            ky: Reg::new(field),
            ci: Reg::new(field),
            co: Reg::new(field),
            unit: Reg::new(field),
            outer: Reg::new(field),
            bank: Default::default(),
            offset: Reg::new(address),
            slot: Reg::new(field),
            base: Reg::new(address),
            stripe_slot: Reg::new(field),
            stripe_base: Reg::new(address),
            last_kx: Default::default(),
            last_pass: Default::default(),
            last_ci: Default::default(),
            last_co: Default::default(),
            last_stripe: Default::default(),
            first_pass: Default::default(),
            next_slot: Sig::new(field),
            next_base: Sig::new(address),
            next_unit: Sig::new(u(17)),
            rest: Sig::new(field),
            row_step: Sig::new(address),
            above: Sig::new(address),
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
            pending,
            kx,
            ky,
            ci,
            co,
            unit,
            outer,
            bank,
            offset,
            slot,
            base,
            stripe_slot,
            stripe_base
        );
        self.last_kx.next = (self.kx.q.val() + 1) == self.kernel_w_i.val();
        self.last_pass.next = self.last_kx.val() && ((self.ky.q.val() + 1) == self.kernel_h_i.val());
        self.first_pass.next = (self.kx.q.val() == 0) && (self.ky.q.val() == 0);
        self.last_ci.next = (self.ci.q.val() + 1) == self.ci_tiles_i.val();
        self.last_co.next = (self.co.q.val() + 1) == self.co_tiles_i.val();
        self.next_unit.next = self.unit.q.val() + self.stripe_i.val();
        self.last_stripe.next = self.next_unit.val() >= self.units_i.val();
        self.rest.next = self.units_i.val() - self.unit.q.val();

        self.pending_o.next = self.pending.q.val();
        self.takes_patch_o.next = self.first_pass.val() && (!self.resident_i.val() || (self.co.q.val() == 0));
        self.takes_bank_o.next = self.first_pass.val() && (self.ci.q.val() == 0);
        self.addr_o.next = self.base.q.val() + self.offset.q.val();
        self.bank_o.next = self.bank.q.val();
        self.ends_patch_o.next = self.last_pass.val() && (!self.resident_i.val() || self.last_co.val());
        self.ends_tile_o.next = self.last_pass.val() && self.last_ci.val();
        self.left_o.next = self.pad_i.val() && (self.kx.q.val() == 0);
        self.right_o.next = self.pad_i.val() && self.last_kx.val();
        self.top_o.next = self.pad_i.val() && (self.ky.q.val() == 0) && (self.unit.q.val() == 0);
        self.bottom_o.next = self.pad_i.val() && ((self.ky.q.val() + 1) == self.kernel_h_i.val());
        self.bottom_unit_o.next = self.in_h_i.val() - self.unit.q.val() - 1;
        self.last_unit_o.next = self.stripe_i.val() - 1;
        if self.last_stripe.val() {
            self.last_unit_o.next = self.rest.val() - 1;
        }

        self.next_slot.next = self.slot.q.val() + 1;
        self.next_base.next = self.base.q.val() + self.patch_i.val();
        if (self.slot.q.val() + 1) == self.slots_i.val() {
            self.next_slot.next = 0;
            self.next_base.next = 0;
        }
        self.row_step.next = self.in_w_i.val() - self.kernel_w_i.val() + 1;
        self.above.next = 0;
        if self.pad_i.val() {
            self.above.next = 0 - self.in_w_i.val() - 1;
        }

        if self.go_i.val() {
            self.kx.d.next = self.kx.q.val() + 1;
            self.offset.d.next = self.offset.q.val() + 1;
            if self.last_kx.val() {
                self.kx.d.next = 0;
                self.ky.d.next = self.ky.q.val() + 1;
                self.offset.d.next = self.offset.q.val() + self.row_step.val();
            }
            if self.last_pass.val() {
                self.ky.d.next = 0;
                self.ci.d.next = self.ci.q.val() + 1;
                self.slot.d.next = self.next_slot.val();
                self.base.d.next = self.next_base.val();
                self.offset.d.next = self.above.val();
                if self.pad_i.val() && (self.unit.q.val() != 0) {
                    self.offset.d.next = 0 - 1;
                }
            }
            if self.last_pass.val() && self.last_ci.val() {
                self.ci.d.next = 0;
                self.bank.d.next = !self.bank.q.val();
                self.co.d.next = self.co.q.val() + 1;
                if self.resident_i.val() && !self.last_co.val() {
                    self.slot.d.next = self.stripe_slot.q.val();
                    self.base.d.next = self.stripe_base.q.val();
                }
            }
            if self.last_pass.val() && self.last_ci.val() && self.last_co.val() {
                self.co.d.next = 0;
                self.stripe_slot.d.next = self.next_slot.val();
                self.stripe_base.d.next = self.next_base.val();
                self.unit.d.next = self.next_unit.val();
                if self.pad_i.val() {
                    self.offset.d.next = 0 - 1;
                }
                if self.last_stripe.val() {
                    self.unit.d.next = 0;
                    self.offset.d.next = self.above.val();
                    self.outer.d.next = self.outer.q.val() + 1;
                    self.pending.d.next = (self.outer.q.val() + 1) != self.outer_i.val();
                }
            }
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.pending.d.next = self.rst_ni.val();
            self.kx.d.next = 0;
            self.ky.d.next = 0;
            self.ci.d.next = 0;
            self.co.d.next = 0;
            self.unit.d.next = 0;
            self.outer.d.next = 0;
            self.bank.d.next = false;
            self.offset.d.next = self.above.val();
            self.slot.d.next = 0;
            self.base.d.next = 0;
            self.stripe_slot.d.next = 0;
            self.stripe_base.d.next = 0;
        }
    }
}
