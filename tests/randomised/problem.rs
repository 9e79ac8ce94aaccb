//! Random design points, networks, images and memories, each from one number.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vgg2rtl::arith::Levels;
use vgg2rtl::config::{ArrayConfig, MULTIPLIER_BITS, Multipliers, PACK, Pack, Requantize};
use vgg2rtl::cosim::MemoryOptions;
use vgg2rtl::int::{Golden, IntModel, Output, Trace, random};
use vgg2rtl::net::{Op, Shape};
use vgg2rtl::schedule::{Schedule, schedule};

/// What one run computes, and what must come out.
pub struct Problem {
    pub model: IntModel,
    pub schedule: Schedule,
    pub codes: ndarray::Array4<i32>,
    pub golden: Trace,
    pub memory: MemoryOptions,
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The design point of `seed`: small, but of every kind.
pub fn design_point(seed: u64) -> ArrayConfig {
    let rng = &mut rng(seed);
    let (rows, cols) = (rng.random_range(3..=10), rng.random_range(2..=10));
    let width =
        |rng: &mut ChaCha8Rng| if rng.random() { rng.random_range(2..=8) } else { rng.random_range(2..=16) };
    let mut config = ArrayConfig {
        pack: 1,
        multiplier_bits: 18,
        rows,
        cols,
        weight_bits: width(rng),
        act_bits: width(rng),
        weight_digits: 1,
        act_digits: 1,
        acc_bits: 0,
        act_depth: rng.random_range(64..=512),
        weight_depth: 0,
        acc_depth: rng.random_range(16..=128),
        requantizers: 0,
        requantize: if rng.random_bool(0.3) { Requantize::Pow2 } else { Requantize::Scale },
        multipliers: if rng.random_bool(0.3) { Multipliers::Lut } else { Multipliers::Dsp },
        bus_bits: 64 << rng.random_range(0..4),
        fold_channels: rng.random_range(0..=4),
        fold_width: rng.random_range(4..=24),
        ..ArrayConfig::default()
    };
    // Of numbers of its own: the others stay what they were before.
    let apart = &mut self::rng(!seed);
    if apart.random_bool(0.3) {
        (config.weight_bits, config.act_bits) = (apart.random_range(2..=3), apart.random_range(2..=4));
    }
    if apart.random_bool(0.6) {
        let bits = *MULTIPLIER_BITS.choose(apart).expect("not empty");
        let packs: Vec<ArrayConfig> = PACK
            .map(|lanes| config.clone().with_pack(Pack::Lanes(lanes), bits))
            .filter(|c| {
                ArrayConfig { acc_bits: 48, weight_depth: 1 << 10, requantizers: 1, ..c.clone() }
                    .validate()
                    .is_ok()
            })
            .collect();
        let most = packs.last().expect("one column fits");
        config = if apart.random() { most } else { packs.choose(apart).unwrap_or(most) }.clone();
    }
    config.address_bits = *[32, 32, 33, 40, 48, 64].choose(apart).expect("not empty");
    config.id_bits = *[1, 4, 6].choose(apart).expect("not empty");
    if self::rng(seed ^ 0x5eed).random_bool(0.4) {
        // Layers of up to 8 bits run by digits of 2 to 4.
        config.weight_digits = 1 + 8 / config.weight_bits as usize;
        config.act_digits = 8usize.div_ceil(config.act_bits as usize);
    }
    let depth = config.least_weight_depth();
    config.weight_depth = if rng.random_bool(0.3) { depth } else { rng.random_range(depth..=3 * depth) };
    let least = config.psum_bits();
    config.acc_bits = rng.random_range(least.max(14)..=(least + 14).min(48));
    let lanes: Vec<usize> = (1..=config.block())
        .filter(|n| config.block().is_multiple_of(*n) && n * config.act_bits as usize <= config.bus_bits)
        .collect();
    config.requantizers = *lanes.choose(rng).expect("one lane always fits");
    config.validate().unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    config
}

/// Problem `number` of the design point: the first random one that it can hold.
pub fn problem(config: &ArrayConfig, seed: u64, number: u64) -> Problem {
    let rng = &mut rng(seed << 20 | (number + 1));
    let fitting = (0..1000).find_map(|_| {
        let model = model(rng, config);
        let images = if rng.random_bool(0.6) { 1 } else { rng.random_range(2..=5) };
        schedule(&model, config, images).ok().map(|schedule| (model, schedule))
    });
    let (model, schedule) =
        fitting.unwrap_or_else(|| panic!("seed {seed}.{number}: {config:?} holds no network"));
    let codes = random::images(&model, schedule.images, rng.random());
    let golden = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
    let memory = MemoryOptions {
        latency: *[0, 1, 2, 5, 20, 70].choose(rng).expect("not empty"),
        stall_percent: *[0, 10, 30, 75].choose(rng).expect("not empty"),
        seed: rng.random_range(0..1 << 32),
        ..MemoryOptions::default()
    };
    Problem { model, schedule, codes, golden, memory }
}

fn model(rng: &mut ChaCha8Rng, config: &ArrayConfig) -> IntModel {
    let channels = if rng.random() { 4 } else { 13 };
    let input =
        Shape { c: rng.random_range(1..=channels), h: rng.random_range(1..=11), w: rng.random_range(1..=13) };
    let power_of_two = config.requantize == Requantize::Pow2 || rng.random_bool(0.2);
    let full = rng.random_bool(0.5);
    let width = |rng: &mut ChaCha8Rng, most| if full { most } else { rng.random_range(2..=most) };
    let mut model = random::model(&random::Recipe {
        input,
        ops: ops(rng, input),
        w: width(rng, widest(config.weight_bits, config.weight_digits)),
        a: width(rng, widest(config.act_bits, config.act_digits)),
        power_of_two,
        per_channel: rng.random(),
        seed: rng.random(),
    });
    if rng.random_bool(0.3) {
        model.input.levels = Levels::unsigned(model.input.levels.bits());
    }
    for layer in &mut model.layers {
        if let Output::Requantized { quantizer, .. } = &mut layer.output
            && rng.random_bool(0.2)
        {
            quantizer.levels.b = rng.random_range(1..=quantizer.levels.b);
        }
    }
    model
}

/// Bits of the widest codes: those of the build, or 8 where it has digits.
fn widest(bits: u32, digits: usize) -> u32 {
    if digits > 1 { bits.max(8) } else { bits }
}

fn ops(rng: &mut ChaCha8Rng, input: Shape) -> Vec<Op> {
    let (mut ops, mut shape) = (vec![], input);
    for _ in 0..rng.random_range(0..=3) {
        let pool = shape.h > 1 && shape.w > 1 && rng.random_bool(0.4);
        ops.push(Op::Conv { co: rng.random_range(1..=24), pool });
        shape = ops[ops.len() - 1].output(shape);
    }
    ops.extend((0..rng.random_range(1..=2)).map(|_| Op::Dense { co: rng.random_range(1..=24) }));
    ops
}
