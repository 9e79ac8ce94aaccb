//! The numbers of packed products: one multiplier for the weights of neighbouring columns.
//!
//! The columns of a group share their activation a. Their weights w_j, K bits apart, are one operand Σ w_j · 2^(j·K), whose
//! product with a is Σ (a · w_j) · 2^(j·K): a · w_j fits K = W + A bits, with room for one less. As the number is in two's
//! complement, bits of lane j hold a · w_j less the borrow of a negative lane below. A partial sum of the group is one
//! number, too: Σ S_j · 2^(j·P). Since the borrow out of a lane depends on its sign only, and a lane keeps its sign when it
//! is extended from K to P bits, the product's lanes are spread by sign extension alone; the sums are taken apart once,
//! below the last row, where each lane gets back what the one below it has borrowed.

use crate::hw::rt::s;

/// How the columns of a group share a multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Columns of the group; one of them needs no packing.
    pub lanes: usize,
    /// Bits W of a weight.
    pub weight_bits: u32,
    /// Bits A of an activation code; the operand has A + 1.
    pub act_bits: u32,
    /// Bits P of a column's partial sum.
    pub psum_bits: u32,
    /// Bits from lane to lane in the product: W + A, or P where the multiplier holds that, so that its own adder can add
    /// up the columns.
    pub pitch: u32,
}

impl Packing {
    /// `lanes` columns of a multiplier whose wider operand has `multiplier_bits`.
    pub fn new(lanes: usize, weight_bits: u32, act_bits: u32, psum_bits: u32, multiplier_bits: u32) -> Self {
        let of_pitch = |pitch| Self { lanes, weight_bits, act_bits, psum_bits, pitch };
        let wide = of_pitch(psum_bits);
        // Synthesis uses no adder of the smaller multipliers: there, P would cost registers and save nothing.
        let serves = multiplier_bits > 18 && wide.operand_bits() <= multiplier_bits;
        if serves { wide } else { of_pitch(weight_bits + act_bits) }
    }

    /// The same for a group of `lanes`.
    pub fn of(self, lanes: usize) -> Self {
        Self { lanes, ..self }
    }

    /// Bits of the weights of a group on their way down: W for column 0, one more for a borrow in the others.
    pub fn digit_bits(&self) -> u32 {
        self.lanes as u32 * (self.weight_bits + 1) - 1
    }

    /// First and last bit of weight `lane` among these.
    pub fn digit(&self, lane: usize) -> (u32, u32) {
        let first = (lane as u32 * (self.weight_bits + 1)).saturating_sub(1);
        (first, (lane as u32 + 1) * (self.weight_bits + 1) - 2)
    }

    /// Bits of the weights as an operand.
    pub fn operand_bits(&self) -> u32 {
        (self.lanes as u32 - 1) * self.pitch + self.weight_bits + 1
    }

    /// Bits of the product.
    pub fn product_bits(&self) -> u32 {
        (self.lanes as u32 - 1) * self.pitch + self.weight_bits + self.act_bits
    }

    /// Bits of the partial sums of a group.
    pub fn sum_bits(&self) -> u32 {
        self.lanes as u32 * self.psum_bits
    }

    /// The weights of a group on their way down; the borrow is taken.
    pub fn digits(&self, weights: &[i64]) -> i64 {
        let (mut digits, mut borrow) = (0, 0);
        for (lane, weight) in weights.iter().enumerate() {
            let (first, last) = self.digit(lane);
            let digit = weight - borrow;
            digits |= (digit & ((1 << (last - first + 1)) - 1)) << first;
            borrow = (digit < 0) as i64;
        }
        digits
    }

    /// The operand that they are.
    pub fn operand(&self, digits: i64) -> i64 {
        let digit = |lane: usize| {
            let (first, last) = self.digit(lane);
            s(last - first + 1).wrap(digits >> first)
        };
        // Bits of the lanes side by side: a negative one has the borrow in the next.
        let lanes = 0..self.lanes;
        let bits = lanes.map(|lane| (digit(lane) & self.mask(lane)) << (lane as u32 * self.pitch));
        s(self.operand_bits()).wrap(bits.sum())
    }

    /// Bits of `lane` in the operand, from its lowest one: all that are left for the last lane.
    fn mask(&self, lane: usize) -> i64 {
        if lane + 1 == self.lanes { -1 } else { (1 << self.pitch) - 1 }
    }

    /// The product's lanes at the pitch of the partial sums, as a number.
    pub fn spread(&self, product: i64) -> i64 {
        if self.lanes == 1 {
            return product;
        }
        let product = s(self.product_bits()).wrap(product);
        if self.pitch == self.psum_bits {
            return product;
        }
        let mask = (1i64 << self.psum_bits) - 1;
        let lane = |lane: u32| s(self.pitch).wrap(product >> (lane * self.pitch));
        let bits = (0..self.lanes as u32).map(|i| {
            let all = i + 1 == self.lanes as u32;
            (lane(i) & if all { -1 } else { mask }) << (i * self.psum_bits)
        });
        bits.sum()
    }

    /// The partial sum of column `lane` in those of the group.
    pub fn split(&self, sum: i64, lane: usize) -> i64 {
        let at = lane as u32 * self.psum_bits;
        let borrowed = if lane == 0 { 0 } else { sum >> (at - 1) & 1 };
        s(self.psum_bits).wrap((sum >> at) + borrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every weight with every activation, by the definition: lane by lane it is a · w.
    #[test]
    fn every_lane_of_a_product_is_exact() {
        for (lanes, w, a, multiplier_bits) in
            [(4, 2u32, 2u32, 18), (3, 3, 3, 18), (2, 4, 4, 18), (2, 3, 2, 27)]
        {
            let packing = Packing::new(lanes, w, a, w + a + 3, multiplier_bits);
            let weights = 1usize << w;
            for all in 0..weights.pow(lanes as u32) {
                let weight = |lane: u32| (all / weights.pow(lane) % weights) as i64 - (1 << (w - 1));
                let list: Vec<i64> = (0..lanes as u32).map(weight).collect();
                let operand = packing.operand(packing.digits(&list));
                let number =
                    list.iter().enumerate().map(|(j, w)| w << (j as u32 * packing.pitch)).sum::<i64>();
                assert_eq!(operand, number, "{packing:?} {list:?}");
                for act in -(1i64 << (a - 1))..1 << a {
                    // Two rows: the sums of a partial sum and a product, as a column makes them.
                    let sum = packing.spread(act * operand) + packing.spread(-(1 << (a - 1)) * operand);
                    for (lane, w) in list.iter().enumerate() {
                        let want = w * (act - (1 << (a - 1)));
                        assert_eq!(packing.split(sum, lane), want, "{packing:?} {list:?} × {act}");
                    }
                }
            }
        }
    }
}
