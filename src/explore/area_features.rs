//! What the area of a module grows with: terms of a linear model, per kind of [`super::area_parts::Part`].

use super::Family;
use super::area_memory::memory;
use crate::config::gcd;

/// The terms of a module of `kind` with `args`.
pub fn features(family: Family, kind: &str, args: &[u32]) -> Vec<f64> {
    let a: Vec<f64> = args.iter().map(|&a| a.into()).collect();
    let n: Vec<usize> = args.iter().map(|&a| a as usize).collect();
    match kind {
        "delay" => vec![1.0, a[0], a[0] * a[1], a[0] * n[1].div_ceil(16) as f64],
        "pe" => {
            let soft = !is_hard_product(family, args[0], args[1]);
            let terms = [1.0, a[0], a[1], a[0] * a[1], a[2]];
            [false, true].into_iter().flat_map(|s| terms.map(|t| if s == soft { t } else { 0.0 })).collect()
        }
        "row_multiplier" => {
            let adder = (a[0] - 1.0) * (n[1] + 2).div_ceil(2) as f64; // a carry cell may hold two bits
            vec![1.0, a[0], a[1], a[0] * a[1], adder]
        }
        "ram" | "lanes_ram" | "queue" => {
            std::iter::once(1.0).chain(memory_terms(family, n[0] as u32, n[1])).collect()
        }
        "unpacker" => unpacker(n[0], n[1]),
        "packer" => packer(n[0], n[1]),
        "fold" => fold(family, &n),
        "group_select" => vec![1.0, a[0], a[1] * a[2], a[0] * a[1] * a[2]],
        "raw_beat" => {
            let words = a[0] / 64.0;
            vec![1.0, a[2], a[0], a[1] * a[2], a[2] * words]
        }
        "requantizer" => {
            let pieces = requantizer_products(family, args[1]).into();
            vec![1.0, a[0], a[1], pieces, pieces * a[1], is_bit_left(family, args[1]) as u8 as f64]
        }
        "requantizer_pow2" => vec![1.0, a[0], a[1]],
        "round_shift" => round_shift(n[0], n[1]),
        "row_read" => vec![1.0, a[0], a[1].log2(), a[2].log2(), a[3].log2(), a[4], a[4] * a[0]],
        "weight_shifter" => vec![1.0, a[0]],
        "sequencer" => vec![1.0, a[0], a[1], a[3], a[4], a[4] * a[0]],
        "walk" => vec![1.0, a[0], a[1], a[2], a[3], a[4], a[4] * a[0]],
        "digit_shift" => digit_shift(&n),
        "plane_select" => vec![1.0, a[0] * a[3], a[0] * a[1], a[0] * a[1] * a[2].log2().ceil()],
        "plane_extend" => vec![1.0, a[0], a[0] * a[1]],
        "drain_walk" => vec![1.0, a[0], a[1].log2(), a[2].log2(), a[3], a[4]],
        "act_walk" => vec![1.0, a[0].log2(), a[1], a[2], a[3], a[4]],
        "field_check" => vec![1.0, a[1]],
        "splitter" => vec![1.0, a[0].log2(), a[1], a[2]],
        "weight_walk" => vec![1.0, a[0].log2(), a[1], a[2]],
        "param_store" => vec![1.0, a[0].log2(), a[1].log2()],
        "controller" => vec![1.0],
        "act_loader" => vec![1.0, a[0], a[1], a[2], a[0] * a[2]],
        _ => std::iter::once(1.0).chain(a).collect(),
    }
}

/// Whether the product of a weight of `w` bits and an operand of `a` + 1 bits takes a DSP: what yosys' scripts ask for
/// (`DSP_Y_MINWIDTH` of `synth_*`).
pub fn is_hard_product(family: Family, w: u32, a: u32) -> bool {
    match family {
        Family::Ecp5 => true,
        Family::Ice40 => w + a + 1 >= 11,
        Family::Xc7 | Family::Xcup => w + a + 1 >= 9,
        Family::Gowin => false,
    }
}

/// DSPs of the product of a positive sum of `acc` bits and its multiplier: what yosys' `mul2dsp` cuts it into. A DSP takes
/// `whole` bits of the sum; where they are more, all pieces but the last take `piece`. A last one of a bit takes none.
pub fn requantizer_products(family: Family, acc: u32) -> u32 {
    let Some((whole, piece)) = pieces(family) else { return 0 };
    let more = (acc - 1).saturating_sub(whole).div_ceil(piece);
    1 + more - is_bit_left(family, acc) as u32
}

/// Whether the last piece of that product is a bit.
fn is_bit_left(family: Family, acc: u32) -> bool {
    pieces(family).is_some_and(|(whole, piece)| whole == piece && acc - 1 > whole && (acc - 1) % piece == 1)
}

/// Bits of an unsigned operand that a DSP takes, and those that it takes of a longer one (`DSP_A_MAXWIDTH` and
/// `DSP_A_MAXWIDTH_PARTIAL` of `synth_*`, less the sign where there is one).
fn pieces(family: Family) -> Option<(u32, u32)> {
    match family {
        Family::Ecp5 => Some((18, 18)),
        Family::Ice40 => Some((16, 16)),
        Family::Xc7 => Some((24, 17)),
        Family::Xcup => Some((26, 17)),
        Family::Gowin => None,
    }
}

/// Bits of a counter up to `most`.
fn counter_bits(most: usize) -> usize {
    (usize::BITS - most.leading_zeros()) as usize
}

/// The shift that walks from group to group, and a stage of multiplexers of the operand for each of its bits; what is shifted
/// in is 0, and what is above the partial sum its sign.
fn digit_shift(args: &[usize]) -> Vec<f64> {
    let &[cols, groups, operand, shift, unit, psum] = args else { return vec![] };
    let low: usize = (0..shift).map(|bit| operand.min(unit << bit)).sum();
    let above = operand - operand.min(psum);
    let one_column = [operand * shift, low, above, operand, 1];
    let mut terms = vec![1.0, ((groups - 1) * shift) as f64];
    terms.extend(one_column.map(|x| (cols * x) as f64));
    terms
}

/// Bits that the three steps of a shift keep, and those above and below, of which only whether one is set.
fn round_shift(code: usize, value: usize) -> Vec<f64> {
    let kept = |more: usize| value.min(code + more);
    let above = |more: usize| value.saturating_sub(code + more);
    [1, kept(15), kept(3), kept(0), above(15), above(31), above(47), value.min(31)].map(|x| x as f64).to_vec()
}

/// Bits and number of the words of a beat that hold an item of `item` bits.
fn words(bus: usize, item: usize) -> (usize, usize) {
    let word = item.next_power_of_two().min(bus);
    (word, bus / word)
}

/// The choice of a word; registers that hold what is not taken yet; multiplexers before them: shift by an item, or turn a
/// word to its place, a stage a bit of the turn.
fn unpacker(bus: usize, item: usize) -> Vec<f64> {
    let (bits, words) = words(bus, item);
    let unit = gcd(bits, item);
    let (word, item) = (bits / unit, item / unit);
    let held = item - 1 + word;
    let stages = if item > 1 && word > 1 { counter_bits(item.min(word) - 1) } else { 0 };
    let shifted = held.saturating_sub(item) * unit;
    let mut terms = [1, held * unit, shifted, item].map(|x| x as f64).to_vec();
    terms.extend(one_of(stages, 1..=4, bits));
    terms.extend(one_of(words.ilog2() as usize, 1..=5, bits));
    terms
}

/// `value` at the place of `at` in `range`, its last one standing for all above, and 0 elsewhere: what a tool makes of a
/// stage of multiplexers depends on how many there are.
fn one_of(at: usize, range: std::ops::RangeInclusive<usize>, value: usize) -> impl Iterator<Item = f64> {
    let at = at.min(*range.end());
    range.map(move |i| if i == at { value as f64 } else { 0.0 })
}

/// As [`unpacker`], without the shift; the beat holds its words.
fn packer(bus: usize, item: usize) -> Vec<f64> {
    let (bits, words) = words(bus, item);
    let unit = gcd(bits, item);
    let (word, item) = (bits / unit, item / unit);
    let stages = if item < word { counter_bits(word - 1) } else { 0 };
    let mut terms = [1, bus, words, item * unit].map(|x| x as f64).to_vec();
    terms.extend(one_of(stages, 2..=4, bits));
    terms.extend(one_of(words.ilog2() as usize, 1..=7, 1));
    terms
}

/// Window registers, line buffers, and the selection of a block of lanes, in logic that depends on how many there are.
fn fold(family: Family, args: &[usize]) -> Vec<f64> {
    let &[channels, code, x, block, _] = args else { return vec![] };
    let (pixel, item, choices) = (channels * code, block * code, (9 * channels).div_ceil(block));
    let mut terms = [1, pixel, item, x].map(|x| x as f64).to_vec();
    let class = [1, 2, 3, 4, 6, 8, 16].iter().position(|most| choices <= *most).unwrap_or(7);
    terms.extend(one_of(class, 0..=7, item));
    terms.extend(memory_terms(family, x as u32, pixel));
    terms
}

/// Cells of look-up tables, rows to decode, bits of a word that is not a block RAM's, and bits to choose from, by the
/// number of rows; where flip-flops hold all, they and their words.
fn memory_terms(family: Family, address_bits: u32, bits: usize) -> Vec<f64> {
    let memory = memory(family, address_bits, bits);
    let rows = if memory.rows > 1 { memory.rows } else { 0 };
    let read = if memory.blocks == 0 { bits } else { 0 };
    let words = if memory.blocks == 0 && memory.cells == 0 { 1 << address_bits } else { 0 };
    let mut terms = [memory.cells, rows, read, words * bits, words].map(|x| x as f64).to_vec();
    terms.extend(one_of(memory.rows.ilog2() as usize, 1..=5, bits));
    terms
}
