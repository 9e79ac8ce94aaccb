//! The host side against a plain model of its registers and programs.

use super::super::master::{Master, Op};
use super::*;
use crate::hw::check::{Bench, random};
use crate::isa::{ErrorCode, FIELDS};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

const PATIENCE: usize = 300;
const CONTROL: i64 = 0x00;
const STATUS: i64 = 0x04;
const READ_LIMIT: i64 = 0x08;
const WRITE_BASE: i64 = 0x0c;
const WRITE_LIMIT: i64 = 0x10;
const IRQ_ENABLE: i64 = 0x14;
const ERROR_COMMAND: i64 = 0x18;
const RUNS: i64 = 0x38;
const MODEL_BASE: i64 = 0x60;
const DATA_BASE: i64 = 0x68;
/// Low and high word, then the counters of [`World::counts`].
const CYCLES: i64 = 0x20;

type Words = [i64; 32];

/// A layer that can be executed: every field random, within the bounds of the build.
fn layer(rng: &mut ChaCha8Rng, config: &ArrayConfig) -> Words {
    let (bounds, fold_width) = (config.bounds(), config.fold_width as i64);
    let mut words: Words = [0; 32];
    for field in &FIELDS {
        let bits = bounds.bits(field.name).unwrap_or(field.bits);
        words[field.word] |= rng.random_range(1..1i64 << bits) << field.low;
    }
    let kernel = rng.random_range(0..3);
    if kernel == 1 {
        words[5] = words[5] & 0xffff | fold_width << 16;
    }
    let (pool, raw) = (1, 4);
    let mut flags: i64 = rng.random_range(0..32);
    if flags & pool != 0 {
        flags &= !raw;
        for word in [10, 17] {
            words[word] = words[word] & !1 | 2; // units, stripe: even
        }
    }
    words[0] = 1 | kernel << 8 | flags << 16;
    words
}

/// A program of three layers and the end mark.
fn program(rng: &mut ChaCha8Rng, config: &ArrayConfig) -> Vec<Words> {
    let mut words: Vec<Words> = (0..3).map(|_| layer(rng, config)).collect();
    words.push(std::array::from_fn(|i| if i == 0 { 0xff } else { 0 }));
    words
}

/// What goes wrong outside.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Trouble {
    None,
    /// In layer 1.
    Pulse(ErrorCode),
    /// Layer 1 does not end.
    Hang,
    /// The fetch of command 1 is not answered.
    Dead,
}

/// Command stream, ports and datapath around the host.
struct World {
    program: Vec<Words>,
    trouble: Trouble,
    /// Words of the bus on their way.
    beats: VecDeque<Vec<i64>>,
    /// A fetch that is not answered.
    unanswered: bool,
    /// Cycles that the layer takes yet.
    left: i64,
    /// Layers started.
    layers: usize,
    /// While busy: cycles, words of weights, of activations, written ones, positions.
    counts: [i64; 5],
}

impl World {
    fn new(program: Vec<Words>, trouble: Trouble) -> Self {
        let beats = VecDeque::new();
        Self { program, trouble, beats, unanswered: false, left: 0, layers: 0, counts: [0; 5] }
    }

    /// One cycle of everything around the registers' pins.
    fn cycle(&mut self, bench: &mut Bench<Host>, rng: &mut ChaCha8Rng) {
        let h = &mut bench.block;
        let stuck = self.unanswered || self.trouble == Trouble::Hang && self.layers > 1;
        let asked = h.ar_valid_o.val() && rng.random_bool(0.5);
        let index = h.ar_addr_o.val() as usize / 128;
        h.ar_ready_i.next = asked;
        // The host takes every word of a run that it has asked for.
        let beat = if rng.random_bool(0.7) { self.beats.pop_front() } else { None };
        h.command_beat_i.next = beat.is_some();
        h.beat_i.drive(|lane| beat.as_ref().map_or(0xdead_beef, |b| b[lane]));
        self.ports(h, rng);
        let events: [bool; 4] = std::array::from_fn(|_| !stuck && self.left > 0 && rng.random());
        (h.weight_beat_i.next, h.act_beat_i.next) = (events[0], events[1]);
        (h.write_beat_i.next, h.array_active_i.next) = (events[2], events[3]);
        self.left -= (!stuck && self.left > 0) as i64;
        h.layer_done_i.next = self.left == 0;
        if h.controller.busy_o.val() {
            self.counts[0] += 1;
            (0..4).for_each(|i| self.counts[i + 1] += events[i] as i64);
        }
        bench.cycle();
        if asked {
            self.layers = if index == 0 { 0 } else { self.layers };
            self.unanswered |= self.trouble == Trouble::Dead && index == 1;
            self.answer(index, bench.block.beat_i.count());
        }
        self.after(&bench.block, rng);
    }

    fn ports(&self, h: &mut Host, rng: &mut ChaCha8Rng) {
        h.read_idle_i.next = !self.unanswered && rng.random_bool(0.95);
        h.write_quiet_i.next = rng.random_bool(0.95);
        h.write_idle_i.next = rng.random_bool(0.95);
        let now = self.layers == 2 && self.left == 10;
        let pulse = |code| now && self.trouble == Trouble::Pulse(code);
        h.read_response_i.next = pulse(ErrorCode::ReadResponse);
        h.write_response_i.next = pulse(ErrorCode::WriteResponse);
        h.read_address_i.next = pulse(ErrorCode::ReadAddress);
        h.write_address_i.next = pulse(ErrorCode::WriteAddress);
    }

    fn answer(&mut self, index: usize, lanes: usize) {
        if !self.unanswered {
            self.beats.extend(self.program[index].chunks(lanes).map(<[i64]>::to_vec));
        }
    }

    fn after(&mut self, h: &Host, rng: &mut ChaCha8Rng) {
        if !h.flush_no.val() {
            self.beats.clear();
            self.left = 0;
            assert!(!h.ar_valid_o.val() && !h.start_o.val());
        }
        if h.start_o.val() {
            check_fields(h, &self.program[self.layers]);
            self.layers += 1;
            self.left = rng.random_range(20..60);
        }
        if self.left == 1 {
            check_fields(h, &self.program[self.layers - 1]);
        }
    }
}

fn check_fields(h: &Host, w: &Words) {
    let h = &h.layer_o;
    let flags = [&h.pool, &h.x_signed, &h.raw, &h.resident, &h.aligned];
    let flags = flags.iter().rev().fold(0, |bits, f| bits << 1 | f.val());
    assert_eq!(flags, w[0] >> 16);
    assert_eq!(h.kernel.val(), w[0] >> 8 & 0xff);
    let fields = [
        (h.x_base.val(), w[1]),
        (h.x_row_pitch.val(), w[2]),
        (h.x_plane_pitch.val(), w[3]),
        (h.x_image_pitch.val(), w[4]),
        (h.in_h.val(), w[5] & 0xffff),
        (h.in_w.val(), w[5] >> 16),
        (h.y_base.val(), w[6]),
        (h.y_row_pitch.val(), w[7]),
        (h.y_plane_pitch.val(), w[8]),
        (h.y_image_pitch.val(), w[9]),
        (h.units.val(), w[10] & 0xffff),
        (h.outer.val(), w[10] >> 16),
        (h.weights.val(), w[11]),
        (h.weights_pitch.val(), w[12]),
        (h.params.val(), w[13]),
        (h.params_pitch.val(), w[14]),
        (h.ci_tiles.val(), w[15] & 0xffff),
        (h.co_tiles.val(), w[15] >> 16),
        (h.co_blocks.val(), w[16] & 0xffff),
        (h.out_w.val(), w[16] >> 16),
        (h.stripe.val(), w[17] & 0xffff),
        (h.patch.val(), w[17] >> 16),
        (h.slots.val(), w[18] & 0xffff),
        (h.clip.val(), w[18] >> 16),
        (h.kernel_h.val(), w[19] & 0xffff),
        (h.kernel_w.val(), w[19] >> 16),
        (h.unit_positions.val(), w[20] & 0xffff),
        (h.step.val(), w[20] >> 16),
        (h.x_row_beats.val(), w[21] & 0xffff),
        (h.y_row_beats.val(), w[21] >> 16),
        (h.x_stripe_pitch.val(), w[22]),
        (h.y_stripe_pitch.val(), w[23]),
        (h.weight_rows.val(), w[24]),
    ];
    for (i, (got, want)) in fields.iter().enumerate() {
        assert_eq!(got, want, "field {i}");
    }
}

/// A host, what is around it, and its master.
struct Setup {
    bench: Bench<Host>,
    master: Master,
    rng: ChaCha8Rng,
    config: ArrayConfig,
}

impl Setup {
    fn new(config: ArrayConfig, stall: u32) -> Self {
        let bench = Bench::new(Host::with_patience(&config, PATIENCE), |h| &mut h.clk_i);
        let rng = random(config.bus_bits as u64 + u64::from(stall));
        let mut setup = Self { bench, master: Master::new(stall), rng, config };
        setup.reset();
        setup
    }

    fn reset(&mut self) {
        self.master.reset(&mut self.bench.block);
        self.bench.block.rst_ni.next = false;
        (0..2).for_each(|_| self.bench.cycle());
        self.bench.block.rst_ni.next = true;
        let h = &self.bench.block;
        assert!(!h.irq_o.val() && !h.flush_no.val() && !h.s_axil_bvalid_o.val() && !h.s_axil_rvalid_o.val());
        assert_eq!((h.read_limit_o.val(), h.write_base_o.val(), h.write_limit_o.val()), (0, 0, 0));
    }

    fn cycle(&mut self, world: &mut World) {
        self.master.drive(&mut self.bench.block, &mut self.rng);
        world.cycle(&mut self.bench, &mut self.rng);
    }

    /// Does `ops`; the data of the reads.
    fn access(&mut self, world: &mut World, ops: &[Op]) -> Vec<i64> {
        ops.iter().for_each(|&op| self.master.push(op));
        let deadline = self.bench.vectors() + 1000;
        while !self.master.is_idle() {
            assert!(self.bench.vectors() < deadline, "the registers hang");
            self.cycle(world);
        }
        self.master.take_reads()
    }

    fn write(&mut self, world: &mut World, address: i64, data: i64) {
        self.access(world, &[Op::Write(address, data, 15)]);
    }

    fn read(&mut self, world: &mut World, address: i64) -> i64 {
        self.access(world, &[Op::Read(address)])[0]
    }

    /// A run from start to interrupt, which must end with error `code` after `completed` commands.
    fn run(&mut self, world: &mut World, code: i64, completed: i64) {
        let limits = [READ_LIMIT, WRITE_BASE, WRITE_LIMIT].map(|r| (r, self.rng.random_range(0..1 << 32)));
        limits.iter().for_each(|&(register, value)| self.write(world, register, value));
        let bases = [MODEL_BASE, DATA_BASE].map(|r| (r, self.rng.random_range(1..1 << 20) << 12));
        bases.iter().for_each(|&(register, value)| self.write(world, register, value));
        self.access(world, &[Op::Write(CONTROL, 1, 1)]);
        self.write(world, MODEL_BASE, 1); // the run has its own
        let deadline = self.bench.vectors() + 3000;
        while !self.bench.block.irq_o.val() {
            assert!(self.bench.vectors() < deadline, "no interrupt");
            let status = self.read(world, STATUS);
            assert!(status & 3 == 1 || status & 3 == 2, "status {status:#x}");
        }
        let h = &self.bench.block;
        let pins = [&h.read_limit_o, &h.write_base_o, &h.write_limit_o].map(|p| p.val());
        assert_eq!(pins, limits.map(|(_, value)| value));
        assert_eq!([&h.model_base_o, &h.data_base_o].map(|p| p.val()), bases.map(|(_, value)| value >> 12));
        assert_eq!(self.read(world, STATUS), 2 | code << 8 | completed << 16);
        assert_eq!(self.read(world, ERROR_COMMAND), completed);
        let [cycles, counts @ ..] = world.counts;
        let want = [&[cycles, 0], &counts[..]].concat();
        let counters: Vec<Op> = (0..6).map(|i| Op::Read(CYCLES + 4 * i)).collect();
        assert_eq!(self.access(world, &counters), want);
        self.write(world, IRQ_ENABLE, 0);
        assert!(!self.bench.block.irq_o.val());
        self.write(world, IRQ_ENABLE, 1);
        assert!(self.bench.block.irq_o.val());
        self.write(world, CONTROL, 2);
        assert!(!self.bench.block.irq_o.val());
        assert_eq!(self.read(world, STATUS), code << 8 | completed << 16);
    }

    /// A run without trouble.
    fn clean_run(&mut self) {
        let program = program(&mut self.rng, &self.config);
        let mut world = World::new(program, Trouble::None);
        self.run(&mut world, 0, 3);
        assert_eq!(world.layers, 3);
    }

    /// Every error that the program or the memory can cause, and a clean run after each.
    fn errors(&mut self) {
        let codes = [
            ErrorCode::ReadResponse,
            ErrorCode::WriteResponse,
            ErrorCode::ReadAddress,
            ErrorCode::WriteAddress,
        ];
        for (trouble, code) in codes
            .map(|c| (Trouble::Pulse(c), c))
            .into_iter()
            .chain([(Trouble::Hang, ErrorCode::Timeout), (Trouble::Dead, ErrorCode::Timeout)])
        {
            let mut world = World::new(program(&mut self.rng, &self.config), trouble);
            self.run(&mut world, code as i64, 1);
            if trouble == Trouble::Dead {
                assert!(self.bench.block.stop_o.val() && self.bench.block.flush_no.val());
                world.unanswered = false;
                (0..40).for_each(|_| self.cycle(&mut world));
            }
            self.clean_run();
        }
        for (word, mask, bits, code) in [
            (0, !0xff, 0x7e, ErrorCode::UnknownOpcode),
            (0, !0xff00, 0x300, ErrorCode::BadField),
            (5, 0xffff, 0, ErrorCode::BadField),
            (20, !0xffff, 0, ErrorCode::BadField),
            (24, 0, 0, ErrorCode::BadField),
        ] {
            let mut program = program(&mut self.rng, &self.config);
            program[2][word] = program[2][word] & mask | bits;
            self.run(&mut World::new(program, Trouble::None), code as i64, 2);
            self.clean_run();
        }
    }

    /// Three starts in a row, each with its own base: the first runs, the second is queued, the third refused.
    fn queued(&mut self) {
        let mut world = World::new(program(&mut self.rng, &self.config), Trouble::None);
        let before = self.read(&mut world, RUNS);
        self.write(&mut world, MODEL_BASE, 0);
        for page in 1..4 {
            self.access(&mut world, &[Op::Write(DATA_BASE, page << 12, 15), Op::Write(CONTROL, 1, 1)]);
        }
        let (mut pages, deadline) = (vec![], self.bench.vectors() + 3000);
        while self.bench.block.controller.busy_o.val() {
            self.cycle(&mut world);
            pages.push(self.bench.block.data_base_o.val());
            assert!(self.bench.vectors() < deadline, "no end");
        }
        pages.dedup();
        assert_eq!(pages, [1, 2]);
        assert_eq!(self.read(&mut world, STATUS), 2 | 4 | 3 << 16);
        assert_eq!(self.read(&mut world, RUNS), before + 2);
        assert_eq!(world.layers, 3);
    }

    fn resets(&mut self) {
        for cycles in [3, 40, 90, 150] {
            let mut world = World::new(program(&mut self.rng, &self.config), Trouble::None);
            self.write(&mut world, CONTROL, 1);
            (0..cycles).for_each(|_| self.cycle(&mut world));
            self.master.push(Op::Write(READ_LIMIT, 1, 15)); // in the middle of an access, too
            self.master.push(Op::Read(STATUS));
            self.cycle(&mut world);
            self.reset();
            self.clean_run();
        }
    }
}

fn check(config: ArrayConfig, stall: u32) {
    let mut setup = Setup::new(config, stall);
    setup.clean_run();
    let settle = setup.bench.vectors(); // fields have no value before the first command
    setup.queued();
    setup.errors();
    setup.resets();
    setup.bench.verilog("host", settle);
}

#[test]
fn every_run_ends_and_the_next_is_clean_on_64_bits() {
    check(ArrayConfig::preset("tiny").unwrap(), 20);
}

#[test]
fn every_run_ends_and_the_next_is_clean_on_128_bits() {
    check(ArrayConfig { rows: 6, cols: 4, ..ArrayConfig::default() }, 0);
}

#[test]
fn every_run_ends_and_the_next_is_clean_on_256_and_512_bits() {
    check(ArrayConfig { bus_bits: 256, ..ArrayConfig::default() }, 60);
    check(ArrayConfig { bus_bits: 512, rows: 4, ..ArrayConfig::default() }, 30);
}

#[test]
fn no_folding_block_no_folded_layer() {
    let config = ArrayConfig { fold_channels: 0, ..ArrayConfig::default() };
    let mut setup = Setup::new(config, 10);
    let mut program = program(&mut setup.rng, &setup.config);
    program[0][0] = 1 | 1 << 8;
    program[0][5] = 1 << 16 | 1;
    setup.run(&mut World::new(program, Trouble::None), ErrorCode::BadField as i64, 0);
}
