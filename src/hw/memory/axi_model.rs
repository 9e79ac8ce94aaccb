//! Memory behind an AXI4 master: latency, random stalls, error responses; it checks the master.

use super::super::check::random;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// How the memory answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers {
    /// Cycles from an address to its first beat, and from the last written beat to the response; at least one.
    pub latency: usize,
    /// In a hundred cycles, in how many each channel stalls.
    pub stalls: u32,
    /// Bytes whose access is answered by an error.
    pub errors: Vec<usize>,
}

/// A memory of whole beats. Call [`AxiModel::read`] and [`AxiModel::write`] once a cycle with what the master shows,
/// drive the master with what they return, then clock it.
pub(crate) struct AxiModel {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// Beats read so far.
    pub beats_read: usize,
    /// Beats written so far.
    pub beats_written: usize,
    answers: Answers,
    /// Bytes of a beat.
    beat: usize,
    rng: ChaCha8Rng,
    reads: Channel,
    writes: Channel,
    /// Beats that have come before their burst is complete.
    data: VecDeque<(Vec<i64>, bool)>,
    /// The beat shown but not taken.
    waiting_data: Option<(Vec<i64>, bool)>,
    /// Cycle and response of each burst that has been written.
    responses: VecDeque<(usize, i64)>,
}

/// A burst as the address channels show it: first byte, beats minus one.
pub(crate) type Burst = (i64, i64);

/// What the memory shows on the read channels.
#[derive(Default)]
pub(crate) struct ReadPins {
    /// ARREADY.
    pub arready: bool,
    /// RVALID.
    pub rvalid: bool,
    /// RDATA, words of 32 bits.
    pub rdata: Vec<i64>,
    /// RRESP.
    pub rresp: i64,
    /// RLAST.
    pub rlast: bool,
}

/// What the memory shows on the write channels.
#[derive(Default)]
pub(crate) struct WritePins {
    /// AWREADY.
    pub awready: bool,
    /// WREADY.
    pub wready: bool,
    /// BVALID.
    pub bvalid: bool,
    /// BRESP.
    pub bresp: i64,
}

/// An address channel.
#[derive(Default)]
struct Channel {
    now: usize,
    /// Shown but not taken.
    waiting: Option<Burst>,
    /// Taken: when, first byte, beats left.
    bursts: VecDeque<(usize, usize, usize)>,
}

impl Channel {
    /// The burst that the master shows, taken or not.
    fn show(&mut self, burst: Option<Burst>, ready: bool, beat: usize, size: usize) {
        assert!(self.waiting.is_none() || self.waiting == burst, "{:?} became {burst:?}", self.waiting);
        self.waiting = burst.filter(|_| !ready);
        if let Some((addr, len)) = burst.filter(|_| ready) {
            let (first, beats) = (addr as usize, len as usize + 1);
            let end = first + beats * beat;
            assert!(first % beat == 0 && beats <= 256, "burst of {beats} beats at {first:#x}");
            assert_eq!(first / 4096, (end - 1) / 4096, "burst of {beats} beats at {first:#x} crosses 4 KiB");
            assert!(end <= size, "burst of {beats} beats at {first:#x} leaves the memory");
            self.bursts.push_back((self.now, first, beats));
        }
    }
}

impl AxiModel {
    /// A memory that holds `bytes`, on a bus of `bus_bits`; the same `seed` gives the same stalls.
    pub(crate) fn new(bytes: Vec<u8>, bus_bits: usize, answers: Answers, seed: u64) -> Self {
        Self {
            bytes,
            beats_read: 0,
            beats_written: 0,
            answers,
            beat: bus_bits / 8,
            rng: random(seed),
            reads: Default::default(),
            writes: Default::default(),
            data: Default::default(),
            waiting_data: None,
            responses: Default::default(),
        }
    }

    /// Nothing is owed: no burst to read or to write, no response to give.
    pub(crate) fn is_idle(&self) -> bool {
        self.reads.bursts.is_empty() && self.writes.bursts.is_empty() && self.responses.is_empty()
    }

    /// One cycle of the read channels; RREADY is always 1.
    pub(crate) fn read(&mut self, shown: Option<Burst>) -> ReadPins {
        let mut pins = ReadPins { arready: self.flows(), ..Default::default() };
        let (flows, now, latency) = (self.flows(), self.reads.now, self.answers.latency);
        if let Some((at, addr, left)) = self.reads.bursts.front_mut()
            && now >= *at + latency
            && flows
        {
            let first = *addr;
            (*addr, *left) = (*addr + self.beat, *left - 1);
            (pins.rvalid, pins.rlast) = (true, *left == 0);
            pins.rdata = words(&self.bytes[first..first + self.beat]);
            pins.rresp = self.response(first, 1);
            self.beats_read += 1;
            if pins.rlast {
                self.reads.bursts.pop_front();
            }
        }
        self.reads.show(shown, pins.arready, self.beat, self.bytes.len());
        self.reads.now += 1;
        pins
    }

    /// One cycle of the write channels; `data` is a beat, words of 32 bits, and WLAST. BREADY is always 1.
    pub(crate) fn write(&mut self, shown: Option<Burst>, data: Option<(Vec<i64>, bool)>) -> WritePins {
        let mut pins = WritePins { awready: self.flows(), wready: self.flows(), ..Default::default() };
        let now = self.writes.now;
        if self.responses.front().is_some_and(|r| r.0 <= now) && self.flows() {
            pins.bvalid = true;
            pins.bresp = self.responses.pop_front().unwrap_or_default().1;
        }
        assert!(self.waiting_data.is_none() || self.waiting_data == data, "W changed while it waited");
        self.waiting_data = data.clone().filter(|_| !pins.wready);
        self.data.extend(data.filter(|_| pins.wready));
        self.writes.show(shown, pins.awready, self.beat, self.bytes.len());
        self.complete();
        self.writes.now += 1;
        pins
    }

    /// Writes the bursts whose address and beats are there.
    fn complete(&mut self) {
        while let Some(&(_, first, beats)) = self.writes.bursts.front().filter(|b| b.2 <= self.data.len()) {
            for (i, (data, last)) in self.data.drain(..beats).enumerate() {
                assert_eq!(last, i + 1 == beats, "WLAST at beat {i} of {beats}");
                let bytes = data.iter().flat_map(|&x| (x as u32).to_le_bytes());
                let at = first + i * self.beat;
                self.bytes.splice(at..at + self.beat, bytes);
            }
            self.beats_written += beats;
            self.writes.bursts.pop_front();
            self.responses.push_back((self.writes.now + self.answers.latency, self.response(first, beats)));
        }
    }

    fn response(&self, first: usize, beats: usize) -> i64 {
        let span = first..first + beats * self.beat;
        if self.answers.errors.iter().any(|e| span.contains(e)) { 2 } else { 0 }
    }

    fn flows(&mut self) -> bool {
        self.rng.random_range(0..100) >= self.answers.stalls
    }
}

/// Words of 32 bits of a beat.
pub(crate) fn words(beat: &[u8]) -> Vec<i64> {
    beat.chunks(4).map(|b| b.iter().rev().fold(0, |x, &byte| x << 8 | byte as i64)).collect()
}
