//! One sweep: the positions of a stripe, one a cycle.

use crate::config::Bounds;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, LayerPort, Reg, Sig, u};
use rust_hdl::prelude::*;

/// After `go_i`, issues `(last_unit + 1) · unit_positions` positions without a gap. The next `go_i` may come with
/// `last_o`. The sweep's inputs are taken with `go_i`; `unit_positions_i` and `step_i` belong to the layer and are stable
/// from the cycle before the first `go_i`.
#[derive(LogicBlock)]
pub struct Sweep {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// A sweep begins with the next cycle.
    pub go_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// Address of the first position.
    pub addr_i: Sig<In>,
    /// The accumulators start from 0.
    pub first_i: Signal<In, Bit>,
    /// Accumulator bank.
    pub bank_i: Signal<In, Bit>,
    /// The sweep is the last that reads its patch.
    pub ends_patch_i: Signal<In, Bit>,
    /// The sweep is the last of its output tile.
    pub ends_tile_i: Signal<In, Bit>,
    /// Last unit, counted from 0.
    pub last_unit_i: Sig<In>,
    /// The first position of every unit is 0.
    pub left_i: Signal<In, Bit>,
    /// The last position of every unit is 0.
    pub right_i: Signal<In, Bit>,
    /// The first unit is 0.
    pub top_i: Signal<In, Bit>,
    /// Unit `bottom_unit_i` is 0.
    pub bottom_i: Signal<In, Bit>,
    /// See `bottom_i`.
    pub bottom_unit_i: Sig<In>,
    /// A position enters lane 0 of the activation buffer.
    pub valid_o: Signal<Out, Bit>,
    /// It is the last of its sweep.
    pub last_o: Signal<Out, Bit>,
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
    /// It is the last that reads its patch.
    pub patch_end_o: Signal<Out, Bit>,
    /// It is the last of its output tile.
    pub tile_end_o: Signal<Out, Bit>,
    running: Flop<Bit>,
    swap: Flop<Bit>,
    // Positions left in the unit, units left in the sweep, units left to the map's last row; and what they compare
    // to, in registers: `zero` and `last` are ready with the cycle.
    x_left: Reg,
    first_x: Flop<Bit>,
    last_x: Flop<Bit>,
    unit_left: Reg,
    first_unit: Flop<Bit>,
    at_last_unit: Flop<Bit>,
    bottom_left: Reg,
    at_bottom: Flop<Bit>,
    // Of the layer.
    more_positions: Reg,
    one_position: Flop<Bit>,
    addr: Reg,
    acc_addr: Reg,
    first: Flop<Bit>,
    bank: Flop<Bit>,
    ends_patch: Flop<Bit>,
    ends_tile: Flop<Bit>,
    left: Flop<Bit>,
    right: Flop<Bit>,
    top: Flop<Bit>,
    bottom: Flop<Bit>,
    last: Signal<Local, Bit>,
}

impl Sweep {
    /// A sweep over `act_depth` words of activations into `acc_depth` accumulators, on a build of these bounds.
    pub fn new(act_depth: usize, acc_depth: usize, bounds: &Bounds) -> Self {
        let (map, unit) = (u(bounds.map), u(bounds.units));
        let address = u(address_bits(act_depth));
        let position = u(address_bits(acc_depth));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            go_i: Default::default(),
            layer_i: LayerPort::narrow(bounds, &[("step", address)]),
            addr_i: Sig::new(address),
            first_i: Default::default(),
            bank_i: Default::default(),
            ends_patch_i: Default::default(),
            ends_tile_i: Default::default(),
            last_unit_i: Sig::new(unit),
            left_i: Default::default(),
            right_i: Default::default(),
            top_i: Default::default(),
            bottom_i: Default::default(),
            bottom_unit_i: Sig::new(unit),
            valid_o: Default::default(),
            last_o: Default::default(),
            addr_o: Sig::new(address),
            zero_o: Default::default(),
            swap_o: Default::default(),
            acc_addr_o: Sig::new(position),
            first_o: Default::default(),
            bank_o: Default::default(),
            patch_end_o: Default::default(),
            tile_end_o: Default::default(),
            running: Default::default(),
            swap: Default::default(),
            x_left: Reg::new(map),
            first_x: Default::default(),
            last_x: Default::default(),
            unit_left: Reg::new(unit),
            first_unit: Default::default(),
            at_last_unit: Default::default(),
            bottom_left: Reg::new(unit),
            at_bottom: Default::default(),
            more_positions: Reg::new(map),
            one_position: Default::default(),
            addr: Reg::new(address),
            acc_addr: Reg::new(position),
            first: Default::default(),
            bank: Default::default(),
            ends_patch: Default::default(),
            ends_tile: Default::default(),
            left: Default::default(),
            right: Default::default(),
            top: Default::default(),
            bottom: Default::default(),
            last: Default::default(),
        }
    }
}

impl Logic for Sweep {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module sweep: the positions of a stripe, one a cycle");
        dff_setup!(
            self,
            clk_i,
            running,
            swap,
            x_left,
            first_x,
            last_x,
            unit_left,
            first_unit,
            at_last_unit,
            bottom_left,
            at_bottom,
            more_positions,
            one_position,
            addr,
            acc_addr,
            first,
            bank,
            ends_patch,
            ends_tile,
            left,
            right,
            top,
            bottom
        );
        self.more_positions.d.next = self.layer_i.unit_positions.val() - 1;
        self.one_position.d.next = self.layer_i.unit_positions.val() == 1;
        self.last.next = self.running.q.val() && self.last_x.q.val() && self.at_last_unit.q.val();
        self.valid_o.next = self.running.q.val();
        self.last_o.next = self.last.val();
        self.addr_o.next = self.addr.q.val();
        self.acc_addr_o.next = self.acc_addr.q.val();
        self.swap_o.next = self.running.q.val() && self.swap.q.val();
        self.first_o.next = self.first.q.val();
        self.bank_o.next = self.bank.q.val();
        self.patch_end_o.next = self.last.val() && self.ends_patch.q.val();
        self.tile_end_o.next = self.last.val() && self.ends_tile.q.val();
        self.zero_o.next = (self.left.q.val() && self.first_x.q.val())
            || (self.right.q.val() && self.last_x.q.val())
            || (self.top.q.val() && self.first_unit.q.val())
            || (self.bottom.q.val() && self.at_bottom.q.val());

        self.swap.d.next = false;
        self.addr.d.next = self.addr.q.val() + self.layer_i.step.val();
        self.acc_addr.d.next = self.acc_addr.q.val() + 1;
        self.x_left.d.next = self.x_left.q.val() - 1;
        self.first_x.d.next = false;
        self.last_x.d.next = self.x_left.q.val() == 1;
        if self.last_x.q.val() {
            self.x_left.d.next = self.more_positions.q.val();
            self.first_x.d.next = true;
            self.last_x.d.next = self.one_position.q.val();
            self.unit_left.d.next = self.unit_left.q.val() - 1;
            self.first_unit.d.next = false;
            self.at_last_unit.d.next = self.unit_left.q.val() == 1;
            self.bottom_left.d.next = self.bottom_left.q.val() - 1;
            self.at_bottom.d.next = self.bottom_left.q.val() == 1;
        }
        if self.last.val() {
            self.running.d.next = false;
        }
        if self.go_i.val() {
            self.running.d.next = true;
            self.swap.d.next = true;
            self.x_left.d.next = self.more_positions.q.val();
            self.first_x.d.next = true;
            self.last_x.d.next = self.one_position.q.val();
            self.unit_left.d.next = self.last_unit_i.val();
            self.first_unit.d.next = true;
            self.at_last_unit.d.next = self.last_unit_i.val() == 0;
            self.bottom_left.d.next = self.bottom_unit_i.val();
            self.at_bottom.d.next = self.bottom_unit_i.val() == 0;
            self.addr.d.next = self.addr_i.val();
            self.acc_addr.d.next = 0;
            self.first.d.next = self.first_i.val();
            self.bank.d.next = self.bank_i.val();
            self.ends_patch.d.next = self.ends_patch_i.val();
            self.ends_tile.d.next = self.ends_tile_i.val();
            self.left.d.next = self.left_i.val();
            self.right.d.next = self.right_i.val();
            self.top.d.next = self.top_i.val();
            self.bottom.d.next = self.bottom_i.val();
        }
        if !self.rst_ni.val() {
            self.running.d.next = false;
        }
    }
}
