//! Logits as they go to memory.

use super::select;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Lanes, Sig, s, text, u};
use rust_hdl::prelude::*;

/// One of several sums as a word of the bus: 64 bits, two's complement, zeros above.
#[derive(LogicBlock)]
pub struct RawBeat {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Accumulators with bias.
    pub sum_i: Lanes<In>,
    /// The lane that goes out.
    pub lane_i: Sig<In>,
    /// Its word of the bus, one cycle later.
    pub beat_o: Lanes<Out>,
}

impl RawBeat {
    /// Cycles from `sum_i` to `beat_o`.
    pub const LATENCY: usize = 1;

    /// `lanes` sums of `acc_bits`, a bus of `bus_bits`.
    pub fn new(lanes: usize, acc_bits: u32, bus_bits: usize) -> Self {
        Self {
            clk_i: Default::default(),
            sum_i: Lanes::new(lanes, s(acc_bits)),
            lane_i: Sig::new(u(address_bits(lanes))),
            beat_o: Lanes::new(bus_bits / 32, u(32)),
        }
    }
}

impl Logic for RawBeat {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            let sums = self.sum_i.lanes();
            let sum = sums[self.lane_i.val() as usize % sums.len()];
            self.beat_o.drive(|word| if word < 2 { sum >> (32 * word) } else { 0 });
        }
    }
    fn connect(&mut self) {
        self.beat_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (lanes, acc) = (self.sum_i.count(), self.sum_i.ty().bits);
        let bus = self.beat_o.count() * 32;
        let zeros = if bus > 64 { format!("{}'d0, ", bus - 64) } else { String::new() };
        text(format!(
            "// module raw_beat: one of {lanes} sums of {acc} bits as a word of a bus of {bus} bits
reg [{top}:0] sum;

assign beat_o = {{{zeros}{{{extend}{{sum[{top}]}}}}, sum}};

{}
always @(posedge clk_i) sum <= selected;
",
            select("sum_i", lanes, acc, "lane_i"),
            top = acc - 1,
            extend = 64 - acc
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use rand::Rng;

    #[test]
    fn sums_are_extended_to_64_bits() {
        for (lanes, acc_bits, bus_bits) in [(2, 32, 128), (1, 48, 64), (4, 21, 256), (3, 9, 64)] {
            let mut bench = Bench::new(RawBeat::new(lanes, acc_bits, bus_bits), |b| &mut b.clk_i);
            let mut rng = random(acc_bits.into());
            for _ in 0..50 {
                let sums: Vec<i64> = (0..lanes).map(|_| random_value(&mut rng, s(acc_bits))).collect();
                let lane = rng.random_range(0..lanes);
                bench.block.sum_i.drive(|i| sums[i]);
                bench.block.lane_i.next = lane as i64;
                bench.cycle();
                let mut want = vec![0; bus_bits / 32];
                (want[0], want[1]) = (sums[lane] & 0xffff_ffff, sums[lane] >> 32 & 0xffff_ffff);
                assert_eq!(*bench.block.beat_o.val(), want);
            }
            bench.verilog("raw_beat", 1);
        }
    }
}
