//! The weight shifter: moves words from the weight buffer into the array's shadow registers.

use crate::hw::datapath::address_bits;
use crate::hw::rt::{Flop, K, Reg, Sig, u};
use rust_hdl::prelude::*;

/// Shifts the next tile in as early as the shadow registers allow: `rows` words, a word a cycle.
///
/// Cycles are those in which a position enters lane 0 of the activation buffer; words enter lane 0 of the weight
/// buffer in the same time, so that the two meet in the array. Rows capture with the wavefront (`aligned_i` low: row
/// r in cycle t + r after `swap_i` in cycle t) or all in cycle t (`aligned_i` high). A shift may coincide with the
/// last capture.
#[derive(LogicBlock)]
pub struct WeightShifter {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// All rows capture at once.
    pub aligned_i: Signal<In, Bit>,
    /// The array takes the shadow registers.
    pub swap_i: Signal<In, Bit>,
    /// A word was written into the buffer.
    pub word_done_i: Signal<In, Bit>,
    /// A word leaves the buffer and is shifted in.
    pub shift_o: Signal<Out, Bit>,
    /// Its address.
    pub addr_o: Sig<Out>,
    /// A swap may come with the next cycle.
    pub full_o: Signal<Out, Bit>,
    /// The buffer takes another word.
    pub room_o: Signal<Out, Bit>,
    words: Reg,
    addr: Reg,
    shifted: Reg,
    hold: Reg,
    // What the counters compare to, ready with them.
    some: Flop<Bit>,
    room: Flop<Bit>,
    last: Flop<Bit>,
    complete: Flop<Bit>,
    held: Flop<Bit>,
    shift: Signal<Local, Bit>,
    last_addr: K,
    most: K,
    less: K,
    more: K,
    before_last: K,
    hold_cycles: K,
}

impl WeightShifter {
    /// A shifter for an array of `rows` rows and `groups` of columns, and a buffer of `depth` words. Group g reads g cycles
    /// after group 0, so the buffer never holds more than `depth − groups − 2` words, and `depth` is `groups + 4` or more.
    pub fn new(rows: usize, groups: usize, depth: usize) -> Self {
        let address = u(address_bits(depth));
        let count = u(depth.ilog2() + 1);
        let row = u(7);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            aligned_i: Default::default(),
            swap_i: Default::default(),
            word_done_i: Default::default(),
            shift_o: Default::default(),
            addr_o: Sig::new(address),
            full_o: Default::default(),
            room_o: Default::default(),
            words: Reg::new(count),
            addr: Reg::new(address),
            shifted: Reg::new(row),
            hold: Reg::new(row),
            some: Default::default(),
            room: Default::default(),
            last: Default::default(),
            complete: Default::default(),
            held: Default::default(),
            shift: Default::default(),
            last_addr: K::new(address, depth as i64 - 1),
            most: K::new(count, (depth - groups - 2) as i64),
            less: K::new(count, (depth - groups - 3) as i64),
            more: K::new(count, (depth - groups - 1) as i64),
            before_last: K::new(row, rows as i64 - 2),
            hold_cycles: K::new(row, rows as i64 - 2),
        }
    }
}

impl Logic for WeightShifter {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module weight_shifter: from the weight buffer into the shadow registers");
        dff_setup!(self, clk_i, words, addr, shifted, hold, some, room, last, complete, held);
        self.shift.next = self.some.q.val()
            && ((self.swap_i.val() && self.aligned_i.val())
                || (!self.swap_i.val() && !self.complete.q.val() && !self.held.q.val()));
        self.shift_o.next = self.shift.val();
        self.addr_o.next = self.addr.q.val();
        self.full_o.next = self.complete.q.val() || (self.shift.val() && self.last.q.val());
        self.room_o.next = self.room.q.val();

        self.some.d.next = self.words.q.val() != 0;
        self.room.d.next = self.words.q.val() < self.most.val();
        if self.word_done_i.val() && !self.shift.val() {
            self.words.d.next = self.words.q.val() + 1;
            self.some.d.next = true;
            self.room.d.next = self.words.q.val() < self.less.val();
        }
        if !self.word_done_i.val() && self.shift.val() {
            self.words.d.next = self.words.q.val() - 1;
            self.some.d.next = self.words.q.val() > 1;
            self.room.d.next = self.words.q.val() < self.more.val();
        }
        self.held.d.next = self.hold.q.val() > 1;
        if self.held.q.val() {
            self.hold.d.next = self.hold.q.val() - 1;
        }
        if self.shift.val() {
            self.shifted.d.next = self.shifted.q.val() + 1;
            self.last.d.next = self.shifted.q.val() == self.before_last.val();
            self.complete.d.next = self.last.q.val();
            self.addr.d.next = self.addr.q.val() + 1;
            if self.addr.q.val() == self.last_addr.val() {
                self.addr.d.next = 0;
            }
        }
        if self.swap_i.val() {
            self.shifted.d.next = 0;
            self.last.d.next = false;
            self.complete.d.next = false;
            if self.shift.val() {
                self.shifted.d.next = 1;
                self.last.d.next = self.before_last.val() == 0;
            }
            if !self.aligned_i.val() {
                self.hold.d.next = self.hold_cycles.val();
                self.held.d.next = self.hold_cycles.val() != 0;
            }
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.words.d.next = 0;
            self.addr.d.next = 0;
            self.shifted.d.next = 0;
            self.hold.d.next = 0;
            self.some.d.next = false;
            self.room.d.next = true;
            self.last.d.next = false;
            self.complete.d.next = false;
            self.held.d.next = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::Bench;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const ROWS: usize = 5;

    fn clock(dut: &mut WeightShifter) {
        dut.clk_i.next = true.into();
        assert!(simulate(dut, 20));
        dut.clk_i.next = false.into();
        assert!(simulate(dut, 20));
    }

    fn shifter() -> WeightShifter {
        let mut dut = WeightShifter::new(ROWS, 3, 16);
        dut.connect_all();
        dut.rst_ni.next = false;
        clock(&mut dut);
        dut.rst_ni.next = true;
        dut
    }

    /// Shadow registers of one column, to see what each row captures, word for word.
    #[derive(Default)]
    struct Column {
        shadow: [i64; ROWS],
        captures: Vec<(usize, i64)>,
    }

    /// Runs `cycles` cycles with swaps whenever `full_o` allows and `sweep` cycles have passed since the last.
    fn run(aligned: bool, sweep: u64, cycles: u64, percent: u32) -> (Column, u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let (mut dut, mut column) = (shifter(), Column::default());
        let (mut written, mut read, mut may_swap, mut swaps) = (0i64, 0i64, false, vec![]);
        dut.aligned_i.next = aligned;
        for t in 0..cycles {
            dut.swap_i.next = may_swap;
            dut.word_done_i.next = dut.room_o.val() && rng.random_range(0..100) < percent;
            assert!(simulate(&mut dut, 20));
            if dut.swap_i.val() {
                swaps.push(t);
            }
            for row in 0..ROWS {
                let age = if aligned { 0 } else { row as u64 };
                if swaps.iter().any(|&s| s + age == t) {
                    column.captures.push((row, column.shadow[row]));
                }
            }
            if dut.shift_o.val() {
                assert!(read < written, "reads word {read} of {written}");
                assert_eq!(dut.addr_o.val(), read % 16);
                column.shadow.rotate_right(1);
                column.shadow[0] = read;
                read += 1;
            }
            written += dut.word_done_i.val() as i64;
            assert!(written - read < 16 - 3, "the buffer overflows");
            may_swap = dut.full_o.val() && swaps.last().is_none_or(|&s| t + 1 >= s + sweep);
            clock(&mut dut);
        }
        (column, swaps.len() as u64)
    }

    #[test]
    fn every_row_captures_its_word_of_every_tile() {
        for aligned in [false, true] {
            for (sweep, percent) in [(5, 100), (7, 40), (30, 100), (12, 70)] {
                let (column, swaps) = run(aligned, sweep, 400, percent);
                assert!(swaps > 5);
                let mut tile = [0; ROWS];
                for (row, word) in column.captures {
                    // The first word of a tile ends in the last row.
                    assert_eq!(word, tile[row] + (ROWS - 1 - row) as i64, "row {row}, {aligned} {sweep}");
                    tile[row] += ROWS as i64;
                }
            }
        }
    }

    #[test]
    fn the_shift_sets_the_pace_only_where_it_must() {
        let swaps = |aligned, sweep| run(aligned, sweep, 1000, 100).1;
        assert!(swaps(true, 1) >= 1000 / ROWS as u64 - 3); // a word a cycle
        assert!(swaps(false, 1) >= 1000 / (2 * ROWS as u64) - 3); // 2 · rows
        assert!(swaps(false, 20) >= 1000 / 20 - 2); // hidden
    }

    #[test]
    fn verilog_does_the_same() {
        for (rows, cols, depth) in [(5, 3, 16), (2, 2, 8), (16, 8, 48)] {
            let mut rng = crate::hw::check::random(rows as u64);
            let mut bench = Bench::new(WeightShifter::new(rows, cols, depth), |s| &mut s.clk_i);
            for t in 0..400 {
                bench.block.rst_ni.next = t > 1;
                bench.block.start_i.next = t == 200;
                bench.block.aligned_i.next = t % 100 > 50;
                bench.block.word_done_i.next = bench.block.room_o.val() && rng.random_bool(0.7);
                bench.block.swap_i.next = t > 2 && bench.block.full_o.val() && rng.random_bool(0.7);
                bench.cycle();
            }
            bench.verilog("weight_shifter", 2);
        }
    }
}
