//! The systolic array.

use super::{PackedPe, Packing, Pe, SplitSums, WeightDigits};
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
    pe: Vec<Template<Pe>>,
    // Of whole groups, then of the last one if it has fewer columns, but several.
    packed_pe: Vec<Template<PackedPe>>,
    digits: Vec<Template<WeightDigits>>,
    split: Vec<Template<SplitSums>>,
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
        let alone = Packing { lanes: 1, weight_bits, act_bits, psum_bits, pitch: psum_bits };
        Self::of_groups(rows, cols, alone, multipliers)
    }

    /// An array whose columns are groups of `packing`, the last one perhaps of fewer. What is said of a column's time holds for
    /// a group: its weights, its shift (a lane a group) and its partial sums come so many cycles after those of group 0.
    pub fn packed(rows: usize, cols: usize, packing: Packing) -> Self {
        Self::of_groups(rows, cols, packing, Multipliers::Dsp)
    }

    fn of_groups(rows: usize, cols: usize, packing: Packing, multipliers: Multipliers) -> Self {
        let Packing { lanes, weight_bits, act_bits, psum_bits, .. } = packing;
        let several =
            [lanes, cols % lanes].map(|lanes| packing.of(lanes)).into_iter().filter(|p| p.lanes > 1);
        let alone = lanes == 1 || cols % lanes == 1;
        let pe = || Template(Pe::new(weight_bits, act_bits, psum_bits, multipliers));
        Self {
            clk_i: Default::default(),
            act_i: Lanes::new(rows, s(act_bits + 1)),
            swap_i: Lanes::new(rows, u(1)),
            shift_i: Lanes::new(cols.div_ceil(lanes), u(1)),
            weight_i: Lanes::new(cols, s(weight_bits)),
            psum_o: Lanes::new(cols, s(psum_bits)),
            pe: alone.then(pe).into_iter().collect(),
            packed_pe: several.clone().map(|p| Template(PackedPe::new(p))).collect(),
            digits: several.clone().map(|p| Template(WeightDigits::new(p))).collect(),
            split: several.map(|p| Template(SplitSums::new(p))).collect(),
            _state: State::new(rows, cols, packing),
        }
    }
}

/// The registers of all elements, row after row, an element a group.
struct State {
    rows: usize,
    cols: usize,
    /// Of each group.
    packing: Vec<Packing>,
    /// As digits.
    shadow: Vec<i64>,
    /// As operands.
    weight: Vec<i64>,
    swap: Vec<bool>,
    act: Vec<i32>,
    product: Vec<i64>,
    psum: Vec<i64>,
}

impl State {
    fn new(rows: usize, cols: usize, packing: Packing) -> Self {
        let lanes = |first: usize| packing.lanes.min(cols - first);
        let packing: Vec<Packing> =
            (0..cols).step_by(packing.lanes).map(|first| packing.of(lanes(first))).collect();
        let cols = packing.len();
        let n = rows * cols;
        let (shadow, weight, act) = (vec![0; n], vec![0; n], vec![0; n]);
        Self {
            rows,
            cols,
            packing,
            shadow,
            weight,
            swap: vec![false; n],
            act,
            product: vec![0; n],
            psum: vec![0; n],
        }
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
            below[c] = from_above.wrapping_add(self.packing[c].spread(self.product[at + c]));
        }
        for i in at..at + cols {
            self.product[i] = self.act[i] as i64 * self.weight[i];
        }
    }

    fn capture(&mut self, row: usize, swap: bool) {
        let at = row * self.cols;
        for c in 0..self.cols {
            if if c == 0 { swap } else { self.swap[at + c - 1] } {
                self.weight[at + c] = self.packing[c].operand(self.shadow[at + c]);
            }
        }
    }

    fn shift(&mut self, row: usize, shift: &[i64], weight: &[i64]) {
        let at = row * self.cols;
        let lanes = self.packing[0].lanes;
        for c in (0..self.cols).filter(|&c| shift[c] == 1) {
            self.shadow[at + c] = match row {
                0 => self.packing[c].digits(&weight[c * lanes..][..self.packing[c].lanes]),
                _ => self.shadow[at - self.cols + c],
            };
        }
    }

    fn move_right(&mut self, row: usize, act: i32, swap: bool) {
        let (at, end) = (row * self.cols, (row + 1) * self.cols);
        self.act.copy_within(at..end - 1, at + 1);
        self.swap.copy_within(at..end - 1, at + 1);
        self.act[at] = act;
        self.swap[at] = swap;
    }

    /// The partial sum of a column of the whole array.
    fn bottom(&self, column: usize) -> i64 {
        let lanes = self.packing[0].lanes;
        let group = column / lanes;
        self.packing[group].split(self.psum[(self.rows - 1) * self.cols + group], column % lanes)
    }
}

impl Logic for Array {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            let state = &mut self._state;
            state.step(self.act_i.lanes(), self.swap_i.lanes(), self.shift_i.lanes(), self.weight_i.lanes());
            self.psum_o.drive(|c| state.bottom(c));
        }
    }
    fn connect(&mut self) {
        self.psum_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (rows, cols) = (self._state.rows, self.weight_i.count());
        let (w, a, p) = (self.weight_i.ty().bits, self.act_i.ty().bits, self.psum_o.ty().bits);
        let lanes = self._state.packing[0].lanes;
        // Groups of columns have other numbers.
        let columns = if lanes == 1 { format!("localparam COLS = {cols};\n") } else { String::new() };
        let sizes = format!(
            "localparam ROWS = {rows};\n{columns}localparam W = {w}; // weight\n\
             localparam A = {a}; // activation\nlocalparam P = {p}; // partial sum\n"
        );
        let (shared, body) = match lanes {
            1 => (String::new(), ARRAY.to_string()),
            _ => (format!(", {lanes} columns a multiplier"), self.groups()),
        };
        text(format!(
            "// module array: {rows} x {cols} processing elements, weight-stationary{shared}\n{sizes}{body}"
        ))
    }
}

impl Array {
    /// The body where columns share multipliers.
    fn groups(&self) -> String {
        let (packing, cols) = (self._state.packing[0], self.weight_i.count());
        let (lanes, digits) = (packing.lanes, packing.digit_bits());
        let rest = match cols % lanes {
            0 => String::new(),
            n => rest(packing.of(n)),
        };
        format!(
            "localparam PACK = {lanes}; // columns of a group\nlocalparam FULL = {}; // such groups\n\
             localparam GROUPS = {}; // and what columns are left\nlocalparam D = {digits}; // weights of a group\n\
             {GROUPS}{rest}",
            cols / lanes,
            cols.div_ceil(lanes),
        )
    }
}

/// The part of the body for the last group, which has fewer columns.
fn rest(packing: Packing) -> String {
    let (ends, element) = match packing.lanes {
        1 => (
            "assign rest_digits = weight_i[FULL*PACK*W +: W];\n\
             assign psum_o[FULL*PACK*P +: P] = rest_sums[ROWS*P +: P];\n",
            "@pe$0@",
        ),
        _ => (
            "@digits$1@ u_rest_digits (\n    .weight_i(weight_i[FULL*PACK*W +: REST*W]),\n    \
             .digit_o (rest_digits)\n);\n@split$1@ u_rest_split (\n    \
             .sum_i (rest_sums[ROWS*REST*P +: REST*P]),\n    \
             .psum_o(psum_o[FULL*PACK*P +: REST*P])\n);\n",
            "@packed_pe$1@",
        ),
    };
    let sizes = format!(
        "\nlocalparam REST = {}; // columns of the last group\nlocalparam RD = {}; // their weights\n",
        packing.lanes,
        packing.digit_bits()
    );
    sizes + &REST.replace("@ends@\n", ends).replace("@element@", element)
}

const ARRAY: &str = "
// Activations and swap flags move right: what the columns give, and what they take.
wire [ROWS*COLS*A-1:0]     act_right;
wire [ROWS*COLS-1:0]       swap_right;
wire [ROWS*(COLS+1)*A-1:0] act  = {act_right, act_i};
wire [ROWS*(COLS+1)-1:0]   swap = {swap_right, swap_i};

wire [ROWS*(A+1)-1:0] right_unused = {swap[ROWS*COLS +: ROWS], act[ROWS*COLS*A +: ROWS*A]};

genvar r, c;
generate
    for (c = 0; c < COLS; c = c + 1) begin : g_col
        // Weights and partial sums move down: what the elements give, and what they take.
        wire [ROWS*W-1:0]     weight_below;
        wire [ROWS*P-1:0]     psum_below;
        wire [(ROWS+1)*W-1:0] weight = {weight_below, weight_i[c*W +: W]};
        wire [(ROWS+1)*P-1:0] psum   = {psum_below, {P{1'b0}}};

        wire [W-1:0] bottom_unused = weight[ROWS*W +: W];
        assign psum_o[c*P +: P] = psum[ROWS*P +: P];
        for (r = 0; r < ROWS; r = r + 1) begin : g_row
            @pe$0@ u_pe (
                .clk_i   (clk_i),
                .shift_i (shift_i[c]),
                .weight_i(weight[r*W +: W]),
                .weight_o(weight_below[r*W +: W]),
                .swap_i  (swap[c*ROWS+r]),
                .swap_o  (swap_right[c*ROWS+r]),
                .act_i   (act[(c*ROWS+r)*A +: A]),
                .act_o   (act_right[(c*ROWS+r)*A +: A]),
                .psum_i  (psum[r*P +: P]),
                .psum_o  (psum_below[r*P +: P])
            );
        end
    end
endgenerate
";

/// The body where columns share multipliers, without the last group if that has fewer.
const GROUPS: &str = "
// Activations and swap flags move right: what the groups give, and what they take.
wire [ROWS*GROUPS*A-1:0]     act_right;
wire [ROWS*GROUPS-1:0]       swap_right;
wire [ROWS*(GROUPS+1)*A-1:0] act  = {act_right, act_i};
wire [ROWS*(GROUPS+1)-1:0]   swap = {swap_right, swap_i};

wire [ROWS*(A+1)-1:0] right_unused = {swap[ROWS*GROUPS +: ROWS], act[ROWS*GROUPS*A +: ROWS*A]};

genvar r, g;
generate
    for (g = 0; g < FULL; g = g + 1) begin : g_group
        // Weights and partial sums move down, those of a group as numbers: what the elements give, and what they take.
        wire [D-1:0]               digits;
        wire [ROWS*D-1:0]          weight_below;
        wire [ROWS*PACK*P-1:0]     psum_below;
        wire [(ROWS+1)*D-1:0]      weight = {weight_below, digits};
        wire [(ROWS+1)*PACK*P-1:0] psum   = {psum_below, {PACK*P{1'b0}}};

        wire [D-1:0] bottom_unused = weight[ROWS*D +: D];
        @digits$0@ u_digits (
            .weight_i(weight_i[g*PACK*W +: PACK*W]),
            .digit_o (digits)
        );
        @split$0@ u_split (
            .sum_i (psum[ROWS*PACK*P +: PACK*P]),
            .psum_o(psum_o[g*PACK*P +: PACK*P])
        );
        for (r = 0; r < ROWS; r = r + 1) begin : g_row
            @packed_pe$0@ u_packed_pe (
                .clk_i   (clk_i),
                .shift_i (shift_i[g]),
                .weight_i(weight[r*D +: D]),
                .weight_o(weight_below[r*D +: D]),
                .swap_i  (swap[g*ROWS+r]),
                .swap_o  (swap_right[g*ROWS+r]),
                .act_i   (act[(g*ROWS+r)*A +: A]),
                .act_o   (act_right[(g*ROWS+r)*A +: A]),
                .psum_i  (psum[r*PACK*P +: PACK*P]),
                .psum_o  (psum_below[r*PACK*P +: PACK*P])
            );
        end
    end
endgenerate
";

/// The last group.
const REST: &str = "
wire [RD-1:0]              rest_digits;
wire [ROWS*RD-1:0]         rest_below;
wire [ROWS*REST*P-1:0]     rest_sums_below;
wire [(ROWS+1)*RD-1:0]     rest      = {rest_below, rest_digits};
wire [(ROWS+1)*REST*P-1:0] rest_sums = {rest_sums_below, {REST*P{1'b0}}};

wire [RD-1:0] rest_unused = rest[ROWS*RD +: RD];

@ends@
generate
    for (r = 0; r < ROWS; r = r + 1) begin : g_rest
        @element@ u_rest (
            .clk_i   (clk_i),
            .shift_i (shift_i[FULL]),
            .weight_i(rest[r*RD +: RD]),
            .weight_o(rest_below[r*RD +: RD]),
            .swap_i  (swap[FULL*ROWS+r]),
            .swap_o  (swap_right[FULL*ROWS+r]),
            .act_i   (act[(FULL*ROWS+r)*A +: A]),
            .act_o   (act_right[(FULL*ROWS+r)*A +: A]),
            .psum_i  (rest_sums[r*REST*P +: REST*P]),
            .psum_o  (rest_sums_below[r*REST*P +: REST*P])
        );
    end
endgenerate
";

#[cfg(test)]
mod tests;
