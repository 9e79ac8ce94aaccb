//! Max pooling.

use crate::hw::rt::{Reg, Sig, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Maximum of consecutive codes: of a window of four, or of one (no pooling).
#[derive(LogicBlock)]
pub struct MaxPool {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// A code is there.
    pub valid_i: Signal<In, Bit>,
    /// It begins a window.
    pub first_i: Signal<In, Bit>,
    /// The code, unsigned.
    pub value_i: Sig<In>,
    /// The maximum since the window's first code.
    pub value_o: Sig<Out>,
    best: Reg,
}

impl MaxPool {
    /// Cycles from the last code of a window to its maximum.
    pub const LATENCY: usize = timing::MAX_POOL;

    /// For codes of `bits` bits.
    pub fn new(bits: u32) -> Self {
        Self {
            clk_i: Default::default(),
            valid_i: Default::default(),
            first_i: Default::default(),
            value_i: Sig::new(u(bits)),
            value_o: Sig::new(u(bits)),
            best: Reg::new(u(bits)),
        }
    }
}

impl Logic for MaxPool {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module max_pool: maximum of the codes from first_i on");
        dff_setup!(self, clk_i, best);
        if self.valid_i.val() && (self.first_i.val() || (self.value_i.val() > self.best.q.val())) {
            self.best.d.next = self.value_i.val();
        }
        self.value_o.next = self.best.q.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use rand::Rng;

    #[test]
    fn gives_the_maximum_of_each_window() {
        for (bits, window) in [(8, 4), (2, 4), (16, 1)] {
            let mut bench = Bench::new(MaxPool::new(bits), |b| &mut b.clk_i);
            let mut rng = random(bits.into());
            let mut seen: Vec<i64> = vec![];
            for t in 0..200 {
                let x = &mut bench.block;
                x.valid_i.next = t == 0 || rng.random_bool(0.8);
                x.value_i.next = random_value(&mut rng, u(bits));
                x.first_i.next = seen.len().is_multiple_of(window);
                if x.valid_i.next {
                    seen.push(x.value_i.next);
                }
                bench.cycle();
                let begun = (seen.len().max(1) - 1) / window * window;
                if let Some(&greatest) = seen[begun..].iter().max() {
                    assert_eq!(bench.block.value_o.val(), greatest);
                }
            }
            bench.verilog("max_pool", 1);
        }
    }
}
