//! Activation codes as operands of the array.

use crate::hw::rt::{Lanes, s, text, u};
use rust_hdl::prelude::*;

/// Codes of A bits, signed or not, as two's complement of A + 1 bits. Combinational.
#[derive(LogicBlock)]
pub struct Extend {
    /// The codes are two's complement.
    pub signed_i: Signal<In, Bit>,
    /// Codes of A bits.
    pub code_i: Lanes<In>,
    /// The same numbers, A + 1 bits.
    pub act_o: Lanes<Out>,
}

impl Extend {
    /// For `count` codes of `bits` bits.
    pub fn new(count: usize, bits: u32) -> Self {
        let (code_i, act_o) = (Lanes::new(count, u(bits)), Lanes::new(count, s(bits + 1)));
        Self { signed_i: Default::default(), code_i, act_o }
    }
}

impl Logic for Extend {
    fn update(&mut self) {
        let code = s(self.code_i.ty().bits);
        let (signed, codes) = (self.signed_i.val(), self.code_i.lanes());
        self.act_o.drive(|i| if signed { code.wrap(codes[i]) } else { codes[i] });
    }
    fn connect(&mut self) {
        self.act_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (count, bits) = (self.code_i.count(), self.code_i.ty().bits);
        text(format!(
            "// module extend: codes of {bits} bits, signed or not, with one more bit as sign
localparam LANES = {count};
localparam BITS = {bits};

genvar i;
generate
    for (i = 0; i < LANES; i = i + 1) begin : g_lane
        wire sign = signed_i && code_i[i*BITS+BITS-1];
        assign act_o[i*(BITS+1) +: BITS+1] = {{sign, code_i[i*BITS +: BITS]}};
    end
endgenerate
"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::Bench;

    #[derive(LogicBlock)]
    struct Clocked {
        clk_i: Signal<In, Clock>,
        signed_i: Signal<In, Bit>,
        code_i: Lanes<In>,
        act_o: Lanes<Out>,
        extend: Extend,
        held: crate::hw::rt::LanesReg,
    }

    impl Logic for Clocked {
        #[hdl_gen]
        fn update(&mut self) {
            comment!("module clocked: a register behind");
            dff_setup!(self, clk_i, held);
            self.extend.signed_i.next = self.signed_i.val();
            self.extend.code_i.next = self.code_i.val();
            self.held.d.next = self.extend.act_o.val();
            self.act_o.next = self.held.q.val();
        }
    }

    #[test]
    fn keeps_the_number() {
        let mut bench = Bench::new(
            Clocked {
                clk_i: Default::default(),
                signed_i: Default::default(),
                code_i: Lanes::new(2, u(4)),
                act_o: Lanes::new(2, s(5)),
                extend: Extend::new(2, 4),
                held: crate::hw::rt::LanesReg::new(2, s(5)),
            },
            |b| &mut b.clk_i,
        );
        for (signed, code, want) in
            [(false, 15, 15), (false, 7, 7), (true, 15, -1), (true, 8, -8), (true, 7, 7)]
        {
            bench.block.signed_i.next = signed;
            bench.block.code_i.drive(|i| if i == 0 { code } else { 0 });
            bench.cycle();
            assert_eq!(*bench.block.act_o.val(), [want, 0]);
        }
        bench.verilog("clocked", 1);
    }
}
