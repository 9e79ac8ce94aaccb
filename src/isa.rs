//! What crosses the border between a host and the accelerator: layer commands, registers, error codes, memory regions,
//! and the latencies that a cycle model needs.
//!
//! One table each. From them come the structures here, hw's blocks ([`Layer`], [`kernel`], [`word`], [`bit`]), and the texts of
//! [`text`]: the reference for people and the constants of the benches in C++, Verilog and Python.

mod command;
mod register;
pub mod text;
pub mod timing;

pub use command::{COMMAND_BYTES, COMMAND_WORDS, Command, FIELDS, Field, Kernel, Layer, kernel, opcode};
pub use register::{Access, Bits, ERRORS, ErrorCode, REGISTERS, Register, address, bit, word};

/// A kind of region of external memory.
pub struct Region {
    /// What it holds.
    pub name: &'static str,
    /// How, from the outermost index to the innermost; `{name}` stands for a number of the design point.
    pub layout: &'static str,
}

/// The regions in the order of their addresses: first what the host writes, then what the accelerator writes.
pub const REGIONS: [Region; 5] = [
    Region {
        name: "program",
        layout: "at address 0; {command} bytes a layer, then an end mark: a word 0xff",
    },
    Region {
        name: "weights",
        layout: "output tile of {cols} channels (padded to the bus) → reduction tile of {rows} → kernel position → \
                 digit → array row, last to first → column, {weight_bits} bits each",
    },
    Region {
        name: "parameters",
        layout: "output tile → column: bias ({acc_bits} bits), multiplier m (16), shift s (6), padded to words of \
                 64 bits",
    },
    Region {
        name: "feature map",
        layout: "image → block of {block} channels → row, padded to the bus → pixel → plane → channel, {act_bits} bits \
                 each; the input of a folded layer is one block of {fold_channels} channels, {code_bits} bits each, in one \
                 plane",
    },
    Region {
        name: "logits", layout: "image → class: 64 bits, two's complement, in a word of the bus each"
    },
];

/// A constant that a kernel names by its path here, `word::STATUS` say: its Verilog name, bits and value.
pub fn constant(path: &str) -> Option<(String, usize, i64)> {
    let parts: Vec<&str> = path.split("::").collect();
    Some(match parts[..] {
        ["word", name] => {
            let register = REGISTERS.iter().find(|r| r.name == name)?;
            (format!("REG_{name}"), 6, register.address as i64 / 4)
        }
        ["bit", name, "low"] => {
            let bits = REGISTERS.iter().flat_map(|r| r.bits).find(|b| b.name == name)?;
            (format!("{name}_LOW"), 5, bits.low.into())
        }
        ["kernel", "CONV"] => ("KERNEL_CONV".into(), 2, kernel::CONV),
        ["kernel", "FOLDED"] => ("KERNEL_FOLDED".into(), 2, kernel::FOLDED),
        ["kernel", "DENSE"] => ("KERNEL_DENSE".into(), 2, kernel::DENSE),
        ["opcode", "LAYER"] => ("OPCODE_LAYER".into(), 8, opcode::LAYER),
        ["opcode", "END"] => ("OPCODE_END".into(), 8, opcode::END),
        _ => return None,
    })
}
