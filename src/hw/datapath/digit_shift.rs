//! Between the array and the accumulators: partial sums of digits, shifted to where they count.

use crate::hw::rt::{Lanes, Sig, s, text, u};
use rust_hdl::prelude::*;

/// `operand_o = psum_i · 2^(unit · shift)`, wrapped to the bits of an operand. The shift enters column 0 together with its
/// partial sum and reaches each group of columns a cycle after the one before; the rest is combinational.
#[derive(LogicBlock)]
pub struct DigitShift {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// The shift of column 0's partial sum, in units.
    pub shift_i: Sig<In>,
    /// Partial sums, a lane a column.
    pub psum_i: Lanes<In>,
    /// What the accumulators add, a lane a column.
    pub operand_o: Lanes<Out>,
    _state: State,
}

struct State {
    /// Columns of a group.
    together: usize,
    /// Bits of a shift by 1.
    unit: u32,
    /// The shift of every group.
    shifts: Vec<i64>,
}

impl DigitShift {
    /// For `cols` columns in groups of `together`, partial sums of `psum_bits`, shifts of `shift_bits` in units of `unit`
    /// bits, operands of `operand_bits`.
    pub fn new(
        (cols, together): (usize, usize),
        psum_bits: u32,
        (shift_bits, unit): (u32, u32),
        operand_bits: u32,
    ) -> Self {
        Self {
            clk_i: Default::default(),
            shift_i: Sig::new(u(shift_bits)),
            psum_i: Lanes::new(cols, s(psum_bits)),
            operand_o: Lanes::new(cols, s(operand_bits)),
            _state: State { together, unit, shifts: vec![0; cols.div_ceil(together)] },
        }
    }
}

impl Logic for DigitShift {
    fn update(&mut self) {
        let state = &mut self._state;
        if self.clk_i.pos_edge() {
            state.shifts.rotate_right(1);
        }
        if let Some(first) = state.shifts.first_mut() {
            *first = self.shift_i.val();
        }
        let (psums, ty) = (self.psum_i.lanes(), self.operand_o.ty());
        let shift = |column: usize| state.shifts[column / state.together] as u32 * state.unit;
        self.operand_o.drive(|column| ty.wrap(psums[column].unbounded_shl(shift(column))));
    }
    fn connect(&mut self) {
        self.operand_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let State { together, unit, ref shifts } = self._state;
        let (cols, p, bits) = (self.psum_i.count(), self.psum_i.ty().bits, self.shift_i.ty().bits);
        let (q, groups) = (self.operand_o.ty().bits, shifts.len());
        let extended = match q - p {
            0 => "psum_i[c*P +: P]".into(),
            more => format!("{{{{{more}{{psum_i[c*P+P-1]}}}}, psum_i[c*P +: P]}}"),
        };
        let stage = |bit: u32| {
            format!(
                "        wire [Q-1:0] stage{} = shift[c/TOGETHER*BITS+{bit}] ? stage{bit} << {} : stage{bit};\n",
                bit + 1,
                unit << bit
            )
        };
        let walk = match groups {
            1 => "wire [BITS-1:0] shift = shift_i;\nwire clk_unused = clk_i;\n".into(),
            _ => format!(
                "reg  [{0}*BITS-1:0] held;
wire [{groups}*BITS-1:0] shift = {{held, shift_i}};

always @(posedge clk_i) held <= shift[0 +: {0}*BITS];
",
                groups - 1
            ),
        };
        text(format!(
            "// module digit_shift: partial sums of {cols} columns, shifted left by multiples of {unit} bits
localparam COLS = {cols};
localparam TOGETHER = {together}; // columns of a group
localparam P = {p}; // partial sum
localparam Q = {q}; // operand
localparam BITS = {bits}; // of a shift

{walk}
genvar c;
generate
    for (c = 0; c < COLS; c = c + 1) begin : g_col
        wire [Q-1:0] stage0 = {extended};
{}        assign operand_o[c*Q +: Q] = stage{bits};
    end
endgenerate
",
            (0..bits).map(stage).collect::<String>()
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
        shift_i: Sig<In>,
        psum_i: Lanes<In>,
        operand_o: Lanes<Out>,
        shift: DigitShift,
        held: LanesReg,
    }

    impl Logic for Clocked {
        #[hdl_gen]
        fn update(&mut self) {
            comment!("module clocked: a register behind");
            dff_setup!(self, clk_i, held);
            self.shift.clk_i.next = self.clk_i.val();
            self.shift.shift_i.next = self.shift_i.val();
            self.shift.psum_i.next = self.psum_i.val();
            self.held.d.next = self.shift.operand_o.val();
            self.operand_o.next = self.held.q.val();
        }
    }

    #[test]
    fn every_column_has_the_shift_of_its_cycle() {
        for (cols, together, p, bits, unit, q) in
            [(4, 1, 11, 2, 4, 19), (5, 2, 7, 3, 2, 21), (2, 2, 9, 1, 3, 10), (3, 1, 8, 4, 1, 8)]
        {
            let new = || DigitShift::new((cols, together), p, (bits, unit), q);
            let block = Clocked {
                clk_i: Default::default(),
                shift_i: Sig::new(u(bits)),
                psum_i: Lanes::new(cols, s(p)),
                operand_o: Lanes::new(cols, s(q)),
                shift: new(),
                held: LanesReg::new(cols, s(q)),
            };
            let mut bench = Bench::new(block, |b| &mut b.clk_i);
            let mut rng = random(cols as u64);
            let mut shifts = vec![0; cols];
            for t in 0..200 {
                shifts.rotate_right(1);
                shifts[0] = rng.random_range(0..1i64 << bits);
                let psums: Vec<i64> = (0..cols).map(|_| random_value(&mut rng, s(p))).collect();
                bench.block.shift_i.next = shifts[0];
                bench.block.psum_i.drive(|c| psums[c]);
                bench.cycle();
                let want = |c: usize| s(q).wrap(psums[c] << (shifts[c / together] * i64::from(unit)));
                if t >= cols {
                    assert_eq!(*bench.block.operand_o.val(), (0..cols).map(want).collect::<Vec<_>>());
                }
            }
            bench.verilog("clocked", cols + 1);
        }
    }
}
