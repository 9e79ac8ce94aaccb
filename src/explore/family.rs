//! The FPGA families that areas are known for.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// An FPGA family, as a synthesis target of yosys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Lattice ECP5.
    Ecp5,
    /// Lattice iCE40 (UltraPlus: with DSPs).
    Ice40,
    /// Xilinx 7 series.
    Xc7,
    /// Xilinx UltraScale+.
    Xcup,
    /// Gowin LittleBee and Arora.
    Gowin,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 5] = [Self::Ecp5, Self::Ice40, Self::Xc7, Self::Xcup, Self::Gowin];

    /// The name that users type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ecp5 => "ecp5",
            Self::Ice40 => "ice40",
            Self::Xc7 => "xc7",
            Self::Xcup => "xcup",
            Self::Gowin => "gowin",
        }
    }

    /// Bits of the wider operand of its signed multiplier: SB_MAC16, MULT18X18D, MULT18X18, DSP48E1, DSP48E2.
    pub fn multiplier_bits(self) -> u32 {
        match self {
            Self::Ice40 => 16,
            Self::Ecp5 | Self::Gowin => 18,
            Self::Xc7 => 25,
            Self::Xcup => 27,
        }
    }

    /// Inputs of its look-up tables, as yosys is told to count them: without the multiplexers that join them to wider ones.
    pub fn lut_inputs(self) -> u32 {
        match self {
            Self::Ecp5 | Self::Ice40 | Self::Gowin => 4,
            Self::Xc7 | Self::Xcup => 6,
        }
    }

    /// The family called `name`.
    pub fn named(name: &str) -> Result<Self> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|f| f.name() == name);
        found.ok_or_else(|| Error::usage("--family", format!("no family {name}; known: {}", known())))
    }
}
