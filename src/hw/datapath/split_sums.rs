//! Below the last row: the partial sums of a group of columns are taken apart.

use super::Packing;
use crate::hw::rt::{Lanes, Sig, s, text, u};
use rust_hdl::prelude::*;

/// The partial sums of the columns of a group out of their number: to each the borrow that a negative one below it has
/// taken, its top bit, is given back. Combinational.
#[derive(LogicBlock)]
pub struct SplitSums {
    /// Partial sums as one number.
    pub sum_i: Sig<In>,
    /// Partial sums, a lane a column.
    pub psum_o: Lanes<Out>,
    _packing: Packing,
}

impl SplitSums {
    /// For the columns of `packing`.
    pub fn new(packing: Packing) -> Self {
        let psum_o = Lanes::new(packing.lanes, s(packing.psum_bits));
        Self { sum_i: Sig::new(u(packing.sum_bits())), psum_o, _packing: packing }
    }
}

impl Logic for SplitSums {
    fn update(&mut self) {
        let (packing, sum) = (self._packing, self.sum_i.val());
        self.psum_o.drive(|lane| packing.split(sum, lane));
    }
    fn connect(&mut self) {
        self.psum_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let Packing { lanes, psum_bits: p, .. } = self._packing;
        let lane = |lane: u32| {
            let (first, last) = (lane * p, (lane + 1) * p - 1);
            let borrowed = format!(" + {{{}'d0, sum_i[{}]}}", p - 1, first.saturating_sub(1));
            let borrowed = if lane == 0 { String::new() } else { borrowed };
            format!("assign psum_o[{last}:{first}] = sum_i[{last}:{first}]{borrowed};\n")
        };
        let lanes_text: String = (0..lanes as u32).map(lane).collect();
        text(format!("// module split_sums: partial sums of {lanes} columns out of one number\n{lanes_text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use crate::hw::datapath::WeightDigits;
    use crate::hw::rt::{LanesReg, Reg};

    /// Both ends of a column of groups, a register behind each.
    #[derive(LogicBlock)]
    struct Ends {
        clk_i: Signal<In, Clock>,
        weight_i: Lanes<In>,
        sum_i: Sig<In>,
        digit_o: Sig<Out>,
        psum_o: Lanes<Out>,
        digits: WeightDigits,
        split: SplitSums,
        digit: Reg,
        psum: LanesReg,
    }

    impl Logic for Ends {
        #[hdl_gen]
        fn update(&mut self) {
            comment!("module ends: digits and sums");
            dff_setup!(self, clk_i, digit, psum);
            self.digits.weight_i.next = self.weight_i.val();
            self.digit.d.next = self.digits.digit_o.val();
            self.digit_o.next = self.digit.q.val();
            self.split.sum_i.next = self.sum_i.val();
            self.psum.d.next = self.split.psum_o.val();
            self.psum_o.next = self.psum.q.val();
        }
    }

    #[test]
    fn what_goes_in_as_digits_comes_out_as_columns() {
        for (lanes, w, p) in [(4, 2, 7), (3, 3, 9), (2, 8, 20), (2, 2, 5)] {
            let packing = Packing::new(lanes, w, w, p, 18);
            let (weight, digit) = (s(w), u(packing.digit_bits()));
            let (sum, psum) = (u(packing.sum_bits()), s(p));
            let ends = Ends {
                clk_i: Default::default(),
                weight_i: Lanes::new(lanes, weight),
                sum_i: Sig::new(sum),
                digit_o: Sig::new(digit),
                psum_o: Lanes::new(lanes, psum),
                digits: WeightDigits::new(packing),
                split: SplitSums::new(packing),
                digit: Reg::new(digit),
                psum: LanesReg::new(lanes, psum),
            };
            let mut bench = Bench::new(ends, |b| &mut b.clk_i);
            let mut rng = random(lanes as u64);
            for t in 0..400 {
                let weights: Vec<i64> = (0..lanes).map(|_| random_value(&mut rng, weight)).collect();
                // Their least value would leave no room for a borrow; no sum of products comes near.
                let sums: Vec<i64> =
                    (0..lanes).map(|_| random_value(&mut rng, psum).max(psum.range().0 + 1)).collect();
                let number = sums.iter().enumerate().map(|(j, sum)| sum << (j as u32 * p)).sum::<i64>();
                bench.block.weight_i.drive(|j| weights[j]);
                bench.block.sum_i.next = number & sum.range().1;
                bench.cycle();
                assert_eq!(*bench.block.psum_o.val(), *sums, "cycle {t}");
                // Digit by digit: weight less borrow, W + 1 bits.
                let (mut bits, mut at, mut borrow) = (0, 0, 0);
                for (j, weight) in weights.iter().enumerate() {
                    let (digit, width) = (weight - borrow, if j == 0 { w } else { w + 1 });
                    bits += digit.rem_euclid(1 << width) << at;
                    (at, borrow) = (at + width, (digit < 0) as i64);
                }
                assert_eq!(bench.block.digit_o.val(), bits, "cycle {t}: {weights:?}");
            }
            bench.verilog("ends", 1);
        }
    }
}
