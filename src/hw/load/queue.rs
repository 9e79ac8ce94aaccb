//! A short queue.

use crate::hw::datapath::{Ram, address_bits};
use crate::hw::rt::{Flop, K, Reg, Sig, Ty, u};
use rust_hdl::prelude::*;

/// First in, first out. A value pushed in cycle t can be taken in cycle t + 2.
#[derive(LogicBlock)]
pub struct Queue {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// Append `value_i`; only with `ready_o`.
    pub push_i: Signal<In, Bit>,
    /// What to append.
    pub value_i: Sig<In>,
    /// There is room.
    pub ready_o: Signal<Out, Bit>,
    /// `value_o` is there.
    pub valid_o: Signal<Out, Bit>,
    /// The oldest value.
    pub value_o: Sig<Out>,
    /// Remove it; only with `valid_o`.
    pub take_i: Signal<In, Bit>,
    ram: Ram,
    head: Reg,
    tail: Reg,
    stored: Reg,
    valid: Flop<Bit>,
    next_head: Sig<Local>,
    left: Sig<Local>,
    depth: K,
}

impl Queue {
    /// A queue of `depth` values of type `ty`; `depth` is a power of two.
    pub fn new(depth: usize, ty: Ty) -> Self {
        let (address, count) = (u(address_bits(depth)), u(address_bits(depth) + 1));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            push_i: Default::default(),
            value_i: Sig::new(ty),
            ready_o: Default::default(),
            valid_o: Default::default(),
            value_o: Sig::new(ty),
            take_i: Default::default(),
            ram: Ram::new(depth, ty),
            head: Reg::new(address),
            tail: Reg::new(address),
            stored: Reg::new(count),
            valid: Default::default(),
            next_head: Sig::new(address),
            left: Sig::new(count),
            depth: K::new(count, depth as i64),
        }
    }
}

impl Logic for Queue {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module queue: first in, first out");
        dff_setup!(self, clk_i, head, tail, stored, valid);
        self.next_head.next = self.head.q.val();
        self.left.next = self.stored.q.val();
        if self.take_i.val() {
            self.next_head.next = self.head.q.val() + 1;
            self.left.next = self.stored.q.val() - 1;
        }
        self.head.d.next = self.next_head.val();
        self.stored.d.next = self.left.val();
        if self.push_i.val() {
            self.tail.d.next = self.tail.q.val() + 1;
            self.stored.d.next = self.left.val() + 1;
        }
        self.ram.clk_i.next = self.clk_i.val();
        self.ram.write_i.next = self.push_i.val();
        self.ram.write_addr_i.next = self.tail.q.val();
        self.ram.data_i.next = self.value_i.val();
        self.ram.addr_i.next = self.next_head.val();
        self.valid.d.next = self.left.val() != 0;
        self.value_o.next = self.ram.word_o.val();
        self.valid_o.next = self.valid.q.val();
        self.ready_o.next = self.stored.q.val() != self.depth.val();
        if !self.rst_ni.val() {
            self.head.d.next = 0;
            self.tail.d.next = 0;
            self.stored.d.next = 0;
            self.valid.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use rand::Rng;
    use std::collections::VecDeque;

    #[test]
    fn keeps_the_order() {
        for (depth, ty) in [(4, u(3)), (16, u(40))] {
            let mut bench = Bench::new(Queue::new(depth, ty), |b| &mut b.clk_i);
            let mut rng = random(depth as u64);
            let mut model = VecDeque::new();
            let mut taken = 0;
            for t in 0..600 {
                let x = &mut bench.block;
                x.rst_ni.next = t > 0;
                x.push_i.next = t > 0 && x.ready_o.val() && rng.random_bool(0.6);
                x.value_i.next = random_value(&mut rng, ty);
                x.take_i.next = t > 0 && x.valid_o.val() && rng.random_bool(if t < 300 { 0.5 } else { 1.0 });
                if x.take_i.next {
                    assert_eq!(model.pop_front(), Some(x.value_o.val()), "cycle {t}");
                    taken += 1;
                }
                if x.push_i.next {
                    model.push_back(x.value_i.next);
                }
                assert!(model.len() <= depth);
                bench.cycle();
            }
            assert!(taken > 250);
            bench.verilog("queue", 600); // the word before the first push has no value
        }
    }
}
