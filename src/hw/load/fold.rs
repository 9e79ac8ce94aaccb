//! Nine kernel positions side by side: the patches of a shallow first layer.

use crate::hw::datapath::address_bits;
use crate::hw::rt::{Lanes, Sig, text, u};
use rust_hdl::prelude::*;

/// From the rows of a map of C channels to the 3×3 windows around its pixels, a block of reduction lanes at a time.
///
/// A row takes a step for each of its w pixels and, if its windows are wanted, one more with `tail_i`: the column of zeros
/// behind it. Two line buffers hold the rows above. The window around pixel x − 1 of the row above leaves [`Fold::LATENCY`]
/// cycles after step x, as lanes (kernel position · C + channel) of block `block_i`. Between rows there is at least one
/// cycle without a step.
#[derive(LogicBlock)]
pub struct Fold {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// A step.
    pub step_i: Signal<In, Bit>,
    /// It is the first of its row.
    pub first_i: Signal<In, Bit>,
    /// It is the one behind the row.
    pub tail_i: Signal<In, Bit>,
    /// The row lies below the map: its pixels are 0.
    pub below_i: Signal<In, Bit>,
    /// The row two before lies above the map: its pixels are 0.
    pub above_i: Signal<In, Bit>,
    /// The windows around the row above are wanted.
    pub emit_i: Signal<In, Bit>,
    /// Column of the pixel.
    pub x_i: Sig<In>,
    /// Block of lanes; stable while windows are under way.
    pub block_i: Sig<In>,
    /// The pixel: codes of A bits.
    pub pixel_i: Lanes<In>,
    /// A window.
    pub valid_o: Signal<Out, Bit>,
    /// Its lanes; 0 where there is no lane.
    pub item_o: Lanes<Out>,
    _state: State,
}

impl Fold {
    /// Cycles from a step to its window.
    pub const LATENCY: usize = 3;

    /// Blocks of `block` lanes that hold the windows of `channels` channels.
    pub fn blocks(channels: usize, block: usize) -> usize {
        (9 * channels).div_ceil(block)
    }

    /// For maps of `channels` channels of `bits` bits in rows of up to `width` pixels, and blocks of `block` lanes, of which
    /// there are `blocks` at least.
    pub fn new(channels: usize, bits: u32, width: usize, block: usize, blocks: usize) -> Self {
        let blocks = blocks.max(Self::blocks(channels, block));
        Self {
            clk_i: Default::default(),
            step_i: Default::default(),
            first_i: Default::default(),
            tail_i: Default::default(),
            below_i: Default::default(),
            above_i: Default::default(),
            emit_i: Default::default(),
            x_i: Sig::new(u(address_bits(width))),
            block_i: Sig::new(u(address_bits(blocks))),
            pixel_i: Lanes::new(channels, u(bits)),
            valid_o: Default::default(),
            item_o: Lanes::new(block, u(bits)),
            _state: State {
                lines: vec![[vec![0; channels], vec![0; channels]]; 1 << address_bits(width)],
                step: Step::default(),
                window: vec![[[0; 3]; 3]; channels],
                valid: false,
                done: false,
            },
        }
    }
}

/// A step, one cycle later, beside what the line buffers gave for it.
#[derive(Clone, Default)]
struct Step {
    valid: bool,
    first: bool,
    tail: bool,
    emit: bool,
    x: usize,
    /// Columns of the window, one a channel: top, middle, bottom.
    column: Vec<[i64; 3]>,
    /// The pixel and the one above it, as they go into the line buffers.
    lines: [Vec<i64>; 2],
}

struct State {
    /// For each column the pixels one and two rows before.
    lines: Vec<[Vec<i64>; 2]>,
    step: Step,
    /// For each channel the window's rows.
    window: Vec<[[i64; 3]; 3]>,
    valid: bool,
    done: bool,
}

impl State {
    /// The registers behind the line buffers, then the line buffers.
    fn shift(&mut self, next: Step) {
        let step = std::mem::replace(&mut self.step, next);
        self.valid = step.valid && step.emit && !step.first;
        if !step.valid {
            return;
        }
        for (channel, rows) in self.window.iter_mut().enumerate() {
            for (ky, row) in rows.iter_mut().enumerate() {
                let new = if step.tail { 0 } else { step.column[channel][ky] };
                *row = [if step.first { 0 } else { row[1] }, if step.first { 0 } else { row[2] }, new];
            }
        }
        if !step.tail {
            self.lines[step.x] = step.lines;
        }
    }

    fn lane(&self, lane: usize) -> i64 {
        let (position, channel) = (lane / self.window.len(), lane % self.window.len());
        if position < 9 { self.window[channel][position / 3][position % 3] } else { 0 }
    }
}

impl Logic for Fold {
    fn update(&mut self) {
        if !self.clk_i.pos_edge() {
            return;
        }
        let state = &mut self._state;
        let (block, lanes) = (self.block_i.val() as usize, self.item_o.count());
        if state.valid {
            self.item_o.drive(|i| state.lane(block * lanes + i));
        }
        state.done = state.valid;
        let x = self.x_i.val() as usize;
        let [one, two] = &state.lines[x];
        let (above, below) = (self.above_i.val(), self.below_i.val());
        let column = |c: usize| {
            [if above { 0 } else { two[c] }, one[c], if below { 0 } else { self.pixel_i.lanes()[c] }]
        };
        let step = Step {
            valid: self.step_i.val(),
            first: self.first_i.val(),
            tail: self.tail_i.val(),
            emit: self.emit_i.val(),
            x,
            column: (0..self.pixel_i.count()).map(column).collect(),
            lines: [self.pixel_i.lanes().to_vec(), one.clone()],
        };
        state.shift(step);
        self.valid_o.next = state.done;
    }
    fn connect(&mut self) {
        self.valid_o.connect();
        self.item_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (channels, bits) = (self.pixel_i.count(), self.pixel_i.ty().bits);
        let (x, block) = (self.x_i.ty().bits, self.block_i.ty().bits);
        let lanes = self.item_o.count();
        text(format!(
            "// module fold: 3 x 3 windows of {channels} channels as lanes of the reduction
localparam C = {channels}; // channels
localparam A = {bits}; // bits of a code
localparam X = {x};
localparam LANES = {lanes}; // of a block
localparam BLOCKS = {};
localparam BLOCK = {block};
{FOLD}",
            1 << block
        ))
    }
}

const FOLD: &str = "
// The rows above: line1 the one before, line2 the one before that.
(* no_rw_check *)
reg [C*A-1:0] line1 [0:(1<<X)-1];
(* no_rw_check *)
reg [C*A-1:0] line2 [0:(1<<X)-1];
reg [C*A-1:0] word1, word2, pixel;
reg           step, first, tail, below, above, emits;
reg [X-1:0]   x;

always @(posedge clk_i) begin
    step  <= step_i;
    first <= first_i;
    tail  <= tail_i;
    below <= below_i;
    above <= above_i;
    emits <= emit_i;
    x     <= x_i;
    pixel <= pixel_i;
    word1 <= line1[x_i];
    word2 <= line2[x_i];
    if (step && !tail) begin
        line1[x] <= pixel;
        line2[x] <= word1;
    end
end

// The window: row ky in ky * 3 * C * A, its columns from left to right.
reg  [9*C*A-1:0] window;
reg              valid;
wire [3*C*A-1:0] column = {below ? {C*A{1'b0}} : pixel, word1, above ? {C*A{1'b0}} : word2};

genvar k;
generate
    for (k = 0; k < 3; k = k + 1) begin : g_row
        always @(posedge clk_i) begin
            if (step) begin
                window[k*3*C*A +: 2*C*A]       <= first ? {2*C*A{1'b0}} : window[(k*3+1)*C*A +: 2*C*A];
                window[(k*3+2)*C*A +: C*A] <= tail ? {C*A{1'b0}} : column[k*C*A +: C*A];
            end
        end
    end
endgenerate

// A block of lanes.
wire [BLOCKS*LANES*A-1:0] lanes;
reg  [LANES*A-1:0]        chosen;
reg  [LANES*A-1:0]        item;
reg                       done;
integer                   b;

assign item_o  = item;
assign valid_o = done;

genvar l;
generate
    for (l = 0; l < BLOCKS*LANES; l = l + 1) begin : g_lane
        if (l < 9*C) begin : g_used
            assign lanes[l*A +: A] = window[l*A +: A];
        end else begin : g_none
            assign lanes[l*A +: A] = {A{1'b0}};
        end
    end
endgenerate

always @(*) begin
    chosen = lanes[0 +: LANES*A];
    for (b = 1; b < BLOCKS; b = b + 1)
        if (block_i == b[BLOCK-1:0]) chosen = lanes[b*LANES*A +: LANES*A];
end

always @(posedge clk_i) begin
    valid <= step && emits && !first;
    done  <= valid;
    if (valid) item <= chosen;
end
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use rand::Rng;

    fn check(channels: usize, bits: u32, block: usize, (h, w): (usize, usize)) {
        let blocks = Fold::blocks(channels, block);
        let mut bench = Bench::new(Fold::new(channels, bits, 8, block, blocks), |b| &mut b.clk_i);
        let mut rng = random(block as u64);
        let map: Vec<i64> = (0..h * w * channels).map(|_| random_value(&mut rng, u(bits))).collect();
        let at = |y: i64, x: i64, c: usize| {
            let inside = (0..h as i64).contains(&y) && (0..w as i64).contains(&x);
            if inside { map[(y as usize * w + x as usize) * channels + c] } else { 0 }
        };
        for b in 0..blocks {
            bench.block.block_i.next = b as i64;
            let mut windows = vec![];
            for row in 0..=h {
                let emits = row > 0;
                for x in 0..w + emits as usize {
                    let f = &mut bench.block;
                    f.step_i.next = rng.random_bool(0.8);
                    (f.first_i.next, f.tail_i.next) = (x == 0, x == w);
                    (f.below_i.next, f.above_i.next, f.emit_i.next) = (row == h, row == 1, emits);
                    f.x_i.next = (x % 8) as i64;
                    f.pixel_i.drive(|c| at(row as i64, x as i64, c));
                    while !bench.block.step_i.next {
                        bench.cycle();
                        windows.extend(bench.block.valid_o.val().then(|| bench.block.item_o.val()));
                        bench.block.step_i.next = true;
                    }
                    bench.cycle();
                    windows.extend(bench.block.valid_o.val().then(|| bench.block.item_o.val()));
                }
                for _ in 0..Fold::LATENCY {
                    bench.block.step_i.next = false;
                    bench.cycle();
                    windows.extend(bench.block.valid_o.val().then(|| bench.block.item_o.val()));
                }
            }
            assert_eq!(windows.len(), h * w);
            for (i, window) in windows.iter().enumerate() {
                for lane in b * block..(b + 1) * block {
                    let (k, c) = (lane / channels, lane % channels);
                    let (y, x) = ((i / w + k / 3) as i64 - 1, (i % w + k % 3) as i64 - 1);
                    let want = if k < 9 { at(y, x, c) } else { 0 };
                    assert_eq!(window[lane - b * block], want, "block {b}, pixel {i}, lane {lane}");
                }
            }
        }
        bench.verilog("fold", 1 << 20); // the line buffers have no value before their first row
    }

    #[test]
    fn windows_have_zeros_around_the_map() {
        check(3, 8, 16, (4, 5));
        check(1, 2, 4, (3, 2));
        check(4, 5, 32, (2, 8));
        check(3, 4, 3, (1, 3));
    }
}
