//! The accumulators of one column.

use super::{Ram, address_bits};
use crate::hw::rt::{Flop, Reg, Sig, s, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Two banks of accumulators: one adds up partial sums, the other one is read.
///
/// `acc[addr] ← (first ? 0 : acc[addr]) + psum`, one a cycle, in three steps: read, select the word of the bank, add and
/// write. Two additions to one accumulator must be [`Accumulator::SPACING`] cycles apart. The control goes on to the next
/// column one cycle later.
#[derive(LogicBlock)]
pub struct Accumulator {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// `psum_i` is there.
    pub valid_i: Signal<In, Bit>,
    /// It starts its accumulator.
    pub first_i: Signal<In, Bit>,
    /// Its bank.
    pub bank_i: Signal<In, Bit>,
    /// Its accumulator.
    pub addr_i: Sig<In>,
    /// A partial sum.
    pub psum_i: Sig<In>,
    /// `valid_i` for the next column.
    pub valid_o: Signal<Out, Bit>,
    /// `first_i` for the next column.
    pub first_o: Signal<Out, Bit>,
    /// `bank_i` for the next column.
    pub bank_o: Signal<Out, Bit>,
    /// `addr_i` for the next column.
    pub addr_o: Sig<Out>,
    /// Bank to read; not the one that adds in the same cycle.
    pub drain_bank_i: Signal<In, Bit>,
    /// Accumulator to read.
    pub drain_addr_i: Sig<In>,
    /// What it holds, two cycles later.
    pub drain_o: Sig<Out>,
    bank0: Ram,
    bank1: Ram,
    valid: Flop<Bit>,
    first: Flop<Bit>,
    bank: Flop<Bit>,
    addr: Reg,
    psum: Reg,
    write: Flop<Bit>,
    write_bank: Flop<Bit>,
    write_addr: Reg,
    previous: Reg,
    operand: Reg,
    drain_bank: Flop<Bit>,
    drain: Reg,
    sum: Sig<Local>,
}

impl Accumulator {
    /// Cycles between two additions to one accumulator, at least.
    pub const SPACING: usize = 3;
    /// Cycles from a partial sum to the first cycle whose `drain_addr_i` may read the accumulator.
    pub const LATENCY: usize = timing::ACCUMULATOR;
    /// Cycles from `drain_addr_i` to `drain_o`.
    pub const DRAIN_LATENCY: usize = timing::ACCUMULATOR_DRAIN;

    /// Two banks of `depth` accumulators of `acc_bits` for partial sums of `psum_bits`.
    pub fn new(depth: usize, acc_bits: u32, psum_bits: u32) -> Self {
        let (acc, address) = (s(acc_bits), u(address_bits(depth)));
        Self {
            clk_i: Default::default(),
            valid_i: Default::default(),
            first_i: Default::default(),
            bank_i: Default::default(),
            addr_i: Sig::new(address),
            psum_i: Sig::new(s(psum_bits)),
            valid_o: Default::default(),
            first_o: Default::default(),
            bank_o: Default::default(),
            addr_o: Sig::new(address),
            drain_bank_i: Default::default(),
            drain_addr_i: Sig::new(address),
            drain_o: Sig::new(acc),
            bank0: Ram::new(depth, acc),
            bank1: Ram::new(depth, acc),
            valid: Default::default(),
            first: Default::default(),
            bank: Default::default(),
            addr: Reg::new(address),
            psum: Reg::new(s(psum_bits)),
            write: Default::default(),
            write_bank: Default::default(),
            write_addr: Reg::new(address),
            previous: Reg::new(acc),
            operand: Reg::new(s(psum_bits)),
            drain_bank: Default::default(),
            drain: Reg::new(acc),
            sum: Sig::new(acc),
        }
    }
}

impl Logic for Accumulator {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module accumulator: two banks of accumulators of one column, one adding, one drained");
        dff_setup!(
            self, clk_i, valid, first, bank, addr, psum, write, write_bank, write_addr, previous, operand,
            drain_bank, drain
        );
        comment!("Read; the bank that adds goes before the drain.");
        self.bank0.clk_i.next = self.clk_i.val();
        self.bank1.clk_i.next = self.clk_i.val();
        self.bank0.addr_i.next = self.drain_addr_i.val();
        self.bank1.addr_i.next = self.drain_addr_i.val();
        if self.valid_i.val() && !self.bank_i.val() {
            self.bank0.addr_i.next = self.addr_i.val();
        }
        if self.valid_i.val() && self.bank_i.val() {
            self.bank1.addr_i.next = self.addr_i.val();
        }
        self.valid.d.next = self.valid_i.val();
        self.first.d.next = self.first_i.val();
        self.bank.d.next = self.bank_i.val();
        self.addr.d.next = self.addr_i.val();
        self.psum.d.next = self.psum_i.val();
        comment!("Select.");
        self.previous.d.next = self.bank0.word_o.val();
        if self.bank.q.val() {
            self.previous.d.next = self.bank1.word_o.val();
        }
        if self.first.q.val() {
            self.previous.d.next = 0;
        }
        self.operand.d.next = self.psum.q.val();
        self.write.d.next = self.valid.q.val();
        self.write_bank.d.next = self.bank.q.val();
        self.write_addr.d.next = self.addr.q.val();
        comment!("Add and write.");
        self.sum.next = self.previous.q.val() + self.operand.q.val();
        self.bank0.write_i.next = self.write.q.val() && !self.write_bank.q.val();
        self.bank1.write_i.next = self.write.q.val() && self.write_bank.q.val();
        self.bank0.write_addr_i.next = self.write_addr.q.val();
        self.bank1.write_addr_i.next = self.write_addr.q.val();
        self.bank0.data_i.next = self.sum.val();
        self.bank1.data_i.next = self.sum.val();

        self.drain_bank.d.next = self.drain_bank_i.val();
        self.drain.d.next = self.bank0.word_o.val();
        if self.drain_bank.q.val() {
            self.drain.d.next = self.bank1.word_o.val();
        }
        self.drain_o.next = self.drain.q.val();
        self.valid_o.next = self.valid.q.val();
        self.first_o.next = self.first.q.val();
        self.bank_o.next = self.bank.q.val();
        self.addr_o.next = self.addr.q.val();
    }
}
