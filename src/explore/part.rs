//! Parts that one can buy.

use super::Family;
use super::budget::Budget;
use crate::{Error, Result};

/// An FPGA.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// The name that users type.
    pub name: &'static str,
    /// What its maker calls it.
    pub device: &'static str,
    /// Its family.
    pub family: Family,
    /// Look-up tables.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Multipliers of the family's DSP block.
    pub dsp: u64,
    /// Block RAMs, in the unit of [`super::Resources::bram`].
    pub bram: u64,
    /// The data sheet that says so.
    pub source: &'static str,
}

/// The parts that are known. Units are those of [`super::Resources`]: a Xilinx RAMB36 counts as two block RAMs.
pub const PARTS: &[Part] = &[
    part("ecp5-25k", "Lattice LFE5U-25", Family::Ecp5, [24_288, 24_288, 28, 56], ECP5),
    part("ecp5-45k", "Lattice LFE5U-45", Family::Ecp5, [43_848, 43_848, 72, 108], ECP5),
    part("ecp5-85k", "Lattice LFE5U-85", Family::Ecp5, [83_640, 83_640, 156, 208], ECP5),
    part("up5k", "Lattice iCE40UP5K", Family::Ice40, [5_280, 5_280, 8, 30], "FPGA-DS-02008, table 1.1"),
    part("hx8k", "Lattice iCE40HX8K", Family::Ice40, [7_680, 7_680, 0, 32], "FPGA-DS-02029, table 1.1"),
    part("xc7a35t", "AMD XC7A35T", Family::Xc7, [20_800, 41_600, 90, 100], DS180),
    part("xc7a100t", "AMD XC7A100T", Family::Xc7, [63_400, 126_800, 240, 270], DS180),
    part("xc7z020", "AMD XC7Z020", Family::Xc7, [53_200, 106_400, 220, 280], "DS190, table 1"),
    part("xc7k325t", "AMD XC7K325T", Family::Xc7, [203_800, 407_600, 840, 890], DS180),
    part("zu9eg", "AMD XCZU9EG", Family::Xcup, [274_080, 548_160, 2_520, 1_824], "DS891, table 2"),
    part("gw2a-18", "Gowin GW2A-18", Family::Gowin, [20_736, 15_552, 48, 46], "DS102, table 1-1"),
];

const ECP5: &str = "FPGA-DS-02012, table 1.1";
const DS180: &str = "DS180, device tables";

const fn part(
    name: &'static str,
    device: &'static str,
    family: Family,
    [lut, ff, dsp, bram]: [u64; 4],
    source: &'static str,
) -> Part {
    Part { name, device, family, lut, ff, dsp, bram, source }
}

impl Part {
    /// The part called `name`.
    pub fn named(name: &str) -> Result<&'static Self> {
        let known = || PARTS.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
        let found = PARTS.iter().find(|p| p.name == name);
        found.ok_or_else(|| Error::usage("--fit", format!("no part {name}; known: {}", known())))
    }

    /// What it offers.
    pub fn budget(&self) -> Budget {
        let Self { lut, ff, dsp, bram, .. } = *self;
        Budget { lut: Some(lut), ff: Some(ff), dsp: Some(dsp), bram: Some(bram), ..Budget::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_known_by_name() {
        for part in PARTS {
            assert_eq!(Part::named(part.name).unwrap(), part);
        }
        let error = Part::named("spartan").unwrap_err().to_string();
        assert!(error.contains("no part spartan") && error.contains("ecp5-85k, up5k"), "{error}");
    }
}
