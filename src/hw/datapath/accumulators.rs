//! The accumulators of all columns.

use super::{Accumulator, address_bits};
use crate::hw::rt::{Lanes, Sig, Template, Ty, s, text, u};
use rust_hdl::prelude::*;

/// A column of accumulators under each column of the array. The control enters column 0 together with its partial sum, and
/// reaches column c after c cycles, as the partial sums do; see [`Accumulator`] for what it does there. The drain reads
/// one accumulator of all columns at once.
#[derive(LogicBlock)]
pub struct Accumulators {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// The partial sum of column 0 is there.
    pub valid_i: Signal<In, Bit>,
    /// It starts its accumulator.
    pub first_i: Signal<In, Bit>,
    /// Its bank.
    pub bank_i: Signal<In, Bit>,
    /// Its accumulator.
    pub addr_i: Sig<In>,
    /// Partial sums, a lane a column, column c's c cycles after column 0's.
    pub psum_i: Lanes<In>,
    /// Bank to read; no column adds to it in the same cycle.
    pub drain_bank_i: Signal<In, Bit>,
    /// Accumulator to read.
    pub drain_addr_i: Sig<In>,
    /// What it holds, a lane a column, two cycles later.
    pub drain_o: Lanes<Out>,
    accumulator: Template<Accumulator>,
    _state: State,
}

impl Accumulators {
    /// Cycles from `drain_addr_i` to `drain_o`.
    pub const DRAIN_LATENCY: usize = Accumulator::DRAIN_LATENCY;

    /// Cycles from a partial sum of column 0 to the first cycle whose `drain_addr_i` may read it and its row of all
    /// columns, in `groups` that come one after the other.
    pub const fn latency(groups: usize) -> usize {
        groups - 1 + Accumulator::LATENCY
    }

    /// `cols` columns, `together` of which have their partial sums in the same cycle and are one step of the control; see
    /// [`Accumulator::new`].
    pub fn new(cols: usize, together: usize, depth: usize, acc_bits: u32, psum_bits: u32) -> Self {
        let (acc, address) = (s(acc_bits), u(address_bits(depth)));
        Self {
            clk_i: Default::default(),
            valid_i: Default::default(),
            first_i: Default::default(),
            bank_i: Default::default(),
            addr_i: Sig::new(address),
            psum_i: Lanes::new(cols, s(psum_bits)),
            drain_bank_i: Default::default(),
            drain_addr_i: Sig::new(address),
            drain_o: Lanes::new(cols, acc),
            accumulator: Template(Accumulator::new(depth, acc_bits, psum_bits)),
            _state: State {
                ty: acc,
                together,
                columns: vec![Column::new(1 << address.bits); cols],
                drain_bank: 0,
            },
        }
    }
}

/// What goes with a partial sum.
#[derive(Clone, Copy, Default)]
struct Control {
    valid: bool,
    first: bool,
    bank: usize,
    addr: usize,
}

/// The registers and memories of a column.
#[derive(Clone)]
struct Column {
    banks: [Vec<i64>; 2],
    word: [i64; 2],
    control: Control,
    psum: i64,
    write: Control,
    previous: i64,
    operand: i64,
}

impl Column {
    fn new(depth: usize) -> Self {
        let banks = [vec![0; depth], vec![0; depth]];
        let control = Control::default();
        Self { banks, word: [0; 2], control, psum: 0, write: control, previous: 0, operand: 0 }
    }

    /// One clock edge, the later stages first.
    fn step(&mut self, control: Control, psum: i64, drain_addr: usize, ty: Ty) {
        let previous = if self.control.first { 0 } else { self.word[self.control.bank] };
        for (bank, words) in self.banks.iter().enumerate() {
            let adds = control.valid && control.bank == bank;
            self.word[bank] = words[if adds { control.addr } else { drain_addr }];
        }
        if self.write.valid {
            let sum = ty.wrap(self.previous.wrapping_add(self.operand));
            self.banks[self.write.bank][self.write.addr] = sum;
        }
        (self.previous, self.operand, self.write) = (previous, self.psum, self.control);
        (self.control, self.psum) = (control, psum);
    }
}

struct State {
    ty: Ty,
    /// Columns of a group.
    together: usize,
    columns: Vec<Column>,
    drain_bank: usize,
}

impl State {
    fn step(&mut self, entering: Control, psums: &[i64], drain_addr: usize) {
        for c in (0..self.columns.len()).rev() {
            let before = (c / self.together).checked_sub(1);
            let control = before.map_or(entering, |group| self.columns[group * self.together].control);
            self.columns[c].step(control, psums[c], drain_addr, self.ty);
        }
    }
}

impl Logic for Accumulators {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            let entering = Control {
                valid: self.valid_i.val(),
                first: self.first_i.val(),
                bank: self.bank_i.val() as usize,
                addr: self.addr_i.val() as usize,
            };
            let state = &mut self._state;
            self.drain_o.drive(|c| state.columns[c].word[state.drain_bank]);
            state.step(entering, self.psum_i.lanes(), self.drain_addr_i.val() as usize);
            state.drain_bank = self.drain_bank_i.val() as usize;
        }
    }
    fn connect(&mut self) {
        self.drain_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (cols, address) = (self.psum_i.count(), self.addr_i.ty().bits);
        let (acc, psum) = (self.drain_o.ty().bits, self.psum_i.ty().bits);
        let together = self._state.together;
        if together > 1 {
            return text(format!(
                "// module accumulators: accumulators of {cols} columns of the array, in groups of {together}
localparam COLS = {cols};
localparam PACK = {together}; // columns of a group
localparam GROUPS = {};
localparam ADDR = {address};
localparam ACC = {acc}; // accumulator
localparam P = {psum}; // partial sum
{GROUPS}",
                cols.div_ceil(together)
            ));
        }
        text(format!(
            "// module accumulators: accumulators of {cols} columns of the array
localparam COLS = {cols};
localparam ADDR = {address};
localparam ACC = {acc}; // accumulator
localparam P = {psum}; // partial sum
{ACCUMULATORS}"
        ))
    }
}

const ACCUMULATORS: &str = "
// The control walks through the columns.
wire [COLS:0]            valid;
wire [COLS:0]            first;
wire [COLS:0]            bank;
wire [(COLS+1)*ADDR-1:0] addr;

assign valid[0]        = valid_i;
assign first[0]        = first_i;
assign bank[0]         = bank_i;
assign addr[0 +: ADDR] = addr_i;

wire [ADDR+2:0] last_unused = {valid[COLS], first[COLS], bank[COLS], addr[COLS*ADDR +: ADDR]};

genvar c;
generate
    for (c = 0; c < COLS; c = c + 1) begin : g_col
        @accumulator@ u_accumulator (
            .clk_i       (clk_i),
            .valid_i     (valid[c]),
            .first_i     (first[c]),
            .bank_i      (bank[c]),
            .addr_i      (addr[c*ADDR +: ADDR]),
            .psum_i      (psum_i[c*P +: P]),
            .valid_o     (valid[c+1]),
            .first_o     (first[c+1]),
            .bank_o      (bank[c+1]),
            .addr_o      (addr[(c+1)*ADDR +: ADDR]),
            .drain_bank_i(drain_bank_i),
            .drain_addr_i(drain_addr_i),
            .drain_o     (drain_o[c*ACC +: ACC])
        );
    end
endgenerate
";

const GROUPS: &str = "
// The control walks through the groups, on from the first column of each.
wire [GROUPS:0]            valid;
wire [GROUPS:0]            first;
wire [GROUPS:0]            bank;
wire [(GROUPS+1)*ADDR-1:0] addr;

assign valid[0]        = valid_i;
assign first[0]        = first_i;
assign bank[0]         = bank_i;
assign addr[0 +: ADDR] = addr_i;

wire [ADDR+2:0] last_unused = {valid[GROUPS], first[GROUPS], bank[GROUPS], addr[GROUPS*ADDR +: ADDR]};

genvar c;
generate
    for (c = 0; c < COLS; c = c + 1) begin : g_col
        wire [ADDR+2:0] control;
        @accumulator@ u_accumulator (
            .clk_i       (clk_i),
            .valid_i     (valid[c/PACK]),
            .first_i     (first[c/PACK]),
            .bank_i      (bank[c/PACK]),
            .addr_i      (addr[c/PACK*ADDR +: ADDR]),
            .psum_i      (psum_i[c*P +: P]),
            .valid_o     (control[ADDR+2]),
            .first_o     (control[ADDR+1]),
            .bank_o      (control[ADDR]),
            .addr_o      (control[0 +: ADDR]),
            .drain_bank_i(drain_bank_i),
            .drain_addr_i(drain_addr_i),
            .drain_o     (drain_o[c*ACC +: ACC])
        );
        if (c % PACK == 0) begin : g_on
            assign {valid[c/PACK+1], first[c/PACK+1], bank[c/PACK+1], addr[(c/PACK+1)*ADDR +: ADDR]} = control;
        end else begin : g_same
            wire [ADDR+2:0] control_unused = control;
        end
    end
endgenerate
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};

    /// Sweeps of `positions` into alternating banks, `passes` each; the other bank is drained meanwhile.
    fn check(cols: usize, together: usize, depth: usize, acc_bits: u32, psum_bits: u32) {
        let (psum_ty, acc_ty) = (s(psum_bits), s(acc_bits));
        let accumulators = Accumulators::new(cols, together, depth, acc_bits, psum_bits);
        let mut bench = Bench::new(accumulators, |b| &mut b.clk_i);
        let mut rng = random(depth as u64);
        let (passes, tiles, gap) = (3, 3, Accumulators::latency(cols.div_ceil(together)));
        let tile = passes * depth + gap;
        let psums: Vec<Vec<i64>> =
            (0..tiles * tile).map(|_| (0..cols).map(|_| random_value(&mut rng, psum_ty)).collect()).collect();
        let want = |tile_at: usize, addr: usize, c: usize| {
            acc_ty.wrap((0..passes).map(|p| psums[tile_at * tile + p * depth + addr][c]).sum())
        };
        for t in 0..(tiles + 1) * tile {
            let (now, at) = (t / tile, t % tile);
            let x = &mut bench.block;
            x.valid_i.next = now < tiles && at < passes * depth;
            x.first_i.next = at < depth;
            x.bank_i.next = now % 2 == 1;
            x.addr_i.next = (at % depth) as i64;
            x.psum_i.drive(|c| t.checked_sub(c / together).and_then(|t| psums.get(t)).map_or(0, |p| p[c]));
            x.drain_bank_i.next = now % 2 == 0;
            x.drain_addr_i.next = (at % depth) as i64;
            bench.cycle();
            let asked = (t + 1).saturating_sub(Accumulators::DRAIN_LATENCY);
            let (now, at) = (asked / tile, asked % tile);
            for c in (0..cols).filter(|_| now > 0) {
                let what = (now - 1, at % depth, c);
                assert_eq!(
                    bench.block.drain_o.val()[c],
                    want(what.0, what.1, c),
                    "tile, addr, column {what:?}"
                );
            }
        }
        bench.verilog("accumulators", tile + Accumulators::DRAIN_LATENCY);
    }

    #[test]
    fn each_bank_holds_the_sums_of_its_passes() {
        check(3, 1, 4, 24, 18);
        check(2, 1, 8, 32, 20);
        check(4, 1, 3, 20, 20);
        check(2, 1, 5, 48, 38);
    }

    #[test]
    fn groups_of_columns_add_in_the_same_cycle() {
        check(4, 2, 4, 24, 18);
        check(5, 3, 5, 20, 18);
        check(4, 4, 3, 20, 20);
    }
}
