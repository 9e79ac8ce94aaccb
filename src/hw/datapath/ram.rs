//! Memory.

use super::address_bits;
use crate::hw::rt::{Sig, Ty, text};
use rust_hdl::prelude::*;

/// Simple dual-port memory: one port writes, one reads, synchronously. Reading the word that the same cycle writes gives
/// an undefined word in hardware: users must not rely on it.
#[derive(LogicBlock)]
pub struct Ram {
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
    /// The word that `addr_i` named one cycle before.
    pub word_o: Sig<Out>,
    _words: Vec<i64>,
}

impl Ram {
    /// Cycles from `addr_i` to `word_o`.
    pub const LATENCY: usize = 1;

    /// A memory of `depth` words of type `ty`.
    pub fn new(depth: usize, ty: Ty) -> Self {
        let address = crate::hw::rt::u(address_bits(depth));
        Self {
            clk_i: Default::default(),
            write_i: Default::default(),
            write_addr_i: Sig::new(address),
            data_i: Sig::new(ty),
            addr_i: Sig::new(address),
            word_o: Sig::new(ty),
            _words: vec![0; 1 << address.bits],
        }
    }
}

impl Logic for Ram {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            self.word_o.next = self._words[self.addr_i.val() as usize];
            if self.write_i.val() {
                self._words[self.write_addr_i.val() as usize] = self.data_i.val();
            }
        }
    }
    fn connect(&mut self) {
        self.word_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (bits, depth) = (self.data_i.ty().bits, self._words.len());
        text(format!(
            "// module ram: {depth} words of {bits} bits, one write and one read port, synchronous
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use crate::hw::rt::{s, u};

    #[test]
    fn reads_what_was_written_one_cycle_after_the_address() {
        for (depth, ty) in [(2, u(1)), (5, s(8)), (16, s(48))] {
            let mut bench = Bench::new(Ram::new(depth, ty), |b| &mut b.clk_i);
            let mut rng = random(depth as u64);
            let mut words = vec![0; depth];
            for t in 0..4 * depth {
                let (write, read) = (t % depth, (t * 3 + 1) % depth);
                let x = &mut bench.block;
                x.write_i.next = t < depth || t % 3 == 0;
                x.write_addr_i.next = write as i64;
                x.addr_i.next = read as i64;
                x.data_i.next = random_value(&mut rng, ty);
                let (writes, data) = (x.write_i.next, x.data_i.next);
                bench.cycle();
                if write != read {
                    assert_eq!(bench.block.word_o.val(), words[read]);
                }
                words[write] = if writes { data } else { words[write] };
            }
            bench.verilog("ram", depth + 1);
        }
    }
}
