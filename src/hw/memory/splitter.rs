//! From runs to bursts.

use super::{BURST, beat_shift};
use crate::hw::rt::{Flop, K, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Splits runs of consecutive beats into bursts, each of which ends with its run or at a multiple of [`BURST`] beats.
///
/// A burst every second cycle at most: a cycle to work it out, a cycle to take it.
#[derive(LogicBlock)]
pub struct Splitter {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// A run is there.
    pub run_valid_i: Signal<In, Bit>,
    /// Its first byte, the first one of a beat.
    pub run_addr_i: Sig<In>,
    /// Its beats, at least one.
    pub run_beats_i: Sig<In>,
    /// It is taken.
    pub run_ready_o: Signal<Out, Bit>,
    /// A burst is there.
    pub burst_valid_o: Signal<Out, Bit>,
    /// Its first byte.
    pub burst_addr_o: Sig<Out>,
    /// Its beats.
    pub burst_beats_o: Sig<Out>,
    /// It is taken; only with `burst_valid_o`.
    pub burst_take_i: Signal<In, Bit>,
    busy: Flop<Bit>,
    /// `beats` and `last` are those of the next burst.
    sized: Flop<Bit>,
    /// The burst's first beat: multiples of [`BURST`], and the rest.
    block: Reg,
    low: Reg,
    /// Bursts that the run has after this one, and the last beat of the last one, counted from a multiple of [`BURST`].
    more: Reg,
    tail: Reg,
    beats: Reg,
    last: Flop<Bit>,
    run_low: Sig<Local>,
    run_end: Sig<Local>,
    is_one: Signal<Local, Bit>,
    low_unused: Sig<Local>,
    shift: K,
    burst: K,
    block_shift: K,
}

impl Splitter {
    /// For a bus of `bus_bits`, addresses of `offset_bits`, and runs of less than 2^`beats_bits` beats.
    pub fn new(bus_bits: usize, offset_bits: u32, beats_bits: u32) -> Self {
        let (shift, low) = (beat_shift(bus_bits), BURST.ilog2());
        let (beats, end) = (u(low + 1), u(beats_bits.max(low) + 1));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            run_valid_i: Default::default(),
            run_addr_i: Sig::new(u(offset_bits)),
            run_beats_i: Sig::new(u(beats_bits)),
            run_ready_o: Default::default(),
            burst_valid_o: Default::default(),
            burst_addr_o: Sig::new(u(offset_bits)),
            burst_beats_o: Sig::new(beats),
            burst_take_i: Default::default(),
            busy: Default::default(),
            sized: Default::default(),
            block: Reg::new(u(offset_bits - shift - low)),
            low: Reg::new(u(low)),
            more: Reg::new(u(end.bits - low)),
            tail: Reg::new(u(low)),
            beats: Reg::new(beats),
            last: Default::default(),
            run_low: Sig::new(u(low)),
            run_end: Sig::new(end),
            is_one: Default::default(),
            low_unused: Sig::new(u(shift)),
            shift: K::new(u(3), shift.into()),
            burst: K::new(beats, BURST as i64),
            block_shift: K::new(u(4), (shift + low).into()),
        }
    }
}

impl Logic for Splitter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module splitter: from runs of consecutive words to bursts");
        dff_setup!(self, clk_i, busy, sized, block, low, more, tail, beats, last);
        self.low_unused.next = self.run_addr_i.val();
        self.run_low.next = (self.run_addr_i.val() >> self.shift.val()) & 15;
        self.run_end.next = self.run_beats_i.val() + self.run_low.val() - 1;
        comment!("Whether the run is one burst, by its low bits and the others beside them.");
        self.is_one.next = ((self.run_beats_i.val() >> 5) == 0)
            && ((self.run_low.val() + (self.run_beats_i.val() & 31)) <= self.burst.val());
        if !self.busy.q.val() {
            self.busy.d.next = self.run_valid_i.val();
            self.sized.d.next = self.run_valid_i.val();
            self.block.d.next = self.run_addr_i.val() >> self.block_shift.val();
            self.low.d.next = self.run_low.val();
            self.more.d.next = self.run_end.val() >> 4;
            self.tail.d.next = self.run_end.val();
            self.last.d.next = self.is_one.val();
            self.beats.d.next = self.burst.val() - self.run_low.val();
            if self.is_one.val() {
                self.beats.d.next = self.run_beats_i.val();
            }
        } else if !self.sized.q.val() {
            comment!("Later bursts start at a multiple of the longest.");
            self.sized.d.next = true;
            self.last.d.next = self.more.q.val() == 0;
            self.beats.d.next = self.burst.val();
            if self.more.q.val() == 0 {
                self.beats.d.next = self.tail.q.val() + 1;
            }
        } else if self.burst_take_i.val() {
            self.busy.d.next = !self.last.q.val();
            self.sized.d.next = false;
            self.block.d.next = self.block.q.val() + 1;
            self.low.d.next = 0;
            self.more.d.next = self.more.q.val() - 1;
        }
        if !self.rst_ni.val() {
            self.busy.d.next = false;
            self.sized.d.next = false;
        }
        self.run_ready_o.next = !self.busy.q.val();
        self.burst_valid_o.next = self.sized.q.val();
        self.burst_addr_o.next =
            (self.block.q.val() << self.block_shift.val()) | (self.low.q.val() << self.shift.val());
        self.burst_beats_o.next = self.beats.q.val();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;
    use std::collections::VecDeque;

    /// The bursts of a run of `beats` beats of `bytes` bytes from `addr`: address, beats.
    fn bursts(bytes: i64, addr: i64, beats: i64) -> Vec<(i64, i64)> {
        let mut all: Vec<(i64, i64)> = vec![];
        for at in (0..beats).map(|i| addr + i * bytes) {
            match all.last_mut() {
                Some(burst) if at % (bytes * BURST as i64) != 0 => burst.1 += 1,
                _ => all.push((at, 1)),
            }
        }
        all
    }

    #[test]
    fn bursts_cover_their_runs_and_end_at_multiples_of_the_longest() {
        for (bus, beats_bits) in [(64, 16), (128, 24), (512, 16), (256, 3)] {
            let bytes = bus as i64 / 8;
            let mut bench = Bench::new(Splitter::new(bus, 32, beats_bits), |b| &mut b.clk_i);
            let mut rng = random(bus as u64);
            let (mut want, mut taken) = (VecDeque::new(), 0);
            for t in 0..1500 {
                let stalls = if t < 700 { 0.0 } else { 0.4 };
                let x = &mut bench.block;
                x.rst_ni.next = t > 0;
                x.run_valid_i.next = t > 0 && !rng.random_bool(stalls);
                let most = 70i64.min(1 << beats_bits);
                x.run_beats_i.next =
                    if rng.random() { rng.random_range(1..4) } else { rng.random_range(1..most) };
                let top = (1 << 32) / bytes - x.run_beats_i.next;
                x.run_addr_i.next = rng.random_range(0..top) * bytes;
                if x.run_valid_i.next && x.run_ready_o.val() {
                    want.extend(bursts(bytes, x.run_addr_i.next, x.run_beats_i.next));
                }
                x.burst_take_i.next = x.burst_valid_o.val() && !rng.random_bool(stalls);
                if x.burst_take_i.next {
                    let got = (x.burst_addr_o.val(), x.burst_beats_o.val());
                    assert_eq!(Some(got), want.pop_front());
                }
                taken += (t < 700 && x.burst_take_i.next) as usize;
                bench.cycle();
            }
            assert!(taken >= 700 / 2 - 2, "{taken} bursts in 700 cycles");
            bench.verilog("splitter", 3);
        }
    }
}
