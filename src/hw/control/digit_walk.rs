//! The walk over the digits of a kernel position: digit of the weights → plane of the activations.

use super::Turn;
use crate::config::ArrayConfig;
use crate::hw::rt::{Flop, K, LayerPort, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Left shifts of partial sums, in units of a design point's [`ArrayConfig::shift_unit`].
#[derive(Clone, Copy, Debug)]
pub struct Shifts {
    /// From digit to digit of the weights.
    pub weight: u32,
    /// From plane to plane of the activations.
    pub act: u32,
    /// Bits of the greatest.
    pub bits: u32,
    /// There are planes, so that a pixel may have several words.
    pub planes: bool,
}

impl Shifts {
    /// Those of `config`, if layers may be wider than it.
    pub fn of(config: &ArrayConfig) -> Option<Self> {
        let unit = config.shift_unit();
        let bits = (config.most_shift() / unit).checked_ilog2()? + 1;
        let planes = config.act_digits > 1;
        Some(Self { weight: config.weight_bits / unit, act: config.act_bits / unit, bits, planes })
    }
}

/// Describes the next sweep of a kernel position, and the one that runs; each `go_i` takes the next one and turns to the
/// one after, which is ready three cycles later: so two sums of an accumulator are at least three cycles apart.
#[derive(LogicBlock)]
pub struct DigitWalk {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The sweep is taken.
    pub go_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// The outputs describe the next sweep.
    pub ready_o: Signal<Out, Bit>,
    /// It is the first of its kernel position.
    pub first_o: Signal<Out, Bit>,
    /// It is the last.
    pub last_o: Signal<Out, Bit>,
    /// It has the weights of the one before.
    pub keeps_o: Signal<Out, Bit>,
    /// Its plane.
    pub plane_o: Sig<Out>,
    /// Of the sweep that runs: it has kept the weights.
    pub kept_o: Signal<Out, Bit>,
    /// Its activations are two's complement.
    pub signed_o: Signal<Out, Bit>,
    /// Shift of its partial sums.
    pub shift_o: Sig<Out>,
    plane: Turn,
    digit: Turn,
    // Of the counters, a cycle after them.
    first_plane: Flop<Bit>,
    first_digit: Flop<Bit>,
    last_plane: Flop<Bit>,
    last_digit: Flop<Bit>,
    settling: Flop<Bit>,
    settled: Flop<Bit>,
    /// Of the next sweep, and of its digit's first.
    shift: Reg,
    digit_shift: Reg,
    // Of the sweep that runs.
    kept: Flop<Bit>,
    is_signed: Flop<Bit>,
    running_shift: Reg,
    last: Signal<Local, Bit>,
    weight_step: K,
    act_step: K,
}

impl DigitWalk {
    /// A walk with these shifts, for lanes whose addresses have `address_bits`.
    pub fn new(shifts: Shifts, address_bits: u32) -> Self {
        let shift = u(shifts.bits);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            go_i: Default::default(),
            layer_i: LayerPort::new(),
            ready_o: Default::default(),
            first_o: Default::default(),
            last_o: Default::default(),
            keeps_o: Default::default(),
            plane_o: Sig::new(u(address_bits.min(Turn::BITS))),
            kept_o: Default::default(),
            signed_o: Default::default(),
            shift_o: Sig::new(shift),
            plane: Turn::new(Turn::BITS),
            digit: Turn::new(Turn::BITS),
            first_plane: Default::default(),
            first_digit: Default::default(),
            last_plane: Default::default(),
            last_digit: Default::default(),
            settling: Default::default(),
            settled: Default::default(),
            shift: Reg::new(shift),
            digit_shift: Reg::new(shift),
            kept: Default::default(),
            is_signed: Default::default(),
            running_shift: Reg::new(shift),
            last: Default::default(),
            weight_step: K::new(shift, shift.wrap(shifts.weight.into())),
            act_step: K::new(shift, shift.wrap(shifts.act.into())),
        }
    }
}

impl Logic for DigitWalk {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module digit_walk: the next sweep of a kernel position, digit by digit, plane by plane");
        dff_setup!(
            self,
            clk_i,
            first_plane,
            first_digit,
            last_plane,
            last_digit,
            settling,
            settled,
            shift,
            digit_shift,
            kept,
            is_signed,
            running_shift
        );
        self.plane.clk_i.next = self.clk_i.val();
        self.digit.clk_i.next = self.clk_i.val();
        self.plane.count_i.next = self.layer_i.planes.val();
        self.digit.count_i.next = self.layer_i.digits.val();
        self.plane.step_i.next = self.go_i.val();
        self.digit.step_i.next = self.go_i.val() && self.plane.last_o.val();
        self.plane.restart_i.next = self.start_i.val();
        self.digit.restart_i.next = self.start_i.val();
        self.first_plane.d.next = self.plane.at_o.val() == 0;
        self.first_digit.d.next = self.digit.at_o.val() == 0;
        self.last_plane.d.next = self.plane.last_o.val();
        self.last_digit.d.next = self.digit.last_o.val();

        self.last.next = self.last_plane.q.val() && self.last_digit.q.val();
        self.ready_o.next = self.settled.q.val();
        self.first_o.next = self.first_plane.q.val() && self.first_digit.q.val();
        self.last_o.next = self.last.val();
        self.keeps_o.next = !self.first_plane.q.val();
        self.plane_o.next = self.plane.at_o.val();
        self.kept_o.next = self.kept.q.val();
        self.signed_o.next = self.is_signed.q.val();
        self.shift_o.next = self.running_shift.q.val();

        self.settling.d.next = true;
        self.settled.d.next = self.settling.q.val();
        if self.go_i.val() {
            self.settling.d.next = false;
            self.settled.d.next = false;
            self.kept.d.next = !self.first_plane.q.val();
            self.is_signed.d.next = self.last_plane.q.val() && (self.layer_i.x_signed.val() == 1);
            self.running_shift.d.next = self.shift.q.val();
            self.shift.d.next = self.shift.q.val() + self.act_step.val();
            if self.last_plane.q.val() {
                self.shift.d.next = self.digit_shift.q.val() + self.weight_step.val();
                self.digit_shift.d.next = self.digit_shift.q.val() + self.weight_step.val();
            }
            if self.last.val() {
                self.shift.d.next = 0;
                self.digit_shift.d.next = 0;
            }
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.settling.d.next = false;
            self.settled.d.next = false;
            self.shift.d.next = 0;
            self.digit_shift.d.next = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    #[test]
    fn every_pair_of_digit_and_plane_has_its_shift() {
        for (shifts, digits, planes, signed) in [
            (Shifts { weight: 1, act: 1, bits: 2, planes: true }, 2, 2, true),
            (Shifts { weight: 1, act: 1, bits: 3, planes: true }, 4, 4, false),
            (Shifts { weight: 3, act: 4, bits: 4, planes: true }, 3, 2, true),
            (Shifts { weight: 1, act: 1, bits: 2, planes: true }, 1, 1, true),
        ] {
            let mut bench = Bench::new(DigitWalk::new(shifts, 11), |b| &mut b.clk_i);
            let mut rng = random(digits as u64);
            bench.block.rst_ni.next = true;
            let fields = &mut *bench.block.layer_i.next;
            (fields.digits, fields.planes, fields.x_signed) = (digits, planes, i64::from(signed));
            bench.block.start_i.next = true;
            bench.cycle();
            bench.block.start_i.next = false;
            let pairs = (0..3).flat_map(|_| (0..digits).flat_map(|d| (0..planes).map(move |p| (d, p))));
            for (digit, plane) in pairs {
                while !bench.block.ready_o.val() || rng.random_bool(0.3) {
                    bench.cycle();
                }
                let b = &mut bench.block;
                assert_eq!(
                    (b.first_o.val(), b.last_o.val(), b.keeps_o.val(), b.plane_o.val()),
                    (digit + plane == 0, (digit, plane) == (digits - 1, planes - 1), plane > 0, plane)
                );
                b.go_i.next = true;
                bench.cycle();
                let b = &mut bench.block;
                b.go_i.next = false;
                let shift = digit * i64::from(shifts.weight) + plane * i64::from(shifts.act);
                assert_eq!(
                    (b.shift_o.val(), b.signed_o.val(), b.kept_o.val(), b.ready_o.val()),
                    (shift, signed && plane == planes - 1, plane > 0, false)
                );
            }
            bench.verilog("digit_walk", 4);
        }
    }
}
