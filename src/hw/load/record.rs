//! The parameters of an output channel, out of their record.

use crate::arith::{MULTIPLIER_BITS, SHIFT_BITS};
use crate::hw::rt::{Lanes, Sig, s, text, u};
use rust_hdl::prelude::*;

/// A record is bias, multiplier m and shift s from the lowest bits up, in whole words of 64 bits. Combinational.
#[derive(LogicBlock)]
pub struct Record {
    /// The record, in lanes of 32 bits.
    pub record_i: Lanes<In>,
    /// Bias.
    pub bias_o: Sig<Out>,
    /// Multiplier.
    pub multiplier_o: Sig<Out>,
    /// Shift.
    pub shift_o: Sig<Out>,
}

impl Record {
    /// For biases of `acc_bits`.
    pub fn new(acc_bits: u32) -> Self {
        let words = 2 * (acc_bits + MULTIPLIER_BITS + SHIFT_BITS).div_ceil(64) as usize;
        Self {
            record_i: Lanes::new(words, u(32)),
            bias_o: Sig::new(s(acc_bits)),
            multiplier_o: Sig::new(u(MULTIPLIER_BITS)),
            shift_o: Sig::new(u(SHIFT_BITS)),
        }
    }
}

impl Logic for Record {
    fn update(&mut self) {
        let words = self.record_i.lanes();
        let low = words.iter().rev().fold(0u128, |value, &word| value << 32 | word as u128);
        let acc = self.bias_o.ty().bits;
        let field = |at: u32, bits: u32| ((low >> at) as i64) & ((1 << bits) - 1);
        self.bias_o.next = s(acc).wrap(low as i64);
        self.multiplier_o.next = field(acc, MULTIPLIER_BITS);
        self.shift_o.next = field(acc + MULTIPLIER_BITS, SHIFT_BITS);
    }
    fn connect(&mut self) {
        self.bias_o.connect();
        self.multiplier_o.connect();
        self.shift_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (acc, bits) = (self.bias_o.ty().bits, self.record_i.count() as u32 * 32);
        let used = acc + MULTIPLIER_BITS + SHIFT_BITS;
        let rest = if used < bits {
            format!("\nwire [{}:0] rest_unused = record_i[{}:{used}];\n", bits - used - 1, bits - 1)
        } else {
            String::new()
        };
        text(format!(
            "// module record: the parameters of an output channel
localparam ACC = {acc}; // bias
localparam M = {MULTIPLIER_BITS}; // multiplier
localparam S = {SHIFT_BITS}; // shift

assign bias_o       = record_i[0 +: ACC];
assign multiplier_o = record_i[ACC +: M];
assign shift_o      = record_i[ACC+M +: S];
{rest}"
        ))
    }
}
