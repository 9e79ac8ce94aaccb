//! First in, first out, of few small values.

use super::counter_bits;
use crate::hw::rt::{Sig, Ty, text};
use rust_hdl::prelude::*;

/// A queue in distributed memory: a value pushed is at the output one cycle later.
#[derive(LogicBlock)]
pub struct Queue {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// `data_i` goes in; only with `room_o`.
    pub push_i: Signal<In, Bit>,
    /// A value.
    pub data_i: Sig<In>,
    /// There is room for a value.
    pub room_o: Signal<Out, Bit>,
    /// There is a value at the output.
    pub valid_o: Signal<Out, Bit>,
    /// The value; undefined without `valid_o`.
    pub data_o: Sig<Out>,
    /// It is taken; only with `valid_o`.
    pub take_i: Signal<In, Bit>,
    _state: State,
}

struct State {
    words: Vec<i64>,
    write: usize,
    read: usize,
    held: usize,
}

impl Queue {
    /// Cycles from `push_i` to `valid_o`.
    pub const LATENCY: usize = 1;

    /// A queue of `depth` values of type `ty`.
    ///
    /// # Panics
    /// If `depth` is not a power of two or less than 2.
    pub fn new(depth: usize, ty: Ty) -> Self {
        assert!(depth.is_power_of_two() && depth >= 2, "a queue of {depth} values");
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            push_i: Default::default(),
            data_i: Sig::new(ty),
            room_o: Default::default(),
            valid_o: Default::default(),
            data_o: Sig::new(ty),
            take_i: Default::default(),
            _state: State { words: vec![0; depth], write: 0, read: 0, held: 0 },
        }
    }
}

impl Logic for Queue {
    fn update(&mut self) {
        let state = &mut self._state;
        if self.clk_i.pos_edge() {
            let (push, take) = (self.push_i.val(), self.take_i.val());
            let depth = state.words.len();
            if push {
                state.words[state.write] = self.data_i.val();
            }
            state.write = (state.write + push as usize) % depth;
            state.read = (state.read + take as usize) % depth;
            state.held = (state.held + push as usize).wrapping_sub(take as usize) % (2 * depth);
            if !self.rst_ni.val() {
                (state.write, state.read, state.held) = (0, 0, 0);
            }
        }
        self.room_o.next = state.held < state.words.len();
        self.valid_o.next = state.held != 0;
        self.data_o.next = state.words[state.read];
    }
    fn connect(&mut self) {
        self.room_o.connect();
        self.valid_o.connect();
        self.data_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (bits, depth) = (self.data_i.ty().bits, self._state.words.len());
        let addr = counter_bits(depth) - 1;
        text(format!(
            "// module queue: {depth} values of {bits} bits, first in, first out
localparam BITS = {bits};
localparam DEPTH = {depth};
localparam ADDR = {addr};
{QUEUE}"
        ))
    }
}

const QUEUE: &str = "
reg [BITS-1:0] words [0:DEPTH-1];
reg [ADDR-1:0] write;
reg [ADDR-1:0] read;
reg [ADDR:0]   held;

assign room_o  = !held[ADDR];
assign valid_o = held != {ADDR+1{1'b0}};
assign data_o  = words[read];

always @(posedge clk_i) begin
    if (push_i) words[write] <= data_i;
    if (!rst_ni) begin
        write <= {ADDR{1'b0}};
        read  <= {ADDR{1'b0}};
        held  <= {ADDR+1{1'b0}};
    end else begin
        if (push_i) write <= write + 1'b1;
        if (take_i) read <= read + 1'b1;
        if (push_i && !take_i) held <= held + 1'b1;
        if (!push_i && take_i) held <= held - 1'b1;
    end
end
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use crate::hw::rt::{s, u};
    use rand::Rng;
    use std::collections::VecDeque;

    #[test]
    fn values_come_out_in_order() {
        for (depth, ty) in [(2, u(1)), (32, u(2)), (8, u(48)), (16, s(5))] {
            let mut bench = Bench::new(Queue::new(depth, ty), |b| &mut b.clk_i);
            let mut rng = random(depth as u64);
            let mut held = VecDeque::new();
            for t in 0..300 {
                let x = &mut bench.block;
                x.rst_ni.next = t > 0 && t != 200;
                x.push_i.next = x.rst_ni.next && held.len() < depth && (t < 60 || rng.random());
                x.take_i.next = x.rst_ni.next && !held.is_empty() && t > depth && rng.random();
                x.data_i.next = random_value(&mut rng, ty);
                if x.push_i.next {
                    held.push_back(x.data_i.next);
                }
                if x.take_i.next {
                    assert_eq!(Some(x.data_o.val()), held.pop_front());
                }
                let reset = !x.rst_ni.next;
                bench.cycle();
                if reset {
                    held.clear();
                }
                assert_eq!(bench.block.valid_o.val(), !held.is_empty());
                assert_eq!(bench.block.room_o.val(), held.len() < depth);
            }
            bench.verilog("queue", depth + 1);
        }
    }
}
