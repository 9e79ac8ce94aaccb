//! Planes of activation codes as operands of the array.

use crate::hw::rt::{Lanes, s, text, u};
use rust_hdl::prelude::*;

/// As [`super::Extend`], for codes whose sign changes from sweep to sweep: `signed_i` belongs to lane 0 and reaches lane r r
/// cycles later, as its codes do.
#[derive(LogicBlock)]
pub struct PlaneExtend {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Lane 0's code is two's complement.
    pub signed_i: Signal<In, Bit>,
    /// Codes of A bits.
    pub code_i: Lanes<In>,
    /// The same numbers, A + 1 bits.
    pub act_o: Lanes<Out>,
    _signed: Vec<bool>,
}

impl PlaneExtend {
    /// For `count` lanes, at least two, of codes of `bits` bits.
    pub fn new(count: usize, bits: u32) -> Self {
        Self {
            clk_i: Default::default(),
            signed_i: Default::default(),
            code_i: Lanes::new(count, u(bits)),
            act_o: Lanes::new(count, s(bits + 1)),
            _signed: vec![false; count],
        }
    }
}

impl Logic for PlaneExtend {
    fn update(&mut self) {
        let signed = &mut self._signed;
        if self.clk_i.pos_edge() {
            signed.rotate_right(1);
        }
        signed[0] = self.signed_i.val();
        let (code, codes) = (s(self.code_i.ty().bits), self.code_i.lanes());
        self.act_o.drive(|lane| if signed[lane] { code.wrap(codes[lane]) } else { codes[lane] });
    }
    fn connect(&mut self) {
        self.act_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (count, bits) = (self.code_i.count(), self.code_i.ty().bits);
        text(format!(
            "// module plane_extend: codes of {bits} bits with one more bit as sign, signed or not from cycle to cycle
localparam LANES = {count};
localparam BITS = {bits};

reg  [LANES-2:0] held;
wire [LANES-1:0] is_signed = {{held, signed_i}};

always @(posedge clk_i) held <= is_signed[LANES-2:0];

genvar i;
generate
    for (i = 0; i < LANES; i = i + 1) begin : g_lane
        wire sign = is_signed[i] && code_i[i*BITS+BITS-1];
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
    use crate::hw::check::{Bench, random, random_value};
    use crate::hw::rt::LanesReg;
    use rand::Rng;

    #[derive(LogicBlock)]
    struct Clocked {
        clk_i: Signal<In, Clock>,
        signed_i: Signal<In, Bit>,
        code_i: Lanes<In>,
        act_o: Lanes<Out>,
        extend: PlaneExtend,
        held: LanesReg,
    }

    impl Logic for Clocked {
        #[hdl_gen]
        fn update(&mut self) {
            comment!("module clocked: a register behind");
            dff_setup!(self, clk_i, held);
            self.extend.clk_i.next = self.clk_i.val();
            self.extend.signed_i.next = self.signed_i.val();
            self.extend.code_i.next = self.code_i.val();
            self.held.d.next = self.extend.act_o.val();
            self.act_o.next = self.held.q.val();
        }
    }

    #[test]
    fn the_sign_walks_with_the_codes() {
        let (lanes, bits) = (5, 4);
        let block = Clocked {
            clk_i: Default::default(),
            signed_i: Default::default(),
            code_i: Lanes::new(lanes, u(bits)),
            act_o: Lanes::new(lanes, s(bits + 1)),
            extend: PlaneExtend::new(lanes, bits),
            held: LanesReg::new(lanes, s(bits + 1)),
        };
        let mut bench = Bench::new(block, |b| &mut b.clk_i);
        let mut rng = random(3);
        let mut signed = vec![false; lanes];
        for t in 0..200 {
            signed.rotate_right(1);
            signed[0] = rng.random();
            let codes: Vec<i64> = (0..lanes).map(|_| random_value(&mut rng, u(bits))).collect();
            bench.block.signed_i.next = signed[0];
            bench.block.code_i.drive(|lane| codes[lane]);
            bench.cycle();
            let number = |lane: usize| codes[lane] - if signed[lane] && codes[lane] > 7 { 16 } else { 0 };
            if t >= lanes {
                assert_eq!(*bench.block.act_o.val(), (0..lanes).map(number).collect::<Vec<_>>());
            }
        }
        bench.verilog("clocked", lanes);
    }
}
