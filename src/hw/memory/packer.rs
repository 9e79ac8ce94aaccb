//! From items to words of the bus.

use super::{beat_lanes, bits, counter_bits, lane, turning};
use crate::config::gcd;
use crate::hw::rt::{Lanes, Ty, text, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Packs items into beats, densely, the first one in the lowest bits; each row starts on a beat of its own. One item a
/// cycle, never a stall.
///
/// Items fill words of the least power of two that holds one, and words fill the beat, so that only words are turned.
/// Where an item is a word, nothing is. An item that ends a row and crosses a word gives its rest a cycle later: rows must
/// then not be shorter than two items, which they are not where all rows are of one length.
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
    /// Bits of a unit, which divides items and words.
    unit: usize,
    /// Units of a word.
    word: usize,
    /// Units of an item.
    item: usize,
    /// Words of a beat.
    words: usize,
}

impl Shape {
    fn new(bus_bits: usize, item_bits: usize) -> Self {
        let word = item_bits.next_power_of_two();
        let unit = gcd(word, item_bits);
        Self { unit, word: word / unit, item: item_bits / unit, words: bus_bits / word }
    }
}

struct State {
    /// The word under way.
    hold: Vec<bool>,
    /// Its units.
    at: usize,
    /// `hold` ends a row.
    tail: bool,
    /// Words of the beat that are there.
    part: usize,
    out: Vec<bool>,
    valid: bool,
}

impl State {
    /// One clock edge: an item, or none, and whether it ends its row.
    fn step(&mut self, shape: Shape, item: Option<Vec<bool>>, last: bool) {
        self.valid = false;
        if std::mem::take(&mut self.tail) {
            self.put(shape, self.hold.clone(), true);
        }
        let Some(item) = item else { return };
        let Shape { unit, word, item: width, .. } = shape;
        let end = self.at + width;
        let mut joint = self.hold[..self.at * unit].to_vec();
        joint.extend(item);
        joint.resize(2 * word * unit, false);
        let rest = joint.split_off(word * unit);
        self.tail = last && end > word;
        if end >= word || last {
            self.put(shape, joint.clone(), last && !self.tail);
        }
        self.at = if last { 0 } else { end % word };
        self.hold = if end >= word { rest } else { joint };
    }

    /// A word goes into the beat, with zeros behind it; it may end its row.
    fn put(&mut self, shape: Shape, word: Vec<bool>, ends: bool) {
        let at = self.part * word.len();
        self.out.truncate(at);
        self.out.extend(word);
        self.out.resize(shape.words * shape.word * shape.unit, false);
        self.valid = ends || self.part == shape.words - 1;
        self.part = if self.valid { 0 } else { self.part + 1 };
    }
}

impl Packer {
    /// Cycles from the last item of a beat to the beat; one more if it ends a row and crosses a word.
    pub const LATENCY: usize = timing::PACKER;

    /// For items of `item_lanes` lanes of type `item_ty` and beats of `bus_bits`.
    ///
    /// # Panics
    /// If an item is wider than a beat.
    pub fn new(bus_bits: usize, item_lanes: usize, item_ty: Ty) -> Self {
        let item_i = Lanes::new(item_lanes, item_ty);
        assert!(item_i.bits() <= bus_bits, "items of {} bits in beats of {bus_bits}", item_i.bits());
        let shape = Shape::new(bus_bits, item_i.bits());
        let (hold, out) = (vec![false; shape.word * shape.unit], vec![false; bus_bits]);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            valid_i: Default::default(),
            item_i,
            last_i: Default::default(),
            valid_o: Default::default(),
            beat_o: Lanes::new(beat_lanes(bus_bits), u(32)),
            _shape: shape,
            _state: State { hold, at: 0, tail: false, part: 0, out, valid: false },
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
                (state.at, state.tail, state.part, state.valid) = (0, false, 0, false);
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
        let Shape { unit, word, item, words } = self._shape;
        let (bits, width) = (word * unit, item * unit);
        let head = format!(
            "// module packer: from items of {width} bits to beats of {} bits
localparam UNIT = {unit}; // divides items and words
localparam WORD = {word}; // units of a word
",
            words * bits
        );
        let words_of_items = if item == word { WHOLE.into() } else { self.turned() };
        text(head + &words_of_items + &if words == 1 { BEAT.into() } else { self.slots() })
    }
}

impl Packer {
    /// Items that are turned into words.
    fn turned(&self) -> String {
        let Shape { unit, word, item, .. } = self._shape;
        let (n, free) = (counter_bits(word - 1), word - item);
        format!(
            "
reg [{}:0] at; // units of the word that are held
wire [WORD-1:0] held = ~({{WORD{{1'b1}}}} << at);
wire full = at >= {n}'d{free};
wire over = at > {n}'d{free};
wire [{}:0] turn = at;
{}
always @(posedge clk_i) begin
    if (!rst_ni) at <= 0;
    else if (valid_i) at <= last_i ? {n}'d0 : full ? at - {n}'d{free} : at + {n}'d{item};
end
{TURNED}",
            n - 1,
            n - 1,
            turning(&format!("{{{}'d0, item_i}}", free * unit), word, unit, n),
        )
    }

    /// Words that fill the beat.
    fn slots(&self) -> String {
        let words = self._shape.words;
        let n = counter_bits(words - 1);
        format!(
            "
localparam WORDS = {words}; // words of a beat

reg [{}:0] part; // words of the beat that are there
wire [WORDS-1:0] kept = ~({{WORDS{{1'b1}}}} << part);
wire [WORDS-1:0] here = {{{{WORDS-1{{1'b0}}}}, 1'b1}} << part;
wire done = ends || part == {n}'d{};

always @(posedge clk_i) begin
    if (!rst_ni) part <= 0;
    else if (put) part <= done ? {n}'d0 : part + 1'b1;
end
{SLOTS}",
            n - 1,
            words - 1,
        )
    }
}

/// An item is a word.
const WHOLE: &str = "
wire put = valid_i;
wire ends = last_i;
wire [WORD*UNIT-1:0] word = item_i;
";

/// The item is turned to its place; what goes over the end of the word comes to the low end, and is held.
const TURNED: &str = "
reg tail; // what is held ends a row
wire put = tail || (valid_i && (full || last_i));
wire ends = tail || (last_i && !over);
wire [WORD*UNIT-1:0] word;

always @(posedge clk_i) tail <= rst_ni && valid_i && last_i && over;

genvar u;
generate
    for (u = 0; u < WORD; u = u + 1) begin : g_unit
        reg [UNIT-1:0] hold;
        wire [UNIT-1:0] fresh = turned[u*UNIT +: UNIT];
        assign word[u*UNIT +: UNIT] = tail || held[u] ? hold : fresh;
        always @(posedge clk_i) begin
            if (valid_i) begin
                if (held[u]) hold <= full ? fresh : hold;
                else hold <= full ? {UNIT{1'b0}} : fresh;
            end
        end
    end
endgenerate
";

/// A beat is a word.
const BEAT: &str = "
reg [WORD*UNIT-1:0] beat;
reg valid;
wire ends_unused = ends;

assign valid_o = valid;
assign beat_o  = beat;

always @(posedge clk_i) begin
    valid <= rst_ni && put;
    if (put) beat <= word;
end
";

/// The word, zeros behind it.
const SLOTS: &str = "
reg valid;

assign valid_o = valid;

always @(posedge clk_i) valid <= rst_ni && put && done;

genvar w;
generate
    for (w = 0; w < WORDS; w = w + 1) begin : g_word
        reg [WORD*UNIT-1:0] part_word;
        assign beat_o[w*WORD*UNIT +: WORD*UNIT] = part_word;
        always @(posedge clk_i) if (put && !kept[w]) part_word <= here[w] ? word : {WORD*UNIT{1'b0}};
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
