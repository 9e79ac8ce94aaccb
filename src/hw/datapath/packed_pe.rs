//! The processing element of several columns: their weights share a multiplier.

use super::{Packing, Pe};
use crate::hw::rt::{Sig, s, text, u};
use rust_hdl::prelude::*;

/// Weight-stationary processing element of several columns, which share the activation and a multiplier.
///
/// As the element of one column in what comes when: a weight is captured with the swap flag, the product has a register.
/// The weights are digits in one operand, the product's lanes are spread to the pitch of the partial sums by sign
/// extension, and all partial sums are one number; the borrow of a negative lane is in the lane above it, everywhere.
#[derive(LogicBlock, Clone)]
pub struct PackedPe {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// The shadow register takes `weight_i`.
    pub shift_i: Signal<In, Bit>,
    /// Weights from above, as digits, that of column 0 in the lowest bits.
    pub weight_i: Sig<In>,
    /// The shadow register, to the element below.
    pub weight_o: Sig<Out>,
    /// From the left: the weights in use become the shadow register's.
    pub swap_i: Signal<In, Bit>,
    /// To the right, one cycle later.
    pub swap_o: Signal<Out, Bit>,
    /// Activation from the left, A + 1 bits.
    pub act_i: Sig<In>,
    /// To the right, one cycle later.
    pub act_o: Sig<Out>,
    /// Partial sums from above, one number.
    pub psum_i: Sig<In>,
    /// `psum_i` + weights · activation, to the element below.
    pub psum_o: Sig<Out>,
    _packing: Packing,
    _state: State,
}

#[derive(Clone, Default)]
struct State {
    shadow: i64,
    weight: i64,
    swap: bool,
    act: i64,
    product: i64,
    psum: i64,
}

impl PackedPe {
    /// Cycles from an activation at `act_i` to its products in `psum_o`.
    pub const LATENCY: usize = Pe::LATENCY;

    /// An element for the columns of `packing`.
    pub fn new(packing: Packing) -> Self {
        let (digits, sums) = (u(packing.digit_bits()), u(packing.sum_bits()));
        let act = s(packing.act_bits + 1);
        Self {
            clk_i: Default::default(),
            shift_i: Default::default(),
            weight_i: Sig::new(digits),
            weight_o: Sig::new(digits),
            swap_i: Default::default(),
            swap_o: Default::default(),
            act_i: Sig::new(act),
            act_o: Sig::new(act),
            psum_i: Sig::new(sums),
            psum_o: Sig::new(sums),
            _packing: packing,
            _state: State::default(),
        }
    }

    /// The operand: digits with their signs up to the next lane.
    fn operand(&self) -> String {
        let lane = |lane: usize| {
            let (first, last) = self._packing.digit(lane);
            let extension = self._packing.pitch - (last - first + 1);
            match lane + 1 == self._packing.lanes {
                true => format!("weight[{last}:{first}]"),
                false => format!("{{{extension}{{weight[{last}]}}}}, weight[{last}:{first}]"),
            }
        };
        (0..self._packing.lanes).rev().map(lane).collect::<Vec<_>>().join(", ")
    }

    /// The product's lanes with their signs up to the pitch of the partial sums.
    fn addend(&self) -> String {
        let Packing { lanes, psum_bits, pitch, .. } = self._packing;
        let top = self._packing.product_bits() - 1;
        if pitch == psum_bits {
            return format!("{{{}{{product[{top}]}}}}, product", self._packing.sum_bits() - top - 1);
        }
        let lane = |lane: u32| {
            let (first, last) = (lane * pitch, (lane + 1) * pitch - 1);
            format!("{{{}{{product[{last}]}}}}, product[{last}:{first}]", psum_bits - pitch)
        };
        (0..lanes as u32).rev().map(lane).collect::<Vec<_>>().join(", ")
    }
}

impl Logic for PackedPe {
    fn update(&mut self) {
        let state = &mut self._state;
        if self.clk_i.pos_edge() {
            state.psum = self.psum_i.val() + self._packing.spread(state.product);
            state.product = state.act * self._packing.operand(state.weight);
            if self.swap_i.val() {
                state.weight = state.shadow;
            }
            if self.shift_i.val() {
                state.shadow = self.weight_i.val();
            }
            (state.swap, state.act) = (self.swap_i.val(), self.act_i.val());
        }
        self.weight_o.next = state.shadow;
        self.swap_o.next = state.swap;
        self.act_o.next = state.act;
        self.psum_o.next = state.psum;
    }
    fn connect(&mut self) {
        self.weight_o.connect();
        self.swap_o.connect();
        self.act_o.connect();
        self.psum_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let Packing { lanes, weight_bits: w, psum_bits, .. } = self._packing;
        let packing = &self._packing;
        let (digits, sums) = (packing.digit_bits() - 1, packing.sum_bits() - 1);
        let (operand, product) = (packing.operand_bits() - 1, packing.product_bits() - 1);
        let act = packing.act_bits;
        text(format!(
            "// module packed_pe: weight-stationary processing element of {lanes} columns with one multiplier
reg [{digits}:0] shadow;
reg [{digits}:0] weight;
reg swap;
reg signed [{act}:0] act;
reg [{sums}:0] psum;

// Weights of {w} bits, the borrow of a negative one taken from the next, {pitch} bits apart.
wire signed [{operand}:0] operand = {{{}}};
(* use_dsp = \"yes\", multstyle = \"dsp\", syn_multstyle = \"block_mult\" *)
reg signed [{product}:0] product;

assign weight_o = shadow;
assign swap_o = swap;
assign act_o = act;
assign psum_o = psum;

always @(posedge clk_i) begin
    if (shift_i) begin
        shadow <= weight_i;
    end
    if (swap_i) begin
        weight <= shadow;
    end
    swap <= swap_i;
    act <= act_i;
    product <= act * operand;
    // Its lanes with their signs, {psum_bits} bits apart.
    psum <= psum_i + {{{}}};
end
",
            self.operand(),
            self.addend(),
            pitch = packing.pitch,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, Family, random};
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;

    /// Partial sums as one number.
    fn joined(packing: Packing, sums: &[i64]) -> i64 {
        let bits = sums.iter().enumerate().map(|(lane, sum)| sum << (lane as u32 * packing.psum_bits));
        bits.sum::<i64>() & ((1 << packing.sum_bits()) - 1)
    }

    /// What a lane may hold besides a product that is to be added.
    fn above(packing: Packing, rng: &mut ChaCha8Rng) -> i64 {
        let Packing { weight_bits: w, act_bits: a, psum_bits: p, .. } = packing;
        let most = (1i64 << (p - 1)) - (1i64 << (w + a - 1));
        match rng.random_range(0..4) {
            _ if most <= 0 => 0,
            0 => most - 1,
            1 => -most + 1,
            _ => rng.random_range(-most + 1..most),
        }
    }

    /// Drives weights and activations, and follows every column with integers.
    fn check(packing: Packing, vectors: impl Iterator<Item = (Vec<i64>, i64)>) -> Bench<PackedPe> {
        let mut rng = random(packing.lanes as u64);
        let mut bench = Bench::new(PackedPe::new(packing), |b| &mut b.clk_i);
        let (mut shadow, mut weight) = (vec![0; packing.lanes], vec![0; packing.lanes]);
        let mut products = vec![vec![0; packing.lanes]; PackedPe::LATENCY];
        for (t, (taken, act)) in vectors.enumerate() {
            let sums: Vec<i64> = (0..packing.lanes).map(|_| above(packing, &mut rng)).collect();
            let pe = &mut bench.block;
            (pe.shift_i.next, pe.swap_i.next) =
                (t < 2 || rng.random_bool(0.9), t < 2 || rng.random_bool(0.9));
            pe.weight_i.next = packing.digits(&taken);
            (pe.act_i.next, pe.psum_i.next) = (act, joined(packing, &sums));
            let (swap, shift) = (pe.swap_i.next, pe.shift_i.next);
            bench.cycle();
            weight = if swap { shadow.clone() } else { weight };
            shadow = if shift { taken } else { shadow };
            products.rotate_right(1);
            products[0] = weight.iter().map(|w| w * act).collect();
            let pe = &bench.block;
            assert_eq!((pe.act_o.val(), pe.swap_o.val()), (act, swap));
            assert_eq!(pe.weight_o.val(), packing.digits(&shadow));
            for (lane, sum) in sums.iter().enumerate().filter(|_| t >= 2) {
                let want = sum + products[PackedPe::LATENCY - 1][lane];
                assert_eq!(packing.split(pe.psum_o.val(), lane), want, "{packing:?}, cycle {t}, lane {lane}");
            }
        }
        bench
    }

    /// All weights with all activations, codes of either sign.
    fn exhaustive(packing: Packing) -> impl Iterator<Item = (Vec<i64>, i64)> {
        let (w, a, lanes) = (packing.weight_bits, packing.act_bits, packing.lanes as u32);
        let (least, each) = (-(1i64 << (w - 1)), 1i64 << w);
        let weights =
            move |all: i64| (0..lanes).map(|j| all / each.pow(j) % each + least).collect::<Vec<_>>();
        (0..each.pow(lanes))
            .flat_map(move |all| (-(1i64 << (a - 1))..1 << a).map(move |act| (weights(all), act)))
    }

    /// Extremes half of the time.
    fn drawn(packing: Packing, count: usize) -> impl Iterator<Item = (Vec<i64>, i64)> {
        let mut rng = random(packing.weight_bits as u64);
        std::iter::repeat_with(move || {
            let mut one = |least: i64, most: i64| match rng.random_range(0..6) {
                0 => least,
                1 => most,
                2 => 0,
                _ => rng.random_range(least..=most),
            };
            let weight = 1i64 << (packing.weight_bits - 1);
            let weights = (0..packing.lanes).map(|_| one(-weight, weight - 1)).collect();
            (weights, one(-(1 << (packing.act_bits - 1)), (1 << packing.act_bits) - 1))
        })
        .take(count)
    }

    #[test]
    fn all_weights_and_activations_of_narrow_columns() {
        for (lanes, w, a) in [(4, 2, 2), (3, 3, 3)] {
            let packing = Packing::new(lanes, w, a, w + a + 2, 18);
            check(packing, exhaustive(packing)).verilog("packed_pe", 6);
        }
    }

    #[test]
    fn extremes_and_random_values_of_wider_ones() {
        for (lanes, w, a, p, multiplier) in [
            (2, 4, 4, 11, 18),
            (2, 4, 8, 15, 18),
            (2, 4, 8, 15, 25), // lanes of the product as far apart as partial sums
            (2, 2, 4, 9, 27),
            (2, 4, 4, 11, 16),
            (2, 8, 8, 19, 25),
            (3, 2, 4, 12, 18),
            (4, 3, 4, 13, 27),
            (2, 5, 16, 27, 27),
        ] {
            let packing = Packing::new(lanes, w, a, p, multiplier);
            check(packing, drawn(packing, 1500)).verilog("packed_pe", 6);
        }
    }

    #[test]
    fn netlists_equal_it() {
        for (family, cell, lanes, w, a, multiplier) in [
            (Family::Xc7, "DSP48E1", 2, 8, 8, 25),
            (Family::Xc7, "DSP48E1", 2, 4, 8, 25),
            (Family::Ice40, "SB_MAC16", 2, 4, 4, 16),
            (Family::Ecp5, "", 4, 2, 2, 18), // in logic
        ] {
            let packing = Packing::new(lanes, w, a, w + a + 3, multiplier);
            let netlist = check(packing, drawn(packing, 5_000)).netlist("packed_pe", 6, family);
            let one = |text: String| cell.is_empty() || text.matches(&format!("{cell} #(")).count() == 1;
            assert!(netlist.is_none_or(one), "not one {cell}");
        }
    }
}
