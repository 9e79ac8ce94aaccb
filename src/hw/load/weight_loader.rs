//! From the weight stream in memory to the weight buffer, and parameters to the drain.

use super::{OneHot, Record, WeightWalk};
use crate::config::ArrayConfig;
use crate::hw::datapath::address_bits;
use crate::hw::memory::{ReadStream, Unpacker};
use crate::hw::rt::{Flop, K, Lanes, LayerPort, Reg, Sig, s, u};
use rust_hdl::prelude::*;

/// Reads weights and parameter records of every output tile in the order of their use, as far ahead as there is room.
/// The layer's inputs are stable from `start_i` until the layer has ended.
#[derive(LogicBlock)]
pub struct WeightLoader {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// One cycle: a layer begins.
    pub start_i: Signal<In, Bit>,
    /// The layer; stable while it runs.
    pub layer_i: LayerPort<In>,
    /// A burst is wanted; see [`ReadStream`].
    pub ar_valid_o: Signal<Out, Bit>,
    /// Its address.
    pub ar_addr_o: Sig<Out>,
    /// Its words of the bus, less one.
    pub ar_len_o: Sig<Out>,
    /// It will be read.
    pub ar_ready_i: Signal<In, Bit>,
    /// A word of the bus has come.
    pub push_i: Signal<In, Bit>,
    /// The word.
    pub beat_i: Lanes<In>,
    /// A row of weights.
    pub weight_write_o: Lanes<Out>,
    /// With `weight_write_o`.
    pub weight_done_o: Signal<Out, Bit>,
    /// Its word in the weight buffer.
    pub weight_addr_o: Sig<Out>,
    /// The row, a lane a column.
    pub weight_data_o: Lanes<Out>,
    /// The weight buffer takes a row.
    pub weight_room_i: Signal<In, Bit>,
    /// The parameters of a column, the columns of a tile in order.
    pub record_valid_o: Signal<Out, Bit>,
    /// Its bias.
    pub bias_o: Sig<Out>,
    /// Its multiplier.
    pub multiplier_o: Sig<Out>,
    /// Its shift.
    pub shift_o: Sig<Out>,
    /// The parameters of a whole tile can be taken.
    pub params_room_i: Signal<In, Bit>,
    walk: WeightWalk,
    stream: ReadStream,
    rows: Unpacker,
    records: Unpacker,
    record: Record,
    write: OneHot,
    params: Flop<Bit>,
    room: Flop<Bit>,
    rows_left: Reg,
    last_row: Flop<Bit>,
    column: Reg,
    addr: Reg,
    last_column: Signal<Local, Bit>,
    takes_row: Signal<Local, Bit>,
    takes_record: Signal<Local, Bit>,
    last_addr: K,
    columns: K,
}

impl WeightLoader {
    /// For the design point `config`.
    pub fn new(config: &ArrayConfig) -> Self {
        let bounds = config.bounds();
        let (address, bus) = (u(bounds.offset), config.bus_bits);
        let (weight_addr, column) = (u(address_bits(config.weight_depth)), u(address_bits(config.cols)));
        let stream = ReadStream::new(bus, bounds.offset, bounds.weight_beats);
        let record = Record::new(config.acc_bits);
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            start_i: Default::default(),
            layer_i: LayerPort::of(&bounds),
            ar_valid_o: Default::default(),
            ar_addr_o: Sig::new(address),
            ar_len_o: Sig::new(stream.ar_len_o.ty()),
            ar_ready_i: Default::default(),
            push_i: Default::default(),
            beat_i: Lanes::new(bus / 32, u(32)),
            weight_write_o: Lanes::new(1, u(1)),
            weight_done_o: Default::default(),
            weight_addr_o: Sig::new(weight_addr),
            weight_data_o: Lanes::new(config.cols, s(config.weight_bits)),
            weight_room_i: Default::default(),
            record_valid_o: Default::default(),
            bias_o: Sig::new(record.bias_o.ty()),
            multiplier_o: Sig::new(record.multiplier_o.ty()),
            shift_o: Sig::new(record.shift_o.ty()),
            params_room_i: Default::default(),
            walk: WeightWalk::new(config.bus_bytes(), &bounds),
            stream,
            rows: Unpacker::new(bus, config.cols, s(config.weight_bits)),
            records: Unpacker::new(bus, record.record_i.count(), u(32)),
            record,
            write: OneHot::new(1),
            params: Default::default(),
            room: Default::default(),
            rows_left: Reg::new(u(bounds.weight_rows)),
            last_row: Default::default(),
            column: Reg::new(column),
            addr: Reg::new(weight_addr),
            last_column: Default::default(),
            takes_row: Default::default(),
            takes_record: Default::default(),
            last_addr: K::new(weight_addr, config.weight_depth as i64 - 1),
            columns: K::new(column, config.cols as i64 - 1),
        }
    }
}

impl Logic for WeightLoader {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module weight_loader: from the weight stream in memory to the weight buffer and the drain");
        dff_setup!(self, clk_i, params, room, rows_left, last_row, column, addr);
        self.walk.clk_i.next = self.clk_i.val();
        self.stream.clk_i.next = self.clk_i.val();
        self.rows.clk_i.next = self.clk_i.val();
        self.records.clk_i.next = self.clk_i.val();
        self.walk.rst_ni.next = self.rst_ni.val();
        self.stream.rst_ni.next = self.rst_ni.val();
        self.rows.rst_ni.next = self.rst_ni.val();
        self.records.rst_ni.next = self.rst_ni.val();
        self.walk.start_i.next = self.start_i.val();
        self.walk.layer_i.next = self.layer_i.val();

        self.stream.run_valid_i.next = self.walk.run_valid_o.val();
        self.stream.run_addr_i.next = self.walk.run_addr_o.val();
        self.stream.run_beats_i.next = self.walk.run_beats_o.val();
        self.walk.run_ready_i.next = self.stream.run_ready_o.val();
        self.ar_valid_o.next = self.stream.ar_valid_o.val();
        self.ar_addr_o.next = self.stream.ar_addr_o.val();
        self.ar_len_o.next = self.stream.ar_len_o.val();
        self.stream.ar_ready_i.next = self.ar_ready_i.val();
        self.stream.push_i.next = self.push_i.val();
        self.stream.beat_i.next = self.beat_i.val();

        comment!(
            "Weights of a tile, then its parameters; the last item of one does not draw the first word of the other."
        );
        self.takes_row.next = self.rows.valid_o.val() && self.weight_room_i.val() && !self.params.q.val();
        self.last_row.d.next = self.rows_left.q.val() == 1;
        self.takes_record.next = self.records.valid_o.val() && self.room.q.val() && self.params.q.val();
        self.last_column.next = self.column.q.val() == self.columns.val();
        self.rows.beat_valid_i.next = self.stream.valid_o.val()
            && !self.params.q.val()
            && !(self.takes_row.val() && self.last_row.q.val());
        self.rows.beat_i.next = self.stream.beat_o.val();
        self.records.beat_valid_i.next = self.stream.valid_o.val()
            && self.params.q.val()
            && !(self.takes_record.val() && self.last_column.val());
        self.records.beat_i.next = self.stream.beat_o.val();
        self.stream.take_i.next = self.rows.beat_take_o.val() || self.records.beat_take_o.val();

        self.rows.take_i.next = self.takes_row.val();
        self.rows.flush_i.next = self.last_row.q.val();
        self.write.valid_i.next = self.takes_row.val();
        self.write.index_i.next = 0;
        self.weight_write_o.next = self.write.lanes_o.val();
        self.weight_done_o.next = self.takes_row.val();
        self.weight_addr_o.next = self.addr.q.val();
        self.weight_data_o.next = self.rows.item_o.val();
        if self.takes_row.val() {
            self.rows_left.d.next = self.rows_left.q.val() - 1;
            self.last_row.d.next = self.rows_left.q.val() == 2;
            self.addr.d.next = self.addr.q.val() + 1;
            if self.addr.q.val() == self.last_addr.val() {
                self.addr.d.next = 0;
            }
            if self.last_row.q.val() {
                comment!("No row follows before last_row knows of the next tile: parameters come between.");
                self.rows_left.d.next = self.layer_i.weight_rows.val();
                self.params.d.next = true;
                self.room.d.next = false;
            }
        }

        if self.params.q.val() && self.params_room_i.val() {
            self.room.d.next = true;
        }
        self.records.take_i.next = self.takes_record.val();
        self.records.flush_i.next = self.last_column.val();
        self.record.record_i.next = self.records.item_o.val();
        self.record_valid_o.next = self.takes_record.val();
        self.bias_o.next = self.record.bias_o.val();
        self.multiplier_o.next = self.record.multiplier_o.val();
        self.shift_o.next = self.record.shift_o.val();
        if self.takes_record.val() {
            self.column.d.next = self.column.q.val() + 1;
            if self.last_column.val() {
                self.column.d.next = 0;
                self.params.d.next = false;
            }
        }
        if self.start_i.val() || !self.rst_ni.val() {
            self.params.d.next = false;
            self.rows_left.d.next = self.layer_i.weight_rows.val();
            self.column.d.next = 0;
            self.addr.d.next = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random, random_value};
    use crate::hw::load::reader::Reader;
    use rand::Rng;

    /// Fields packed from the lowest bit up.
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        fn put(&mut self, value: i64, bits: u32) {
            self.0.extend((0..bits).map(|i| value >> i & 1 == 1));
        }
        fn align(&mut self, bytes: usize) {
            self.0.resize(self.0.len().next_multiple_of(8 * bytes), false);
        }
        fn bytes(&self) -> Vec<u8> {
            self.0.chunks(8).map(|b| b.iter().rev().fold(0, |x, &bit| x << 1 | bit as u8)).collect()
        }
    }

    fn check(config: &ArrayConfig, seed: u64) {
        let mut rng = random(seed);
        let (tiles, rows) = (2, rng.random_range(1..=9));
        let (weight, bias) = (s(config.weight_bits), s(config.acc_bits));
        let (mut weights, mut params) = (Bits::default(), Bits::default());
        let (mut all_rows, mut all_records) = (vec![], vec![]);
        for _ in 0..tiles {
            for _ in 0..rows {
                let row: Vec<i64> = (0..config.cols).map(|_| random_value(&mut rng, weight)).collect();
                row.iter().for_each(|&w| weights.put(w, config.weight_bits));
                all_rows.push(row);
            }
            weights.align(config.bus_bytes());
            for _ in 0..config.cols {
                let (m, shift) = (rng.random_range(1..1 << 16), rng.random_range(0..48));
                let record = (random_value(&mut rng, bias), m, shift);
                params.put(record.0, config.acc_bits);
                params.put(m, 16);
                params.put(shift, 6);
                params.align(8);
                all_records.push(record);
            }
            params.align(config.bus_bytes());
        }
        let (weights, params) = (weights.bytes(), params.bytes());
        let memory = [&weights[..], &params].concat();
        let mut bench = Bench::new(WeightLoader::new(config), |b| &mut b.clk_i);
        bench.cycle();
        let b = &mut bench.block;
        b.rst_ni.next = true;
        let fields = &mut *b.layer_i.next;
        for (field, value) in [
            (&mut fields.units, 3),
            (&mut fields.outer, 1),
            (&mut fields.stripe, 2),
            (&mut fields.co_tiles, tiles),
            (&mut fields.weights_pitch, weights.len() / tiles),
            (&mut fields.weight_rows, rows),
            (&mut fields.params, weights.len()),
            (&mut fields.params_pitch, params.len() / tiles),
        ] {
            *field = value as i64;
        }
        b.start_i.next = true;
        bench.cycle();
        bench.block.start_i.next = false;
        let mut reader = Reader::new(&memory, config.bus_bits, seed);
        let (mut got_rows, mut got_records) = (vec![], vec![]);
        for _ in 0..6000 {
            let b = &mut bench.block;
            b.weight_room_i.next = rng.random_bool(0.7);
            b.params_room_i.next = rng.random_bool(0.2);
            reader.drive(&mut b.ar_ready_i, &mut b.push_i, &mut b.beat_i);
            assert!(simulate(b, 100));
            reader.clock(b.ar_valid_o.val(), b.ar_addr_o.val(), b.ar_len_o.val());
            if b.weight_done_o.val() {
                assert_eq!(b.weight_addr_o.val(), (got_rows.len() % config.weight_depth) as i64);
                got_rows.push(b.weight_data_o.val().to_vec());
            }
            if b.record_valid_o.val() {
                got_records.push((b.bias_o.val(), b.multiplier_o.val(), b.shift_o.val()));
            }
            bench.cycle();
        }
        assert_eq!(got_rows, [&all_rows[..], &all_rows].concat()); // two stripes
        assert_eq!(got_records, [&all_records[..], &all_records].concat());
        bench.verilog("weight_loader", 1 << 20); // memories have no value before they are written
    }

    #[test]
    fn rows_and_records_of_every_tile_of_every_stripe() {
        let base = ArrayConfig { weight_depth: 32, ..ArrayConfig::default() };
        for (seed, cols, weight_bits, acc_bits, bus_bits) in [
            (1, 8, 8, 32, 128),
            (2, 5, 7, 24, 64),
            (3, 4, 2, 48, 64),
            (4, 16, 16, 40, 64),
            (5, 3, 3, 48, 512),
        ] {
            check(&ArrayConfig { cols, weight_bits, acc_bits, bus_bits, ..base.clone() }, seed);
        }
    }
}
