//! What the area of a module grows with: terms of a linear model, per kind of [`super::area_parts::Part`].

use super::Family;
use crate::config::gcd;

/// The terms of a module of `kind` with `args`.
pub fn features(family: Family, kind: &str, args: &[u32]) -> Vec<f64> {
    let a: Vec<f64> = args.iter().map(|&a| a.into()).collect();
    let n: Vec<usize> = args.iter().map(|&a| a as usize).collect();
    match kind {
        "delay" => vec![1.0, a[0], a[0] * a[1], a[0] * n[1].div_ceil(16) as f64],
        "pe" | "pe_lut" | "row_multiplier" => vec![1.0, a[0], a[1], a[0] * a[1], a[2]],
        "ram" | "lanes_ram" | "queue" => memory(family, n[0] as u32, n[1]).to_vec(),
        "unpacker" => unpacker(n[0], n[1]),
        "packer" => packer(n[0], n[1]),
        "fold" => fold(family, &n),
        "group_select" => vec![1.0, a[0], a[1] * a[2], a[0] * a[1] * a[2]],
        "raw_beat" => {
            let words = a[0] / 64.0;
            vec![1.0, a[2], a[0], a[1] * a[2], a[2] * words]
        }
        "requantizer" | "requantizer_pow2" | "round_shift" => {
            let wide = (a[1] > 36.0) as u8 as f64; // a product of two DSPs' width
            vec![1.0, a[0], a[1], wide, wide * (a[1] - 36.0)]
        }
        "row_read" => vec![1.0, a[0], a[1].log2(), a[2].log2(), a[3].log2()],
        "weight_shifter" => vec![1.0, a[0]],
        "sequencer" => vec![1.0, a[0], a[1]],
        "drain_walk" => vec![1.0, a[0], a[1].log2(), a[2].log2()],
        "act_walk" => vec![1.0, a[0].log2(), a[1]],
        "field_check" => vec![1.0],
        "param_store" => vec![1.0, a[0].log2(), a[1].log2()],
        "controller" => vec![1.0],
        "act_loader" => vec![1.0, a[0], a[1], a[2], a[0] * a[2]],
        _ => std::iter::once(1.0).chain(a).collect(),
    }
}

/// Bits of a counter up to `most`.
fn counter_bits(most: usize) -> usize {
    (usize::BITS - most.leading_zeros()) as usize
}

/// Registers that hold what is not taken yet; multiplexers before them: shift by an item, or turn a word to its place,
/// a stage a bit of the turn.
fn unpacker(bus: usize, item: usize) -> Vec<f64> {
    let unit = gcd(bus, item);
    let (beat, item) = (bus / unit, item / unit);
    let held = item - 1 + beat;
    let stages = if item > 1 && beat > 1 { counter_bits(item.min(beat) - 1) } else { 0 };
    let shifted = held.saturating_sub(item) * unit;
    let mut terms = [1, held * unit, shifted, item].map(|x| x as f64).to_vec();
    terms.extend(one_of(stages, 1..=4, bus));
    terms
}

/// `value` at the place of `at` in `range`, its last one standing for all above, and 0 elsewhere: what a tool makes of a
/// stage of multiplexers depends on how many there are.
fn one_of(at: usize, range: std::ops::RangeInclusive<usize>, value: usize) -> impl Iterator<Item = f64> {
    let at = at.min(*range.end());
    range.map(move |i| if i == at { value as f64 } else { 0.0 })
}

/// As [`unpacker`], without the shift.
fn packer(bus: usize, item: usize) -> Vec<f64> {
    let unit = gcd(bus, item);
    let (beat, item) = (bus / unit, item / unit);
    let stages = if item > 1 { counter_bits(beat - 1) } else { 0 };
    let alone = (item == 1) as usize;
    let mut terms = [1, bus, beat * alone, bus * alone, item * unit].map(|x| x as f64).to_vec();
    terms.extend(one_of(stages, 2..=7, bus));
    terms
}

/// Window registers, line buffers, and the selection of a block of lanes.
fn fold(family: Family, args: &[usize]) -> Vec<f64> {
    let &[channels, code, x, block, blocks] = args else { return vec![] };
    let (pixel, item, choices) = (channels * code, block * code, 1 << blocks);
    let used = (9 * pixel).min(item * choices);
    let mut terms = [1, pixel, item, used, item * choices, x].map(|x| x as f64).to_vec();
    terms.extend(&memory(family, x as u32, pixel)[1..]);
    terms
}

/// One, and where look-up tables hold the memory, in rows of 16 words: one, its cells of four bits, rows to decode, bits
/// of a word, and bits to choose from.
fn memory(family: Family, address_bits: u32, bits: usize) -> [f64; 6] {
    if blocks(family, address_bits, bits) > 0 {
        return [1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    }
    let rows = 1usize << address_bits.saturating_sub(4);
    [1, 1, rows * bits.div_ceil(4), rows, bits, rows * bits].map(|x| x as f64)
}

/// Block RAMs, in the unit of [`super::Resources::bram`], of a memory of 2^`address_bits` words with one write and one
/// read port; 0 where other cells hold it. Shapes and costs are those of yosys' `memory_libmap` (`brams.txt` and
/// `lutrams.txt` of each family).
pub fn blocks(family: Family, address_bits: u32, bits: usize) -> u64 {
    let depth = 1usize << address_bits;
    // The widest word and how many of them a block holds.
    let (widest, words) = match family {
        Family::Ice40 => (16, 256),
        Family::Ecp5 | Family::Gowin | Family::Xc7 | Family::Xcup => (36, 512),
    };
    let shapes =
        std::iter::successors(Some((widest, words)), |&(w, d)| (w > 1).then(|| (narrower(w), 2 * d)));
    let blocks = |(width, words): (usize, usize)| bits.div_ceil(width) * depth.div_ceil(words);
    let least = shapes.map(blocks).min().unwrap_or(0);
    let in_logic = match family {
        Family::Ice40 => false,
        // A block costs as much as 32 cells of 16 x 4 bits; multiplexers make it less.
        _ => depth.div_ceil(16) * bits.div_ceil(4) < 22 * least,
    };
    if in_logic { 0 } else { least as u64 }
}

/// The next narrower shape of a block RAM: parity bits are lost below 9.
fn narrower(width: usize) -> usize {
    if width == 9 { 4 } else { width / 2 }
}
