//! Design points that the area model is fitted to, and others that it is measured on.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vgg2rtl::arith;
use vgg2rtl::config::{ArrayConfig, Multipliers, Pack, Requantize};
use vgg2rtl::explore::Family;
use vgg2rtl::explore::fitting::is_hard_product;

/// Bits of weights and of activations.
const WIDTHS: [u32; 7] = [2, 3, 4, 6, 8, 12, 16];
/// Points of the fit.
const FITTED: usize = 64;
/// Points that the fit does not see.
const HELD_OUT: usize = 22;

/// Kinds that depend on the accumulators' bits.
const OF_SUMS: [&str; 6] =
    ["requantizer", "requantizer_pow2", "round_shift", "raw_beat", "group_select", "accumulator"];

/// Kinds of an array whose columns share multipliers.
const OF_PACKS: [&str; 3] = ["packed_pe", "weight_digits", "split_sums"];

/// Kinds of a build that runs layers digit by digit.
const OF_DIGITS: [&str; 14] = [
    "digit_walk",
    "turn",
    "digit_shift",
    "plane_select",
    "plane_extend",
    "fold_planes",
    "step_gap",
    "walk",
    "sequencer",
    "row_read",
    "act_unpack",
    "drain",
    "accumulator",
    "fold",
];

/// W, A, digits of weights, planes of activations.
type Digits = (u32, u32, usize, usize);
const DIGITS: [Digits; 10] = [
    (4, 4, 2, 2),
    (4, 4, 2, 1),
    (4, 8, 2, 1),
    (8, 4, 1, 2),
    (2, 2, 4, 4),
    (2, 4, 4, 2),
    (2, 8, 4, 1),
    (3, 3, 3, 3),
    (3, 4, 3, 2),
    (6, 6, 2, 2),
];
/// Digits of points that the fit does not see, on arrays of these sides, with as many columns a multiplier.
const DIGITS_HELD_OUT: [(Digits, (usize, usize), usize); 4] = [
    ((4, 4, 2, 2), (8, 12), 2),
    ((2, 2, 4, 4), (12, 8), 1),
    ((3, 3, 3, 3), (16, 4), 1),
    ((4, 8, 2, 1), (6, 6), 1),
];

fn with_digits((weight_bits, act_bits, weight_digits, act_digits): Digits, base: ArrayConfig) -> ArrayConfig {
    ArrayConfig { weight_bits, act_bits, weight_digits, act_digits, ..base }
}

/// Points of the fit, then those that are held out: random valid ones, the same on every machine, and some with digits.
pub fn points() -> (Vec<ArrayConfig>, Vec<ArrayConfig>) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut points: Vec<ArrayConfig> = vec![];
    while points.len() < FITTED + HELD_OUT {
        let point = point(&mut rng);
        if point.validate().is_ok() && !points.contains(&point) {
            points.push(point);
        }
    }
    let mut held_out = points.split_off(FITTED);
    held_out.extend(DIGITS_HELD_OUT.map(|(digits, (rows, cols), pack)| {
        let base = ArrayConfig { acc_bits: 36, requantizers: 2, ..ArrayConfig::default() };
        with_digits(digits, ArrayConfig { rows, cols, pack, ..base })
    }));
    (points, held_out)
}

fn point(rng: &mut ChaCha8Rng) -> ArrayConfig {
    let mut one_of = |values: &[usize]| *values.choose(rng).expect("there are values");
    let sides = [4, 8, 16, 4, 8, 16, 6, 12];
    let widths = WIDTHS.map(|w| w as usize);
    let mut config = ArrayConfig {
        rows: one_of(&sides),
        cols: one_of(&sides),
        weight_bits: one_of(&widths) as u32,
        act_bits: one_of(&widths) as u32,
        acc_bits: one_of(&[24, 32, 32, 40, 48]) as u32,
        act_depth: one_of(&[512, 1024, 2048, 2048, 4096]),
        weight_depth: one_of(&[32, 64, 64, 128, 256]),
        acc_depth: one_of(&[128, 256, 512, 512, 1024]),
        requantizers: one_of(&[1, 2, 4, 8]),
        requantize: Requantize::Scale,
        multipliers: Multipliers::Dsp,
        bus_bits: one_of(&[64, 128, 128, 256]),
        fold_channels: one_of(&[0, 1, 3, 3, 3, 3]),
        fold_width: one_of(&[32, 64, 256, 256]),
        ..ArrayConfig::default()
    };
    if rng.random() {
        config.requantize = Requantize::Pow2;
    }
    if rng.random_bool(0.3) {
        config.multipliers = Multipliers::Lut;
    }
    config
}

/// Design points for the kinds whose logic follows no line: pairs of widths in the array, all those of which `*` takes look-up
/// tables; rows of weights and groups of codes of which several, but no whole number, fit a word of the bus; and
/// accumulators as narrow as the integers of a network allow.
pub fn grid(family: Family) -> Vec<(ArrayConfig, &'static [&'static str])> {
    let base = || ArrayConfig { acc_bits: 48, requantizers: 1, ..ArrayConfig::default() };
    let all = arith::WIDTHS.flat_map(|w| arith::WIDTHS.map(move |a| (w, a)));
    let known = |w: u32, a: u32| WIDTHS.contains(&w) && WIDTHS.contains(&a);
    let pairs: Vec<_> = all.filter(|&(w, a)| known(w, a) || !is_hard_product(family, w, a)).collect();
    let pair = |&(weight_bits, act_bits): &(u32, u32)| ArrayConfig { weight_bits, act_bits, ..base() };
    let of_luts = |p: &(u32, u32)| ArrayConfig { multipliers: Multipliers::Lut, ..pair(p) };
    let dsps = pairs.iter().map(|p| (pair(p), &["pe", "max_pool"][..]));
    let luts =
        pairs.iter().filter(|p| known(p.0, p.1)).map(|p| (of_luts(p), &["pe_lut", "row_multiplier"][..]));
    let shared = |config: ArrayConfig| config.with_pack(Pack::Auto, family.multiplier_bits());
    let packed = pairs.iter().filter(|p| known(p.0, p.1)).flat_map(|p| [4, 8, 16].map(|rows| (p, rows)));
    let packed = packed.map(|(p, rows)| shared(ArrayConfig { rows, weight_depth: 32, ..pair(p) }));
    let packed = packed.filter(|config| config.pack > 1).map(|config| (config, &OF_PACKS[..]));
    let odd = [3, 5, 6, 7];
    let rows = odd.into_iter().flat_map(|w| [4, 8, 12, 16].map(|cols| (w, cols)));
    let rows = rows.chain([(12, 12), (11, 8), (15, 8)]).map(|(weight_bits, cols)| {
        let config = ArrayConfig { weight_bits, cols, ..base() };
        (config, &["unpacker"][..])
    });
    let codes =
        odd.into_iter().flat_map(|a| [1, 2, 4, 8].map(|lanes| (a, lanes))).map(|(act_bits, lanes)| {
            let config = ArrayConfig { act_bits, requantizers: lanes, ..base() };
            (config, &["packer"][..])
        });
    let streams = rows.chain(codes).flat_map(|(config, kinds)| {
        [64, 128, 256].map(|bus_bits| (ArrayConfig { bus_bits, ..config.clone() }, kinds))
    });
    let sums = [10, 12, 14, 16, 18, 19, 20, 22, 26, 28, 34, 36, 38, 44].into_iter();
    let sums = sums.flat_map(|acc_bits| [2, 8].map(|act_bits| (acc_bits, act_bits)));
    let sums = sums.flat_map(|(acc_bits, act_bits)| {
        [Requantize::Scale, Requantize::Pow2].map(|requantize| {
            let narrow = ArrayConfig { weight_bits: 2, act_bits, acc_bits, rows: 4, cols: 4, ..base() };
            (ArrayConfig { requantize, ..narrow }, &OF_SUMS[..])
        })
    });
    let sums = sums.filter(|(config, _)| config.validate().is_ok());
    let digits = DIGITS.into_iter().flat_map(|d| [(4, 4), (8, 8), (16, 16), (8, 16)].map(|sides| (d, sides)));
    let digits = digits.map(|(digits, (rows, cols))| {
        let depths = [(512, 128), (1024, 256), (2048, 512)][(rows + digits.0 as usize) / 4 % 3];
        let (acc_bits, requantizers) = ([32, 40, 48][(cols / 4 + digits.1 as usize) % 3], cols.min(4));
        let base = ArrayConfig { rows, cols, acc_bits, requantizers, act_depth: depths.0, ..base() };
        (with_digits(digits, ArrayConfig { acc_depth: depths.1, ..base }), &OF_DIGITS[..])
    });
    let digits = digits.filter(|(config, _)| config.validate().is_ok());
    dsps.chain(luts).chain(packed).chain(streams).chain(sums).chain(digits).collect()
}
