//! A group of columns out of all.

use super::select;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Lanes, Sig, s, text, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Takes `lanes` accumulators out of those of all columns, and registers them.
#[derive(LogicBlock)]
pub struct GroupSelect {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Accumulators, a lane a column.
    pub word_i: Lanes<In>,
    /// Group of columns.
    pub group_i: Sig<In>,
    /// Its accumulators, one cycle later.
    pub acc_o: Lanes<Out>,
}

impl GroupSelect {
    /// Cycles from `word_i` to `acc_o`.
    pub const LATENCY: usize = timing::GROUP_SELECT;

    /// Groups of `lanes` out of `cols` columns, accumulators of `acc_bits`.
    pub fn new(cols: usize, lanes: usize, acc_bits: u32) -> Self {
        Self {
            clk_i: Default::default(),
            word_i: Lanes::new(cols, s(acc_bits)),
            group_i: Sig::new(u(address_bits(cols / lanes))),
            acc_o: Lanes::new(lanes, s(acc_bits)),
        }
    }
}

impl Logic for GroupSelect {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            let (word, lanes) = (self.word_i.lanes(), self.acc_o.count());
            let first = (self.group_i.val() as usize * lanes) % word.len();
            self.acc_o.drive(|lane| word[first + lane]);
        }
    }
    fn connect(&mut self) {
        self.acc_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (cols, lanes, acc) = (self.word_i.count(), self.acc_o.count(), self.acc_o.ty().bits);
        let width = lanes as u32 * acc;
        text(format!(
            "// module group_select: a group of {lanes} accumulators of {acc} bits out of {cols}
reg [{}:0] acc;

assign acc_o = acc;

{}
always @(posedge clk_i) acc <= selected;
",
            width - 1,
            select("word_i", cols / lanes, width, "group_i")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use rand::Rng;

    #[test]
    fn gives_the_group_one_cycle_later() {
        for (cols, lanes, acc_bits) in [(8, 2, 32), (12, 4, 21), (4, 4, 48), (6, 1, 24), (2, 1, 8)] {
            let mut bench = Bench::new(GroupSelect::new(cols, lanes, acc_bits), |b| &mut b.clk_i);
            let mut rng = random(cols as u64);
            for _ in 0..50 {
                let word: Vec<i64> = (0..cols).map(|_| random_value(&mut rng, s(acc_bits))).collect();
                let group = rng.random_range(0..cols / lanes);
                bench.block.word_i.drive(|c| word[c]);
                bench.block.group_i.next = group as i64;
                bench.cycle();
                assert_eq!(&*bench.block.acc_o.val(), &word[group * lanes..][..lanes]);
            }
            bench.verilog("group_select", 1);
        }
    }
}
