//! First in, first out, in block memory.

use super::{LanesRam, counter_bits};
use crate::hw::rt::{Flop, Lanes, LanesReg, Reg, Sig, Ty, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// A FIFO of wide words. The word that comes next stands at the output, in registers, until it is taken.
///
/// Users keep credits: there is no `full`, only the number of words held.
#[derive(LogicBlock)]
pub struct Fifo {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// `data_i` goes in; not while `depth` words are held.
    pub push_i: Signal<In, Bit>,
    /// A word.
    pub data_i: Lanes<In>,
    /// There is a word at the output.
    pub valid_o: Signal<Out, Bit>,
    /// The word.
    pub data_o: Lanes<Out>,
    /// It is taken; only with `valid_o`.
    pub take_i: Signal<In, Bit>,
    /// Words held.
    pub count_o: Sig<Out>,
    ram: LanesRam,
    /// The word of the RAM that is written next.
    write: Reg,
    /// The word of the RAM that goes to the output next; the RAM gives it if `ready`.
    read: Reg,
    /// The one after it.
    after: Reg,
    next_read: Sig<Local>,
    ready: Flop<Bit>,
    word: LanesReg,
    valid: Flop<Bit>,
    count: Reg,
    go: Signal<Local, Bit>,
}

impl Fifo {
    /// Cycles from `push_i` to `valid_o` of an empty FIFO.
    pub const LATENCY: usize = timing::FIFO;

    /// A FIFO of `depth` words, of `count` lanes of type `ty` each.
    ///
    /// # Panics
    /// If `depth` is not a power of two or less than 4.
    pub fn new(depth: usize, count: usize, ty: Ty) -> Self {
        assert!(depth.is_power_of_two() && depth >= 4, "a FIFO of {depth} words");
        let held = u(counter_bits(depth) as u32);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            push_i: Default::default(),
            data_i: Lanes::new(count, ty),
            valid_o: Default::default(),
            data_o: Lanes::new(count, ty),
            take_i: Default::default(),
            count_o: Sig::new(held),
            ram: LanesRam::new(depth, count, ty),
            write: Reg::new(u(held.bits - 1)),
            read: Reg::new(u(held.bits - 1)),
            after: Reg::new(u(held.bits - 1)),
            next_read: Sig::new(u(held.bits - 1)),
            ready: Default::default(),
            word: LanesReg::new(count, ty),
            valid: Default::default(),
            count: Reg::new(held),
            go: Default::default(),
        }
    }
}

impl Logic for Fifo {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module fifo: first in, first out, in block memory, the next word in registers");
        dff_setup!(self, clk_i, write, read, after, ready, word, valid, count);
        self.ram.clk_i.next = self.clk_i.val();
        self.ram.write_i.next = self.push_i.val();
        self.ram.write_addr_i.next = self.write.q.val();
        self.ram.data_i.next = self.data_i.val();

        self.go.next = self.ready.q.val() && (!self.valid.q.val() || self.take_i.val());
        comment!("A word written by this cycle's edge is read by the next one's.");
        self.next_read.next = self.read.q.val();
        self.ready.d.next = self.read.q.val() != self.write.q.val();
        if self.go.val() {
            self.next_read.next = self.after.q.val();
            self.ready.d.next = self.after.q.val() != self.write.q.val();
            self.after.d.next = self.after.q.val() + 1;
            self.word.d.next = self.ram.word_o.val();
        }
        self.ram.addr_i.next = self.next_read.val();
        self.read.d.next = self.next_read.val();
        if self.push_i.val() {
            self.write.d.next = self.write.q.val() + 1;
        }
        if self.go.val() || self.take_i.val() {
            self.valid.d.next = self.go.val();
        }
        if self.push_i.val() && !self.take_i.val() {
            self.count.d.next = self.count.q.val() + 1;
        }
        if !self.push_i.val() && self.take_i.val() {
            self.count.d.next = self.count.q.val() - 1;
        }
        if !self.rst_ni.val() {
            self.write.d.next = 0;
            self.read.d.next = 0;
            self.after.d.next = 1;
            self.ready.d.next = false;
            self.valid.d.next = false;
            self.count.d.next = 0;
        }
        self.valid_o.next = self.valid.q.val();
        self.data_o.next = self.word.q.val();
        self.count_o.next = self.count.q.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use crate::hw::rt::s;
    use rand::Rng;
    use std::collections::VecDeque;

    /// Pushes and takes with these chances in a hundred, phase by phase.
    const PHASES: [(u32, u32); 6] = [(100, 0), (50, 50), (100, 100), (0, 100), (100, 100), (30, 70)];

    fn check(depth: usize, count: usize, ty: Ty) {
        let mut bench = Bench::new(Fifo::new(depth, count, ty), |b| &mut b.clk_i);
        let mut rng = random(depth as u64);
        let mut held: VecDeque<Vec<i64>> = VecDeque::new();
        for (phase, (pushes, takes)) in PHASES.into_iter().enumerate() {
            for t in 0..4 * depth + 10 {
                let x = &mut bench.block;
                x.rst_ni.next = (phase, t) > (0, 0) && (phase, t) != (5, 3);
                x.push_i.next = x.rst_ni.next && held.len() < depth && rng.random_range(0..100) < pushes;
                let word: Vec<i64> = (0..count).map(|_| random_value(&mut rng, ty)).collect();
                x.data_i.drive(|lane| word[lane]);
                x.take_i.next = x.rst_ni.next && x.valid_o.val() && rng.random_range(0..100) < takes;
                if x.take_i.next {
                    assert_eq!(Some(x.data_o.val().to_vec()), held.pop_front());
                }
                if x.push_i.next {
                    held.push_back(word);
                }
                let (reset, stalls) = (!x.rst_ni.next, !x.take_i.next);
                bench.cycle();
                if reset {
                    held.clear();
                }
                assert_eq!(bench.block.count_o.val(), held.len() as i64);
                // Two phases without a pause: a word a cycle once the first is out.
                let streams = phase == 4 && t > Fifo::LATENCY;
                assert!(!(streams && stalls), "a bubble at {t}");
            }
        }
        bench.verilog("fifo", Fifo::LATENCY + 2);
    }

    #[test]
    fn words_come_out_in_order_one_a_cycle() {
        check(4, 1, u(1));
        check(64, 4, u(32));
        check(16, 3, s(13));
        check(8, 16, u(32));
    }
}
