//! One lane of requantization by powers of two.

use super::RoundShift;
use crate::hw::rt::{K, Reg, Sig, s, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// `clip(rne((acc + bias) / 2^s), 0, b)`, one a cycle: [`crate::arith::requantize`] with m = 1 for levels that start
/// at 0, as after ReLU. A negative sum gives 0, so that all behind it is unsigned.
#[derive(LogicBlock)]
pub struct RequantizerPow2 {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Accumulator.
    pub acc_i: Sig<In>,
    /// Its channel's bias; `acc_i + bias_i` fits the accumulator's bits.
    pub bias_i: Sig<In>,
    /// Its channel's shift s, 0 … 47.
    pub shift_i: Sig<In>,
    /// Greatest code b; stable while values are under way.
    pub top_i: Sig<In>,
    /// `acc_i + bias_i`, [`RequantizerPow2::SUM_LATENCY`] cycles later: a logit of the last layer.
    pub sum_o: Sig<Out>,
    /// The code, [`RequantizerPow2::LATENCY`] cycles later.
    pub code_o: Sig<Out>,
    sum: Reg,
    sum_shift: Reg,
    positive: Reg,
    positive_shift: Reg,
    round_shift: RoundShift,
    sign_at: K,
}

impl RequantizerPow2 {
    /// Cycles from `acc_i` to `sum_o`.
    pub const SUM_LATENCY: usize = 1;
    /// Cycles from `acc_i` to `code_o`.
    pub const LATENCY: usize = timing::REQUANTIZER_POW2;

    /// For accumulators of `acc_bits`, at most 48, and codes of `code_bits`.
    pub fn new(acc_bits: u32, code_bits: u32) -> Self {
        let (acc, shift) = (s(acc_bits), u(6));
        Self {
            clk_i: Default::default(),
            acc_i: Sig::new(acc),
            bias_i: Sig::new(acc),
            shift_i: Sig::new(shift),
            top_i: Sig::new(u(code_bits)),
            sum_o: Sig::new(acc),
            code_o: Sig::new(u(code_bits)),
            sum: Reg::new(acc),
            sum_shift: Reg::new(shift),
            positive: Reg::new(u(acc_bits - 1)),
            positive_shift: Reg::new(shift),
            round_shift: RoundShift::new(acc_bits - 1, code_bits),
            sign_at: K::new(shift, (acc_bits - 1).into()),
        }
    }
}

impl Logic for RequantizerPow2 {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module requantizer_pow2: clip(rne((acc + bias) / 2^s), 0, b)");
        dff_setup!(self, clk_i, sum, sum_shift, positive, positive_shift);
        self.sum.d.next = self.acc_i.val() + self.bias_i.val();
        self.sum_shift.d.next = self.shift_i.val();
        self.sum_o.next = self.sum.q.val();

        self.positive.d.next = self.sum.q.val();
        comment!("The sign: yosys makes a long comparison of `sum < 0`.");
        if (self.sum.q.val() >> self.sign_at.val()) != 0 {
            self.positive.d.next = 0;
        }
        self.positive_shift.d.next = self.sum_shift.q.val();

        self.round_shift.clk_i.next = self.clk_i.val();
        self.round_shift.value_i.next = self.positive.q.val();
        self.round_shift.shift_i.next = self.positive_shift.q.val();
        self.round_shift.top_i.next = self.top_i.val();
        self.code_o.next = self.round_shift.code_o.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::{Levels, Multiplier, requantize};
    use crate::hw::check::{Bench, Family, random, random_value};
    use rand::Rng;
    use std::collections::VecDeque;

    fn check(cycles: usize, acc_bits: u32, code_bits: u32) -> Bench<RequantizerPow2> {
        let mut bench = Bench::new(RequantizerPow2::new(acc_bits, code_bits), |b| &mut b.clk_i);
        let mut rng = random(acc_bits.into());
        let levels = Levels { a: 0, b: (1 << code_bits) - 1 };
        let mut want = VecDeque::new();
        for t in 0..cycles {
            let bias = random_value(&mut rng, s(acc_bits - 1)) >> rng.random_range(0..acc_bits);
            let acc = random_value(&mut rng, s(acc_bits - 1)) >> rng.random_range(0..acc_bits);
            let by = Multiplier { m: 1, s: rng.random_range(0..48) };
            let x = &mut bench.block;
            (x.acc_i.next, x.bias_i.next, x.top_i.next) = (acc, bias, levels.b.into());
            x.shift_i.next = by.s.into();
            want.push_back(requantize(acc + bias, by, levels));
            bench.cycle();
            assert_eq!(bench.block.sum_o.val(), acc + bias);
            if t + 1 >= RequantizerPow2::LATENCY {
                assert_eq!(Some(bench.block.code_o.val() as i32), want.pop_front(), "cycle {t}");
            }
        }
        bench
    }

    #[test]
    fn follows_the_contract() {
        for (acc_bits, code_bits) in [(32, 8), (48, 16), (12, 2), (20, 4)] {
            check(600, acc_bits, code_bits).verilog("requantizer_pow2", RequantizerPow2::LATENCY);
        }
    }

    #[test]
    fn netlists_equal_it() {
        let bench = check(10_000, 32, 8);
        for family in [Family::Xc7, Family::Ice40, Family::Ecp5] {
            bench.netlist("requantizer_pow2", RequantizerPow2::LATENCY, family);
        }
    }
}
