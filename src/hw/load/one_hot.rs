//! A number as lanes of one bit.

use crate::hw::datapath::address_bits;
use crate::hw::rt::{Lanes, Sig, text, u};
use rust_hdl::prelude::*;

/// Lane `index_i` of the output is `valid_i`, the others are 0. Combinational.
#[derive(LogicBlock)]
pub struct OneHot {
    /// A lane is set.
    pub valid_i: Signal<In, Bit>,
    /// Which one.
    pub index_i: Sig<In>,
    /// The lanes.
    pub lanes_o: Lanes<Out>,
}

impl OneHot {
    /// For `count` lanes.
    pub fn new(count: usize) -> Self {
        let index_i = Sig::new(u(address_bits(count)));
        Self { valid_i: Default::default(), index_i, lanes_o: Lanes::new(count, u(1)) }
    }
}

impl Logic for OneHot {
    fn update(&mut self) {
        let (valid, index) = (self.valid_i.val(), self.index_i.val());
        self.lanes_o.drive(|lane| (valid && lane as i64 == index) as i64);
    }
    fn connect(&mut self) {
        self.lanes_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (count, index) = (self.lanes_o.count(), self.index_i.ty().bits);
        text(format!(
            "// module one_hot: one of {count} lanes
localparam LANES = {count};
localparam INDEX = {index};

genvar i;
generate
    for (i = 0; i < LANES; i = i + 1) begin : g_lane
        localparam [INDEX-1:0] LANE = i;
        assign lanes_o[i] = valid_i && index_i == LANE;
    end
endgenerate
"
        ))
    }
}
