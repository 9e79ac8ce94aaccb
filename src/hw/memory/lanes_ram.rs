//! Memory of wide words.

use crate::hw::datapath::address_bits;
use crate::hw::rt::{Lanes, Sig, Ty, text, u};
use rust_hdl::prelude::*;

/// Simple dual-port memory of words of several lanes: one port writes, one reads, synchronously. Reading the word that
/// the same cycle writes gives an undefined word in hardware: users must not rely on it.
#[derive(LogicBlock)]
pub struct LanesRam {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Write `data_i` to `write_addr_i`.
    pub write_i: Signal<In, Bit>,
    /// Word to write.
    pub write_addr_i: Sig<In>,
    /// What to write.
    pub data_i: Lanes<In>,
    /// Word to read.
    pub addr_i: Sig<In>,
    /// The word that `addr_i` named one cycle before.
    pub word_o: Lanes<Out>,
    _words: Vec<crate::hw::rt::Bus>,
}

impl LanesRam {
    /// Cycles from `addr_i` to `word_o`.
    pub const LATENCY: usize = 1;

    /// A memory of `depth` words of `count` lanes of type `ty`.
    pub fn new(depth: usize, count: usize, ty: Ty) -> Self {
        let address = u(address_bits(depth));
        let word_o: Lanes<Out> = Lanes::new(count, ty);
        Self {
            clk_i: Default::default(),
            write_i: Default::default(),
            write_addr_i: Sig::new(address),
            data_i: Lanes::new(count, ty),
            addr_i: Sig::new(address),
            _words: vec![word_o.val(); 1 << address.bits],
            word_o,
        }
    }
}

impl Logic for LanesRam {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            self.word_o.next = self._words[self.addr_i.val() as usize].clone();
            if self.write_i.val() {
                self._words[self.write_addr_i.val() as usize] = self.data_i.val();
            }
        }
    }
    fn connect(&mut self) {
        self.word_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (bits, depth) = (self.data_i.bits(), self._words.len());
        text(format!(
            "// module lanes_ram: {depth} words of {bits} bits, one write and one read port, synchronous
localparam BITS = {bits};
localparam DEPTH = {depth};

// A word is never read in the cycle that writes it.
(* no_rw_check *)
reg [BITS-1:0] words [0:DEPTH-1];
reg [BITS-1:0] word;

assign word_o = word;

always @(posedge clk_i) begin
    if (write_i) words[write_addr_i] <= data_i;
    word <= words[addr_i];
end
"
        ))
    }
}
