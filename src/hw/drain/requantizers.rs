//! Lanes of requantization and pooling.

use super::{SHIFT_BITS, scale_ty};
use crate::arith::{Levels, Multiplier, requantize};
use crate::config::Requantize;
use crate::hw::datapath::{MaxPool, Requantizer, RequantizerPow2};
use crate::hw::rt::{Lanes, Sig, Template, s, text, u};
use rust_hdl::prelude::*;
use std::collections::VecDeque;

/// Requantizers side by side, each with its max pool.
#[derive(LogicBlock)]
pub struct Requantizers {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Accumulators, a lane each.
    pub acc_i: Lanes<In>,
    /// Biases of their channels; a sum fits the accumulator's bits.
    pub bias_i: Lanes<In>,
    /// Shifts s of their channels, 0 … 47, and above them the multipliers m where there are any.
    pub scale_i: Lanes<In>,
    /// Greatest code; stable while values are under way.
    pub top_i: Sig<In>,
    /// Codes leave the requantizers: `acc_i` was valid [`Requantizers::code_latency`] cycles ago.
    pub valid_i: Signal<In, Bit>,
    /// They begin a window.
    pub first_i: Signal<In, Bit>,
    /// `acc_i + bias_i`, [`Requantizers::SUM_LATENCY`] cycles later.
    pub sum_o: Lanes<Out>,
    /// Greatest code since the last `first_i`, one cycle after `valid_i`.
    pub code_o: Lanes<Out>,
    requantizer: Lane,
    max_pool: Template<MaxPool>,
    _state: State,
}

/// The module of a lane.
#[expect(clippy::large_enum_variant, reason = "one a circuit")]
enum Lane {
    Scale(Template<Requantizer>),
    Pow2(Template<RequantizerPow2>),
}

/// What the lanes hold.
struct State {
    /// Codes under way, the oldest first.
    codes: VecDeque<Vec<i64>>,
    /// Greatest codes of the windows.
    best: Vec<i64>,
}

impl Requantizers {
    /// Cycles from `acc_i` to `sum_o`.
    pub const SUM_LATENCY: usize = Requantizer::SUM_LATENCY;
    const _SAME: () = assert!(Requantizer::SUM_LATENCY == RequantizerPow2::SUM_LATENCY);

    /// Cycles from `acc_i` to `valid_i` and `first_i`.
    pub const fn code_latency(mode: Requantize) -> usize {
        match mode {
            Requantize::Scale => Requantizer::LATENCY,
            Requantize::Pow2 => RequantizerPow2::LATENCY,
        }
    }

    /// Cycles from the last accumulator of a window to its code.
    pub const fn latency(mode: Requantize) -> usize {
        Self::code_latency(mode) + MaxPool::LATENCY
    }

    /// `lanes` requantizers for accumulators of `acc_bits` and codes of `code_bits`.
    pub fn new(lanes: usize, acc_bits: u32, code_bits: u32, mode: Requantize) -> Self {
        let (acc, code) = (Lanes::<In>::new(lanes, s(acc_bits)), u(code_bits));
        Self {
            clk_i: Default::default(),
            bias_i: acc.clone(),
            acc_i: acc,
            scale_i: Lanes::new(lanes, scale_ty(mode)),
            top_i: Sig::new(code),
            valid_i: Default::default(),
            first_i: Default::default(),
            sum_o: Lanes::new(lanes, s(acc_bits)),
            code_o: Lanes::new(lanes, code),
            requantizer: match mode {
                Requantize::Scale => Lane::Scale(Template(Requantizer::new(acc_bits, code_bits))),
                Requantize::Pow2 => Lane::Pow2(Template(RequantizerPow2::new(acc_bits, code_bits))),
            },
            max_pool: Template(MaxPool::new(code_bits)),
            _state: State {
                codes: VecDeque::from(vec![vec![0; lanes]; Self::code_latency(mode)]),
                best: vec![0; lanes],
            },
        }
    }

    /// The code of lane `i`'s inputs.
    fn code(&self, i: usize) -> i64 {
        let (sum, scale) = (self.acc_i.lanes()[i] + self.bias_i.lanes()[i], self.scale_i.lanes()[i]);
        let m = match self.requantizer {
            Lane::Scale(_) => (scale >> SHIFT_BITS) as u16,
            Lane::Pow2(_) => 1,
        };
        let by = Multiplier { m, s: (scale & ((1 << SHIFT_BITS) - 1)) as u8 };
        let levels = Levels { a: 0, b: self.top_i.val() as i32 };
        requantize(self.acc_i.ty().wrap(sum), by, levels).into()
    }
}

impl Logic for Lane {
    fn update(&mut self) {}
}

impl Block for Lane {
    fn connect_all(&mut self) {
        match self {
            Lane::Scale(lane) => lane.connect_all(),
            Lane::Pow2(lane) => lane.connect_all(),
        }
    }
    fn update_all(&mut self) {}
    fn has_changed(&self) -> bool {
        false
    }
    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        match self {
            Lane::Scale(lane) => lane.accept(name, probe),
            Lane::Pow2(lane) => lane.accept(name, probe),
        }
    }
}

impl Logic for Requantizers {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            let entering = (0..self.acc_i.count()).map(|i| self.code(i)).collect();
            let state = &mut self._state;
            for (best, &code) in state.best.iter_mut().zip(&state.codes[0]).filter(|_| self.valid_i.val()) {
                *best = if self.first_i.val() { code } else { code.max(*best) };
            }
            state.codes.pop_front();
            state.codes.push_back(entering);
            let (acc, bias) = (self.acc_i.lanes(), self.bias_i.lanes());
            self.sum_o.drive(|i| acc[i] + bias[i]);
            self.code_o.drive(|i| state.best[i]);
        }
    }
    fn connect(&mut self) {
        self.sum_o.connect();
        self.code_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (lanes, acc) = (self.acc_i.count(), self.acc_i.ty().bits);
        let (scale, code) = (self.scale_i.ty().bits, self.top_i.ty().bits);
        let multiplier = match self.requantizer {
            Lane::Scale(_) => "\n            .multiplier_i(scale_i[r*SCALE+SHIFT +: SCALE-SHIFT]),",
            Lane::Pow2(_) => "",
        };
        text(format!(
            "// module requantizers: {lanes} requantizers of {acc} to {code} bits, each with its max pool
localparam LANES = {lanes};
localparam ACC = {acc};
localparam SCALE = {scale};
localparam SHIFT = {SHIFT_BITS};
localparam CODE = {code};
{}",
            REQUANTIZERS.replace("MULTIPLIER", multiplier)
        ))
    }
}

const REQUANTIZERS: &str = "
wire [LANES*CODE-1:0] code;

genvar r;
generate
    for (r = 0; r < LANES; r = r + 1) begin : g_lane
        @requantizer@ u_requantizer (
            .clk_i       (clk_i),
            .acc_i       (acc_i[r*ACC +: ACC]),
            .bias_i      (bias_i[r*ACC +: ACC]),MULTIPLIER
            .shift_i     (scale_i[r*SCALE +: SHIFT]),
            .top_i       (top_i),
            .sum_o       (sum_o[r*ACC +: ACC]),
            .code_o      (code[r*CODE +: CODE])
        );
        @max_pool@ u_max_pool (
            .clk_i  (clk_i),
            .valid_i(valid_i),
            .first_i(first_i),
            .value_i(code[r*CODE +: CODE]),
            .value_o(code_o[r*CODE +: CODE])
        );
    end
endgenerate
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use rand::Rng;

    /// Windows of one to four codes, with gaps.
    fn check(lanes: usize, acc_bits: u32, code_bits: u32, mode: Requantize) {
        let mut bench = Bench::new(Requantizers::new(lanes, acc_bits, code_bits, mode), |b| &mut b.clk_i);
        let mut rng = random(acc_bits.into());
        let (half, late) = (s(acc_bits - 1), Requantizers::code_latency(mode));
        let levels = Levels { a: 0, b: (1 << code_bits) - 2 };
        let mut under_way: VecDeque<(bool, bool, Vec<i64>)> = VecDeque::new();
        let mut best = vec![0; lanes];
        for t in 0..300 {
            let mut small = || random_value(&mut rng, half) >> rng.random_range(0..acc_bits);
            let (acc, bias) =
                (vec![small(), small(), small(), small()], [small(), small(), small(), small()]);
            let m = if mode == Requantize::Scale { rng.random_range(1..=u16::MAX) } else { 1 };
            let by = Multiplier { m, s: rng.random_range(0..48) };
            let scale = by.s as i64 + if mode == Requantize::Scale { (m as i64) << 6 } else { 0 };
            let codes = (0..lanes).map(|i| requantize(acc[i % 4] + bias[i % 4], by, levels).into()).collect();
            let (valid, first) = (rng.random_bool(0.8), t % 7 == 0 || rng.random_bool(0.4));
            under_way.push_back((valid || t == 0, first, codes));
            let leaving = if t < late { None } else { under_way.pop_front() };
            let x = &mut bench.block;
            x.acc_i.drive(|i| acc[i % 4]);
            x.bias_i.drive(|i| bias[i % 4]);
            x.scale_i.drive(|_| scale);
            x.top_i.next = levels.b.into();
            (x.valid_i.next, x.first_i.next) = leaving.as_ref().map_or((false, false), |l| (l.0, l.1));
            bench.cycle();
            assert_eq!(bench.block.sum_o.val()[0], acc[0] + bias[0]);
            let Some((valid, first, codes)) = leaving else { continue };
            for (best, code) in best.iter_mut().zip(codes).filter(|_| valid) {
                *best = if first { code } else { code.max(*best) };
            }
            assert_eq!(*bench.block.code_o.val(), best, "cycle {t}");
        }
        bench.verilog("requantizers", late + 1);
    }

    #[test]
    fn windows_of_requantized_sums() {
        check(2, 32, 8, Requantize::Scale);
        check(1, 48, 16, Requantize::Scale);
        check(3, 21, 5, Requantize::Pow2);
        check(4, 48, 2, Requantize::Pow2);
    }
}
