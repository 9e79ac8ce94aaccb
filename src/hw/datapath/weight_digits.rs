//! Above row 0: the weights of a group of columns become digits.

use super::Packing;
use crate::hw::rt::{Lanes, Sig, s, text, u};
use rust_hdl::prelude::*;

/// Weights of a group of columns as digits of one operand: each less the borrow of a negative digit below it, with a bit
/// more. Combinational.
#[derive(LogicBlock)]
pub struct WeightDigits {
    /// Weights, a lane a column.
    pub weight_i: Lanes<In>,
    /// Digits, that of column 0 in the lowest bits.
    pub digit_o: Sig<Out>,
    _packing: Packing,
}

impl WeightDigits {
    /// For the columns of `packing`.
    pub fn new(packing: Packing) -> Self {
        let weight_i = Lanes::new(packing.lanes, s(packing.weight_bits));
        Self { weight_i, digit_o: Sig::new(u(packing.digit_bits())), _packing: packing }
    }
}

impl Logic for WeightDigits {
    fn update(&mut self) {
        self.digit_o.next = self._packing.digits(self.weight_i.lanes());
    }
    fn connect(&mut self) {
        self.digit_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let Packing { lanes, weight_bits: w, .. } = self._packing;
        let digit = |lane: u32| {
            let (first, last) = (lane * w, (lane + 1) * w - 1);
            format!(
                "wire [{w}:0] digit_{lane} = {{weight_i[{last}], weight_i[{last}:{first}]}} - {{{w}'d0, digit_{}[{}]}};\n",
                lane - 1,
                if lane == 1 { w - 1 } else { w }
            )
        };
        let digits: String = (1..lanes as u32).map(digit).collect();
        let all: Vec<String> = (0..lanes).rev().map(|lane| format!("digit_{lane}")).collect();
        text(format!(
            "// module weight_digits: weights of {lanes} columns as digits of an operand
wire [{}:0] digit_0 = weight_i[{}:0];
{digits}
assign digit_o = {{{}}};
",
            w - 1,
            w - 1,
            all.join(", ")
        ))
    }
}
