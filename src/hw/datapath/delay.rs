//! A chain of registers.

use crate::hw::rt::{Sig, Ty, text};
use rust_hdl::prelude::*;
use std::collections::VecDeque;

/// `value_o` is `value_i` some cycles before.
#[derive(LogicBlock)]
pub struct Delay {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// In.
    pub value_i: Sig<In>,
    /// Out.
    pub value_o: Sig<Out>,
    _held: VecDeque<i64>,
}

impl Delay {
    /// A delay of `cycles`, at least one, for values of type `ty`.
    ///
    /// # Panics
    /// If `cycles` is 0: that is a wire.
    pub fn new(ty: Ty, cycles: usize) -> Self {
        assert!(cycles > 0, "a delay of no cycles is a wire");
        let held = VecDeque::from(vec![0; cycles]);
        Self { clk_i: Default::default(), value_i: Sig::new(ty), value_o: Sig::new(ty), _held: held }
    }
}

impl Logic for Delay {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            self._held.push_back(self.value_i.val());
            self._held.pop_front();
            self.value_o.next = self._held[0];
        }
    }
    fn connect(&mut self) {
        self.value_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (bits, cycles) = (self.value_i.ty().bits, self._held.len());
        let next = if cycles == 1 { "value_i" } else { "{held[BITS*(CYCLES-1)-1:0], value_i}" };
        text(format!(
            "// module delay: {bits} bits, {cycles} cycles later
localparam BITS = {bits};
localparam CYCLES = {cycles};

reg [BITS*CYCLES-1:0] held;

assign value_o = held[BITS*(CYCLES-1) +: BITS];

always @(posedge clk_i) held <= {next};
"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::Bench;
    use crate::hw::rt::{s, u};

    #[test]
    fn delays_by_its_cycles() {
        for (ty, cycles) in [(u(1), 1), (s(5), 2), (u(9), 7)] {
            let mut bench = Bench::new(Delay::new(ty, cycles), |b| &mut b.clk_i);
            let value = |t: usize| ty.wrap(t as i64 * 13 + 1);
            for t in 0..30 {
                bench.block.value_i.next = value(t);
                bench.cycle();
                let want = (t + 1).checked_sub(cycles).map_or(0, value);
                assert_eq!(bench.block.value_o.val(), want, "cycle {t}");
            }
            bench.verilog("delay", cycles);
        }
    }
}
