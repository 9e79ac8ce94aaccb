//! A multiplier in logic.

use crate::hw::rt::{Sig, s, text};
use rust_hdl::prelude::*;

/// Product of two's complement numbers as rows of partial products, one a bit of the weight. Combinational.
///
/// Row i adds the activation if bit i of the weight is set, the last row (the sign) subtracts it; the lowest bit of each
/// row's sum is a bit of the product. The rows are kept apart, because synthesis of `*` without DSPs makes up to three
/// times the logic; they hold complements, ~(s + x) = ~s − x, because a subtraction takes the gating of its
/// subtrahend into the same look-up table.
#[derive(LogicBlock, Clone)]
pub struct RowMultiplier {
    /// Weight.
    pub weight_i: Sig<In>,
    /// Activation.
    pub act_i: Sig<In>,
    /// Their product.
    pub product_o: Sig<Out>,
}

impl RowMultiplier {
    /// For weights of `weight_bits`, at least 2, and operands of `act_bits`.
    pub fn new(weight_bits: u32, act_bits: u32) -> Self {
        let product_o = Sig::new(s(weight_bits + act_bits));
        Self { weight_i: Sig::new(s(weight_bits)), act_i: Sig::new(s(act_bits)), product_o }
    }
}

impl Logic for RowMultiplier {
    fn update(&mut self) {
        self.product_o.next = self.weight_i.val() * self.act_i.val();
    }
    fn connect(&mut self) {
        self.product_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (weight, act) = (self.weight_i.ty().bits, self.act_i.ty().bits);
        text(format!(
            "// module row_multiplier: product of {weight} and {act} bits as rows of partial products
localparam W = {weight};
localparam A = {act};

wire [A:0] act = {{act_i[A-1], act_i}};

genvar i;
generate
    for (i = 0; i < W; i = i + 1) begin : g_row
        // The complement of the sum so far; kept, so that synthesis does not merge the rows.
        (* keep *) wire [A:0] rest;
        wire [A:0] addend = act & {{(A+1){{weight_i[i]}}}};
        if (i == 0) begin : g_first
            assign rest = ~addend;
        end else if (i < W - 1) begin : g_add
            assign rest = {{g_row[i-1].rest[A], g_row[i-1].rest[A:1]}} - addend;
        end else begin : g_subtract
            assign rest = ~{{g_row[i-1].rest[A], g_row[i-1].rest[A:1]}} - addend;
        end
        // The last row holds the sum itself.
        if (i < W - 1) begin : g_low
            assign product_o[i] = ~rest[0];
        end else begin : g_high
            assign product_o[W-1 +: A+1] = rest;
        end
    end
endgenerate
"
        ))
    }
}
