//! What a design takes of a part.

use serde::{Deserialize, Serialize};

/// Resources of a design, or of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Look-up tables: of 4 inputs on ECP5, iCE40 and Gowin, of up to 6 on Xilinx; those of carry cells and LUT RAM
    /// are counted.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Carry cells.
    pub carry: u64,
    /// Multipliers of the family's DSP block (18×18 on ECP5 and Gowin, 16×16 on iCE40, DSP48 on Xilinx).
    pub dsp: u64,
    /// Block RAMs in the family's unit (18 Kib on ECP5, Gowin and Xilinx: a RAMB36 is two; 4 Kib on iCE40).
    pub bram: u64,
}
