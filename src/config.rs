//! Design points of the accelerator: every number that shapes the emitted hardware.

mod bounds;
mod limits;
mod presets;
mod ranges;

pub use bounds::{Bounds, CHANNELS, IMAGES, MAPS, OFFSET_BITS};
pub use presets::presets;
pub use ranges::*;

use serde::{Deserialize, Serialize};

/// How accumulators become activation codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Requantize {
    /// `acc · m / 2^s`: a multiplier in every requantizer lane.
    #[default]
    Scale,
    /// `acc / 2^s`: models whose steps are powers of two; no multiplier is emitted.
    Pow2,
}

/// What the array's products are made of. Requantizers that scale take DSPs either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Multipliers {
    /// The operator `*`: synthesis takes a DSP, or what it likes where the product is small.
    #[default]
    Dsp,
    /// Rows of partial products in look-up tables; no DSP.
    Lut,
}

/// How many neighbouring columns share a multiplier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pack {
    /// As many as the multiplier holds.
    Auto,
    /// So many.
    Lanes(usize),
}

impl Default for Pack {
    fn default() -> Self {
        Self::Lanes(1)
    }
}

/// A design point. [`ArrayConfig::validate`] checks every limit before any work starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArrayConfig {
    /// Array rows: terms of the reduction per cycle, 3 … 64.
    pub rows: usize,
    /// Array columns: output channels per cycle, 2 … 64.
    pub cols: usize,
    /// Bits W of a weight code, 2 … 16.
    pub weight_bits: u32,
    /// Bits A of an activation code, 2 … 16; the array's operand has A + 1.
    pub act_bits: u32,
    /// Most digits of W bits that a layer's weights are cut into. Left out of files where it is 1.
    #[serde(skip_serializing_if = "is_one")]
    pub weight_digits: usize,
    /// Most planes of A bits that a map is cut into. Left out of files where it is 1.
    #[serde(skip_serializing_if = "is_one")]
    pub act_digits: usize,
    /// Bits of an accumulator, at most 48.
    pub acc_bits: u32,
    /// Words of each activation lane.
    pub act_depth: usize,
    /// Words of each weight lane.
    pub weight_depth: usize,
    /// Positions of each of the two accumulator banks of a column.
    pub acc_depth: usize,
    /// Accumulators requantized per cycle; divides [`ArrayConfig::block`], and their codes fit a word of the bus.
    pub requantizers: usize,
    /// Requantization.
    pub requantize: Requantize,
    /// What the array's products are made of.
    pub multipliers: Multipliers,
    /// Neighbouring columns that share a multiplier, 1 … 4. Left out of files where it is 1.
    #[serde(skip_serializing_if = "is_default_pack")]
    pub pack: usize,
    /// Bits of the wider operand of the part's signed multiplier, one of [`MULTIPLIER_BITS`]: what holds the weights of
    /// `pack` columns. Without a meaning where `pack` is 1. Left out of files where it is 18.
    #[serde(skip_serializing_if = "is_default_multiplier")]
    pub multiplier_bits: u32,
    /// Bits of the AXI data bus: 64, 128, 256 or 512.
    pub bus_bits: usize,
    /// Bits of an address of external memory, 32 … 64. Left out of files where it is 32.
    #[serde(skip_serializing_if = "is_default_address")]
    pub address_bits: u32,
    /// Bits of the AXI IDs, 1 … 16; every transaction has ID 0. Left out of files where it is 1.
    #[serde(skip_serializing_if = "is_default_id")]
    pub id_bits: u32,
    /// AxCACHE of every burst, 0 … 15: 3 for memory that no cache answers for, 15 for a coherent port. Left out of files
    /// where it is 3.
    #[serde(skip_serializing_if = "is_default_cache")]
    pub axi_cache: u32,
    /// First layers of at most this many channels are folded (nine kernel positions side by side in the
    /// array's rows); 0 leaves the block out.
    pub fold_channels: usize,
    /// Longest row that the folding block's line buffers hold.
    pub fold_width: usize,
    /// Most rows or columns of a map: counters are no wider. Left out of files, as the three below, where it is the default.
    #[serde(skip_serializing_if = "is_default_map")]
    pub max_map: usize,
    /// Most channels of a map.
    #[serde(skip_serializing_if = "is_default_channels")]
    pub max_channels: usize,
    /// Most images of a run.
    #[serde(skip_serializing_if = "is_default_images")]
    pub max_images: usize,
    /// Bits of an address relative to a base of memory: what the program, or a run's data, may take.
    #[serde(skip_serializing_if = "is_default_offset")]
    pub offset_bits: u32,
}

impl Default for ArrayConfig {
    fn default() -> Self {
        Self {
            rows: 8,
            cols: 8,
            weight_bits: 8,
            act_bits: 8,
            weight_digits: 1,
            act_digits: 1,
            acc_bits: 32,
            act_depth: 2048,
            weight_depth: 32,
            acc_depth: 512,
            requantizers: 2,
            requantize: Requantize::Scale,
            multipliers: Multipliers::Dsp,
            pack: 1,
            multiplier_bits: 18,
            bus_bits: 128,
            address_bits: 32,
            id_bits: 1,
            axi_cache: 0b0011,
            fold_channels: 3,
            fold_width: 256,
            max_map: 256,
            max_channels: 4096,
            max_images: 256,
            offset_bits: 30,
        }
    }
}

fn is_default_pack(pack: &usize) -> bool {
    *pack == ArrayConfig::default().pack
}

fn is_default_multiplier(bits: &u32) -> bool {
    *bits == ArrayConfig::default().multiplier_bits
}

fn is_default_address(bits: &u32) -> bool {
    *bits == ArrayConfig::default().address_bits
}

fn is_default_id(bits: &u32) -> bool {
    *bits == ArrayConfig::default().id_bits
}

fn is_default_cache(cache: &u32) -> bool {
    *cache == ArrayConfig::default().axi_cache
}

fn is_default_map(rows: &usize) -> bool {
    *rows == ArrayConfig::default().max_map
}

fn is_default_channels(channels: &usize) -> bool {
    *channels == ArrayConfig::default().max_channels
}

fn is_default_images(images: &usize) -> bool {
    *images == ArrayConfig::default().max_images
}

fn is_default_offset(bits: &u32) -> bool {
    *bits == ArrayConfig::default().offset_bits
}

fn is_one(digits: &usize) -> bool {
    *digits == 1
}

impl ArrayConfig {
    /// As many requantizers as the configuration has, or the most below that which block and bus allow.
    pub fn most_requantizers(&self) -> usize {
        let fits = |n: &usize| self.block().is_multiple_of(*n) && n * self.act_bits as usize <= self.bus_bits;
        (1..=self.requantizers).rev().find(fits).unwrap_or(1)
    }

    /// Channels of a block: the unit in which feature maps are stored, so that both the array's rows
    /// (reading) and its columns (writing) are whole blocks.
    pub fn block(&self) -> usize {
        gcd(self.rows, self.cols)
    }

    /// Bits of the partial sums inside the array. A product of a W-bit weight and an unsigned A-bit activation
    /// is below 2^(W+A−1) in magnitude, so W + A + ⌈log2 rows⌉ bits hold any sum of `rows` of them.
    pub fn psum_bits(&self) -> u32 {
        self.weight_bits + self.act_bits + self.rows.next_power_of_two().ilog2()
    }

    /// Whether layers may be wider than the build.
    pub fn has_digits(&self) -> bool {
        self.weight_digits > 1 || self.act_digits > 1
    }

    /// Bits of the widest activation code: all planes of a map.
    pub fn code_bits(&self) -> u32 {
        self.act_bits * self.act_digits as u32
    }

    /// Left shifts of a partial sum are multiples of this: of W, of A, or of what divides both.
    pub fn shift_unit(&self) -> u32 {
        let (w, a) = (self.weight_bits as usize, self.act_bits as usize);
        match (self.weight_digits, self.act_digits) {
            (_, 1) => w as u32,
            (1, _) => a as u32,
            _ => gcd(w, a) as u32,
        }
    }

    /// Greatest left shift of a partial sum: that of the top digit and the top plane.
    pub fn most_shift(&self) -> u32 {
        self.weight_bits * (self.weight_digits as u32 - 1) + self.act_bits * (self.act_digits as u32 - 1)
    }

    /// Groups of columns that share a multiplier, the last one perhaps of fewer: each gets its operands a cycle after the
    /// one before.
    pub fn groups(&self) -> usize {
        self.cols.div_ceil(self.pack.max(1))
    }

    /// Bits of the weights of `lanes` columns in one operand, W + A apart, with one more for a borrow.
    pub fn packed_bits(&self, lanes: usize) -> u32 {
        lanes.saturating_sub(1) as u32 * (self.weight_bits + self.act_bits) + self.weight_bits + 1
    }

    /// This configuration with as many columns a multiplier as `pack` says, on a part whose multipliers take
    /// `multiplier_bits`.
    pub fn with_pack(self, pack: Pack, multiplier_bits: u32) -> Self {
        let config = Self { multiplier_bits, ..self };
        let pack = match pack {
            Pack::Lanes(lanes) => lanes,
            Pack::Auto => PACK.rev().find(|&lanes| config.holds(lanes).is_ok()).unwrap_or(1),
        };
        let multiplier_bits = if pack == 1 { Self::default().multiplier_bits } else { multiplier_bits };
        Self { pack, multiplier_bits, ..config }
    }

    /// Least [`ArrayConfig::weight_depth`]: one tile beside the one that is shifted in; and the last group of columns
    /// shifts so many cycles after the first, while two rows on their way may come, and one more must have room.
    pub fn least_weight_depth(&self) -> usize {
        (2 * self.rows).max(self.groups() + 4)
    }

    /// Bytes of a word of the bus.
    pub fn bus_bytes(&self) -> usize {
        self.bus_bits / 8
    }

    /// Bits of on-chip memory: activation lanes, weight lanes, accumulator banks, folding line buffers, and the words of
    /// the bus that three read streams and the write port hold.
    pub fn memory_bits(&self) -> usize {
        let acts = self.rows * self.act_depth * self.act_bits as usize;
        let weights = self.cols * self.weight_depth * self.weight_bits as usize;
        let accumulators = 2 * self.cols * self.acc_depth * self.acc_bits as usize;
        let lines = 2 * self.fold_width * self.fold_channels * self.code_bits() as usize;
        acts + weights + accumulators + lines + 4 * STREAM_WORDS * self.bus_bits
    }
}

/// The greatest number that divides both.
pub(crate) const fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_columns_share_a_multiplier_as_it_holds() {
        let chosen = |w, a, cols, bits| {
            let base = ArrayConfig { acc_bits: 48, requantizers: 1, ..ArrayConfig::default() };
            let config =
                ArrayConfig { weight_bits: w, act_bits: a, cols, ..base }.with_pack(Pack::Auto, bits);
            config.validate().unwrap();
            config.pack
        };
        // Of a formula worked out by hand: (N − 1)(W + A) + W + 1.
        for (w, a, cols, bits, lanes) in [
            (4, 8, 8, 18, 2), // 17
            (4, 8, 8, 16, 1),
            (4, 4, 8, 18, 2), // 13; three 21
            (4, 4, 8, 25, 3),
            (3, 3, 8, 18, 3), // 16
            (2, 2, 8, 18, 4), // 15
            (2, 2, 3, 18, 3),
            (8, 8, 8, 18, 1),
            (8, 8, 8, 25, 2), // 25
            (9, 8, 8, 27, 2), // 27
            (9, 8, 8, 25, 1),
            (16, 16, 8, 27, 1),
        ] {
            assert_eq!(chosen(w, a, cols, bits), lanes, "W{w}A{a} of {cols} columns in {bits} bits");
        }
        let alone = ArrayConfig::default().with_pack(Pack::Auto, 18);
        assert_eq!(alone, ArrayConfig::default());
        assert!(!serde_json::to_string(&alone).unwrap().contains("pack"));
        let two = ArrayConfig { weight_bits: 4, ..alone }.with_pack(Pack::Lanes(2), 25);
        let json = serde_json::to_string(&two).unwrap();
        assert!(json.contains("\"pack\":2,\"multiplier_bits\":25"), "{json}");
        assert_eq!(serde_json::from_str::<ArrayConfig>(&json).unwrap(), two);
    }

    #[test]
    fn psum_holds_the_worst_sum() {
        for rows in [3usize, 8, 13, 64] {
            let config = ArrayConfig { rows, ..ArrayConfig::default() };
            let least = -(rows as i64) * 128 * 255;
            assert!(least >= -(1 << (config.psum_bits() - 1)), "{rows} rows");
        }
    }
}
