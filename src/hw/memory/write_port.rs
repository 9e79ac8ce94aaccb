//! The write half of the AXI4 master.

use super::{BURST, Fifo, Queue, Splitter, beat_lanes, beat_shift};
use crate::config::{PAGE_BITS, STREAM_WORDS};
use crate::hw::rt::{Flop, K, Lanes, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Writes runs of consecutive beats, whose addresses are relative to the base of the data. A burst is shown only when all its beats are in the FIFO, and only inside
/// `base_i … limit_i`: one outside halts the port until reset.
///
/// The beats of a burst follow those of the one before without a gap. One burst every second cycle at most.
#[derive(LogicBlock)]
pub struct WritePort {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// Page of the data; stable, as all of these, while runs are there.
    pub data_base_i: Sig<In>,
    /// First byte of the data that may be written.
    pub base_i: Sig<In>,
    /// First byte of the data after those that may be written.
    pub limit_i: Sig<In>,
    /// Start no burst that is not shown yet.
    pub stop_i: Signal<In, Bit>,
    /// A run is there.
    pub run_valid_i: Signal<In, Bit>,
    /// Its first byte, the first one of a beat.
    pub run_addr_i: Sig<In>,
    /// Its beats, at least one.
    pub run_beats_i: Sig<In>,
    /// There is room for a run.
    pub run_ready_o: Signal<Out, Bit>,
    /// A beat is there; goes in always.
    pub beat_valid_i: Signal<In, Bit>,
    /// The beat; beats are in the order of the runs, before or after them.
    pub beat_i: Lanes<In>,
    /// There is room for [`WritePort::ROOM`] beats.
    pub room_o: Signal<Out, Bit>,
    /// Nothing is queued, held or unanswered.
    pub idle_o: Signal<Out, Bit>,
    /// No burst is shown, under way or unanswered.
    pub quiet_o: Signal<Out, Bit>,
    /// One cycle for each beat written.
    pub write_beat_o: Signal<Out, Bit>,
    /// One cycle: a burst was not inside the limits; the port starts no more until reset.
    pub bad_address_o: Signal<Out, Bit>,
    /// One cycle: the memory answered a burst with an error.
    pub bad_response_o: Signal<Out, Bit>,
    /// AWVALID.
    pub m_axi_awvalid_o: Signal<Out, Bit>,
    /// AWADDR.
    pub m_axi_awaddr_o: Sig<Out>,
    /// AWLEN.
    pub m_axi_awlen_o: Sig<Out>,
    /// AWREADY.
    pub m_axi_awready_i: Signal<In, Bit>,
    /// WVALID.
    pub m_axi_wvalid_o: Signal<Out, Bit>,
    /// WDATA.
    pub m_axi_wdata_o: Lanes<Out>,
    /// WLAST.
    pub m_axi_wlast_o: Signal<Out, Bit>,
    /// WREADY.
    pub m_axi_wready_i: Signal<In, Bit>,
    /// BVALID.
    pub m_axi_bvalid_i: Signal<In, Bit>,
    /// BRESP.
    pub m_axi_bresp_i: Sig<In>,
    /// BREADY: always.
    pub m_axi_bready_o: Signal<Out, Bit>,
    runs: Queue,
    splitter: Splitter,
    fifo: Fifo,
    /// Beats of the FIFO that belong to no burst shown.
    spare: Reg,
    /// The burst that is checked.
    held: Flop<Bit>,
    addr: Reg,
    beats: Reg,
    /// The low bits of its last beat's number.
    ends: Reg,
    awvalid: Flop<Bit>,
    awaddr: Reg,
    awlen: Reg,
    /// Lengths of the bursts that have been shown, but for the one under way.
    bursts: Queue,
    /// A burst's beats are under way.
    busy: Flop<Bit>,
    /// Beats after the next.
    left: Reg,
    unanswered: Reg,
    halted: Flop<Bit>,
    bad_address: Flop<Bit>,
    bvalid: Flop<Bit>,
    bresp: Reg,
    write_beat: Flop<Bit>,
    has_room: Flop<Bit>,
    load: Signal<Local, Bit>,
    allowed: Signal<Local, Bit>,
    start: Signal<Local, Bit>,
    transfer: Signal<Local, Bit>,
    next: Signal<Local, Bit>,
    block: Sig<Local>,
    limit: Sig<Local>,
    low_unused: Sig<Local>,
    shift: K,
    block_shift: K,
    page_shift: K,
    in_page: K,
    room: K,
    most: K,
    /// Where the address stands in an entry of `runs`, above the beats.
    run_at: K,
}

impl WritePort {
    /// Beats of the FIFO.
    pub const DEPTH: usize = STREAM_WORDS;
    /// Beats that find room while `room_o` is set.
    pub const ROOM: usize = 32;
    /// Runs that wait, at most.
    pub const RUNS: usize = 8;

    /// For a bus of `bus_bits`, addresses of `address_bits` of which `offset_bits` are relative to the base, and runs of
    /// less than 2^`beats_bits` beats.
    pub fn new(bus_bits: usize, address_bits: u32, offset_bits: u32, beats_bits: u32) -> Self {
        let (addr, limit, len, lanes) = (u(offset_bits), u(32), u(BURST.ilog2()), beat_lanes(bus_bits));
        let shift = beat_shift(bus_bits);
        let block_shift = shift + BURST.ilog2();
        let fifo = Fifo::new(Self::DEPTH, lanes, u(32));
        let held = fifo.count_o.ty();
        let splitter = Splitter::new(bus_bits, offset_bits, beats_bits);
        let beats = splitter.burst_beats_o.ty();
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            data_base_i: Sig::new(u(address_bits - PAGE_BITS)),
            base_i: Sig::new(limit),
            limit_i: Sig::new(limit),
            stop_i: Default::default(),
            run_valid_i: Default::default(),
            run_addr_i: Sig::new(addr),
            run_beats_i: Sig::new(u(beats_bits)),
            run_ready_o: Default::default(),
            beat_valid_i: Default::default(),
            beat_i: Lanes::new(lanes, u(32)),
            room_o: Default::default(),
            idle_o: Default::default(),
            quiet_o: Default::default(),
            write_beat_o: Default::default(),
            bad_address_o: Default::default(),
            bad_response_o: Default::default(),
            m_axi_awvalid_o: Default::default(),
            m_axi_awaddr_o: Sig::new(u(address_bits)),
            m_axi_awlen_o: Sig::new(u(8)),
            m_axi_awready_i: Default::default(),
            m_axi_wvalid_o: Default::default(),
            m_axi_wdata_o: Lanes::new(lanes, u(32)),
            m_axi_wlast_o: Default::default(),
            m_axi_wready_i: Default::default(),
            m_axi_bvalid_i: Default::default(),
            m_axi_bresp_i: Sig::new(u(2)),
            m_axi_bready_o: Default::default(),
            runs: Queue::new(Self::RUNS, u(offset_bits + beats_bits)),
            splitter,
            fifo,
            spare: Reg::new(held),
            held: Default::default(),
            addr: Reg::new(addr),
            beats: Reg::new(beats),
            ends: Reg::new(len),
            awvalid: Default::default(),
            awaddr: Reg::new(u(address_bits)),
            awlen: Reg::new(len),
            bursts: Queue::new(16, len),
            busy: Default::default(),
            left: Reg::new(len),
            unanswered: Reg::new(u(6)),
            halted: Default::default(),
            bad_address: Default::default(),
            bvalid: Default::default(),
            bresp: Reg::new(u(2)),
            write_beat: Default::default(),
            has_room: Default::default(),
            load: Default::default(),
            allowed: Default::default(),
            start: Default::default(),
            transfer: Default::default(),
            next: Default::default(),
            block: Sig::new(u(offset_bits - block_shift)),
            limit: Sig::new(u(32 - shift)),
            low_unused: Sig::new(u(shift)),
            shift: K::new(u(4), shift.into()),
            block_shift: K::new(u(4), block_shift.into()),
            page_shift: K::new(u(4), PAGE_BITS.into()),
            in_page: K::new(u(PAGE_BITS), (1 << PAGE_BITS) - 1),
            room: K::new(held, (Self::DEPTH - Self::ROOM) as i64),
            most: K::new(u(6), 63),
            run_at: K::new(u(6), beats_bits.into()),
        }
    }
}

impl Logic for WritePort {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module write_port: write half of the AXI4 master");
        dff_setup!(
            self,
            clk_i,
            spare,
            held,
            addr,
            beats,
            ends,
            awvalid,
            awaddr,
            awlen,
            busy,
            left,
            unanswered,
            halted,
            bad_address,
            bvalid,
            bresp,
            write_beat,
            has_room
        );
        self.runs.clk_i.next = self.clk_i.val();
        self.runs.rst_ni.next = self.rst_ni.val();
        self.splitter.clk_i.next = self.clk_i.val();
        self.splitter.rst_ni.next = self.rst_ni.val();
        self.fifo.clk_i.next = self.clk_i.val();
        self.fifo.rst_ni.next = self.rst_ni.val();
        self.bursts.clk_i.next = self.clk_i.val();
        self.bursts.rst_ni.next = self.rst_ni.val();

        comment!("From runs to a burst that is checked.");
        self.run_ready_o.next = self.runs.room_o.val();
        self.runs.push_i.next = self.run_valid_i.val() && self.runs.room_o.val();
        self.runs.data_i.next = (self.run_addr_i.val() << self.run_at.val()) | self.run_beats_i.val();
        self.runs.take_i.next = self.runs.valid_o.val() && self.splitter.run_ready_o.val();
        self.splitter.run_valid_i.next = self.runs.valid_o.val();
        self.splitter.run_addr_i.next = self.runs.data_o.val() >> self.run_at.val();
        self.splitter.run_beats_i.next = self.runs.data_o.val();
        self.load.next = self.splitter.burst_valid_o.val() && !self.held.q.val();
        self.splitter.burst_take_i.next = self.load.val();
        if !self.held.q.val() {
            self.held.d.next = self.splitter.burst_valid_o.val();
            self.addr.d.next = self.splitter.burst_addr_o.val();
            self.beats.d.next = self.splitter.burst_beats_o.val();
            self.ends.d.next = (self.splitter.burst_addr_o.val() >> self.shift.val())
                + self.splitter.burst_beats_o.val()
                - 1;
        }

        comment!("It starts when its beats are there.");
        self.block.next = self.addr.q.val() >> self.block_shift.val();
        self.limit.next = self.limit_i.val() >> self.shift.val();
        self.low_unused.next = self.limit_i.val();
        self.allowed.next = (self.addr.q.val() >= self.base_i.val())
            && (((self.block.val() << 4) | self.ends.q.val()) < self.limit.val());
        self.start.next = self.held.q.val()
            && self.allowed.val()
            && (self.spare.q.val() >= self.beats.q.val())
            && (!self.awvalid.q.val() || self.m_axi_awready_i.val())
            && self.bursts.room_o.val()
            && (self.unanswered.q.val() != self.most.val())
            && !self.stop_i.val()
            && !self.halted.q.val();
        self.bad_address.d.next =
            self.held.q.val() && !self.allowed.val() && !self.stop_i.val() && !self.halted.q.val();
        if self.held.q.val() && !self.allowed.val() {
            self.halted.d.next = true;
        }
        if self.m_axi_awready_i.val() {
            self.awvalid.d.next = false;
        }
        if self.start.val() {
            self.held.d.next = false;
            self.awvalid.d.next = true;
            self.awaddr.d.next = ((self.data_base_i.val() + (self.addr.q.val() >> self.page_shift.val()))
                << self.page_shift.val())
                | (self.addr.q.val() & self.in_page.val());
            self.awlen.d.next = self.beats.q.val() - 1;
        }
        self.bursts.push_i.next = self.start.val();
        self.bursts.data_i.next = self.beats.q.val() - 1;
        self.m_axi_awvalid_o.next = self.awvalid.q.val();
        self.m_axi_awaddr_o.next = self.awaddr.q.val();
        self.m_axi_awlen_o.next = self.awlen.q.val();

        comment!("Its beats.");
        self.fifo.push_i.next = self.beat_valid_i.val();
        self.fifo.data_i.next = self.beat_i.val();
        if self.beat_valid_i.val() {
            self.spare.d.next = self.spare.q.val() + 1;
        }
        if self.start.val() {
            self.spare.d.next = self.spare.q.val() - self.beats.q.val();
        }
        if self.start.val() && self.beat_valid_i.val() {
            self.spare.d.next = self.spare.q.val() - self.beats.q.val() + 1;
        }
        self.m_axi_wvalid_o.next = self.busy.q.val() && self.fifo.valid_o.val();
        self.m_axi_wdata_o.next = self.fifo.data_o.val();
        self.m_axi_wlast_o.next = self.busy.q.val() && (self.left.q.val() == 0);
        self.transfer.next = self.m_axi_wvalid_o.val() && self.m_axi_wready_i.val();
        self.fifo.take_i.next = self.transfer.val();
        self.write_beat.d.next = self.transfer.val();
        self.next.next = !self.busy.q.val() || (self.transfer.val() && self.m_axi_wlast_o.val());
        self.bursts.take_i.next = self.next.val() && self.bursts.valid_o.val();
        if self.transfer.val() {
            self.left.d.next = self.left.q.val() - 1;
        }
        if self.next.val() {
            self.busy.d.next = self.bursts.valid_o.val();
            self.left.d.next = self.bursts.data_o.val();
        }

        comment!("Its answer.");
        self.m_axi_bready_o.next = true;
        self.bvalid.d.next = self.m_axi_bvalid_i.val();
        self.bresp.d.next = self.m_axi_bresp_i.val();
        if self.start.val() && !self.bvalid.q.val() {
            self.unanswered.d.next = self.unanswered.q.val() + 1;
        }
        if !self.start.val() && self.bvalid.q.val() {
            self.unanswered.d.next = self.unanswered.q.val() - 1;
        }
        self.bad_response_o.next = self.bvalid.q.val() && (self.bresp.q.val() != 0);
        self.bad_address_o.next = self.bad_address.q.val();
        self.write_beat_o.next = self.write_beat.q.val();
        self.has_room.d.next = self.fifo.count_o.val() < self.room.val();
        self.room_o.next = self.has_room.q.val();
        // A burst is unanswered from before it is shown until after its last beat.
        self.quiet_o.next = self.unanswered.q.val() == 0;
        self.idle_o.next = self.quiet_o.val()
            && !self.runs.valid_o.val()
            && self.splitter.run_ready_o.val()
            && !self.held.q.val()
            && (self.fifo.count_o.val() == 0);

        if !self.rst_ni.val() {
            self.spare.d.next = 0;
            self.held.d.next = false;
            self.awvalid.d.next = false;
            self.busy.d.next = false;
            self.unanswered.d.next = 0;
            self.halted.d.next = false;
            self.bad_address.d.next = false;
            self.bvalid.d.next = false;
            self.write_beat.d.next = false;
            self.has_room.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use crate::hw::memory::axi_model::{Answers, AxiModel};
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::VecDeque;

    /// The port, its user and a memory.
    struct Rig {
        /// Where the memory lies; its end is the end of all addresses.
        base: u64,
        port: Bench<WritePort>,
        memory: AxiModel,
        /// What the memory should hold.
        want: Vec<u8>,
        /// Runs and beats that the user has for the port.
        runs: VecDeque<(i64, i64)>,
        beats: VecDeque<Vec<i64>>,
        /// Chance that the user gives a beat, or a run.
        gives: f64,
        counts: Counts,
    }

    #[derive(Debug, Default, PartialEq)]
    struct Counts {
        beats: usize,
        bad_addresses: usize,
        bad_responses: usize,
    }

    impl Rig {
        fn new(bus: usize, bytes: usize, answers: Answers) -> Self {
            let address_bits = [32, 40, 63, 64][bus / 64 % 4];
            let base = (u64::MAX >> (64 - address_bits)) - bytes as u64 + 1;
            let mut rig = Self {
                base,
                port: Bench::new(WritePort::new(bus, address_bits, 32, 16), |b| &mut b.clk_i),
                memory: AxiModel::new(vec![0; bytes], bus, answers, 1),
                want: vec![0; bytes],
                runs: VecDeque::new(),
                beats: VecDeque::new(),
                gives: 1.0,
                counts: Counts::default(),
            };
            rig.port.block.data_base_i.next = (base >> PAGE_BITS) as i64;
            rig.port.block.limit_i.next = bytes as i64;
            rig.cycle(false, &mut random(0));
            rig
        }

        /// A run of random beats.
        fn run(&mut self, addr: i64, beats: i64, rng: &mut ChaCha8Rng) {
            let lanes = self.port.block.beat_i.count();
            let words: Vec<i64> = (0..beats as usize * lanes).map(|_| random_value(rng, u(32))).collect();
            let bytes = words.iter().flat_map(|&w| (w as u32).to_le_bytes());
            self.want.splice(addr as usize..addr as usize + words.len() * 4, bytes);
            self.runs.push_back((addr, beats));
            self.beats.extend(words.chunks(lanes).map(<[i64]>::to_vec));
        }

        fn cycle(&mut self, running: bool, rng: &mut ChaCha8Rng) {
            let port = &mut self.port.block;
            let at = (port.m_axi_awaddr_o.val() as u64).wrapping_sub(self.base);
            let burst = (at as i64, port.m_axi_awlen_o.val());
            let beat = (port.m_axi_wdata_o.val().to_vec(), port.m_axi_wlast_o.val());
            let pins = self.memory.write(
                Some(burst).filter(|_| port.m_axi_awvalid_o.val()),
                Some(beat).filter(|_| port.m_axi_wvalid_o.val()),
            );
            port.rst_ni.next = running;
            (port.m_axi_awready_i.next, port.m_axi_wready_i.next) = (pins.awready, pins.wready);
            (port.m_axi_bvalid_i.next, port.m_axi_bresp_i.next) = (pins.bvalid, pins.bresp);
            let (addr, beats) = self.runs.front().copied().unwrap_or_default();
            (port.run_addr_i.next, port.run_beats_i.next) = (addr, beats);
            port.run_valid_i.next = running && !self.runs.is_empty() && rng.random_bool(self.gives);
            if port.run_valid_i.next && port.run_ready_o.val() {
                self.runs.pop_front();
            }
            port.beat_valid_i.next =
                running && port.room_o.val() && !self.beats.is_empty() && rng.random_bool(self.gives);
            if port.beat_valid_i.next {
                let beat = self.beats.pop_front().unwrap_or_default();
                port.beat_i.drive(|i| beat[i]);
            }
            self.port.cycle();
            let port = &self.port.block;
            self.counts.beats += port.write_beat_o.val() as usize;
            self.counts.bad_addresses += port.bad_address_o.val() as usize;
            self.counts.bad_responses += port.bad_response_o.val() as usize;
            assert!(!port.idle_o.val() || port.quiet_o.val());
        }

        /// Cycles until everything is written.
        fn finish(&mut self, rng: &mut ChaCha8Rng) -> usize {
            let start = self.port.vectors();
            while !(self.runs.is_empty() && self.beats.is_empty() && self.port.block.idle_o.val()) {
                self.cycle(true, rng);
                assert!(self.port.vectors() < start + 50_000, "it hangs");
            }
            self.port.vectors() - start
        }
    }

    #[test]
    fn memory_holds_what_was_written() {
        for (bus, latency, stalls, most) in [(64, 5, 30, 40), (128, 20, 10, 100), (512, 1, 0, 3)] {
            let (bytes, size) = (bus as i64 / 8, 1i64 << 15);
            let mut rig = Rig::new(bus, size as usize, Answers { latency, stalls, errors: vec![] });
            let mut rng = random(latency as u64);
            let mut beats = 0;
            for round in 0..4 {
                rig.gives = [0.5, 1.0][round % 2];
                for _ in 0..12 {
                    let n = rng.random_range(1..=most);
                    rig.run(rng.random_range(0..=size / bytes - n) * bytes, n, &mut rng);
                    beats += n as usize;
                }
                rig.finish(&mut rng);
                assert!(rig.memory.is_idle() && rig.memory.bytes == rig.want, "bus {bus}, round {round}");
            }
            assert_eq!(rig.counts, Counts { beats, ..Default::default() });
            rig.port.verilog("write_port", 100);
        }
    }

    /// Beats a cycle, of runs of `beats` one after another.
    fn rate(stalls: u32, beats: i64, runs: i64) -> f64 {
        let mut rig = Rig::new(128, 1 << 16, Answers { latency: 20, stalls, errors: vec![] });
        let mut rng = random(3);
        for i in 0..runs {
            rig.run(i * beats * 16, beats, &mut rng);
        }
        (beats * runs) as f64 / rig.finish(&mut rng) as f64
    }

    #[test]
    fn a_beat_a_cycle_goes_out() {
        assert!(rate(0, 3000, 1) > 0.97);
        assert!(rate(10, 3000, 1) > 0.97 * 0.9);
        assert!(rate(0, 16, 180) > 0.97);
        assert!(rate(0, 7, 400) > 0.97);
        assert!(rate(0, 1, 1000) > 0.48);
    }

    #[test]
    fn nothing_is_written_outside_the_limits() {
        let run = (1024 - 3 * 16, 3);
        for (base, limit, fits) in [
            (0, 1024, true),
            (976, 1025, true),
            (977, 1024, false),
            (0, 1023, false),
            (0, 0, false),
            (1024, 4096, false),
        ] {
            let mut rig = Rig::new(128, 4096, Answers { latency: 3, stalls: 0, errors: vec![] });
            let mut rng = random(1);
            (rig.port.block.base_i.next, rig.port.block.limit_i.next) = (base, limit);
            rig.run(run.0, run.1, &mut rng);
            rig.run(run.0, run.1, &mut rng);
            for _ in 0..60 {
                rig.cycle(true, &mut rng);
            }
            let want = if fits { (6, 0) } else { (0, 1) };
            assert_eq!((rig.memory.beats_written, rig.counts.bad_addresses), want, "{base} … {limit}");
            assert!(rig.port.block.quiet_o.val());
            assert_eq!(rig.port.block.idle_o.val(), fits);
        }
    }

    #[test]
    fn errors_are_told_and_a_stop_ends_in_quiet() {
        let answers = Answers { latency: 20, stalls: 20, errors: vec![512] };
        let mut rig = Rig::new(128, 1 << 16, answers);
        let mut rng = random(1);
        rig.run(0, 2000, &mut rng);
        for _ in 0..300 {
            rig.cycle(true, &mut rng);
        }
        assert_eq!(rig.counts.bad_responses, 1);
        rig.port.block.stop_i.next = true;
        for _ in 0..150 {
            rig.cycle(true, &mut rng);
        }
        assert!(rig.port.block.quiet_o.val() && !rig.port.block.idle_o.val() && rig.memory.is_idle());
        // Reset, and a clean run.
        rig.port.block.stop_i.next = false;
        rig.runs.clear();
        rig.beats.clear();
        rig.cycle(false, &mut rng);
        rig.run(1 << 15, 50, &mut rng);
        rig.finish(&mut rng);
        assert_eq!(rig.memory.bytes[1 << 15..], rig.want[1 << 15..]);
        rig.port.verilog("write_port", 100);
    }
}
