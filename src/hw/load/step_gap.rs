//! Room between the steps of a folded row.

use crate::hw::control::Turn;
use crate::hw::rt::{LayerPort, Reg, u};
use rust_hdl::prelude::*;

/// Closed after a step for as many cycles as the layer has planes, the step's included.
#[derive(LogicBlock)]
pub struct StepGap {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Open at once.
    pub restart_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// A step.
    pub step_i: Signal<In, Bit>,
    /// The next step may come.
    pub open_o: Signal<Out, Bit>,
    left: Reg,
}

impl Default for StepGap {
    fn default() -> Self {
        Self {
            clk_i: Default::default(),
            restart_i: Default::default(),
            layer_i: LayerPort::new(),
            step_i: Default::default(),
            open_o: Default::default(),
            left: Reg::new(u(Turn::BITS)),
        }
    }
}

impl Logic for StepGap {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module step_gap: room between the steps of a folded row");
        dff_setup!(self, clk_i, left);
        self.open_o.next = self.left.q.val() == 0;
        if self.left.q.val() != 0 {
            self.left.d.next = self.left.q.val() - 1;
        }
        if self.step_i.val() {
            self.left.d.next = self.layer_i.planes.val() - 1;
        }
        if self.restart_i.val() {
            self.left.d.next = 0;
        }
    }
}
