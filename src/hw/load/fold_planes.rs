//! The windows of a folded layer, plane by plane.

use crate::hw::control::Turn;
use crate::hw::datapath::PlaneSelect;
use crate::hw::rt::{Flop, Lanes, LayerPort};
use rust_hdl::prelude::*;

/// Gives every window's lanes once for each plane of the layer, in cycles that follow each other. Windows are at least as
/// many cycles apart, and stay until the next one.
#[derive(LogicBlock)]
pub struct FoldPlanes {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// A window.
    pub valid_i: Signal<In, Bit>,
    /// Its lanes: whole codes.
    pub window_i: Lanes<In>,
    /// A plane of it.
    pub valid_o: Signal<Out, Bit>,
    /// The plane's bits of every lane.
    pub item_o: Lanes<Out>,
    plane: Turn,
    select: PlaneSelect,
    more: Flop<Bit>,
    valid: Signal<Local, Bit>,
}

impl FoldPlanes {
    /// For windows of `lanes` codes of `code_bits` bits in `planes` planes of `bits` bits.
    pub fn new(lanes: usize, code_bits: u32, planes: usize, bits: u32) -> Self {
        let select = PlaneSelect::new(lanes, code_bits, planes, bits);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            layer_i: LayerPort::new(),
            valid_i: Default::default(),
            window_i: Lanes::new(lanes, select.code_i.ty()),
            valid_o: Default::default(),
            item_o: Lanes::new(lanes, select.item_o.ty()),
            plane: Turn::new(select.plane_i.ty().bits),
            select,
            more: Default::default(),
            valid: Default::default(),
        }
    }
}

impl Logic for FoldPlanes {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module fold_planes: the windows of a folded layer, plane by plane");
        dff_setup!(self, clk_i, more);
        self.plane.clk_i.next = self.clk_i.val();
        self.plane.restart_i.next = !self.rst_ni.val();
        self.plane.count_i.next = self.layer_i.planes.val();
        self.valid.next = self.valid_i.val() || self.more.q.val();
        self.plane.step_i.next = self.valid.val();
        self.more.d.next = self.valid.val() && !self.plane.last_o.val();
        self.select.code_i.next = self.window_i.val();
        self.select.plane_i.next = self.plane.at_o.val();
        self.valid_o.next = self.valid.val();
        self.item_o.next = self.select.item_o.val();
        if !self.rst_ni.val() {
            self.more.d.next = false;
        }
    }
}
