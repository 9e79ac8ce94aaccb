//! External memory behind the accelerator's AXI4 port, for the in-process simulator; `sim/axi_memory.h` is its twin: with the
//! same options it stalls in the same cycles.

use super::bases::Bases;
use crate::schedule::Regions;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How the memory answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MemoryOptions {
    /// Cycles from an address to its first word, and from the last written word to the response.
    pub latency: u64,
    /// Share of cycles in which a channel stalls, in percent.
    pub stall_percent: u32,
    /// Seed of the stalls.
    pub seed: u64,
    /// Reading this byte of the image gives an error.
    pub read_error_at: Option<u64>,
    /// Writing this byte of the image gives an error.
    pub write_error_at: Option<u64>,
    /// Where model and data lie; drawn by the seed if not said.
    pub bases: Option<Bases>,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            latency: 20,
            stall_percent: 10,
            seed: 1,
            read_error_at: None,
            write_error_at: None,
            bases: None,
        }
    }
}

/// Words that crossed the port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Words read for weights and parameters.
    pub weight_beats: u64,
    /// Words read for activations.
    pub act_beats: u64,
    /// Words written.
    pub write_beats: u64,
}

/// AXI's OKAY and SLVERR, DECERR.
const OKAY: i64 = 0;
const SLVERR: i64 = 2;
const DECERR: i64 = 3;

/// What the memory drives in a cycle.
#[derive(Clone, Debug, Default)]
pub struct Driven {
    /// ARREADY.
    pub arready: bool,
    /// AWREADY.
    pub awready: bool,
    /// WREADY.
    pub wready: bool,
    /// RVALID's word, RRESP and RLAST.
    pub r: Option<(Vec<u8>, i64, bool)>,
    /// BVALID's BRESP.
    pub b: Option<i64>,
}

/// What the accelerator drives in a cycle.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// ARVALID's address and length minus one.
    pub ar: Option<(u64, u64)>,
    /// RREADY.
    pub rready: bool,
    /// AWVALID's address and length minus one.
    pub aw: Option<(u64, u64)>,
    /// WVALID's word and WLAST.
    pub w: Option<(Vec<u8>, bool)>,
    /// BREADY.
    pub bready: bool,
}

/// Channels that stall by themselves, in the order of their draws.
enum Channel {
    Ar,
    Aw,
    W,
    R,
    B,
}

/// Bits of a draw.
const DRAW_BITS: u32 = 12;

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
struct Xorshift(u64);

impl Xorshift {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

struct Burst {
    /// In the image; behind its end for what lies in no area.
    address: u64,
    ready: u64,
    beats: u64,
    response: i64,
}

/// The memory; in order, one word a cycle in each direction at the most.
pub struct AxiMemory<'a> {
    /// What it holds.
    pub bytes: &'a mut [u8],
    /// Words that crossed the port.
    pub traffic: Traffic,
    /// Cycle in which a written word first differed from what is expected.
    pub wrong_cycle: Option<u64>,
    /// First breach of the AXI rules by the accelerator.
    pub violation: Option<String>,
    regions: Regions,
    bases: Bases,
    expected: Option<&'a [u8]>,
    options: MemoryOptions,
    bus: u64,
    random: Xorshift,
    cycle: u64,
    reads: VecDeque<Burst>,
    writes: VecDeque<Burst>,
    responses: VecDeque<Burst>,
    offers: Driven,
}

impl<'a> AxiMemory<'a> {
    /// A memory of `bytes`, the model and behind it a data area for each of `bases`, on a bus of `bus_bytes`; `expected` are
    /// the bytes of a write window after its run.
    pub fn new(
        bytes: &'a mut [u8],
        regions: &Regions,
        bases: &Bases,
        expected: Option<&'a [u8]>,
        bus_bytes: usize,
        options: &MemoryOptions,
    ) -> Self {
        Self {
            bytes,
            traffic: Traffic::default(),
            wrong_cycle: None,
            violation: None,
            regions: regions.clone(),
            bases: bases.clone(),
            expected,
            options: options.clone(),
            bus: bus_bytes as u64,
            random: Xorshift::new(options.seed),
            cycle: 0,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            responses: VecDeque::new(),
            offers: Driven::default(),
        }
    }

    /// What the memory drives in this cycle. What it offers stays until it is taken.
    pub fn drive(&mut self) -> &Driven {
        let draws = self.random.next() >> (u64::BITS - 5 * DRAW_BITS);
        let stall = u64::from(self.options.stall_percent << DRAW_BITS) / 100;
        let flows =
            |channel: Channel| draws >> (DRAW_BITS * channel as u32) & ((1 << DRAW_BITS) - 1) >= stall;
        self.offers.arready = flows(Channel::Ar);
        self.offers.awready = flows(Channel::Aw);
        self.offers.wready = !self.writes.is_empty() && flows(Channel::W);
        if self.offers.r.is_none()
            && self.reads.front().is_some_and(|b| b.ready <= self.cycle)
            && flows(Channel::R)
        {
            self.offers.r = self.reads.front().map(|b| {
                let response = self.response(b.address, self.options.read_error_at);
                let word = self.bytes.get(b.address as usize..(b.address + self.bus) as usize);
                let word = word.map_or(vec![0; self.bus as usize], <[u8]>::to_vec);
                (word, response, b.beats == 1)
            });
        }
        if self.offers.b.is_none()
            && self.responses.front().is_some_and(|b| b.ready <= self.cycle)
            && flows(Channel::B)
        {
            self.offers.b = self.responses.front().map(|b| b.response);
        }
        &self.offers
    }

    /// Takes what is handed over at the clock edge.
    pub fn clock(&mut self, seen: Seen) {
        self.cycle += 1;
        if let Some((address, len)) = seen.ar.filter(|_| self.offers.arready) {
            let burst = self.accept(address, len);
            self.reads.push_back(burst);
        }
        if self.offers.r.is_some() && seen.rready {
            self.offers.r = None;
            let (bus, regions, model) = (self.bus, &self.regions, self.regions.model_bytes as u64);
            if let Some(burst) = self.reads.front_mut() {
                self.traffic.act_beats += u64::from(burst.address >= model);
                self.traffic.weight_beats += u64::from((regions.weights_at..model).contains(&burst.address));
                (burst.address, burst.beats) = (burst.address + bus, burst.beats - 1);
            }
            if self.reads.front().is_some_and(|b| b.beats == 0) {
                self.reads.pop_front();
            }
        }
        if let Some((word, last)) = seen.w.filter(|_| self.offers.wready) {
            self.write(&word, last);
        }
        if let Some((address, len)) = seen.aw.filter(|_| self.offers.awready) {
            let burst = self.accept(address, len);
            self.check_window(&burst);
            self.writes.push_back(burst);
        }
        if self.offers.b.is_some() && seen.bready {
            self.offers.b = None;
            self.responses.pop_front();
        }
    }

    fn accept(&mut self, address: u64, len: u64) -> Burst {
        let last = address + ((len + 1) * self.bus - 1);
        if !address.is_multiple_of(self.bus) {
            self.breach(format!("burst address {address:#x} is not aligned to the bus"));
        }
        if address / 4096 != last / 4096 {
            self.breach(format!("burst at {address:#x} crosses 4 KiB"));
        }
        let address = self.bases.find(address, &self.regions).unwrap_or(self.bytes.len()) as u64;
        Burst { address, ready: self.cycle + self.options.latency, beats: len + 1, response: OKAY }
    }

    /// What is written lies in the window of a data area.
    fn check_window(&mut self, burst: &Burst) {
        let Regions { model_bytes, window, .. } = &self.regions;
        let first = (burst.address as usize).checked_sub(*model_bytes).map(|at| at % window.end);
        let end = first.map(|first| first + (burst.beats * self.bus) as usize);
        if burst.address as usize >= self.bytes.len() || first < Some(window.start) || end > Some(window.end)
        {
            self.breach(format!("a write outside its window, at byte {:#x} of the image", burst.address));
        }
    }

    fn write(&mut self, word: &[u8], last: bool) {
        let Some(mut burst) = self.writes.pop_front() else { return };
        let (response, at) =
            (self.response(burst.address, self.options.write_error_at), burst.address as usize);
        if response == OKAY {
            self.bytes[at..at + word.len()].copy_from_slice(word);
            let Regions { model_bytes, window, .. } = &self.regions;
            let area =
                at.checked_sub(*model_bytes).and_then(|at| (at % window.end).checked_sub(window.start));
            let expected = self.expected.zip(area);
            if expected.and_then(|(bytes, at)| bytes.get(at..at + word.len())).is_some_and(|e| e != word) {
                self.wrong_cycle.get_or_insert(self.cycle);
            }
        } else {
            burst.response = response;
        }
        self.traffic.write_beats += 1;
        (burst.address, burst.beats) = (burst.address + self.bus, burst.beats - 1);
        if last != (burst.beats == 0) {
            self.breach(format!("WLAST is not at the end of the burst before {:#x}", burst.address));
        }
        if burst.beats == 0 {
            self.responses.push_back(Burst { ready: self.cycle + self.options.latency, ..burst });
        } else {
            self.writes.push_front(burst);
        }
    }

    fn response(&self, address: u64, error_at: Option<u64>) -> i64 {
        let word = address..address + self.bus;
        match error_at {
            Some(at) if word.contains(&at) => SLVERR,
            _ if word.end as usize <= self.bytes.len() => OKAY,
            _ => DECERR,
        }
    }

    fn breach(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }
}
