//! The cells of each family, and what they take.

use super::{Family, Resources};
use std::collections::BTreeMap;

/// The command of yosys that synthesises for `family`, module by module, without pins. Where it knows wide multiplexers
/// of a slice it is told not to use them: with them it takes up to four times the look-up tables for a turned word.
pub fn synthesis(family: Family) -> &'static str {
    match family {
        Family::Ecp5 => "synth_ecp5 -noflatten -nowidelut",
        Family::Ice40 => "synth_ice40 -dsp -noflatten",
        Family::Xc7 => "synth_xilinx -family xc7 -nowidelut -noiopad -noclkbuf",
        Family::Xcup => "synth_xilinx -family xcup -nowidelut -noiopad -noclkbuf",
        Family::Gowin => "synth_gowin -noflatten -nowidelut -noiopads",
    }
}

/// Adds `times` times `more` to `total`.
pub fn add(total: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>, times: u64) {
    for (name, n) in more {
        *total.entry(name.clone()).or_default() += n * times;
    }
}

/// What `cells` take. Cells that are not known take nothing: wide multiplexers, inverters at pins, constants.
pub fn resources(family: Family, cells: &BTreeMap<String, u64>) -> Resources {
    let mut total = Resources::default();
    for (name, n) in cells {
        let one = cell(family, name);
        total.lut += n * one.lut;
        total.ff += n * one.ff;
        total.carry += n * one.carry;
        total.dsp += n * one.dsp;
        total.bram += n * one.bram;
    }
    total
}

/// What one cell takes. A carry cell of ECP5 and Gowin is made of look-up tables, those of iCE40 and Xilinx stand beside
/// theirs. Sources: the families' libraries in yosys (`cells_sim.v`), and the vendors' guides of their memories.
fn cell(family: Family, name: &str) -> Resources {
    let none = Resources::default();
    let lut = |lut| Resources { lut, ..none };
    let ff = Resources { ff: 1, ..none };
    let dsp = Resources { dsp: 1, ..none };
    let bram = |bram| Resources { bram, ..none };
    match family {
        Family::Ecp5 => match name {
            "LUT4" => lut(1),
            "TRELLIS_DPR16X4" => lut(4),
            "CCU2C" => Resources { lut: 2, carry: 1, ..none },
            "TRELLIS_FF" => ff,
            "MULT18X18D" | "MULT9X9D" => dsp,
            "DP16KD" | "PDPW16KD" => bram(1),
            _ => none,
        },
        Family::Ice40 => match name {
            "SB_LUT4" => lut(1),
            "SB_CARRY" => Resources { carry: 1, ..none },
            "SB_MAC16" => dsp,
            _ if name.starts_with("SB_DFF") => ff,
            _ if name.starts_with("SB_RAM40_4K") => bram(1),
            _ => none,
        },
        Family::Xc7 | Family::Xcup => match name {
            "LUT1" | "LUT2" | "LUT3" | "LUT4" | "LUT5" | "LUT6" => lut(1),
            "SRL16E" | "SRLC16E" | "SRLC32E" | "RAM32X1S" | "RAM64X1S" => lut(1),
            "RAM32X1D" | "RAM64X1D" | "RAM128X1S" => lut(2),
            "RAM32M" | "RAM64M" | "RAM128X1D" | "RAM256X1S" => lut(4),
            "RAM32M16" | "RAM64M8" | "RAM256X1D" | "RAM512X1S" => lut(8),
            "CARRY4" | "CARRY8" => Resources { carry: 1, ..none },
            "FDRE" | "FDSE" | "FDCE" | "FDPE" => ff,
            "DSP48E1" | "DSP48E2" => dsp,
            "RAMB18E1" | "RAMB18E2" => bram(1),
            "RAMB36E1" | "RAMB36E2" => bram(2),
            _ => none,
        },
        Family::Gowin => match name {
            "LUT1" | "LUT2" | "LUT3" | "LUT4" => lut(1),
            "RAM16S1" | "RAM16SDP1" => lut(1),
            "RAM16S2" | "RAM16SDP2" => lut(2),
            "RAM16S4" | "RAM16SDP4" => lut(4),
            "ALU" => Resources { lut: 1, carry: 1, ..none },
            "MULT9X9" | "MULT18X18" | "MULT36X36" => dsp,
            "SP" | "SPX9" | "SDP" | "SDPX9" | "SDPB" | "SDPX9B" | "DP" | "DPX9" | "DPB" | "DPX9B" => bram(1),
            _ if name.starts_with("DFF") => ff,
            _ => none,
        },
    }
}
