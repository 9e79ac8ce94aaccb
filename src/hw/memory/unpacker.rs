//! From words of the bus to items.

use super::{beat_lanes, bits, counter_bits, lane, turning};
use crate::config::gcd;
use crate::hw::rt::{Lanes, Ty, text, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Cuts a stream of beats into items of any width, densely packed, the first one in the lowest bits. One item a cycle,
/// or one beat a cycle if an item is wider.
///
/// Beats and items are multiples of a unit, their greatest common divisor. A beat comes in when less than an item is
/// left over; how much that is depends on the beats since the last flush only, so that the beat is turned into its place
/// by a count known before, and the items that a beat completes are known as well. Where an item divides the beat, or the
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
    /// Units of a beat.
    beat: usize,
    /// Units of an item.
    item: usize,
}

impl Shape {
    fn units(self) -> usize {
        self.item - 1 + self.beat
    }
    fn most_items(self) -> usize {
        self.units() / self.item
    }
}

struct State {
    hold: Vec<bool>,
    /// Whole items held.
    items: usize,
    /// Units held when the next beat comes in.
    at: usize,
}

impl Unpacker {
    /// Cycles from a beat to the first item that it completes.
    pub const LATENCY: usize = timing::UNPACKER;

    /// For beats of `bus_bits` and items of `item_lanes` lanes of type `item_ty`.
    pub fn new(bus_bits: usize, item_lanes: usize, item_ty: Ty) -> Self {
        let item_o = Lanes::new(item_lanes, item_ty);
        let unit = gcd(bus_bits, item_o.bits());
        let shape = Shape { unit, beat: bus_bits / unit, item: item_o.bits() / unit };
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
            _state: State { hold: vec![false; shape.units() * unit], items: 0, at: 0 },
        }
    }

    /// Whether a beat comes in.
    fn fills(&self) -> bool {
        let state = &self._state;
        let drained = if self.flush_i.val() { state.at == 0 } else { state.items == 1 };
        self.beat_valid_i.val() && (state.items == 0 || (self.take_i.val() && drained))
    }

    /// One clock edge.
    fn step(&mut self, fills: bool) {
        let Shape { unit, beat, item } = self._shape;
        let (takes, flushes) = (self.take_i.val(), self.flush_i.val());
        let input = bits(self.beat_i.lanes(), self.beat_i.ty());
        let state = &mut self._state;
        let fresh = state.items <= 1 || flushes;
        for k in 0..state.hold.len() {
            let is_free = k >= state.at * unit;
            let turned = input[(k + (beat - state.at % beat) * unit) % input.len()];
            if takes || (state.items == 0 && is_free) {
                let shifted = state.hold.get(k + item * unit).copied().unwrap_or(turned);
                state.hold[k] = if fresh && is_free { turned } else { shifted };
            }
        }
        if fills {
            state.items = (state.at + beat) / item;
            state.at = (state.at + beat) % item;
        } else if takes && flushes {
            (state.items, state.at) = (0, 0);
        } else {
            state.items -= takes as usize;
        }
        if !self.rst_ni.val() {
            (state.items, state.at) = (0, 0);
        }
    }
}

impl Logic for Unpacker {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            self.step(self.fills());
            let (state, ty) = (&self._state, self.item_o.ty());
            self.item_o.drive(|i| lane(&state.hold, i, ty));
        }
        self.valid_o.next = self._state.items != 0;
        self.beat_take_o.next = self.fills();
    }
    fn connect(&mut self) {
        self.beat_take_o.connect();
        self.valid_o.connect();
        self.item_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let Shape { unit, beat, item } = self._shape;
        let shape = self._shape;
        let (bus, width) = (beat * unit, item * unit);
        let count = counter_bits(shape.most_items());
        let (place, drained, free) = if item == 1 {
            (format!("wire [{}:0] turned = beat_i;\n", bus - 1), "1'b1", "1'b1")
        } else {
            (self.place(), "at == 0", "!kept[u]")
        };
        let whole = |wraps: bool| format!("{count}'d{}", beat / item + wraps as usize);
        let gained =
            if item == 1 { whole(false) } else { format!("wraps ? {} : {}", whole(true), whole(false)) };
        let fresh = if shape.most_items() == 1 {
            String::new()
        } else {
            let gained = match beat / item {
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
            "// module unpacker: items of {width} bits from words of {bus} bits
localparam UNIT = {unit}; // divides both
localparam BUS = {beat}; // units of a word
localparam ITEM = {item}; // units of an item
localparam UNITS = {units}; // held at most

// A word comes in when less than an item stays; then fewer than ITEM units are left over.
reg [{high}:0] items; // whole ones that are held
wire fill = beat_valid_i && (items == 0 || (take_i && (flush_i ? {drained} : items == 1)));

always @(posedge clk_i) begin
    if (!rst_ni) items <= 0;
    else if (fill) items <= {gained};
    else if (take_i) items <= flush_i ? {count}'d0 : items - 1'b1;
end

{place}
// Units that are free take what the bus shows, be it valid or not.
{fresh}wire empty = items == 0;
wire [UNITS*UNIT-1:0] hold;

assign beat_take_o = fill;
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
                    unit <= {select} ? turned[u%BUS*UNIT +: UNIT] : hold[(u+ITEM)*UNIT +: UNIT];
            end
        end else begin : g_last
            always @(posedge clk_i) if (take_i || (empty && free)) unit <= turned[u%BUS*UNIT +: UNIT];
        end
    end
endgenerate
",
            select = if fresh.is_empty() { "free" } else { "fresh && free" },
            units = shape.units(),
            high = count - 1,
        ))
    }
}

impl Unpacker {
    /// Where the next beat goes, if it is not always unit 0.
    fn place(&self) -> String {
        let Shape { unit, beat, item } = self._shape;
        let step = beat % item;
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
        if beat == 1 {
            return text + &format!("wire [{}:0] turned = beat_i;\n", unit - 1);
        }
        let turn = counter_bits(item.min(beat) - 1);
        text += &if item < beat {
            format!("wire [{}:0] turn = at;\n", turn - 1)
        } else {
            let back = item % beat;
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
                forth = beat - back,
            )
        };
        text + &turning("beat_i", beat, unit, turn)
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
