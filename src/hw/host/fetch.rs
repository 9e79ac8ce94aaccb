//! The fetch of a command.

use super::command::beats;
use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, K, Reg, Sig, u};
use crate::isa::COMMAND_BYTES;
use rust_hdl::prelude::*;

/// Asks the read port for command `index_i`, and numbers the beats that come. A command is one burst, as it is no longer than
/// one and aligned to its size; a beat is taken at once.
#[derive(LogicBlock)]
pub struct Fetch {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: fetch; not before `done_o` of the last one.
    pub fetch_i: Signal<In, Bit>,
    /// Which command; stable until `done_o`.
    pub index_i: Sig<In>,
    /// The burst is requested; stays until `ar_ready_i`.
    pub ar_valid_o: Signal<Out, Bit>,
    /// Its first byte.
    pub ar_addr_o: Sig<Out>,
    /// Its beats minus one.
    pub ar_len_o: Sig<Out>,
    /// The request is taken.
    pub ar_ready_i: Signal<In, Bit>,
    /// A beat of the command has come.
    pub push_i: Signal<In, Bit>,
    /// It is one of the fetch under way.
    pub take_o: Signal<Out, Bit>,
    /// Its number within the command.
    pub number_o: Sig<Out>,
    /// One cycle: the last beat came in the cycle before.
    pub done_o: Signal<Out, Bit>,
    asking: Flop<Bit>,
    receiving: Flop<Bit>,
    number: Reg,
    done: Flop<Bit>,
    take: Signal<Local, Bit>,
    len: K,
    last: K,
    command_shift: K,
}

impl Fetch {
    /// Bits of the number of a command in a program.
    const INDEX_BITS: u32 = 12;
    /// Bits of a command's address.
    const ADDRESS_BITS: u32 = Self::INDEX_BITS + COMMAND_BYTES.ilog2();

    /// A fetch over a bus of `bus_bits`.
    pub fn new(bus_bits: usize) -> Self {
        let beats = beats(bus_bits);
        let number = u(address_bits(beats));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            fetch_i: Default::default(),
            index_i: Sig::new(u(Self::INDEX_BITS)),
            ar_valid_o: Default::default(),
            ar_addr_o: Sig::new(u(Self::ADDRESS_BITS)),
            ar_len_o: Sig::new(u(8)),
            ar_ready_i: Default::default(),
            push_i: Default::default(),
            take_o: Default::default(),
            number_o: Sig::new(number),
            done_o: Default::default(),
            asking: Default::default(),
            receiving: Default::default(),
            number: Reg::new(number),
            done: Default::default(),
            take: Default::default(),
            len: K::new(u(8), beats as i64 - 1),
            last: K::new(number, beats as i64 - 1),
            command_shift: K::new(u(5), COMMAND_BYTES.ilog2().into()),
        }
    }
}

impl Logic for Fetch {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module fetch: the beats of a command");
        dff_setup!(self, clk_i, asking, receiving, number, done);
        self.ar_valid_o.next = self.asking.q.val();
        self.ar_addr_o.next = self.index_i.val() << self.command_shift.val();
        self.ar_len_o.next = self.len.val();
        self.number_o.next = self.number.q.val();
        self.done_o.next = self.done.q.val();
        self.take.next = self.push_i.val() && self.receiving.q.val();
        self.take_o.next = self.take.val();

        self.done.d.next = false;
        if self.ar_ready_i.val() {
            self.asking.d.next = false;
        }
        if self.take.val() {
            self.number.d.next = self.number.q.val() + 1;
            if self.number.q.val() == self.last.val() {
                self.receiving.d.next = false;
                self.done.d.next = true;
            }
        }
        if self.fetch_i.val() {
            self.asking.d.next = true;
            self.receiving.d.next = true;
            self.number.d.next = 0;
        }
        if !self.rst_ni.val() {
            self.asking.d.next = false;
            self.receiving.d.next = false;
            self.done.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    #[test]
    fn asks_once_and_numbers_every_word() {
        for bus_bits in [64, 128, 256, 512] {
            let mut rng = random(bus_bits as u64);
            let mut bench = Bench::new(Fetch::new(bus_bits), |f| &mut f.clk_i);
            bench.cycle();
            bench.block.rst_ni.next = true;
            for round in 0..12 {
                let index = if round == 3 { 4095 } else { rng.random_range(0..4096) };
                bench.block.index_i.next = index;
                bench.block.fetch_i.next = true;
                bench.cycle();
                bench.block.fetch_i.next = false;
                let (mut asked, mut numbers) = (false, vec![]);
                let aborted = round % 4 == 1;
                for _ in 0..if aborted { 3 } else { 500 } {
                    let f = &mut bench.block;
                    f.push_i.next = asked && rng.random_bool(0.6);
                    f.ar_ready_i.next = rng.random_bool(0.5);
                    if f.ar_valid_o.val() {
                        assert!(!asked, "asks again");
                        let burst = (f.ar_addr_o.val(), (f.ar_len_o.val() + 1) * bus_bits as i64);
                        assert_eq!(burst, (index * 128, 1024));
                    }
                    let (taken, number) = (f.ar_valid_o.val() && f.ar_ready_i.next, f.number_o.val());
                    bench.cycle();
                    asked |= taken;
                    if bench.block.push_i.val() {
                        numbers.push(number);
                    }
                    if bench.block.done_o.val() {
                        break;
                    }
                }
                if aborted {
                    bench.block.rst_ni.next = false;
                    bench.block.push_i.next = false;
                    bench.cycle();
                    bench.block.rst_ni.next = true;
                    assert!(!bench.block.ar_valid_o.val() && !bench.block.done_o.val());
                    continue;
                }
                assert!(bench.block.done_o.val(), "no end");
                assert_eq!(numbers, (0..1024 / bus_bits as i64).collect::<Vec<_>>());
                bench.block.push_i.next = true; // a beat too many is not taken
                bench.cycle();
                assert!(!bench.block.take_o.val() && !bench.block.done_o.val());
                bench.block.push_i.next = false;
            }
            bench.verilog("fetch", 2);
        }
    }
}
