//! From items to words of the bus.

use super::{beat_lanes, bits, counter_bits, lane, turning};
use crate::config::gcd;
use crate::hw::rt::{Lanes, Ty, text, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Packs items into beats, densely, the first one in the lowest bits; each row starts on a beat of its own. One item a
/// cycle, never a stall.
///
/// An item that ends a row and crosses a beat gives two beats, the second one a cycle after the first: rows must then
/// not be shorter than two items, which they are not where all rows are of one length.
#[derive(LogicBlock)]
pub struct Packer {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// An item is there.
    pub valid_i: Signal<In, Bit>,
    /// The item.
    pub item_i: Lanes<In>,
    /// It ends a row: what is left of the beat is 0.
    pub last_i: Signal<In, Bit>,
    /// A beat is there.
    pub valid_o: Signal<Out, Bit>,
    /// The beat.
    pub beat_o: Lanes<Out>,
    _shape: Shape,
    _state: State,
}

/// Sizes.
#[derive(Clone, Copy)]
struct Shape {
    /// Bits of a unit, which divides items and beats.
    unit: usize,
    /// Units of a beat.
    beat: usize,
    /// Units of an item.
    item: usize,
}

struct State {
    /// The beat under way.
    hold: Vec<bool>,
    /// Its units.
    at: usize,
    /// `hold` ends a row.
    tail: bool,
    out: Vec<bool>,
    valid: bool,
}

impl State {
    /// One clock edge: an item, or none, and whether it ends its row.
    fn step(&mut self, shape: Shape, item: Option<Vec<bool>>, last: bool) {
        let Shape { unit, beat, item: width } = shape;
        let tail = self.tail;
        (self.valid, self.tail) = (tail, false);
        if tail {
            self.out.clone_from(&self.hold);
        }
        let Some(item) = item else { return };
        let end = self.at + width;
        let mut joint = self.hold[..self.at * unit].to_vec();
        joint.extend(item);
        joint.resize((2 * beat * unit).max(joint.len()), false);
        let rest = joint.split_off(beat * unit);
        let done = end >= beat || last;
        // An item that divides the beat is added to the beat at the output.
        if !tail && (done || width == 1) {
            self.out.clone_from(&joint);
        }
        self.valid |= done;
        self.tail = last && end > beat;
        self.at = if last { 0 } else { end % beat };
        self.hold = if end >= beat { rest } else { joint };
    }
}

impl Packer {
    /// Cycles from the last item of a beat to the beat; one more if it ends a row and crosses a beat.
    pub const LATENCY: usize = timing::PACKER;

    /// For items of `item_lanes` lanes of type `item_ty` and beats of `bus_bits`.
    ///
    /// # Panics
    /// If an item is wider than a beat.
    pub fn new(bus_bits: usize, item_lanes: usize, item_ty: Ty) -> Self {
        let item_i = Lanes::new(item_lanes, item_ty);
        assert!(item_i.bits() <= bus_bits, "items of {} bits in beats of {bus_bits}", item_i.bits());
        let unit = gcd(bus_bits, item_i.bits());
        let shape = Shape { unit, beat: bus_bits / unit, item: item_i.bits() / unit };
        let (hold, out) = (vec![false; bus_bits], vec![false; bus_bits]);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            valid_i: Default::default(),
            item_i,
            last_i: Default::default(),
            valid_o: Default::default(),
            beat_o: Lanes::new(beat_lanes(bus_bits), u(32)),
            _shape: shape,
            _state: State { hold, at: 0, tail: false, out, valid: false },
        }
    }
}

impl Logic for Packer {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            let (state, ty) = (&mut self._state, self.item_i.ty());
            let item = self.valid_i.val().then(|| bits(self.item_i.lanes(), ty));
            state.step(self._shape, item, self.last_i.val());
            if !self.rst_ni.val() {
                (state.at, state.tail, state.valid) = (0, false, false);
            }
            self.beat_o.drive(|i| lane(&state.out, i, u(32)));
        }
        self.valid_o.next = self._state.valid;
    }
    fn connect(&mut self) {
        self.valid_o.connect();
        self.beat_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let Shape { unit, beat, item } = self._shape;
        let (bus, width) = (beat * unit, item * unit);
        let head = format!(
            "// module packer: from items of {width} bits to words of {bus} bits
localparam UNIT = {unit}; // divides both
localparam BUS = {beat}; // units of a word
"
        );
        let n = counter_bits(beat - 1);
        let at = format!(
            "
reg [{}:0] at; // units of the word that are there
wire [BUS-1:0] kept = ~({{BUS{{1'b1}}}} << at);
",
            n.max(1) - 1
        );
        text(match (item, beat) {
            (1, 1) => head + WHOLE,
            (1, _) => head + &at + &format!("wire full = at == {n}'d{};\n", beat - 1) + SLOTS,
            _ => {
                let left = format!(
                    "wire full = at >= {n}'d{free};
wire over = at > {n}'d{free};
wire [{}:0] turn = at;
{}
always @(posedge clk_i) begin
    if (!rst_ni) at <= 0;
    else if (valid_i) at <= last_i ? {n}'d0 : full ? at - {n}'d{free} : at + {n}'d{item};
end
",
                    n - 1,
                    turning(&format!("{{{}'d0, item_i}}", bus - width), beat, unit, n),
                    free = beat - item,
                );
                head + &at + &left + TURNED
            }
        })
    }
}

/// An item is a beat.
const WHOLE: &str = "
reg [BUS*UNIT-1:0] word;
reg                valid;

wire last_unused = last_i;

assign valid_o = valid;
assign beat_o  = word;

always @(posedge clk_i) begin
    valid <= rst_ni && valid_i;
    if (valid_i) word <= item_i;
end
";

/// Items divide the beat.
const SLOTS: &str = "
wire [BUS-1:0] here = {{BUS-1{1'b0}}, 1'b1} << at;
reg valid;

assign valid_o = valid;

always @(posedge clk_i) begin
    valid <= rst_ni && valid_i && (full || last_i);
    if (!rst_ni) at <= 0;
    else if (valid_i) at <= full || last_i ? 0 : at + 1'b1;
end

// The item, zeros behind it.
genvar u;
generate
    for (u = 0; u < BUS; u = u + 1) begin : g_unit
        reg [UNIT-1:0] unit;
        assign beat_o[u*UNIT +: UNIT] = unit;
        always @(posedge clk_i) if (valid_i && !kept[u]) unit <= here[u] ? item_i : {UNIT{1'b0}};
    end
endgenerate
";

/// The general case: the item is turned to its place; what goes over the end comes to the low end.
const TURNED: &str = "
reg tail; // hold ends a row
reg valid;
wire done = valid_i && (full || last_i);

assign valid_o = valid;

always @(posedge clk_i) begin
    tail  <= rst_ni && valid_i && last_i && over;
    valid <= rst_ni && (tail || done);
end

genvar u;
generate
    for (u = 0; u < BUS; u = u + 1) begin : g_unit
        reg [UNIT-1:0] hold;
        reg [UNIT-1:0] unit;
        wire [UNIT-1:0] fresh = turned[u*UNIT +: UNIT];
        assign beat_o[u*UNIT +: UNIT] = unit;
        always @(posedge clk_i) begin
            if (tail || done) unit <= tail || kept[u] ? hold : fresh;
            if (valid_i) begin
                if (kept[u]) hold <= full ? fresh : hold;
                else hold <= full ? {UNIT{1'b0}} : fresh;
            end
        end
    end
endgenerate
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use crate::hw::rt::s;
    use rand::Rng;
    use std::collections::VecDeque;

    fn check(bus: usize, lanes: usize, ty: Ty) {
        let mut bench = Bench::new(Packer::new(bus, lanes, ty), |b| &mut b.clk_i);
        let mut rng = random((bus + lanes) as u64);
        let mut want: VecDeque<Vec<i64>> = VecDeque::new();
        for layer in 0..12 {
            let items = if layer == 0 { 1 } else { rng.random_range(1..=20) };
            let gaps = if layer % 2 == 0 { 0.0 } else { 0.3 };
            let (mut row, mut n, mut rows) = (vec![], 0, 0);
            let mut pause = 3;
            while rows < 5 || pause > 0 {
                let running = bench.vectors() > 0;
                let x = &mut bench.block;
                x.rst_ni.next = running;
                x.valid_i.next = running && rows < 5 && !rng.random_bool(gaps);
                let item: Vec<i64> = (0..lanes).map(|_| random_value(&mut rng, ty)).collect();
                x.item_i.drive(|i| item[i]);
                x.last_i.next = n + 1 == items;
                pause -= (rows == 5) as usize;
                if x.valid_i.next {
                    row.extend(bits(&item, ty));
                    n += 1;
                    if n == items {
                        row.resize(row.len().next_multiple_of(bus), false);
                        want.extend(
                            row.chunks(bus).map(|b| (0..bus / 32).map(|i| lane(b, i, u(32))).collect()),
                        );
                        (row, n, rows) = (vec![], 0, rows + 1);
                    }
                }
                bench.cycle();
                if bench.block.valid_o.val() {
                    let got = bench.block.beat_o.val().to_vec();
                    if n > 0 && want.is_empty() {
                        // A beat inside a row, before the row is complete.
                        let beat: Vec<i64> = (0..bus / 32).map(|i| lane(&row, i, u(32))).collect();
                        assert_eq!(got, beat, "bus {bus}, layer {layer}, row {rows}");
                        row.drain(..bus);
                    } else {
                        assert_eq!(Some(got), want.pop_front(), "bus {bus}, layer {layer}, row {rows}");
                    }
                }
            }
            assert!(want.is_empty(), "beats are missing");
        }
        bench.verilog("packer", 3);
    }

    #[test]
    fn items_that_divide_the_bus() {
        check(128, 8, u(8));
        check(128, 4, u(4));
        check(64, 8, u(8));
        check(512, 16, u(16));
        check(64, 1, u(2));
    }

    #[test]
    fn items_of_other_widths() {
        check(128, 5, u(7));
        check(64, 5, u(7));
        check(128, 8, s(3));
        check(512, 8, u(3));
        check(128, 10, u(8));
        check(64, 11, u(5));
        check(512, 32, u(9));
    }
}
