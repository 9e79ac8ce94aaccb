//! Layers wider than the build: every word is the golden model's, in process and in Verilator, and the cycle model knows how
//! long they take. Without Verilator that half is not tested, except where the environment variable CI is set.

use std::path::Path;
use vgg2rtl::arith::Levels;
use vgg2rtl::config::{ArrayConfig, Pack};
use vgg2rtl::cosim::{Cache, Engine, MemoryOptions, Network, tools};
use vgg2rtl::hw;
use vgg2rtl::int::{Golden, IntModel, random};
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::schedule::{Digits, schedule};

/// A build, and a network that is wider.
struct Point {
    /// W and A of the build.
    build: (u32, u32),
    /// W and A of the ends; of all layers where `narrow_inside` is off.
    ends: (u32, u32),
    narrow_inside: bool,
    array: (usize, usize),
    pack: usize,
    fold: usize,
    images: usize,
    /// The image's codes are two's complement.
    signed: bool,
    verilator: bool,
}

const POINT: Point = Point {
    build: (4, 4),
    ends: (8, 8),
    narrow_inside: true,
    array: (4, 4),
    pack: 1,
    fold: 3,
    images: 1,
    signed: true,
    verilator: false,
};

fn network(point: &Point, seed: u64) -> IntModel {
    let recipe = random::Recipe {
        input: Shape { c: 3, h: 4, w: 5 },
        ops: vec![Op::Conv { co: 6, pool: true }, Op::Conv { co: 5, pool: false }, Op::Dense { co: 5 }],
        w: point.ends.0,
        a: point.ends.1,
        power_of_two: false,
        per_channel: true,
        seed,
    };
    let mut model = random::model(&recipe);
    if !point.signed {
        model.input.levels = Levels::unsigned(point.ends.1);
    }
    if point.narrow_inside { random::narrow_inside(model, point.build.0, point.build.1) } else { model }
}

fn build(point: &Point) -> ArrayConfig {
    let (weight_bits, act_bits) = point.build;
    let ends = (Levels::signed(point.ends.0), Levels::unsigned(point.ends.1));
    let digits = Digits::of(ends.0, ends.1, weight_bits, act_bits);
    let base = ArrayConfig::preset("tiny").unwrap().with_array(point.array.0, point.array.1);
    let config = ArrayConfig {
        weight_bits,
        act_bits,
        weight_digits: digits.weights,
        act_digits: digits.acts,
        fold_channels: point.fold,
        ..base
    };
    let config = config.with_pack(Pack::Lanes(point.pack), 18);
    ArrayConfig { requantizers: config.most_requantizers(), ..config }
}

fn check(point: &Point) {
    let model = network(point, 11);
    let config = build(point);
    // As few bits as the sums need: on the way there, digit by digit, they may wrap around.
    let proven = model.accumulator_bits().into_iter().max().unwrap();
    let config = ArrayConfig { acc_bits: proven.max(config.psum_bits()), ..config };
    config.validate().unwrap();
    let codes = random::images(&model, point.images, 5);
    let trace = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
    let schedule = schedule(&model, &config, point.images).unwrap();
    let cache = Cache::open(Some(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("digits"))).unwrap();
    let engines: &[Engine] =
        if point.verilator { &[Engine::InProcess, Engine::Verilator] } else { &[Engine::InProcess] };
    for engine in engines {
        if let Some(missing) = engine.programs().iter().find(|p| tools::version(p).is_err()) {
            assert!(std::env::var_os("CI").is_none(), "{missing} is missing");
            println!("{} is skipped: no {missing}", engine.name());
            continue;
        }
        let simulator = engine.start(&hw::verilog(&config).unwrap(), &config, &cache).unwrap();
        let network = Network {
            simulator: &*simulator,
            schedule: &schedule,
            cache: &cache,
            memory: MemoryOptions { latency: 7, stall_percent: 0, ..MemoryOptions::default() },
            jobs: 1,
            resume: false,
        };
        let reports = network.chain(codes.view(), &trace, &|_| ()).unwrap();
        assert!(reports.iter().all(|r| r.comparison.mismatches == 0), "{config:?}: {reports:#?}");
        let words: usize = reports.iter().map(|r| r.comparison.words).sum();
        assert_eq!(words, trace.activations.iter().map(|x| x.len()).sum::<usize>() + trace.logits.len());
        let pairs: Vec<(u64, u64)> = reports.iter().map(|r| (r.cycles, r.model_cycles)).collect();
        let (rtl, modelled) = pairs.iter().fold((0, 0), |(r, m), p| (r + p.0, m + p.1));
        println!("cycles counted and modelled: {pairs:?}");
        assert!(rtl.abs_diff(modelled) <= 20.max(rtl / 20), "{pairs:?}");
    }
}

#[test]
fn ends_of_8_bits_on_4_bits() {
    check(&Point { verilator: true, ..POINT });
}

#[test]
fn batches_dense_and_unfolded_layers_and_unsigned_images() {
    check(&Point { images: 2, signed: false, fold: 0, narrow_inside: false, ..POINT });
    check(&Point { images: 5, array: (8, 4), fold: 0, ..POINT });
    check(&Point { build: (8, 4), ..POINT });
    check(&Point { build: (4, 8), ..POINT });
}

#[test]
fn ends_of_8_bits_on_2_bits_and_packed_products() {
    check(&Point { build: (2, 2), array: (4, 8), pack: 4, ..POINT });
    check(&Point { build: (3, 4), ends: (8, 7), array: (3, 6), pack: 2, signed: false, ..POINT });
}
