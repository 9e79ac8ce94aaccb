//! Which design points can be built: the check before any work starts.

use super::{
    ADDRESS_BITS, AXI_CACHES, ArrayConfig, CHANNELS, COLS, DEPTHS, DIGITS, FOLD_CHANNELS, FOLD_WIDTHS,
    ID_BITS, IMAGES, MAPS, MOST_ACC_BITS, MULTIPLIER_BITS, Multipliers, OFFSET_BITS, PACK, ROWS,
};
use crate::{Error, Result, arith};
use std::ops::RangeInclusive;

impl ArrayConfig {
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

    /// Why `lanes` columns cannot share a multiplier, with need and have.
    pub(super) fn holds(&self, lanes: usize) -> std::result::Result<(), String> {
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
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a default configuration is refused with after `change`.
    fn refused(change: fn(&mut ArrayConfig)) -> String {
        let mut config = ArrayConfig::default();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn limits_name_the_option() {
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
    fn a_pack_that_does_not_fit_is_refused_with_need_and_have() {
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
}
