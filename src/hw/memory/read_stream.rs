//! A client of the read port.

use super::{BURST, Fifo, Splitter, beat_lanes};
use crate::config::STREAM_WORDS;
use crate::hw::rt::{Flop, K, Lanes, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Reads runs of consecutive beats into a FIFO. A burst is requested only when the FIFO has room for one of the longest
/// beside all that were requested before.
#[derive(LogicBlock)]
pub struct ReadStream {
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
    /// A burst is requested; stays until `ar_ready_i`.
    pub ar_valid_o: Signal<Out, Bit>,
    /// Its first byte.
    pub ar_addr_o: Sig<Out>,
    /// Its beats minus one.
    pub ar_len_o: Sig<Out>,
    /// The request is taken.
    pub ar_ready_i: Signal<In, Bit>,
    /// A beat of this client's bursts has come.
    pub push_i: Signal<In, Bit>,
    /// The beat.
    pub beat_i: Lanes<In>,
    /// There is a beat for the user.
    pub valid_o: Signal<Out, Bit>,
    /// The beat.
    pub beat_o: Lanes<Out>,
    /// It is taken; only with `valid_o`.
    pub take_i: Signal<In, Bit>,
    splitter: Splitter,
    fifo: Fifo,
    /// Beats of the FIFO that neither hold a beat nor wait for one.
    free: Reg,
    /// They hold the longest burst; a cycle after `free`, as is the splitter's next burst.
    room: Flop<Bit>,
    fits: Signal<Local, Bit>,
    issue: Signal<Local, Bit>,
    all: K,
    longest: K,
}

impl ReadStream {
    /// Beats of the FIFO: four bursts, which hides a memory's latency of some 40 cycles.
    pub const DEPTH: usize = STREAM_WORDS;

    /// For a bus of `bus_bits`, addresses of `offset_bits`, and runs of less than 2^`beats_bits` beats.
    pub fn new(bus_bits: usize, offset_bits: u32, beats_bits: u32) -> Self {
        let splitter = Splitter::new(bus_bits, offset_bits, beats_bits);
        let fifo = Fifo::new(Self::DEPTH, beat_lanes(bus_bits), u(32));
        let held = fifo.count_o.ty();
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            run_valid_i: Default::default(),
            run_addr_i: Sig::new(u(offset_bits)),
            run_beats_i: Sig::new(u(beats_bits)),
            run_ready_o: Default::default(),
            ar_valid_o: Default::default(),
            ar_addr_o: Sig::new(u(offset_bits)),
            ar_len_o: Sig::new(u(8)),
            ar_ready_i: Default::default(),
            push_i: Default::default(),
            beat_i: Lanes::new(beat_lanes(bus_bits), u(32)),
            valid_o: Default::default(),
            beat_o: Lanes::new(beat_lanes(bus_bits), u(32)),
            take_i: Default::default(),
            splitter,
            fifo,
            free: Reg::new(held),
            room: Default::default(),
            fits: Default::default(),
            issue: Default::default(),
            all: K::new(held, Self::DEPTH as i64),
            longest: K::new(held, BURST as i64),
        }
    }

    /// No run, no burst, no beat.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.splitter.run_ready_o.val() && self.free.q.val() == self.all.val()
    }
}

impl Logic for ReadStream {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module read_stream: reads runs of consecutive words into a FIFO");
        dff_setup!(self, clk_i, free, room);
        self.splitter.clk_i.next = self.clk_i.val();
        self.splitter.rst_ni.next = self.rst_ni.val();
        self.splitter.run_valid_i.next = self.run_valid_i.val();
        self.splitter.run_addr_i.next = self.run_addr_i.val();
        self.splitter.run_beats_i.next = self.run_beats_i.val();
        self.run_ready_o.next = self.splitter.run_ready_o.val();
        self.fifo.clk_i.next = self.clk_i.val();
        self.fifo.rst_ni.next = self.rst_ni.val();
        self.fifo.push_i.next = self.push_i.val();
        self.fifo.data_i.next = self.beat_i.val();
        self.fifo.take_i.next = self.take_i.val();
        self.valid_o.next = self.fifo.valid_o.val();
        self.beat_o.next = self.fifo.data_o.val();

        comment!("Once it fits it always will: room is only given back meanwhile.");
        self.room.d.next = self.free.q.val() >= self.longest.val();
        self.fits.next = self.splitter.burst_valid_o.val() && self.room.q.val();
        self.issue.next = self.fits.val() && self.ar_ready_i.val();
        self.splitter.burst_take_i.next = self.issue.val();
        self.ar_valid_o.next = self.fits.val();
        self.ar_addr_o.next = self.splitter.burst_addr_o.val();
        self.ar_len_o.next = self.splitter.burst_beats_o.val() - 1;
        if self.take_i.val() {
            self.free.d.next = self.free.q.val() + 1;
        }
        if self.issue.val() {
            self.free.d.next = self.free.q.val() - self.splitter.burst_beats_o.val();
        }
        if self.issue.val() && self.take_i.val() {
            self.free.d.next = self.free.q.val() - self.ar_len_o.val();
        }
        if !self.rst_ni.val() {
            self.free.d.next = self.all.val();
            self.room.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;
    use std::collections::VecDeque;

    /// Lane `lane` of the beat at `addr`.
    fn word(addr: i64, lane: usize) -> i64 {
        u(32).wrap((addr + lane as i64) * 2_654_435_761)
    }

    /// Runs against a memory that answers `latency` cycles after a request, a beat a cycle; beats taken a cycle.
    fn check(
        bus: usize,
        beats: std::ops::RangeInclusive<i64>,
        latency: usize,
        stalls: f64,
        count: usize,
    ) -> f64 {
        let (bytes, lanes) = (bus as i64 / 8, bus / 32);
        let mut bench = Bench::new(ReadStream::new(bus, 32, 24), |b| &mut b.clk_i);
        let mut rng = random(count as u64);
        // What the memory owes: when, address. What the user gets: addresses.
        let (mut owed, mut want): (VecDeque<(usize, i64)>, VecDeque<i64>) = Default::default();
        let (mut run, mut taken, mut idle) = (None, 0, false);
        while taken < count {
            let t = bench.vectors();
            let x = &mut bench.block;
            x.rst_ni.next = t > 0;
            run = run.or_else(|| {
                let beats = rng.random_range(beats.clone());
                Some((rng.random_range(0..1 << 20) * bytes, beats))
            });
            let (addr, n) = run.unwrap_or_default();
            x.run_valid_i.next = t > 0 && !rng.random_bool(stalls);
            (x.run_addr_i.next, x.run_beats_i.next) = (addr, n);
            if x.run_valid_i.next && x.run_ready_o.val() {
                want.extend((0..n).map(|i| addr + i * bytes));
                run = None;
            }
            x.ar_ready_i.next = t > 0 && !rng.random_bool(stalls);
            let due = owed.front().filter(|o| o.0 <= t && !rng.random_bool(stalls)).map(|o| o.1);
            x.push_i.next = due.is_some();
            x.beat_i.drive(|lane| word(due.unwrap_or_default(), lane));
            due.and_then(|_| owed.pop_front());
            if x.ar_valid_o.val() && x.ar_ready_i.next {
                owed.extend((0..=x.ar_len_o.val()).map(|i| (t + latency, x.ar_addr_o.val() + i * bytes)));
            }
            assert!(owed.len() <= ReadStream::DEPTH);
            x.take_i.next = t > 0 && x.valid_o.val() && !rng.random_bool(stalls);
            if x.take_i.next {
                let addr = want.pop_front().unwrap();
                assert_eq!(x.beat_o.val().to_vec(), (0..lanes).map(|l| word(addr, l)).collect::<Vec<_>>());
                taken += 1;
            }
            bench.cycle();
            idle |= bench.block.is_idle();
            assert!(!bench.block.is_idle() || want.is_empty());
        }
        assert!(idle);
        bench.verilog("read_stream", 40);
        taken as f64 / bench.vectors() as f64
    }

    #[test]
    fn every_run_arrives_in_order() {
        check(64, 1..=40, 3, 0.4, 1500);
        check(128, 1..=100, 25, 0.2, 1500);
        check(512, 1..=3, 10, 0.5, 600);
    }

    #[test]
    fn long_runs_give_a_beat_a_cycle_and_single_beats_every_second() {
        let rate = check(128, 3000..=3000, 28, 0.0, 2900);
        assert!(rate > 0.98, "{rate}");
        let rate = check(128, 1..=1, 28, 0.0, 1000);
        assert!(rate > 0.48, "{rate}");
    }
}
