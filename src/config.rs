//! Design points of the accelerator: every number that shapes the emitted hardware.

mod bounds;

pub use bounds::{Bounds, CHANNELS, IMAGES, MAPS, OFFSET_BITS};

use crate::arith;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

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

/// Digits of a weight, planes of an activation.
pub const DIGITS: RangeInclusive<usize> = 1..=9;

/// Words of the bus that a read stream or the write port holds: four bursts.
pub const STREAM_WORDS: usize = 64;

/// Rows of an array: sums of one accumulator are at least three cycles apart.
pub const ROWS: RangeInclusive<usize> = 3..=64;
/// Columns of an array.
pub const COLS: RangeInclusive<usize> = 2..=64;
/// Most bits of an accumulator.
pub const MOST_ACC_BITS: u32 = 48;
/// Words of lanes, positions of accumulator banks.
pub const DEPTHS: RangeInclusive<usize> = 16..=1 << 16;
/// Bits of an address of external memory.
pub const ADDRESS_BITS: RangeInclusive<usize> = 32..=64;
/// Bits of the AXI IDs.
pub const ID_BITS: RangeInclusive<usize> = 1..=16;
/// Values of AxCACHE.
pub const AXI_CACHES: RangeInclusive<usize> = 0..=15;
/// A base of external memory, and every region, lies on a multiple of so many bytes.
pub const PAGE: usize = 1 << PAGE_BITS;
/// Bits of an address below [`PAGE`].
pub const PAGE_BITS: u32 = 12;
/// Channels of folded first layers.
pub const FOLD_CHANNELS: RangeInclusive<usize> = 0..=4;
/// Columns that share a multiplier.
pub const PACK: RangeInclusive<usize> = 1..=4;
/// Bits of the wider operand of a signed multiplier, by family: iCE40; ECP5 and Gowin; Xilinx 7 series; UltraScale+.
pub const MULTIPLIER_BITS: [u32; 4] = [16, 18, 25, 27];
/// Longest rows of folded first layers.
pub const FOLD_WIDTHS: RangeInclusive<usize> = 4..=1 << 12;

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

/// Named design points: name, purpose, configuration.
pub fn presets() -> Vec<(&'static str, &'static str, ArrayConfig)> {
    let base = ArrayConfig::default();
    let tiny = ArrayConfig {
        rows: 4,
        cols: 4,
        act_depth: 512,
        acc_depth: 128,
        weight_depth: 16,
        bus_bits: 64,
        fold_width: 32,
        ..base.clone()
    };
    let medium = ArrayConfig { rows: 16, cols: 16, weight_depth: 64, requantizers: 8, ..base.clone() };
    let large = ArrayConfig {
        rows: 32,
        cols: 32,
        weight_depth: 128,
        requantizers: 16,
        act_depth: 4096,
        ..base.clone()
    };
    vec![
        ("tiny", "4×4 for tests and for reading its Verilog; images up to 32×32", tiny),
        ("ecp5-85k", "8×8 for a Lattice ECP5-85F", base),
        ("16x16", "16×16 for a mid-size part such as an XC7K325T", medium),
        ("zcu102", "32×32 for a ZCU102 (XCZU9EG)", large),
    ]
}

impl ArrayConfig {
    /// The preset called `name`.
    pub fn preset(name: &str) -> Result<Self> {
        let all = presets();
        let names = || all.iter().map(|p| p.0).collect::<Vec<_>>().join(", ");
        let found = all.iter().find(|p| p.0 == name).map(|p| p.2.clone());
        found.ok_or_else(|| Error::usage("--preset", format!("no preset {name}; known: {}", names())))
    }

    /// The preset that is nearest in size to an array of `rows` × `cols`, with this array.
    pub fn near(rows: usize, cols: usize) -> Self {
        let nearest = match rows.saturating_mul(cols) {
            0..=31 => "tiny",
            32..=127 => "ecp5-85k",
            128..=511 => "16x16",
            _ => "zcu102",
        };
        let base = Self::preset(nearest).expect("the preset is in the list");
        base.with_array(rows, cols)
    }

    /// This configuration with an array of `rows` × `cols`, and weight lanes deep enough for it.
    pub fn with_array(self, rows: usize, cols: usize) -> Self {
        let mut config = Self { rows, cols, ..self };
        if rows.max(cols) > 64 {
            return config; // not valid, whatever its lanes
        }
        config.weight_depth = config.weight_depth.max(config.least_weight_depth().next_power_of_two());
        config
    }

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

    /// Why `lanes` columns cannot share a multiplier, with need and have.
    fn holds(&self, lanes: usize) -> std::result::Result<(), String> {
        let (need, have) = (self.packed_bits(lanes), self.multiplier_bits);
        let (w, a) = (self.weight_bits, self.act_bits);
        if !PACK.contains(&lanes) {
            return Err(format!("{lanes} is outside {} … {}", PACK.start(), PACK.end()));
        }
        if lanes == 1 {
            return Ok(());
        }
        if lanes > self.cols {
            return Err(format!("{lanes} columns a multiplier, the array has {}", self.cols));
        }
        if self.multipliers == Multipliers::Lut {
            return Err(format!(
                "{lanes} columns share a DSP, and products of look-up tables have none to share"
            ));
        }
        if need > have {
            return Err(format!(
                "{lanes} weights of {w} bits for activations of {a} need {need} bits of a multiplier, which has {have}"
            ));
        }
        if a + 1 > have.min(18) {
            return Err(format!(
                "activations of {a} bits need {} of a multiplier, which has {}",
                a + 1,
                have.min(18)
            ));
        }
        Ok(())
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

    /// As [`ArrayConfig::validate`], for numbers that come from options: an error names the option.
    pub fn validate_options(&self) -> Result<()> {
        self.validate().map_err(|error| match error {
            Error::Usage { option, reason } => {
                let named = match option.as_str() {
                    "rows" | "cols" => format!("--array, {option}"),
                    "bus_bits" => "--bus".into(),
                    "fold_channels" => "--fold".into(),
                    "multiplier_bits" => "--family".into(),
                    field => format!("--{}", field.replace('_', "-")),
                };
                Error::Usage { option: named, reason }
            }
            other => other,
        })
    }

    /// Checks every limit; an error names the field.
    pub fn validate(&self) -> Result<()> {
        let within = |option: &str, value: usize, range: RangeInclusive<usize>| {
            if range.contains(&value) {
                return Ok(());
            }
            let (lo, hi) = (range.start(), range.end());
            Err(Error::usage(option, format!("{value} is outside {lo} … {hi}")))
        };
        within("rows", self.rows, ROWS)?;
        within("cols", self.cols, COLS)?;
        let widths = *arith::WIDTHS.start() as usize..=*arith::WIDTHS.end() as usize;
        within("weight_bits", self.weight_bits as usize, widths.clone())?;
        within("act_bits", self.act_bits as usize, widths)?;
        within("address_bits", self.address_bits as usize, ADDRESS_BITS)?;
        within("id_bits", self.id_bits as usize, ID_BITS)?;
        within("axi_cache", self.axi_cache as usize, AXI_CACHES)?;
        self.check_digits("weight_digits", self.weight_bits, self.weight_digits)?;
        self.check_digits("act_digits", self.act_bits, self.act_digits)?;
        within("acc_bits", self.acc_bits as usize, self.psum_bits() as usize..=MOST_ACC_BITS as usize)?;
        if !MULTIPLIER_BITS.contains(&self.multiplier_bits) {
            let reason = format!("{} is not 16, 18, 25 or 27", self.multiplier_bits);
            return Err(Error::usage("multiplier_bits", reason));
        }
        self.holds(self.pack).map_err(|reason| Error::usage("pack", reason))?;
        within("act_depth", self.act_depth, DEPTHS)?;
        within("weight_depth", self.weight_depth, self.least_weight_depth()..=*DEPTHS.end())?;
        within("acc_depth", self.acc_depth, DEPTHS)?;
        within("fold_channels", self.fold_channels, FOLD_CHANNELS)?;
        within("fold_width", self.fold_width, FOLD_WIDTHS)?;
        within("max_map", self.max_map, MAPS)?;
        within("max_channels", self.max_channels, CHANNELS)?;
        within("max_images", self.max_images, IMAGES)?;
        within("offset_bits", self.offset_bits as usize, OFFSET_BITS)?;
        if ![64, 128, 256, 512].contains(&self.bus_bits) {
            return Err(Error::usage("bus_bits", format!("{} is not 64, 128, 256 or 512", self.bus_bits)));
        }
        if self.requantizers == 0 || !self.block().is_multiple_of(self.requantizers) {
            let reason =
                format!("{} does not divide {}, the block of channels", self.requantizers, self.block());
            return Err(Error::usage("requantizers", reason));
        }
        let codes = self.requantizers * self.act_bits as usize;
        if codes > self.bus_bits {
            let reason = format!(
                "{} codes of {} bits exceed the bus's {} bits a cycle",
                self.requantizers, self.act_bits, self.bus_bits
            );
            return Err(Error::usage("requantizers", reason));
        }
        Ok(())
    }

    /// Digits that widths up to 16 bits can use: the top one is not all beyond them.
    fn check_digits(&self, option: &str, bits: u32, digits: usize) -> Result<()> {
        if !DIGITS.contains(&digits) {
            let (lo, hi) = (DIGITS.start(), DIGITS.end());
            return Err(Error::usage(option, format!("{digits} is outside {lo} … {hi}")));
        }
        let (widest, most) = (*arith::WIDTHS.end(), 1 + *arith::WIDTHS.end() as usize / bits as usize);
        match digits <= most {
            true => Ok(()),
            false => Err(Error::usage(
                option,
                format!("{digits} digits of {bits} bits; codes of {widest} bits take {most} at most"),
            )),
        }
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
    fn presets_are_valid() {
        for (name, _, config) in presets() {
            config.validate().unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(ArrayConfig::preset(name).unwrap(), config);
        }
        let kilobits = presets().into_iter().map(|(name, _, c)| (name, c.memory_bits() / 1000));
        let documented = [("tiny", 67), ("ecp5-85k", 440), ("16x16", 839), ("zcu102", 2174)]; // docs/accelerator.md
        assert_eq!(kilobits.collect::<Vec<_>>(), documented);
        assert!(ArrayConfig::preset("none").unwrap_err().to_string().contains("tiny, ecp5-85k"));
    }

    #[test]
    fn limits_name_the_option() {
        let refused = |change: fn(&mut ArrayConfig)| {
            let mut config = ArrayConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(refused(|c| c.rows = 1).starts_with("rows: 1 is outside"));
        assert!(refused(|c| c.weight_bits = 17).starts_with("weight_bits"));
        assert!(refused(|c| c.acc_bits = 18).starts_with("acc_bits: 18 is outside 19"));
        assert!(
            refused(|c| (c.rows, c.weight_depth) = (8, 15)).starts_with("weight_depth: 15 is outside 16")
        );
        let flat: fn(&mut ArrayConfig) = |c| (c.rows, c.cols, c.requantizers, c.weight_depth) = (3, 8, 1, 10);
        assert!(refused(flat).starts_with("weight_depth: 10 is outside 12"));
        assert!(refused(|c| c.bus_bits = 96).starts_with("bus_bits"));
        assert!(refused(|c| c.requantizers = 3).starts_with("requantizers"));
        assert!(
            refused(|c| (c.requantizers, c.act_bits, c.bus_bits) = (8, 9, 64)).starts_with("requantizers")
        );
    }

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
    fn a_pack_that_does_not_fit_is_refused_with_need_and_have() {
        let refused = |change: fn(&mut ArrayConfig)| {
            let mut config = ArrayConfig::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        let text = refused(|c| c.pack = 2);
        assert!(
            text.starts_with("pack: 2 weights of 8 bits for activations of 8 need 25 bits")
                && text.contains("has 18"),
            "{text}"
        );
        assert!(refused(|c| c.pack = 5).starts_with("pack: 5 is outside 1 … 4"));
        assert!(refused(|c| c.pack = 0).starts_with("pack: 0 is outside 1 … 4"));
        let text = refused(|c| (c.weight_bits, c.act_bits, c.cols, c.requantizers, c.pack) = (2, 2, 2, 1, 3));
        assert!(text.starts_with("pack: 3 columns a multiplier, the array has 2"), "{text}");
        let text = refused(|c| (c.weight_bits, c.pack, c.multipliers) = (4, 2, Multipliers::Lut));
        assert!(text.starts_with("pack: 2 columns share a DSP"), "{text}");
        assert!(refused(|c| c.multiplier_bits = 20).starts_with("multiplier_bits: 20 is not"));
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
