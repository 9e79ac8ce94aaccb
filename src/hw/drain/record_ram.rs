//! Memory of parameter records, written one by one, read in groups.

use super::{SHIFT_BITS, scale_ty};
use crate::arith::MULTIPLIER_BITS;
use crate::config::Requantize;
use crate::hw::datapath::{Ram, address_bits};
use crate::hw::rt::{Lanes, Sig, Template, s, text, u};
use rust_hdl::prelude::*;

/// A word holds a record (bias, m, s) in each of its lanes. One lane is written at a time, all are read at once.
#[derive(LogicBlock)]
pub struct RecordRam {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Write the record.
    pub write_i: Signal<In, Bit>,
    /// Word to write.
    pub write_addr_i: Sig<In>,
    /// Lane to write.
    pub lane_i: Sig<In>,
    /// Bias.
    pub bias_i: Sig<In>,
    /// Multiplier m; not kept where steps are powers of two.
    pub multiplier_i: Sig<In>,
    /// Shift s.
    pub shift_i: Sig<In>,
    /// Word to read; not the one that is written.
    pub addr_i: Sig<In>,
    /// Biases of the word that `addr_i` named one cycle before.
    pub bias_o: Lanes<Out>,
    /// Its shifts, and above them its multipliers where they are kept.
    pub scale_o: Lanes<Out>,
    bias: Template<Ram>,
    scale: Template<Ram>,
    _words: Vec<Vec<(i64, i64)>>,
}

impl RecordRam {
    /// Cycles from `addr_i` to the word.
    pub const LATENCY: usize = Ram::LATENCY;

    /// `depth` words of `lanes` records with biases of `acc_bits`.
    pub fn new(depth: usize, lanes: usize, acc_bits: u32, mode: Requantize) -> Self {
        let (acc, scale, address) = (s(acc_bits), scale_ty(mode), u(address_bits(depth)));
        Self {
            clk_i: Default::default(),
            write_i: Default::default(),
            write_addr_i: Sig::new(address),
            lane_i: Sig::new(u(address_bits(lanes))),
            bias_i: Sig::new(acc),
            multiplier_i: Sig::new(u(MULTIPLIER_BITS)),
            shift_i: Sig::new(u(SHIFT_BITS)),
            addr_i: Sig::new(address),
            bias_o: Lanes::new(lanes, acc),
            scale_o: Lanes::new(lanes, scale),
            bias: Template(Ram::new(depth, acc)),
            scale: Template(Ram::new(depth, scale)),
            _words: vec![vec![(0, 0); lanes]; 1 << address.bits],
        }
    }
}

impl Logic for RecordRam {
    fn update(&mut self) {
        if self.clk_i.pos_edge() {
            let word = &self._words[self.addr_i.val() as usize];
            self.bias_o.drive(|lane| word[lane].0);
            self.scale_o.drive(|lane| word[lane].1);
            if self.write_i.val() {
                let scale = self.multiplier_i.val() << SHIFT_BITS | self.shift_i.val();
                let record = (self.bias_i.val(), self.scale_o.ty().wrap(scale));
                self._words[self.write_addr_i.val() as usize][self.lane_i.val() as usize] = record;
            }
        }
    }
    fn connect(&mut self) {
        self.bias_o.connect();
        self.scale_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (lanes, lane, acc) = (self.bias_o.count(), self.lane_i.ty().bits, self.bias_i.ty().bits);
        let (words, scale) = (self._words.len(), self.scale_o.ty().bits);
        let kept = if scale > SHIFT_BITS {
            "wire [SCALE-1:0] scale = {multiplier_i, shift_i};"
        } else {
            "wire [SCALE-1:0] scale = shift_i;\nwire multiplier_unused = &multiplier_i;"
        };
        text(format!(
            "// module record_ram: {words} words of {lanes} parameter records, written one by one
localparam LANES = {lanes};
localparam LANE = {lane}; // bits of a lane's number
localparam ACC = {acc};
localparam SCALE = {scale};

{kept}
{RECORD_RAM}"
        ))
    }
}

const RECORD_RAM: &str = "
genvar r;
generate
    for (r = 0; r < LANES; r = r + 1) begin : g_lane
        wire write = write_i && lane_i == r[LANE-1:0];
        @bias@ u_bias (
            .clk_i       (clk_i),
            .write_i     (write),
            .write_addr_i(write_addr_i),
            .data_i      (bias_i),
            .addr_i      (addr_i),
            .word_o      (bias_o[r*ACC +: ACC])
        );
        @scale@ u_scale (
            .clk_i       (clk_i),
            .write_i     (write),
            .write_addr_i(write_addr_i),
            .data_i      (scale),
            .addr_i      (addr_i),
            .word_o      (scale_o[r*SCALE +: SCALE])
        );
    end
endgenerate
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use rand::Rng;

    fn check(depth: usize, lanes: usize, acc_bits: u32, mode: Requantize) {
        let mut bench = Bench::new(RecordRam::new(depth, lanes, acc_bits, mode), |b| &mut b.clk_i);
        let mut rng = random(depth as u64);
        let filling = depth * lanes;
        let mut words = vec![vec![(0, 0); lanes]; depth];
        for t in 0..filling + 60 {
            let (write, read) = (t / lanes % depth, rng.random_range(0..depth));
            let x = &mut bench.block;
            x.write_i.next = t < filling || rng.random();
            (x.write_addr_i.next, x.lane_i.next, x.addr_i.next) =
                (write as i64, (t % lanes) as i64, read as i64);
            x.bias_i.next = random_value(&mut rng, s(acc_bits));
            x.multiplier_i.next = random_value(&mut rng, u(16));
            x.shift_i.next = random_value(&mut rng, u(6));
            let (m, shift) = (x.multiplier_i.next, x.shift_i.next);
            let scale = if mode == Requantize::Scale { m * 64 + shift } else { shift };
            let (writes, record) = (x.write_i.next, (x.bias_i.next, scale));
            bench.cycle();
            for lane in (0..lanes).filter(|_| read != write) {
                let got = (bench.block.bias_o.val()[lane], bench.block.scale_o.val()[lane]);
                assert_eq!(got, words[read][lane], "word {read}, lane {lane}");
            }
            if writes {
                words[write][t % lanes] = record;
            }
        }
        bench.verilog("record_ram", filling + 1);
    }

    #[test]
    fn groups_of_records_come_back() {
        check(4, 2, 32, Requantize::Scale);
        check(2, 1, 48, Requantize::Pow2);
        check(8, 3, 21, Requantize::Scale);
        check(2, 8, 17, Requantize::Pow2);
    }
}
