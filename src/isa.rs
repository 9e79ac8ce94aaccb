//! What crosses the border between a host and the accelerator: layer commands, registers, error codes, memory regions,
//! the drivers' answers, and the latencies that a cycle model needs.
//!
//! One table each. From them come the structures here, hw's blocks ([`Layer`], [`kernel`], [`word`], [`bit`]), and the texts of
//! [`text`]: the reference for people and the constants of the benches in C++, Verilog and Python.

mod command;
mod identity;
mod register;
mod result;
pub mod text;
pub mod timing;

pub use command::{COMMAND_BYTES, COMMAND_WORDS, Command, FIELDS, Field, Kernel, Layer, kernel, opcode};
pub use identity::{ID, VERSION, identity};
pub use register::{Access, Bits, ERRORS, ErrorCode, REGISTERS, Register, address, bit, word};
pub use result::{OUTCOMES, Outcome};

/// A part of external memory that lies in one piece, at an address of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// From MODEL_BASE on; only read.
    Model,
    /// From DATA_BASE on; one for each run that is under way, queued or being prepared.
    Data,
}

impl Area {
    /// The register that says where it lies.
    pub fn base(self) -> &'static str {
        match self {
            Self::Model => "MODEL_BASE",
            Self::Data => "DATA_BASE",
        }
    }
}

/// A kind of region of external memory.
pub struct Region {
    /// What it holds.
    pub name: &'static str,
    /// The base of its addresses.
    pub area: Area,
    /// How, from the outermost index to the innermost; `{name}` stands for a number of the design point.
    pub layout: &'static str,
}

/// The regions of both areas, each in the order of its addresses.
pub const REGIONS: [Region; 5] = [
    Region {
        name: "program",
        area: Area::Model,
        layout: "at MODEL_BASE; {command} bytes a layer, then an end mark: a word 0xff",
    },
    Region {
        name: "weights",
        area: Area::Model,
        layout: "output tile of {cols} channels (padded to the bus) → reduction tile of {rows} → kernel position → \
                 digit → array row, last to first → column, {weight_bits} bits each",
    },
    Region {
        name: "parameters",
        area: Area::Model,
        layout: "output tile → column: bias ({acc_bits} bits), multiplier m (16), shift s (6), padded to words of \
                 64 bits",
    },
    Region {
        name: "feature map",
        area: Area::Data,
        layout: "image → block of {block} channels → row, padded to the bus → pixel → plane → channel, {act_bits} bits \
                 each; the input of a folded layer is one block of {fold_channels} channels, {code_bits} bits each, in one \
                 plane",
    },
    Region {
        name: "logits",
        area: Area::Data,
        layout: "image → class: 64 bits, two's complement, in a word of the bus each",
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
