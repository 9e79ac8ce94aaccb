//! What the host sees of the accelerator: its registers and its error codes.

/// The registers: address, name, meaning.
pub const REGISTERS: [(u8, &str, &str); 21] = [
    (0x00, "CONTROL", "write 1: start; write 2: clear the interrupt"),
    (
        0x04,
        "STATUS",
        "bit 0 busy, bit 1 done, bit 2 a start came while busy; bits 15:8 error code; bits 31:16 commands done",
    ),
    (0x08, "READ_LIMIT", "first byte that may not be read; 0 after reset"),
    (0x0c, "WRITE_BASE", "first byte that may be written"),
    (0x10, "WRITE_LIMIT", "first byte after those that may be written"),
    (0x14, "IRQ_ENABLE", "bit 0: `irq` follows done; 1 after reset"),
    (0x18, "ERROR_COMMAND", "number of the command that failed"),
    (0x20, "CYCLES_LO", "cycles busy, low word"),
    (0x24, "CYCLES_HI", "cycles busy, high word"),
    (0x28, "WEIGHT_BEATS", "words of the bus read for weights and parameters"),
    (0x2c, "ACT_BEATS", "words of the bus read for activations"),
    (0x30, "WRITE_BEATS", "words of the bus written"),
    (0x34, "ARRAY_CYCLES", "cycles in which the array computes"),
    (0x40, "ID", "0x56473252"),
    (0x44, "VERSION", "1"),
    (0x48, "ARRAY", "rows, columns in bits 31:16"),
    (0x4c, "WIDTHS", "bits of a weight, of an activation in bits 15:8, of an accumulator in bits 31:16"),
    (0x50, "DEPTHS", "words of an activation lane less one, of a weight lane less one in bits 31:16"),
    (0x54, "DRAIN", "positions of an accumulator bank less one, requantizers in bits 31:16"),
    (0x58, "BUS", "bits of the bus, channels that fold in bits 23:16, bit 24: requantizes by powers of two"),
    (0x5c, "FOLD_WIDTH", "longest row that folds"),
];

/// What the error codes of STATUS mean, from code 1.
pub const ERRORS: [&str; 8] = [
    "unknown opcode",
    "a field of the command cannot work",
    "memory answered a read with an error",
    "memory answered a write with an error",
    "a read beyond READ_LIMIT",
    "a write outside WRITE_BASE … WRITE_LIMIT",
    "no progress",
    "the program has no end mark",
];

/// Addresses of the registers that a host needs.
pub mod register {
    /// Start and clear.
    pub const CONTROL: usize = 0x00;
    /// Busy, done, error code, commands completed.
    pub const STATUS: usize = 0x04;
    /// End of the memory that may be read.
    pub const READ_LIMIT: usize = 0x08;
    /// First byte that may be written.
    pub const WRITE_BASE: usize = 0x0c;
    /// End of what may be written.
    pub const WRITE_LIMIT: usize = 0x10;
    /// Command that an error belongs to.
    pub const ERROR_COMMAND: usize = 0x18;
    /// Words read for weights, words read for activations, words written.
    pub const TRAFFIC: [usize; 3] = [0x28, 0x2c, 0x30];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_and_the_constants_name_the_same_registers() {
        let text = include_str!("../../docs/accelerator.md");
        for (address, name, _) in REGISTERS {
            let name = name.trim_end_matches("_LO").trim_end_matches("_HI");
            assert!(text.contains(name), "{name} at {address:#04x}");
        }
        let named = |name: &str| REGISTERS.iter().find(|r| r.1 == name).map(|r| r.0 as usize);
        let constants = [
            ("CONTROL", register::CONTROL),
            ("STATUS", register::STATUS),
            ("READ_LIMIT", register::READ_LIMIT),
            ("WRITE_BASE", register::WRITE_BASE),
            ("WRITE_LIMIT", register::WRITE_LIMIT),
            ("ERROR_COMMAND", register::ERROR_COMMAND),
            ("WEIGHT_BEATS", register::TRAFFIC[0]),
            ("ACT_BEATS", register::TRAFFIC[1]),
            ("WRITE_BEATS", register::TRAFFIC[2]),
        ];
        for (name, address) in constants {
            assert_eq!(named(name), Some(address), "{name}");
        }
    }
}
