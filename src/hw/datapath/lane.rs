//! One lane of a buffer.

use super::{Ram, address_bits};
use crate::hw::rt::{Flop, Reg, Sig, Ty, u};
use rust_hdl::prelude::*;

/// A memory whose read address goes on to the next lane one cycle later, with its flags.
#[derive(LogicBlock)]
pub struct Lane {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Write `data_i` to `write_addr_i`.
    pub write_i: Signal<In, Bit>,
    /// Word to write.
    pub write_addr_i: Sig<In>,
    /// What to write.
    pub data_i: Sig<In>,
    /// Word to read.
    pub addr_i: Sig<In>,
    /// Give 0 instead.
    pub zero_i: Signal<In, Bit>,
    /// A mark on this read.
    pub tag_i: Signal<In, Bit>,
    /// `addr_i` for the next lane.
    pub addr_o: Sig<Out>,
    /// `zero_i` for the next lane.
    pub zero_o: Signal<Out, Bit>,
    /// `tag_i`, beside the word it came with.
    pub tag_o: Signal<Out, Bit>,
    /// The word, one cycle after its address.
    pub word_o: Sig<Out>,
    ram: Ram,
    addr: Reg,
    zero: Flop<Bit>,
    tag: Flop<Bit>,
}

impl Lane {
    /// A lane of `depth` words of type `ty`.
    pub fn new(depth: usize, ty: Ty) -> Self {
        let address = u(address_bits(depth));
        Self {
            clk_i: Default::default(),
            write_i: Default::default(),
            write_addr_i: Sig::new(address),
            data_i: Sig::new(ty),
            addr_i: Sig::new(address),
            zero_i: Default::default(),
            tag_i: Default::default(),
            addr_o: Sig::new(address),
            zero_o: Default::default(),
            tag_o: Default::default(),
            word_o: Sig::new(ty),
            ram: Ram::new(depth, ty),
            addr: Reg::new(address),
            zero: Default::default(),
            tag: Default::default(),
        }
    }
}

impl Logic for Lane {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module lane: memory of one lane; address and flags go on to the next lane");
        dff_setup!(self, clk_i, addr, zero, tag);
        self.ram.clk_i.next = self.clk_i.val();
        self.ram.write_i.next = self.write_i.val();
        self.ram.write_addr_i.next = self.write_addr_i.val();
        self.ram.data_i.next = self.data_i.val();
        self.ram.addr_i.next = self.addr_i.val();
        self.addr.d.next = self.addr_i.val();
        self.zero.d.next = self.zero_i.val();
        self.tag.d.next = self.tag_i.val();
        self.word_o.next = self.ram.word_o.val();
        if self.zero.q.val() {
            self.word_o.next = 0;
        }
        self.addr_o.next = self.addr.q.val();
        self.zero_o.next = self.zero.q.val();
        self.tag_o.next = self.tag.q.val();
    }
}
