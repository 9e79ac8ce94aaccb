//! Memory behind a client of the read port, for tests: bursts are taken and answered in order, with random delays.

use crate::hw::check::random;
use crate::hw::rt::Lanes;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rust_hdl::prelude::*;
use std::collections::VecDeque;

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    bus_bytes: usize,
    rng: ChaCha8Rng,
    /// Addresses of words that are owed.
    owed: VecDeque<usize>,
    ready: bool,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], bus_bits: usize, seed: u64) -> Self {
        Self { bytes, bus_bytes: bus_bits / 8, rng: random(seed), owed: VecDeque::new(), ready: false }
    }

    /// Drives the client for a cycle.
    pub(crate) fn drive(
        &mut self,
        ready: &mut Signal<In, Bit>,
        push: &mut Signal<In, Bit>,
        beat: &mut Lanes<In>,
    ) {
        self.ready = self.rng.random_bool(0.8);
        ready.next = self.ready;
        let word = if self.rng.random_bool(0.8) { self.owed.pop_front() } else { None };
        push.next = word.is_some();
        if let Some(at) = word {
            let bytes = &self.bytes[at..at + self.bus_bytes];
            beat.drive(|i| bytes[4 * i..4 * i + 4].iter().rev().fold(0, |x, &byte| x << 8 | i64::from(byte)));
        }
    }

    /// Takes the burst that the client shows, if it was ready for one.
    pub(crate) fn clock(&mut self, valid: bool, addr: i64, len: i64) {
        if valid && self.ready {
            self.owed.extend((0..=len as usize).map(|i| addr as usize + i * self.bus_bytes));
        }
    }
}
