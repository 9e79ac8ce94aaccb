//! Division by a power of two, rounding half to even.

use crate::hw::rt::{Flop, K, Reg, Sig, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// `min(rne(value / 2^shift), top)`, one a cycle: [`crate::arith::rne_shift`] of numbers that are not negative.
///
/// The shift goes in three steps: by 0, 16 or 32, then 0, 4, 8 or 12, then 0 to 3. Each step keeps what the steps after it
/// may bring into a code: 15, 3 and 0 bits more than a code has. Beside the number go whether a bit above those was set
/// (`over`: it exceeds every code), the bit just shifted out (`half`) and whether a lower one was set (`lost`); the latter
/// two decide the rounding at the end.
#[derive(LogicBlock)]
pub struct RoundShift {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// The number.
    pub value_i: Sig<In>,
    /// The shift, 0 … 47.
    pub shift_i: Sig<In>,
    /// Greatest code; stable while numbers are under way.
    pub top_i: Sig<In>,
    /// The code.
    pub code_o: Sig<Out>,
    coarse: Reg,
    coarse_over: Flop<Bit>,
    coarse_half: Flop<Bit>,
    coarse_lost: Flop<Bit>,
    coarse_shift: Reg,
    middle: Reg,
    middle_over: Flop<Bit>,
    middle_half: Flop<Bit>,
    middle_lost: Flop<Bit>,
    middle_shift: Reg,
    fine: Reg,
    fine_over: Flop<Bit>,
    fine_half: Flop<Bit>,
    fine_lost: Flop<Bit>,
    rounded: Reg,
    rounded_over: Flop<Bit>,
    code: Reg,
    step: Sig<Local>,
    low31: K,
    // The bit from which on a number exceeds every code: by what its step, and those after it, shift.
    above15: K,
    above31: K,
    above47: K,
    above3: K,
    above7: K,
    above11: K,
    above0: K,
    above1: K,
    above2: K,
}

impl RoundShift {
    /// Cycles from `value_i` to `code_o`.
    pub const LATENCY: usize = timing::ROUND_SHIFT;

    /// For numbers of `value_bits`, at most 63, and codes of `code_bits`.
    pub fn new(value_bits: u32, code_bits: u32) -> Self {
        let (value, code) = (u(value_bits), u(code_bits));
        let bits = |more| value_bits.min(code_bits + more);
        let above = |more: u32| K::new(u(6), (code_bits + more).into());
        Self {
            clk_i: Default::default(),
            value_i: Sig::new(value),
            shift_i: Sig::new(u(6)),
            top_i: Sig::new(code),
            code_o: Sig::new(code),
            coarse: Reg::new(u(bits(15))),
            coarse_over: Default::default(),
            coarse_half: Default::default(),
            coarse_lost: Default::default(),
            coarse_shift: Reg::new(u(4)),
            middle: Reg::new(u(bits(3))),
            middle_over: Default::default(),
            middle_half: Default::default(),
            middle_lost: Default::default(),
            middle_shift: Reg::new(u(2)),
            fine: Reg::new(u(bits(0))),
            fine_over: Default::default(),
            fine_half: Default::default(),
            fine_lost: Default::default(),
            rounded: Reg::new(u(bits(0) + 1)),
            rounded_over: Default::default(),
            code: Reg::new(code),
            step: Sig::new(u(2)),
            low31: K::new(u(31), (1 << 31) - 1),
            above15: above(15),
            above31: above(31),
            above47: above(47),
            above3: above(3),
            above7: above(7),
            above11: above(11),
            above0: above(0),
            above1: above(1),
            above2: above(2),
        }
    }
}

impl Logic for RoundShift {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module round_shift: min(rne(value / 2^shift), top), rounding half to even");
        dff_setup!(
            self,
            clk_i,
            coarse,
            coarse_over,
            coarse_half,
            coarse_lost,
            coarse_shift,
            middle,
            middle_over,
            middle_half,
            middle_lost,
            middle_shift,
            fine,
            fine_over,
            fine_half,
            fine_lost,
            rounded,
            rounded_over,
            code
        );
        self.step.next = self.shift_i.val() >> 4;
        self.coarse_shift.d.next = self.shift_i.val() & 15;
        if self.step.val() == 0 {
            self.coarse.d.next = self.value_i.val();
            self.coarse_over.d.next = (self.value_i.val() >> self.above15.val()) != 0;
            self.coarse_half.d.next = false;
            self.coarse_lost.d.next = false;
        } else if self.step.val() == 1 {
            self.coarse.d.next = self.value_i.val() >> 16;
            self.coarse_over.d.next = (self.value_i.val() >> self.above31.val()) != 0;
            self.coarse_half.d.next = ((self.value_i.val() >> 15) & 1) != 0;
            self.coarse_lost.d.next = (self.value_i.val() & 0x7fff) != 0;
        } else {
            self.coarse.d.next = self.value_i.val() >> 32;
            self.coarse_over.d.next = (self.value_i.val() >> self.above47.val()) != 0;
            self.coarse_half.d.next = ((self.value_i.val() >> 31) & 1) != 0;
            self.coarse_lost.d.next = (self.value_i.val() & self.low31.val()) != 0;
        }

        self.middle_shift.d.next = self.coarse_shift.q.val() & 3;
        match self.coarse_shift.q.val() >> 2 {
            0 => {
                self.middle.d.next = self.coarse.q.val();
                self.middle_over.d.next =
                    self.coarse_over.q.val() || ((self.coarse.q.val() >> self.above3.val()) != 0);
                self.middle_half.d.next = self.coarse_half.q.val();
                self.middle_lost.d.next = self.coarse_lost.q.val();
            }
            1 => {
                self.middle.d.next = self.coarse.q.val() >> 4;
                self.middle_over.d.next =
                    self.coarse_over.q.val() || ((self.coarse.q.val() >> self.above7.val()) != 0);
                self.middle_half.d.next = ((self.coarse.q.val() >> 3) & 1) != 0;
                self.middle_lost.d.next =
                    self.coarse_lost.q.val() || self.coarse_half.q.val() || ((self.coarse.q.val() & 7) != 0);
            }
            2 => {
                self.middle.d.next = self.coarse.q.val() >> 8;
                self.middle_over.d.next =
                    self.coarse_over.q.val() || ((self.coarse.q.val() >> self.above11.val()) != 0);
                self.middle_half.d.next = ((self.coarse.q.val() >> 7) & 1) != 0;
                self.middle_lost.d.next = self.coarse_lost.q.val()
                    || self.coarse_half.q.val()
                    || ((self.coarse.q.val() & 127) != 0);
            }
            _ => {
                self.middle.d.next = self.coarse.q.val() >> 12;
                self.middle_over.d.next = self.coarse_over.q.val();
                self.middle_half.d.next = ((self.coarse.q.val() >> 11) & 1) != 0;
                self.middle_lost.d.next = self.coarse_lost.q.val()
                    || self.coarse_half.q.val()
                    || ((self.coarse.q.val() & 2047) != 0);
            }
        }

        match self.middle_shift.q.val() {
            0 => {
                self.fine.d.next = self.middle.q.val();
                self.fine_over.d.next =
                    self.middle_over.q.val() || ((self.middle.q.val() >> self.above0.val()) != 0);
                self.fine_half.d.next = self.middle_half.q.val();
                self.fine_lost.d.next = self.middle_lost.q.val();
            }
            1 => {
                self.fine.d.next = self.middle.q.val() >> 1;
                self.fine_over.d.next =
                    self.middle_over.q.val() || ((self.middle.q.val() >> self.above1.val()) != 0);
                self.fine_half.d.next = (self.middle.q.val() & 1) != 0;
                self.fine_lost.d.next = self.middle_lost.q.val() || self.middle_half.q.val();
            }
            2 => {
                self.fine.d.next = self.middle.q.val() >> 2;
                self.fine_over.d.next =
                    self.middle_over.q.val() || ((self.middle.q.val() >> self.above2.val()) != 0);
                self.fine_half.d.next = ((self.middle.q.val() >> 1) & 1) != 0;
                self.fine_lost.d.next =
                    self.middle_lost.q.val() || self.middle_half.q.val() || ((self.middle.q.val() & 1) != 0);
            }
            _ => {
                self.fine.d.next = self.middle.q.val() >> 3;
                self.fine_over.d.next = self.middle_over.q.val();
                self.fine_half.d.next = ((self.middle.q.val() >> 2) & 1) != 0;
                self.fine_lost.d.next =
                    self.middle_lost.q.val() || self.middle_half.q.val() || ((self.middle.q.val() & 3) != 0);
            }
        }

        self.rounded.d.next = self.fine.q.val();
        if self.fine_half.q.val() && (self.fine_lost.q.val() || ((self.fine.q.val() & 1) != 0)) {
            self.rounded.d.next = self.fine.q.val() + 1;
        }
        self.rounded_over.d.next = self.fine_over.q.val();
        self.code.d.next = self.rounded.q.val();
        if self.rounded_over.q.val() || (self.rounded.q.val() > self.top_i.val()) {
            self.code.d.next = self.top_i.val();
        }
        self.code_o.next = self.code.q.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arith::rne_shift;
    use crate::hw::check::{Bench, random, random_value};
    use rand::Rng;

    /// Numbers around ties and limits as well as random ones.
    fn number(rng: &mut impl Rng, bits: u32, shift: u32) -> i64 {
        let tie = if shift == 0 { 0 } else { (rng.random_range(0..8) * 2 + 1) << (shift - 1) };
        let near = tie + rng.random_range(-1..=1);
        let wide = random_value(rng, u(bits)) >> rng.random_range(0..bits);
        u(bits).wrap(if rng.random() { near } else { wide })
    }

    #[test]
    fn rounds_as_the_contract_does() {
        for (value_bits, code_bits) in [(47, 8), (63, 16), (20, 2), (12, 4)] {
            let mut bench = Bench::new(RoundShift::new(value_bits, code_bits), |b| &mut b.clk_i);
            let mut rng = random(value_bits.into());
            let top = (1 << code_bits) - 2;
            let mut want = std::collections::VecDeque::new();
            for t in 0..600 {
                let shift = rng.random_range(0..48);
                let value = number(&mut rng, value_bits, shift);
                let x = &mut bench.block;
                (x.value_i.next, x.shift_i.next, x.top_i.next) = (value, shift.into(), top);
                want.push_back(rne_shift(value, shift).min(top));
                bench.cycle();
                if t + 1 >= RoundShift::LATENCY {
                    assert_eq!(Some(bench.block.code_o.val()), want.pop_front(), "cycle {t}");
                }
            }
            bench.verilog("round_shift", RoundShift::LATENCY);
        }
    }
}
