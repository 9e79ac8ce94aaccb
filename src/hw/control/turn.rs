//! A counter of turns.

use crate::hw::rt::{Reg, Sig, u};
use rust_hdl::prelude::*;

/// Counts 0 … `count_i` − 1 and around; a count of 0 is one of 1.
#[derive(LogicBlock)]
pub struct Turn {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// From 0 again.
    pub restart_i: Signal<In, Bit>,
    /// The turn ends.
    pub step_i: Signal<In, Bit>,
    /// Turns.
    pub count_i: Sig<In>,
    /// Which turn it is, the low bits.
    pub at_o: Sig<Out>,
    /// It is the last.
    pub last_o: Signal<Out, Bit>,
    at: Reg,
}

impl Turn {
    /// Bits of a count of digits or planes in a command.
    pub const BITS: u32 = 8;

    /// A counter that gives `bits` of its turn.
    pub fn new(bits: u32) -> Self {
        let count = u(Self::BITS);
        Self {
            clk_i: Default::default(),
            restart_i: Default::default(),
            step_i: Default::default(),
            count_i: Sig::new(count),
            at_o: Sig::new(u(bits)),
            last_o: Default::default(),
            at: Reg::new(count),
        }
    }
}

impl Logic for Turn {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module turn: counts turns");
        dff_setup!(self, clk_i, at);
        self.at_o.next = self.at.q.val();
        self.last_o.next = (self.at.q.val() + 1) >= self.count_i.val();
        if self.step_i.val() {
            self.at.d.next = self.at.q.val() + 1;
            if self.last_o.val() {
                self.at.d.next = 0;
            }
        }
        if self.restart_i.val() {
            self.at.d.next = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    #[test]
    fn turns_come_around() {
        let mut bench = Bench::new(Turn::new(Turn::BITS), |b| &mut b.clk_i);
        let mut rng = random(1);
        for count in [1, 2, 5, 0, 255] {
            bench.block.count_i.next = count;
            bench.block.restart_i.next = true;
            bench.cycle();
            bench.block.restart_i.next = false;
            let mut at = 0;
            for _ in 0..40 {
                bench.block.step_i.next = rng.random_bool(0.7);
                assert!(simulate(&mut bench.block, 20));
                assert_eq!((bench.block.at_o.val(), bench.block.last_o.val()), (at, at + 1 >= count));
                at = if bench.block.step_i.next { (at + 1) % count.max(1) } else { at };
                bench.cycle();
            }
        }
        bench.verilog("turn", 1);
    }
}
