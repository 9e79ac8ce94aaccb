//! One plane of codes.

use super::address_bits;
use crate::hw::rt::{Lanes, Sig, text, u};
use rust_hdl::prelude::*;

/// Bits plane · A … plane · A + A − 1 of every code; those that a code does not have are 0. Combinational.
#[derive(LogicBlock)]
pub struct PlaneSelect {
    /// Codes.
    pub code_i: Lanes<In>,
    /// Plane.
    pub plane_i: Sig<In>,
    /// Its bits of every code.
    pub item_o: Lanes<Out>,
    _planes: usize,
}

impl PlaneSelect {
    /// For `lanes` codes of `code_bits` bits in `planes` planes of `bits` bits.
    pub fn new(lanes: usize, code_bits: u32, planes: usize, bits: u32) -> Self {
        Self {
            code_i: Lanes::new(lanes, u(code_bits)),
            plane_i: Sig::new(u(address_bits(planes))),
            item_o: Lanes::new(lanes, u(bits)),
            _planes: planes,
        }
    }
}

impl Logic for PlaneSelect {
    fn update(&mut self) {
        let (codes, bits) = (self.code_i.lanes(), self.item_o.ty().bits);
        let plane = self.plane_i.val() as u32;
        let plane = if (plane as usize) < self._planes { plane } else { 0 };
        let mask = (1 << bits) - 1;
        self.item_o.drive(|lane| codes[lane] >> (plane * bits) & mask);
    }
    fn connect(&mut self) {
        self.item_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (lanes, code, bits) = (self.code_i.count(), self.code_i.ty().bits, self.item_o.ty().bits);
        let (planes, index) = (self._planes as u32, self.plane_i.ty().bits);
        let slice = |plane: u32| {
            let have = (code - plane * bits).min(bits);
            let zeros = if have < bits { format!("{}'d0, ", bits - have) } else { String::new() };
            format!("{{{zeros}code_i[l*CODE+{} +: {have}]}}", plane * bits)
        };
        let choose = |plane: u32| format!("plane_i == {index}'d{plane} ? {} :\n            ", slice(plane));
        text(format!(
            "// module plane_select: one of {planes} planes of {bits} bits of codes of {code}
localparam LANES = {lanes};
localparam CODE = {code};
localparam BITS = {bits};

genvar l;
generate
    for (l = 0; l < LANES; l = l + 1) begin : g_lane
        assign item_o[l*BITS +: BITS] =
            {}{};
    end
endgenerate
",
            (1..planes).map(choose).collect::<String>(),
            slice(0)
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
        code_i: Lanes<In>,
        plane_i: Sig<In>,
        item_o: Lanes<Out>,
        select: PlaneSelect,
        held: LanesReg,
    }

    impl Logic for Clocked {
        #[hdl_gen]
        fn update(&mut self) {
            comment!("module clocked: a register behind");
            dff_setup!(self, clk_i, held);
            self.select.code_i.next = self.code_i.val();
            self.select.plane_i.next = self.plane_i.val();
            self.held.d.next = self.select.item_o.val();
            self.item_o.next = self.held.q.val();
        }
    }

    #[test]
    fn planes_are_the_bits_of_a_code() {
        for (code, planes, bits) in [(8, 2, 4), (16, 6, 3), (8, 4, 2), (10, 2, 5)] {
            let select = PlaneSelect::new(3, code, planes, bits);
            let plane = select.plane_i.ty();
            let block = Clocked {
                clk_i: Default::default(),
                code_i: Lanes::new(3, u(code)),
                plane_i: Sig::new(plane),
                item_o: Lanes::new(3, u(bits)),
                select,
                held: LanesReg::new(3, u(bits)),
            };
            let mut bench = Bench::new(block, |b| &mut b.clk_i);
            let mut rng = random(code.into());
            for _ in 0..60 {
                let codes: Vec<i64> = (0..3).map(|_| random_value(&mut rng, u(code))).collect();
                let plane = rng.random_range(0..planes);
                bench.block.code_i.drive(|lane| codes[lane]);
                bench.block.plane_i.next = plane as i64;
                bench.cycle();
                let digit = |code: &i64| (code / (1 << (plane as u32 * bits))) % (1 << bits);
                assert_eq!(*bench.block.item_o.val(), codes.iter().map(digit).collect::<Vec<_>>());
            }
            bench.verilog("clocked", 1);
        }
    }
}
