//! The systolic array.

use super::Pe;
use crate::config::Multipliers;
use crate::hw::rt::{Lanes, Template, s, text, u};
use rust_hdl::prelude::*;

/// `rows` × `cols` processing elements: activations move right, weights and partial sums down.
///
/// Row r expects its activations r cycles after row 0, column c its weights and shifts c cycles after column 0; partial
/// sums leave column c [`Array::latency`] + c cycles after the activation of row 0 entered.
#[derive(LogicBlock)]
pub struct Array {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Activations, a lane a row, A + 1 bits.
    pub act_i: Lanes<In>,
    /// With an activation: the row's weights become those of the shadow registers, from this activation on.
    pub swap_i: Lanes<In>,
    /// A lane a column: the shadow registers of the whole column move down, row 0 takes `weight_i`.
    pub shift_i: Lanes<In>,
    /// Weights into row 0, a lane a column.
    pub weight_i: Lanes<In>,
    /// Partial sums out of the bottom row, a lane a column.
    pub psum_o: Lanes<Out>,
    pe: Template<Pe>,
    _state: State,
}

impl Array {
    /// Cycles from an activation entering row 0 to the partial sum with it at the bottom of column 0.
    pub const fn latency(rows: usize) -> usize {
        rows - 1 + Pe::LATENCY
    }

    /// An array; see [`Pe::new`] for the widths.
    pub fn new(
        rows: usize,
        cols: usize,
        weight_bits: u32,
        act_bits: u32,
        psum_bits: u32,
        multipliers: Multipliers,
    ) -> Self {
        Self {
            clk_i: Default::default(),
            act_i: Lanes::new(rows, s(act_bits + 1)),
            swap_i: Lanes::new(rows, u(1)),
            shift_i: Lanes::new(cols, u(1)),
            weight_i: Lanes::new(cols, s(weight_bits)),
            psum_o: Lanes::new(cols, s(psum_bits)),
            pe: Template(Pe::new(weight_bits, act_bits, psum_bits, multipliers)),
            _state: State::new(rows, cols),
        }
    }
}

/// The registers of all elements, row after row.
struct State {
    rows: usize,
    cols: usize,
    shadow: Vec<i32>,
    weight: Vec<i32>,
    swap: Vec<bool>,
    act: Vec<i32>,
    product: Vec<i64>,
    psum: Vec<i64>,
}

impl State {
    fn new(rows: usize, cols: usize) -> Self {
        let n = rows * cols;
        let (shadow, weight, act) = (vec![0; n], vec![0; n], vec![0; n]);
        Self { rows, cols, shadow, weight, swap: vec![false; n], act, product: vec![0; n], psum: vec![0; n] }
    }

    /// One clock edge. Rows from the bottom up, so that a row still sees the old one above.
    fn step(&mut self, act: &[i64], swap: &[i64], shift: &[i64], weight: &[i64]) {
        let shifting = shift.contains(&1);
        for row in (0..self.rows).rev() {
            self.accumulate(row);
            self.capture(row, swap[row] == 1);
            if shifting {
                self.shift(row, shift, weight);
            }
            self.move_right(row, act[row] as i32, swap[row] == 1);
        }
    }

    fn accumulate(&mut self, row: usize) {
        let (at, cols) = (row * self.cols, self.cols);
        let (above, below) = self.psum.split_at_mut(at);
        for c in 0..cols {
            let from_above = if row == 0 { 0 } else { above[at - cols + c] };
            below[c] = from_above.wrapping_add(self.product[at + c]);
        }
        for i in at..at + cols {
            self.product[i] = self.act[i] as i64 * self.weight[i] as i64;
        }
    }

    fn capture(&mut self, row: usize, swap: bool) {
        let at = row * self.cols;
        for c in 0..self.cols {
            if if c == 0 { swap } else { self.swap[at + c - 1] } {
                self.weight[at + c] = self.shadow[at + c];
            }
        }
    }

    fn shift(&mut self, row: usize, shift: &[i64], weight: &[i64]) {
        let at = row * self.cols;
        for c in (0..self.cols).filter(|&c| shift[c] == 1) {
            self.shadow[at + c] = if row == 0 { weight[c] as i32 } else { self.shadow[at - self.cols + c] };
        }
    }

    fn move_right(&mut self, row: usize, act: i32, swap: bool) {
        let (at, end) = (row * self.cols, (row + 1) * self.cols);
        self.act.copy_within(at..end - 1, at + 1);
        self.swap.copy_within(at..end - 1, at + 1);
        self.act[at] = act;
        self.swap[at] = swap;
    }
}

impl Logic for Array {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            let state = &mut self._state;
            state.step(self.act_i.lanes(), self.swap_i.lanes(), self.shift_i.lanes(), self.weight_i.lanes());
            let bottom = &state.psum[(state.rows - 1) * state.cols..];
            self.psum_o.drive(|c| bottom[c]);
        }
    }
    fn connect(&mut self) {
        self.psum_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let State { rows, cols, .. } = self._state;
        let (w, a, p) = (self.weight_i.ty().bits, self.act_i.ty().bits, self.psum_o.ty().bits);
        let sizes = format!(
            "localparam ROWS = {rows};\nlocalparam COLS = {cols};\nlocalparam W = {w}; // weight\n\
             localparam A = {a}; // activation\nlocalparam P = {p}; // partial sum\n"
        );
        text(format!(
            "// module array: {rows} x {cols} processing elements, weight-stationary\n{sizes}{ARRAY}"
        ))
    }
}

const ARRAY: &str = "
// Activations and swap flags move right, weights and partial sums move down.
wire [ROWS*(COLS+1)*A-1:0] act;
wire [ROWS*(COLS+1)-1:0]   swap;
wire [(ROWS+1)*COLS*W-1:0] weight;
wire [(ROWS+1)*COLS*P-1:0] psum;

assign weight[0 +: COLS*W] = weight_i;
assign psum[0 +: COLS*P]   = {COLS*P{1'b0}};
assign psum_o              = psum[ROWS*COLS*P +: COLS*P];

wire [ROWS*(A+1)-1:0] right_unused;
wire [COLS*W-1:0]     bottom_unused = weight[ROWS*COLS*W +: COLS*W];

genvar r, c;
generate
    for (r = 0; r < ROWS; r = r + 1) begin : g_row
        assign act[r*(COLS+1)*A +: A] = act_i[r*A +: A];
        assign swap[r*(COLS+1)]       = swap_i[r];
        assign right_unused[r*(A+1) +: A+1] = {swap[r*(COLS+1)+COLS], act[(r*(COLS+1)+COLS)*A +: A]};
        for (c = 0; c < COLS; c = c + 1) begin : g_col
            @pe@ u_pe (
                .clk_i   (clk_i),
                .shift_i (shift_i[c]),
                .weight_i(weight[(r*COLS+c)*W +: W]),
                .weight_o(weight[((r+1)*COLS+c)*W +: W]),
                .swap_i  (swap[r*(COLS+1)+c]),
                .swap_o  (swap[r*(COLS+1)+c+1]),
                .act_i   (act[(r*(COLS+1)+c)*A +: A]),
                .act_o   (act[(r*(COLS+1)+c+1)*A +: A]),
                .psum_i  (psum[(r*COLS+c)*P +: P]),
                .psum_o  (psum[((r+1)*COLS+c)*P +: P])
            );
        end
    end
endgenerate
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, Family, random, random_value};
    use rand::Rng;

    /// The same array, element by element.
    struct Grid {
        elements: Vec<Vec<Bench<Pe>>>,
    }

    impl Grid {
        fn new(rows: usize, cols: usize, pe: Pe) -> Self {
            let row = |_| (0..cols).map(|_| Bench::new(pe.clone(), |b| &mut b.clk_i)).collect();
            Self { elements: (0..rows).map(row).collect() }
        }

        /// One cycle; returns the partial sums of the bottom row. Outputs are registers: all inputs are set first.
        fn cycle(&mut self, act: &[i64], swap: &[i64], shift: &[i64], weight: &[i64]) -> Vec<i64> {
            for r in (0..self.elements.len()).rev() {
                for c in (0..shift.len()).rev() {
                    let left = (c > 0).then(|| &self.elements[r][c - 1].block);
                    let (a, s) = left.map_or((act[r], swap[r] == 1), |p| (p.act_o.val(), p.swap_o.val()));
                    let above = (r > 0).then(|| &self.elements[r - 1][c].block);
                    let (w, p) = above.map_or((weight[c], 0), |p| (p.weight_o.val(), p.psum_o.val()));
                    let pe = &mut self.elements[r][c].block;
                    (pe.act_i.next, pe.swap_i.next, pe.weight_i.next, pe.psum_i.next) = (a, s, w, p);
                    pe.shift_i.next = shift[c] == 1;
                }
            }
            self.elements.iter_mut().flatten().for_each(|pe| pe.cycle());
            self.elements.last().unwrap().iter().map(|pe| pe.block.psum_o.val()).collect()
        }
    }

    /// A driven array, and that it is its elements.
    fn check(cycles: usize, rows: usize, cols: usize, w: u32, a: u32, p: u32) -> Bench<Array> {
        let mut grid = Grid::new(rows, cols, Pe::new(w, a, p, Multipliers::Dsp));
        let mut bench = Bench::new(Array::new(rows, cols, w, a, p, Multipliers::Dsp), |b| &mut b.clk_i);
        let mut rng = random(rows as u64);
        for t in 0..cycles {
            let x = &mut bench.block;
            let mut lanes = |n: usize, ty| (0..n).map(|_| random_value(&mut rng, ty)).collect::<Vec<_>>();
            let (act, weight) = (lanes(rows, s(a + 1)), lanes(cols, s(w)));
            let mut bits =
                |n: usize, on: bool| (0..n).map(|_| (on || rng.random()) as i64).collect::<Vec<_>>();
            let (swap, shift) = (bits(rows, t == 10), bits(cols, t < 10));
            x.act_i.drive(|i| act[i]);
            x.weight_i.drive(|i| weight[i]);
            x.swap_i.drive(|i| swap[i]);
            x.shift_i.drive(|i| shift[i]);
            bench.cycle();
            assert_eq!(*bench.block.psum_o.val(), grid.cycle(&act, &swap, &shift, &weight), "cycle {t}");
        }
        bench
    }

    #[test]
    fn is_its_elements_and_its_verilog() {
        for (rows, cols, w, a, p) in [(3, 4, 8, 8, 18), (2, 2, 2, 2, 6), (4, 3, 16, 16, 35)] {
            check(80, rows, cols, w, a, p).verilog("array", 40);
        }
    }

    #[test]
    fn netlists_equal_it() {
        let bench = check(10_000, 4, 4, 8, 8, 18);
        for (family, cell) in [(Family::Xc7, "DSP48E1"), (Family::Ice40, "SB_MAC16")] {
            let netlist = bench.netlist("array", 40, family);
            assert!(netlist.is_none_or(|text| text.contains(cell)), "no {cell}");
        }
    }

    /// Two matrices through skewed streams: results appear where and when [`Array::latency`] says.
    #[test]
    fn multiplies_matrices_with_the_stated_latency() {
        let (rows, cols, positions) = (3, 4, 5);
        let weight = |r: usize, c: usize| (r * 7 + c * 5) as i64 % 11 - 5;
        let act = |p: usize, r: usize| (p * 3 + r) as i64 % 9 - 4;
        let mut bench = Bench::new(Array::new(rows, cols, 4, 4, 12, Multipliers::Lut), |b| &mut b.clk_i);
        let start = 20;
        for t in 0..60usize {
            let x = &mut bench.block;
            x.shift_i.drive(|c| (t >= c && t < c + rows) as i64);
            x.weight_i.drive(|c| if t >= c && t < c + rows { weight(rows - 1 - (t - c), c) } else { 0 });
            let position = |r: usize| t.checked_sub(start + r).filter(|&p| p < positions);
            x.act_i.drive(|r| position(r).map_or(0, |p| act(p, r)));
            x.swap_i.drive(|r| (position(r) == Some(0)) as i64);
            for c in 0..cols {
                let Some(p) = t.checked_sub(start + Array::latency(rows) + c) else { continue };
                if p < positions {
                    let want: i64 = (0..rows).map(|r| act(p, r) * weight(r, c)).sum();
                    assert_eq!(bench.block.psum_o.val()[c], want, "position {p}, column {c}");
                }
            }
            bench.cycle();
        }
    }
}
