//! The drain against plain integers.

use super::*;
use crate::arith::{Levels, Multiplier, requantize};
use crate::hw::check::{Bench, random, random_value};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// Bias, m, s of a column.
type Record = (i64, Multiplier);

/// A drained tile: what its bank holds `[position][column]`, and its columns' records.
struct Tile {
    acc: Vec<Vec<i64>>,
    records: Vec<Record>,
    /// Units, and blocks that are written.
    units: usize,
    blocks: usize,
}

struct Layer {
    pool: bool,
    raw: bool,
    clip: i64,
    units: usize,
    outer: usize,
    stripe: usize,
    unit_positions: usize,
    out_w: usize,
    co_blocks: usize,
    row_beats: usize,
    /// Base and pitches of row, plane, image, stripe.
    y: [i64; 5],
    tiles: Vec<Tile>,
}

impl Layer {
    fn random(rng: &mut ChaCha8Rng, config: &ArrayConfig, kind: usize) -> Self {
        let (pool, raw) = (kind == 1, kind == 2);
        let scale = if pool { 2 } else { 1 };
        let (units, stripe) = (rng.random_range(1..=4) * scale, rng.random_range(1..=3) * scale);
        let out_w = if raw { 1 } else { rng.random_range(1..=6) };
        let odd = pool && rng.random();
        let blocks = config.cols / config.block();
        let bits = out_w * config.block() * config.act_bits as usize;
        let mut layer = Layer {
            pool,
            raw,
            clip: rng.random_range(0..1 << config.act_bits),
            units,
            outer: rng.random_range(1..=2),
            stripe,
            unit_positions: out_w * scale + odd as usize,
            out_w,
            co_blocks: rng.random_range(1..=2 * blocks + 1),
            row_beats: if raw { config.block() } else { bits.div_ceil(config.bus_bits) },
            y: std::array::from_fn(|_| rng.random_range(0..1i64 << 32)),
            tiles: vec![],
        };
        for _ in 0..layer.outer {
            for unit in (0..units).step_by(stripe) {
                for t in 0..layer.co_blocks.div_ceil(blocks) {
                    let here = (stripe.min(units - unit), blocks.min(layer.co_blocks - t * blocks));
                    layer.tiles.push(layer.tile(rng, config, here));
                }
            }
        }
        layer
    }

    fn tile(&self, rng: &mut ChaCha8Rng, config: &ArrayConfig, (units, blocks): (usize, usize)) -> Tile {
        let half = s(config.acc_bits - 1); // so that the sum fits
        let small = |rng: &mut ChaCha8Rng| random_value(rng, half) >> rng.random_range(0..config.acc_bits);
        let m = |rng: &mut ChaCha8Rng| match config.requantize {
            Requantize::Scale => rng.random_range(1..=u16::MAX),
            Requantize::Pow2 => 1,
        };
        let positions = units * self.unit_positions;
        assert!(positions <= config.acc_depth);
        Tile {
            acc: (0..positions).map(|_| (0..config.cols).map(|_| small(rng)).collect()).collect(),
            records: (0..config.cols)
                .map(|_| (small(rng), Multiplier { m: m(rng), s: rng.random_range(0..40) }))
                .collect(),
            units,
            blocks,
        }
    }

    fn scale(&self) -> usize {
        if self.pool { 2 } else { 1 }
    }

    /// The rows in the order in which they are written: address and bits.
    fn rows(&self, config: &ArrayConfig) -> Vec<(i64, Vec<bool>)> {
        let blocks = config.cols / config.block();
        let [base, row_pitch, plane_pitch, image_pitch, stripe_pitch] = self.y;
        let co_tiles = self.co_blocks.div_ceil(blocks);
        let stripes = self.units.div_ceil(self.stripe);
        let mut rows = vec![];
        for (n, tile) in self.tiles.iter().enumerate() {
            let (stripe, t) = (n / co_tiles, n % co_tiles);
            let at =
                base + (stripe / stripes) as i64 * image_pitch + (stripe % stripes) as i64 * stripe_pitch;
            for (b, row) in (0..tile.blocks).flat_map(|b| (0..tile.units / self.scale()).map(move |r| (b, r)))
            {
                let plane = (t * blocks + b) as i64 * plane_pitch;
                rows.push((
                    u(config.offset_bits).wrap(at + plane + row as i64 * row_pitch),
                    self.row(config, tile, b, row),
                ));
            }
        }
        rows
    }

    /// The bits of row `row` of block `b`.
    fn row(&self, config: &ArrayConfig, tile: &Tile, b: usize, row: usize) -> Vec<bool> {
        let block = config.block();
        let mut bits: Vec<bool> = vec![];
        let put =
            |bits: &mut Vec<bool>, value: i64, n: usize| bits.extend((0..n).map(|i| value >> i & 1 == 1));
        let scale = self.scale();
        for x in 0..self.out_w {
            for c in b * block..(b + 1) * block {
                let (bias, by) = tile.records[c];
                let levels = Levels { a: 0, b: self.clip as i32 };
                let of = |dy: usize, dx: usize| {
                    tile.acc[(row * scale + dy) * self.unit_positions + x * scale + dx][c] + bias
                };
                if self.raw {
                    put(&mut bits, of(0, 0), 64);
                    bits.resize(bits.len().next_multiple_of(config.bus_bits), false);
                    continue;
                }
                let window = (0..scale).flat_map(|dy| (0..scale).map(move |dx| (dy, dx)));
                let code = window.map(|(dy, dx)| requantize(of(dy, dx), by, levels)).max();
                put(&mut bits, code.unwrap_or(0).into(), config.act_bits as usize);
            }
        }
        bits.resize(self.row_beats * config.bus_bits, false);
        bits
    }

    /// Cycles that the reads of a tile take: an address each, but two a row at least.
    fn reads(&self, config: &ArrayConfig, tile: &Tile) -> usize {
        let window = if self.raw { config.requantizers } else { self.scale() * self.scale() };
        let groups = config.block() / config.requantizers;
        tile.blocks * (tile.units / self.scale()) * (self.out_w * groups * window).max(2)
    }
}

fn describe(x: &mut Drain, l: &Layer, config: &ArrayConfig) {
    (x.layer_i.next.pool, x.layer_i.next.raw, x.layer_i.next.clip) = (l.pool.into(), l.raw.into(), l.clip);
    let blocks = config.cols / config.block();
    let fields = &mut *x.layer_i.next;
    for (field, value) in [
        (&mut fields.units, l.units),
        (&mut fields.outer, l.outer),
        (&mut fields.stripe, l.stripe),
        (&mut fields.unit_positions, l.unit_positions),
        (&mut fields.out_w, l.out_w),
        (&mut fields.co_tiles, l.co_blocks.div_ceil(blocks)),
        (&mut fields.co_blocks, l.co_blocks),
        (&mut fields.y_row_beats, l.row_beats),
    ] {
        *field = value as i64;
    }
    [
        x.layer_i.next.y_base,
        x.layer_i.next.y_row_pitch,
        x.layer_i.next.y_plane_pitch,
        x.layer_i.next.y_image_pitch,
        x.layer_i.next.y_stripe_pitch,
    ] = l.y;
}

/// Runs a layer beside a core, a loader and a write port that stall with probability `stall`; returns its cycles.
fn run(bench: &mut Bench<Drain>, l: &Layer, config: &ArrayConfig, rng: &mut ChaCha8Rng, stall: f64) -> usize {
    describe(&mut bench.block, l, config);
    assert!(bench.block.done_o.val());
    bench.block.start_i.next = true;
    bench.cycle();
    bench.block.start_i.next = false;
    let begin = bench.vectors();
    let words = 1 << bench.block.drain_addr_o.ty().bits;
    let mut banks = vec![vec![vec![0; config.cols]; words]; 2];
    let mut read = VecDeque::from(vec![vec![0; config.cols]; Accumulators::DRAIN_LATENCY]);
    let (mut done, mut freed) = (0, 0);
    let mut records = l.tiles.iter().flat_map(|t| t.records.clone()).collect::<VecDeque<Record>>();
    let (mut runs, mut beats): (Vec<i64>, Vec<Vec<i64>>) = (vec![], vec![]);
    let (mut fifo, mut room) = (0usize, true);
    while !bench.block.done_o.val() {
        assert!(bench.vectors() - begin < 20000, "the drain does not end");
        let x = &mut bench.block;
        if x.bank_free_o.val() {
            banks[freed % 2].iter_mut().flatten().for_each(|acc| *acc = rng.random_range(-4..4));
            freed += 1;
        }
        x.tile_done_i.next = done < l.tiles.len() && done - freed < 2 && !rng.random_bool(stall);
        if x.tile_done_i.next {
            banks[done % 2][..l.tiles[done].acc.len()].clone_from_slice(&l.tiles[done].acc);
            done += 1;
        }
        let word = read.pop_front().unwrap_or_default();
        x.drain_i.drive(|c| word[c]);
        read.push_back(banks[x.drain_bank_o.val() as usize][x.drain_addr_o.val() as usize].clone());

        x.record_valid_i.next = x.params_room_o.val() && !records.is_empty() && !rng.random_bool(stall);
        x.multiplier_i.next = rng.random_range(0..1 << 16);
        if x.record_valid_i.next {
            let (bias, by) = records.pop_front().unwrap();
            (x.bias_i.next, x.shift_i.next) = (bias, by.s.into());
            if config.requantize == Requantize::Scale {
                x.multiplier_i.next = by.m.into();
            }
        }

        x.run_ready_i.next = !rng.random_bool(stall);
        if x.run_valid_o.val() && x.run_ready_i.next {
            assert_eq!(x.run_beats_o.val(), l.row_beats as i64);
            runs.push(x.run_addr_o.val());
        }
        // A FIFO of 64 beats that counts late.
        x.room_i.next = room;
        room = 64 - fifo >= 32;
        if x.beat_valid_o.val() {
            beats.push(x.beat_o.val().to_vec());
            fifo += 1;
            assert!(fifo <= 64, "no room for a beat");
            let announced = runs.len() + x.run_valid_o.val() as usize;
            assert!(beats.len() <= announced * l.row_beats, "a beat before its run");
        }
        if fifo > 0 && !rng.random_bool(stall) {
            fifo -= 1;
        }
        bench.cycle();
    }
    let rows = l.rows(config);
    assert_eq!(runs, rows.iter().map(|r| r.0).collect::<Vec<_>>());
    let all: Vec<bool> = rows.into_iter().flat_map(|r| r.1).collect();
    let word = |bits: &[bool]| bits.iter().rev().fold(0, |x, &bit| x << 1 | bit as i64);
    let want: Vec<Vec<i64>> =
        all.chunks(config.bus_bits).map(|beat| beat.chunks(32).map(word).collect()).collect();
    assert_eq!(beats.len(), want.len());
    for (i, (got, want)) in beats.iter().zip(&want).enumerate() {
        assert_eq!(got, want, "beat {i}, rows of {}", l.row_beats);
    }
    assert_eq!((freed, done, records.len()), (l.tiles.len(), l.tiles.len(), 0));
    bench.vectors() - begin
}

fn reset(bench: &mut Bench<Drain>, config: &ArrayConfig) {
    bench.block.rst_ni.next = false;
    for _ in 0..=Drain::latency(config.requantize) {
        bench.cycle();
    }
    bench.block.rst_ni.next = true;
    bench.cycle();
}

/// Starts a layer and resets in the middle of it.
fn abandon(bench: &mut Bench<Drain>, l: &Layer, config: &ArrayConfig, cycles: usize) {
    describe(&mut bench.block, l, config);
    bench.block.start_i.next = true;
    bench.cycle();
    bench.block.start_i.next = false;
    for t in 0..cycles {
        let x = &mut bench.block;
        x.tile_done_i.next = t < 2;
        x.record_valid_i.next = x.params_room_o.val();
        (x.room_i.next, x.run_ready_i.next) = (true, t % 2 == 0);
        bench.cycle();
    }
    (bench.block.tile_done_i.next, bench.block.record_valid_i.next) = (false, false);
    reset(bench, config);
}

fn check(config: ArrayConfig) {
    config.validate().unwrap();
    let mut bench = Bench::new(Drain::new(&config), |b| &mut b.clk_i);
    let mut rng = random((config.cols * config.bus_bits) as u64);
    reset(&mut bench, &config);
    let mut settled = 0;
    for layer in 0..12 {
        let l = Layer::random(&mut rng, &config, layer % 3);
        if layer % 5 == 4 {
            abandon(&mut bench, &l, &config, config.cols + layer * 3);
        }
        let stall = if layer % 4 == 0 { 0.0 } else { [0.1, 0.5, 0.8][layer % 3] };
        let cycles = run(&mut bench, &l, &config, &mut rng, stall);
        if layer == 0 {
            settled = bench.vectors();
        }
        let reads: Vec<usize> = l.tiles.iter().map(|t| l.reads(&config, t)).collect();
        let busy: usize = reads.iter().map(|&r| r.max(config.cols)).sum();
        let fixed = 2 * config.cols + Drain::latency(config.requantize) + 4;
        if stall == 0.0 {
            assert!(cycles <= busy + reads.len() + fixed, "{cycles} cycles for {reads:?} reads");
        }
    }
    bench.verilog("drain", settled);
}

fn small() -> ArrayConfig {
    ArrayConfig {
        rows: 4,
        cols: 4,
        acc_depth: 80,
        bus_bits: 64,
        weight_depth: 16,
        act_depth: 16,
        ..ArrayConfig::default()
    }
}

#[test]
fn rows_are_the_requantized_sums() {
    check(small());
    check(ArrayConfig { rows: 8, cols: 8, requantizers: 2, bus_bits: 128, weight_depth: 16, ..small() });
}

#[test]
fn tiles_of_several_blocks() {
    check(ArrayConfig {
        rows: 6,
        cols: 12,
        requantizers: 3,
        act_bits: 7,
        fold_channels: 0,
        acc_bits: 25,
        weight_depth: 16,
        ..small()
    });
    let pow2 = Requantize::Pow2;
    check(ArrayConfig {
        rows: 3,
        cols: 6,
        requantizers: 1,
        act_bits: 5,
        weight_bits: 3,
        acc_bits: 48,
        requantize: pow2,
        ..small()
    });
}

#[test]
fn a_block_at_once() {
    let pow2 = Requantize::Pow2;
    check(ArrayConfig { requantizers: 4, act_bits: 16, weight_bits: 16, acc_bits: 48, ..small() });
    check(ArrayConfig { cols: 8, requantizers: 4, act_bits: 3, bus_bits: 256, requantize: pow2, ..small() });
    check(ArrayConfig {
        rows: 3,
        cols: 2,
        requantizers: 1,
        act_bits: 2,
        weight_bits: 2,
        acc_bits: 9,
        fold_channels: 1,
        ..small()
    });
}
