//! From words of the bus to items.

use super::{beat_lanes, bits, counter_bits, lane, turning};
use crate::config::gcd;
use crate::hw::rt::{Lanes, Ty, text, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Cuts a stream of beats into items of any width, densely packed, the first one in the lowest bits. One item a cycle,
/// or one beat a cycle if an item is wider.
///
/// A beat is taken word by word, in the least power of two that holds an item, so that narrow items cost no more than wide
/// ones. Words and items are multiples of a unit, their greatest common divisor. A word comes in when less than an item is
/// left over; how much that is depends on the words since the last flush only, so that the word is turned into its place
/// by a count known before, and the items that a word completes are known as well. Where an item divides the word, or the
/// reverse, nothing is turned.
#[derive(LogicBlock)]
pub struct Unpacker {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// A beat is there.
    pub beat_valid_i: Signal<In, Bit>,
    /// The beat.
    pub beat_i: Lanes<In>,
    /// It is taken; depends on `take_i` and `flush_i`.
    pub beat_take_o: Signal<Out, Bit>,
    /// There is an item.
    pub valid_o: Signal<Out, Bit>,
    /// The item.
    pub item_o: Lanes<Out>,
    /// It is taken; only with `valid_o`.
    pub take_i: Signal<In, Bit>,
    /// With `take_i`: the rest of the beat that ends the item is dropped.
    pub flush_i: Signal<In, Bit>,
    _shape: Shape,
    _state: State,
}

/// Sizes.
#[derive(Clone, Copy)]
struct Shape {
    /// Bits of a unit.
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
        let word = item_bits.next_power_of_two().min(bus_bits);
        let unit = gcd(word, item_bits);
        Self { unit, word: word / unit, item: item_bits / unit, words: bus_bits / word }
    }
    fn units(self) -> usize {
        self.item - 1 + self.word
    }
    fn most_items(self) -> usize {
        self.units() / self.item
    }
}

struct State {
    hold: Vec<bool>,
    /// Whole items held.
    items: usize,
    /// Units held when the next word comes in.
    at: usize,
    /// Words of the beat that have come in.
    part: usize,
}

impl Unpacker {
    /// Cycles from a beat to the first item that it completes.
    pub const LATENCY: usize = timing::UNPACKER;

    /// For beats of `bus_bits` and items of `item_lanes` lanes of type `item_ty`.
    pub fn new(bus_bits: usize, item_lanes: usize, item_ty: Ty) -> Self {
        let item_o = Lanes::new(item_lanes, item_ty);
        let shape = Shape::new(bus_bits, item_o.bits());
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            beat_valid_i: Default::default(),
            beat_i: Lanes::new(beat_lanes(bus_bits), u(32)),
            beat_take_o: Default::default(),
            valid_o: Default::default(),
            item_o,
            take_i: Default::default(),
            flush_i: Default::default(),
            _shape: shape,
            _state: State { hold: vec![false; shape.units() * shape.unit], items: 0, at: 0, part: 0 },
        }
    }

    /// Whether the rest of the beat is dropped.
    fn drops(&self) -> bool {
        self.take_i.val() && self.flush_i.val() && self._state.part != 0
    }

    /// Whether a word comes in.
    fn fills(&self) -> bool {
        let state = &self._state;
        let drained = if self.flush_i.val() { state.at == 0 } else { state.items == 1 };
        self.beat_valid_i.val() && !self.drops() && (state.items == 0 || (self.take_i.val() && drained))
    }

    /// Whether the beat is done with.
    fn takes(&self) -> bool {
        self.drops() || (self.fills() && self._state.part == self._shape.words - 1)
    }

    /// One clock edge.
    fn step(&mut self) {
        let (fills, beat_taken) = (self.fills(), self.takes());
        let Shape { unit, word, item, .. } = self._shape;
        let (takes, flushes) = (self.take_i.val(), self.flush_i.val());
        let beat = bits(self.beat_i.lanes(), self.beat_i.ty());
        let state = &mut self._state;
        let input = &beat[state.part * word * unit..][..word * unit];
        let fresh = state.items <= 1 || flushes;
        for k in 0..state.hold.len() {
            let is_free = k >= state.at * unit;
            let turned = input[(k + (word - state.at % word) * unit) % input.len()];
            if takes || (state.items == 0 && is_free) {
                let shifted = state.hold.get(k + item * unit).copied().unwrap_or(turned);
                state.hold[k] = if fresh && is_free { turned } else { shifted };
            }
        }
        if fills {
            state.items = (state.at + word) / item;
            state.at = (state.at + word) % item;
        } else if takes && flushes {
            (state.items, state.at) = (0, 0);
        } else {
            state.items -= takes as usize;
        }
        state.part = if beat_taken { 0 } else { state.part + fills as usize };
        if !self.rst_ni.val() {
            (state.items, state.at, state.part) = (0, 0, 0);
        }
    }
}

impl Logic for Unpacker {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            self.step();
            let (state, ty) = (&self._state, self.item_o.ty());
            self.item_o.drive(|i| lane(&state.hold, i, ty));
        }
        self.valid_o.next = self._state.items != 0;
        self.beat_take_o.next = self.takes();
    }
    fn connect(&mut self) {
        self.beat_take_o.connect();
        self.valid_o.connect();
        self.item_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let shape = self._shape;
        let Shape { unit, word, item, words } = shape;
        let (bus, word_bits, width) = (words * word * unit, word * unit, item * unit);
        let count = counter_bits(shape.most_items());
        let (place, drained, free) = if item == 1 {
            (format!("wire [{}:0] turned = word;\n", word_bits - 1), "1'b1", "1'b1")
        } else {
            (self.place(), "at == 0", "!kept[u]")
        };
        let part = shape.part();
        let whole = |wraps: bool| format!("{count}'d{}", word / item + wraps as usize);
        let gained =
            if item == 1 { whole(false) } else { format!("wraps ? {} : {}", whole(true), whole(false)) };
        let fresh = if shape.most_items() == 1 {
            String::new()
        } else {
            let gained = match word / item {
                0 => "1'b1",
                1 => "!wraps",
                _ => "1'b0",
            };
            format!(
                "reg few; // one item at most

always @(posedge clk_i) begin
    if (!rst_ni) few <= 1'b1;
    else if (fill) few <= {gained};
    else if (take_i) few <= flush_i || items <= {count}'d2;
end

wire fresh = few || flush_i;
"
            )
        };
        text(format!(
            "// module unpacker: items of {width} bits from beats of {bus} bits
localparam UNIT = {unit}; // divides both
localparam WORD = {word}; // units of a word
localparam ITEM = {item}; // units of an item
localparam UNITS = {units}; // held at most

{part}
// A word comes in when less than an item stays; then fewer than ITEM units are left over.
reg [{high}:0] items; // whole ones that are held
wire fill = {valid} && (items == 0 || (take_i && (flush_i ? {drained} : items == 1)));
{next}

always @(posedge clk_i) begin
    if (!rst_ni) items <= 0;
    else if (fill) items <= {gained};
    else if (take_i) items <= flush_i ? {count}'d0 : items - 1'b1;
end

{place}
// Units that are free take what the bus shows, be it valid or not.
{fresh}wire empty = items == 0;
wire [UNITS*UNIT-1:0] hold;

assign beat_take_o = {taken};
assign valid_o = !empty;
assign item_o = hold[ITEM*UNIT-1:0];

genvar u;
generate
    for (u = 0; u < UNITS; u = u + 1) begin : g_unit
        reg [UNIT-1:0] unit;
        wire free;
        assign hold[u*UNIT +: UNIT] = unit;
        if (u < ITEM - 1) begin : g_low
            assign free = {free};
        end else begin : g_high
            assign free = 1'b1;
        end
        if (u + ITEM < UNITS) begin : g_shifted
            always @(posedge clk_i) begin
                if (take_i || (empty && free))
                    unit <= {select} ? turned[u%WORD*UNIT +: UNIT] : hold[(u+ITEM)*UNIT +: UNIT];
            end
        end else begin : g_last
            always @(posedge clk_i) if (take_i || (empty && free)) unit <= turned[u%WORD*UNIT +: UNIT];
        end
    end
endgenerate
",
            select = if fresh.is_empty() { "free" } else { "fresh && free" },
            units = shape.units(),
            high = count - 1,
            part = part.select,
            valid = part.valid,
            next = part.next,
            taken = part.taken,
        ))
    }
}

/// How a beat becomes words, in Verilog.
struct Part {
    /// The word.
    select: String,
    /// Whether there is one.
    valid: &'static str,
    /// Which one is next.
    next: String,
    /// Whether the beat is done with.
    taken: String,
}

impl Shape {
    fn part(self) -> Part {
        let Shape { unit, word, words, .. } = self;
        let (bits, n) = (word * unit, counter_bits(words - 1));
        let high = bits - 1;
        if words == 1 {
            return Part {
                select: format!("wire [{high}:0] word = beat_i;\n"),
                valid: "beat_valid_i",
                next: String::new(),
                taken: "fill".into(),
            };
        }
        let first = match bits.ilog2() {
            0 => "part".into(),
            zeros => format!("{{part, {zeros}'d0}}"),
        };
        Part {
            select: format!(
                "reg [{}:0] part; // words of the beat that have come in
wire [{high}:0] word = beat_i[{first} +: WORD*UNIT];
wire drop = take_i && flush_i && part != 0; // the rest of the beat
",
                n - 1
            ),
            valid: "beat_valid_i && !drop",
            next: "
always @(posedge clk_i) begin
    if (!rst_ni || drop) part <= 0;
    else if (fill) part <= part + 1'b1;
end
"
            .into(),
            taken: format!("drop || (fill && part == {n}'d{})", words - 1),
        }
    }
}

impl Unpacker {
    /// Where the next word goes, if it is not always unit 0.
    fn place(&self) -> String {
        let Shape { unit, word, item, .. } = self._shape;
        let step = word % item;
        let n = counter_bits(item - 1);
        let mut text = format!(
            "reg [{high}:0] at; // units held when the next word comes in
wire wraps = at >= {n}'d{left};
wire [{top}:0] kept = ~({{{units}{{1'b1}}}} << at);

always @(posedge clk_i) begin
    if (!rst_ni) at <= 0;
    else if (fill) at <= wraps ? at - {n}'d{left} : at + {n}'d{step};
    else if (take_i && flush_i) at <= 0;
end

",
            high = n - 1,
            left = item - step,
            top = item - 2,
            units = item - 1,
        );
        if word == 1 {
            return text + &format!("wire [{}:0] turned = word;\n", unit - 1);
        }
        let turn = counter_bits(item.min(word) - 1);
        text += &if item < word {
            format!("wire [{}:0] turn = at;\n", turn - 1)
        } else {
            let back = item % word;
            format!(
                "reg [{high}:0] turn; // at modulo the units of a word

always @(posedge clk_i) begin
    if (!rst_ni) turn <= 0;
    else if (fill) begin
        if (wraps) turn <= turn >= {turn}'d{back} ? turn - {turn}'d{back} : turn + {turn}'d{forth};
    end else if (take_i && flush_i) turn <= 0;
end

",
                high = turn - 1,
                forth = word - back,
            )
        };
        text + &turning("word", word, unit, turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use crate::hw::rt::s;
    use rand::Rng;

    /// Rows of items on whole beats, as bits; and the items of each row.
    struct Stream {
        beats: Vec<Vec<bool>>,
        rows: Vec<usize>,
    }

    impl Stream {
        fn random(rng: &mut impl Rng, bus: usize, item: usize) -> Self {
            let rows: Vec<usize> = (0..12).map(|_| rng.random_range(1..=40)).collect();
            let beats = rows.iter().map(|n| (n * item).div_ceil(bus)).sum();
            let beats = (0..beats).map(|_| (0..bus).map(|_| rng.random()).collect()).collect();
            Self { beats, rows }
        }

        /// All rows as one, without gaps.
        fn join(&mut self, bus: usize, item: usize) {
            let items = self.beats.len() * bus / item;
            self.beats.truncate((items * item).div_ceil(bus));
            self.rows = vec![items];
        }
    }

    fn check(bus: usize, lanes: usize, ty: Ty) {
        let mut bench = Bench::new(Unpacker::new(bus, lanes, ty), |b| &mut b.clk_i);
        let mut rng = random((bus + lanes) as u64);
        let item = lanes * ty.bits as usize;
        for round in 0..6 {
            let mut stream = Stream::random(&mut rng, bus, item);
            if round == 2 {
                stream.join(bus, item);
            }
            let (mut beat, mut row, mut first, mut n) = (0, 0, 0, 0);
            // Every second round without stalls.
            let stalls = if round % 2 == 0 { 0.0 } else { 0.4 };
            let rows = stream.rows.clone();
            let mut cycles = 0;
            while row < rows.len() {
                let running = bench.vectors() > 0;
                let x = &mut bench.block;
                x.rst_ni.next = running;
                x.beat_valid_i.next = running && beat < stream.beats.len() && !rng.random_bool(stalls);
                let word = stream.beats.get(beat).cloned().unwrap_or(vec![false; bus]);
                x.beat_i.drive(|i| lane(&word, i, u(32)));
                x.take_i.next = x.rst_ni.next && x.valid_o.val() && !rng.random_bool(stalls);
                x.flush_i.next = n + 1 == rows[row] || (!x.take_i.next && rng.random());
                if x.take_i.next {
                    let bits: Vec<bool> = stream.beats[first..].concat();
                    let got = x.item_o.val();
                    for i in 0..lanes {
                        let want = lane(&bits[n * item..], i, ty);
                        assert_eq!(got[i], want, "bus {bus}, item {item}: row {row}, item {n}, lane {i}");
                    }
                    n += 1;
                    if x.flush_i.next {
                        first += (n * item).div_ceil(bus);
                        (row, n) = (row + 1, 0);
                    }
                }
                // What is taken by this edge: the outputs before it.
                (x.clk_i.next, cycles) = (false.into(), cycles + 1);
                assert!(rust_hdl::prelude::simulate(x, 100));
                beat += x.beat_take_o.val() as usize;
                bench.cycle();
            }
            if stalls == 0.0 {
                let items: usize = rows.iter().sum();
                let least = if item <= bus { items } else { stream.beats.len() };
                assert!(cycles <= least + rows.len() + 3, "{cycles} cycles for {least}");
            }
        }
        bench.verilog("unpacker", 4);
    }

    #[test]
    fn items_that_divide_the_bus_or_the_reverse() {
        check(128, 16, u(8));
        check(128, 4, u(8));
        check(64, 16, s(8));
        check(64, 32, u(8));
        check(512, 8, u(8));
        check(128, 1, u(1));
    }

    #[test]
    fn items_of_other_widths() {
        check(128, 5, u(7));
        check(64, 5, u(7));
        check(64, 10, s(8));
        check(128, 10, u(8));
        check(128, 8, s(3));
        check(512, 8, s(3));
        check(512, 16, u(5));
        check(64, 32, u(5));
        check(128, 32, u(6));
        check(64, 1, u(54));
    }
}
