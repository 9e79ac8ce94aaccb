//! The processing element: one weight, one product a cycle.

use super::RowMultiplier;
use crate::config::Multipliers;
use crate::hw::rt::{Flop, Reg, Sig, s};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Weight-stationary processing element.
///
/// The weight in use is captured from the shadow register when a swap flag comes with an activation, so that this very
/// activation meets the new weight. The product has a register of its own: with the partial sum it fits a DSP.
#[derive(LogicBlock, Clone)]
pub struct Pe {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// The shadow register takes `weight_i`.
    pub shift_i: Signal<In, Bit>,
    /// Weight from above.
    pub weight_i: Sig<In>,
    /// The shadow register, to the element below.
    pub weight_o: Sig<Out>,
    /// From the left: the weight in use becomes the shadow register's.
    pub swap_i: Signal<In, Bit>,
    /// To the right, one cycle later.
    pub swap_o: Signal<Out, Bit>,
    /// Activation from the left, A + 1 bits.
    pub act_i: Sig<In>,
    /// To the right, one cycle later.
    pub act_o: Sig<Out>,
    /// Partial sum from above.
    pub psum_i: Sig<In>,
    /// `psum_i` + weight · activation, to the element below.
    pub psum_o: Sig<Out>,
    shadow: Reg,
    weight: Reg,
    swap: Flop<Bit>,
    act: Reg,
    product: Reg,
    psum: Reg,
    rows: Vec<RowMultiplier>,
    _dsps: usize,
    _rows: usize,
}

impl Pe {
    /// Cycles from an activation at `act_i` to its product in `psum_o`.
    pub const LATENCY: usize = timing::PE;

    /// An element for `weight_bits` W, operands of `act_bits` + 1 bits and partial sums of `psum_bits`.
    pub fn new(weight_bits: u32, act_bits: u32, psum_bits: u32, multipliers: Multipliers) -> Self {
        let rows = (multipliers == Multipliers::Lut) as usize;
        let (weight, act, psum) = (s(weight_bits), s(act_bits + 1), s(psum_bits));
        Self {
            clk_i: Default::default(),
            shift_i: Default::default(),
            weight_i: Sig::new(weight),
            weight_o: Sig::new(weight),
            swap_i: Default::default(),
            swap_o: Default::default(),
            act_i: Sig::new(act),
            act_o: Sig::new(act),
            psum_i: Sig::new(psum),
            psum_o: Sig::new(psum),
            shadow: Reg::new(weight),
            weight: Reg::new(weight),
            swap: Default::default(),
            act: Reg::new(act),
            product: Reg::new(s(weight_bits + act_bits + 1)),
            psum: Reg::new(psum),
            rows: vec![RowMultiplier::new(weight_bits, act_bits + 1); rows],
            _dsps: 1 - rows,
            _rows: rows,
        }
    }
}

impl Logic for Pe {
    #[hdl_gen]
    fn update(&mut self) {
        comment!(
            "module pe: weight-stationary processing element with a shadow register for the next weight"
        );
        dff_setup!(self, clk_i, shadow, weight, swap, act, product, psum);
        if self.shift_i.val() {
            self.shadow.d.next = self.weight_i.val();
        }
        if self.swap_i.val() {
            self.weight.d.next = self.shadow.q.val();
        }
        self.swap.d.next = self.swap_i.val();
        self.act.d.next = self.act_i.val();
        for _i in 0..self._dsps {
            self.product.d.next = self.act.q.val() * self.weight.q.val();
        }
        for i in 0..self._rows {
            self.rows[i].weight_i.next = self.weight.q.val();
            self.rows[i].act_i.next = self.act.q.val();
            self.product.d.next = self.rows[i].product_o.val();
        }
        self.psum.d.next = self.psum_i.val() + self.product.q.val();
        self.weight_o.next = self.shadow.q.val();
        self.swap_o.next = self.swap.q.val();
        self.act_o.next = self.act.q.val();
        self.psum_o.next = self.psum.q.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, Family, random, random_value};
    use rand::Rng;

    /// Drives random inputs and follows them with integers: what each input of the past must have become.
    fn check(cycles: usize, pe: Pe) -> Bench<Pe> {
        let mut rng = random(pe.weight_i.ty().bits.into());
        let mut bench = Bench::new(pe, |b| &mut b.clk_i);
        let (mut shadow, mut weight) = (0, 0);
        let mut products = [0; 3];
        for t in 0..cycles {
            let pe = &mut bench.block;
            pe.shift_i.next = t == 0 || rng.random();
            pe.swap_i.next = t == 1 || rng.random_bool(0.3);
            pe.weight_i.next = random_value(&mut rng, pe.weight_i.ty());
            pe.act_i.next = random_value(&mut rng, pe.act_i.ty());
            pe.psum_i.next = random_value(&mut rng, pe.psum_i.ty());
            let (swap, shift) = (pe.swap_i.next, pe.shift_i.next);
            let (act, above, taken) = (pe.act_i.next, pe.psum_i.next, pe.weight_i.next);
            bench.cycle();
            weight = if swap { shadow } else { weight };
            shadow = if shift { taken } else { shadow };
            products = [weight * act, products[0], products[1]];
            let pe = &bench.block;
            assert_eq!((pe.act_o.val(), pe.swap_o.val(), pe.weight_o.val()), (act, swap, shadow));
            assert_eq!(pe.psum_o.val(), pe.psum_o.ty().wrap(above + products[Pe::LATENCY - 1]), "cycle {t}");
        }
        bench
    }

    #[test]
    fn is_a_multiply_accumulate_with_the_stated_latency() {
        for (weight_bits, act_bits, psum_bits) in [(8, 8, 20), (2, 2, 6), (4, 8, 16), (16, 16, 38)] {
            for multipliers in [Multipliers::Dsp, Multipliers::Lut] {
                check(200, Pe::new(weight_bits, act_bits, psum_bits, multipliers)).verilog("pe", 6);
            }
        }
    }

    #[test]
    fn netlists_equal_it() {
        let dsp = check(10_000, Pe::new(8, 8, 20, Multipliers::Dsp));
        for (family, cell) in [(Family::Xc7, "DSP48E1"), (Family::Ice40, "SB_MAC16")] {
            let netlist = dsp.netlist("pe", 6, family);
            assert!(netlist.is_none_or(|text| text.contains(cell)), "no {cell}");
        }
        check(10_000, Pe::new(8, 8, 20, Multipliers::Lut)).netlist("pe", 6, Family::Ecp5);
    }
}
