//! Counters of a run.

use crate::hw::rt::{K, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Cycles (64 bits), words of the bus and cycles of the array, counted while `busy_i`; `clear_i` sets all to 0.
#[derive(LogicBlock)]
pub struct Counters {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// All counters become 0.
    pub clear_i: Signal<In, Bit>,
    /// Count.
    pub busy_i: Signal<In, Bit>,
    /// A word of weights or parameters was read.
    pub weight_beat_i: Signal<In, Bit>,
    /// A word of activations was read.
    pub act_beat_i: Signal<In, Bit>,
    /// A word was written.
    pub write_beat_i: Signal<In, Bit>,
    /// A position entered the array.
    pub array_active_i: Signal<In, Bit>,
    /// Cycles, low word.
    pub cycles_lo_o: Sig<Out>,
    /// Cycles, high word.
    pub cycles_hi_o: Sig<Out>,
    /// Words of weights and parameters.
    pub weight_beats_o: Sig<Out>,
    /// Words of activations.
    pub act_beats_o: Sig<Out>,
    /// Words written.
    pub write_beats_o: Sig<Out>,
    /// Cycles in which a position entered the array.
    pub array_cycles_o: Sig<Out>,
    cycles_lo: Reg,
    cycles_hi: Reg,
    weight_beats: Reg,
    act_beats: Reg,
    write_beats: Reg,
    array_cycles: Reg,
    most: K,
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// The counters.
    pub fn new() -> Self {
        Self::with_bits(32)
    }

    /// Counters of `bits` bits; the cycles have twice as many.
    fn with_bits(bits: u32) -> Self {
        let word = u(bits);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            clear_i: Default::default(),
            busy_i: Default::default(),
            weight_beat_i: Default::default(),
            act_beat_i: Default::default(),
            write_beat_i: Default::default(),
            array_active_i: Default::default(),
            cycles_lo_o: Sig::new(word),
            cycles_hi_o: Sig::new(word),
            weight_beats_o: Sig::new(word),
            act_beats_o: Sig::new(word),
            write_beats_o: Sig::new(word),
            array_cycles_o: Sig::new(word),
            cycles_lo: Reg::new(word),
            cycles_hi: Reg::new(word),
            weight_beats: Reg::new(word),
            act_beats: Reg::new(word),
            write_beats: Reg::new(word),
            array_cycles: Reg::new(word),
            most: K::new(word, word.range().1),
        }
    }
}

impl Logic for Counters {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module counters: cycles and words of a run");
        dff_setup!(self, clk_i, cycles_lo, cycles_hi, weight_beats, act_beats, write_beats, array_cycles);
        self.cycles_lo_o.next = self.cycles_lo.q.val();
        self.cycles_hi_o.next = self.cycles_hi.q.val();
        self.weight_beats_o.next = self.weight_beats.q.val();
        self.act_beats_o.next = self.act_beats.q.val();
        self.write_beats_o.next = self.write_beats.q.val();
        self.array_cycles_o.next = self.array_cycles.q.val();
        if self.busy_i.val() {
            self.cycles_lo.d.next = self.cycles_lo.q.val() + 1;
            if self.cycles_lo.q.val() == self.most.val() {
                self.cycles_hi.d.next = self.cycles_hi.q.val() + 1;
            }
            if self.weight_beat_i.val() {
                self.weight_beats.d.next = self.weight_beats.q.val() + 1;
            }
            if self.act_beat_i.val() {
                self.act_beats.d.next = self.act_beats.q.val() + 1;
            }
            if self.write_beat_i.val() {
                self.write_beats.d.next = self.write_beats.q.val() + 1;
            }
            if self.array_active_i.val() {
                self.array_cycles.d.next = self.array_cycles.q.val() + 1;
            }
        }
        if self.clear_i.val() || !self.rst_ni.val() {
            self.cycles_lo.d.next = 0;
            self.cycles_hi.d.next = 0;
            self.weight_beats.d.next = 0;
            self.act_beats.d.next = 0;
            self.write_beats.d.next = 0;
            self.array_cycles.d.next = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    #[test]
    fn counts_what_comes_while_busy() {
        for bits in [3, 32] {
            let mut rng = random(bits as u64);
            let mut bench = Bench::new(Counters::with_bits(bits), |c| &mut c.clk_i);
            let mut want = [0i64; 5];
            for t in 0..300 {
                let (reset, clear, busy) = (t < 1, t == 150, rng.random_bool(0.8));
                let events: [bool; 4] = rng.random();
                let c = &mut bench.block;
                (c.rst_ni.next, c.clear_i.next, c.busy_i.next) = (!reset, clear, busy);
                (c.weight_beat_i.next, c.act_beat_i.next) = (events[0], events[1]);
                (c.write_beat_i.next, c.array_active_i.next) = (events[2], events[3]);
                bench.cycle();
                if busy {
                    want[0] += 1;
                    (0..4).for_each(|i| want[i + 1] += events[i] as i64);
                }
                if reset || clear {
                    want = [0; 5];
                }
                let c = &bench.block;
                let cycles = c.cycles_lo_o.val() | c.cycles_hi_o.val() << bits;
                assert_eq!(cycles, want[0] & ((1i64 << (2 * bits).min(62)) - 1));
                let words = [&c.weight_beats_o, &c.act_beats_o, &c.write_beats_o, &c.array_cycles_o];
                assert_eq!(words.map(|w| w.val()), [1, 2, 3, 4].map(|i| want[i] & ((1 << bits) - 1)));
            }
            bench.verilog("counters", 1);
        }
    }
}
