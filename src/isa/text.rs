//! The tables as text: the reference for people, and constants for benches in other languages.

use super::{COMMAND_BYTES, COMMAND_WORDS, ERRORS, FIELDS, OUTCOMES, Outcome, REGIONS, REGISTERS, Register};

/// Generated files of this repository: path and text. `tests/rtl.rs` keeps them as they are here.
pub fn files() -> [(&'static str, String); 5] {
    [
        ("docs/isa.md", reference()),
        ("sim/isa.h", cpp()),
        ("testbenches/isa.vh", verilog()),
        ("testbenches/isa.py", python()),
        ("testbenches/driver/registers.h", c()),
    ]
}

/// Where the texts come from.
const SOURCE: &str = "Generated from src/isa; `VGG2RTL_REFRESH=1 cargo test --test rtl` writes it anew.";

fn reference() -> String {
    let symbol = |name: &str| match name {
        "command" => COMMAND_BYTES.to_string(),
        other => format!("`{other}`"),
    };
    format!(
        "# What a host needs to know\n\n<!-- {SOURCE} -->\n\n\
         A host writes a model and an input to memory, sets up the registers, starts, and waits for the interrupt.\n\
         [accelerator.md](accelerator.md) says how the accelerator works.\n\n\
         ## Registers\n\nAXI4-Lite, 32 bits. Unmapped addresses read 0. A register takes a write only with all four \
         strobes.\n\n{}\n\
         ## Errors\n\n{}\n\
         ## Answers of the drivers\n\n{}\n\
         ## Memory\n\nAddresses are bytes, from one of two bases; both, and every region, lie on 4 KiB. Bits are little-endian: \
         element 0 in the lowest bits.\n\n{}\n\
         ## Layer command\n\n{COMMAND_WORDS} words of 32 bits, little-endian; what is not listed is 0.\n\n{}",
        registers(),
        errors(),
        outcomes(),
        memory(symbol),
        command(),
    )
}

/// A documentation comment as one line.
fn line(doc: &str) -> &str {
    doc.trim().trim_end_matches('.')
}

/// The parts of a register as a sentence: `bit 0 BUSY: …; bits 15:8 ERROR: …`.
fn parts(register: &Register) -> String {
    let part = |b: &super::Bits| {
        let place = match b.count {
            1 => format!("bit {}", b.low),
            n => format!("bits {}:{}", b.low + n - 1, b.low),
        };
        format!("{place} {}: {}", b.name, line(b.doc))
    };
    register.bits.iter().map(part).collect::<Vec<_>>().join("; ")
}

/// The registers as a Markdown table.
pub fn registers() -> String {
    let row = |r: &Register| {
        let parts = Some(parts(r)).filter(|p| !p.is_empty()).map(|p| format!(" ({p})")).unwrap_or_default();
        format!("| 0x{:02x} | {} | {:?} | {}{parts} |\n", r.address, r.name, r.access, line(r.doc))
    };
    format!(
        "| address | name | access | meaning |\n|---|---|---|---|\n{}",
        REGISTERS.iter().map(row).collect::<String>()
    )
}

/// The error codes as a Markdown table.
pub fn errors() -> String {
    let row = |(code, _, cause): &(super::ErrorCode, &str, &str)| {
        format!("| {} | {} |\n", *code as u32, line(cause))
    };
    format!("| error | cause |\n|---|---|\n{}", ERRORS.iter().map(row).collect::<String>())
}

/// The drivers' answers as a Markdown table.
pub fn outcomes() -> String {
    let row = |o: &Outcome| format!("| `VGG2RTL_{}` | {} | {} |\n", o.name, o.text, o.look);
    format!("| answer | meaning | look at |\n|---|---|---|\n{}", OUTCOMES.iter().map(row).collect::<String>())
}

/// The regions of memory as a Markdown table; `value` gives the numbers of a design point by name.
pub fn memory(value: impl Fn(&str) -> String) -> String {
    let row = |r: &super::Region| {
        let mut layout = String::new();
        for (i, part) in r.layout.split(['{', '}']).enumerate() {
            layout += &if i % 2 == 0 { part.to_string() } else { value(part) };
        }
        format!("| {} | {} | {layout} |\n", r.name, r.area.base())
    };
    format!("| region | base | layout |\n|---|---|---|\n{}", REGIONS.iter().map(row).collect::<String>())
}

/// The fields of a layer command as a Markdown table.
pub fn command() -> String {
    let row = |f: &super::Field| {
        let bits = if f.bits == 1 { f.low.to_string() } else { format!("{}:{}", f.low + f.bits - 1, f.low) };
        format!("| {} | {bits} | `{}` | {} |\n", f.word, f.name, line(f.doc))
    };
    format!(
        "| word | bits | field | meaning |\n|---|---|---|---|\n{}",
        FIELDS.iter().map(row).collect::<String>()
    )
}

/// Registers, and parts of registers by `REGISTER_PART`, in the words of a language.
fn constants(register: impl Fn(&str, usize) -> String, part: impl Fn(&str, u32, u32) -> String) -> String {
    let addresses = REGISTERS.iter().map(|r| register(r.name, r.address));
    let parts = REGISTERS.iter().flat_map(|r| r.bits.iter().map(move |b| (r, b)));
    addresses.chain(parts.map(|(r, b)| part(&format!("{}_{}", r.name, b.name), b.low, b.count))).collect()
}

/// `ReadAddress` as `READ_ADDRESS`.
fn screaming(camel: &str) -> String {
    let letter = |(i, c): (usize, char)| {
        let gap = if i > 0 && c.is_uppercase() { "_" } else { "" };
        format!("{gap}{}", c.to_ascii_uppercase())
    };
    camel.chars().enumerate().map(letter).collect()
}

fn cpp() -> String {
    format!(
        "// Registers and sizes of the accelerator. {SOURCE}\n#pragma once\n#include <cstdint>\n\n\
         constexpr uint32_t COMMAND_BYTES = {COMMAND_BYTES};\n\n\
         // A part of a register.\nstruct Bits {{\n    unsigned low, count;\n    \
         constexpr uint32_t of(uint32_t value) const {{ return value >> low & ((1u << count) - 1); }}\n    \
         constexpr uint32_t put(uint32_t value) const {{ return value << low; }}\n}};\n\n{}",
        constants(
            |name, address| format!("constexpr uint32_t REG_{name} = 0x{address:02x};\n"),
            |name, low, count| format!("constexpr Bits {name} = {{{low}, {count}}};\n"),
        )
    )
}

fn c() -> String {
    let most = ERRORS.iter().map(|e| e.0 as u32).max().unwrap_or(0);
    let text = |code| super::ErrorCode::new(code).map_or("no error", super::ErrorCode::name);
    format!(
        "/* Registers of the accelerator. {SOURCE} */\n#ifndef VGG2RTL_REGISTERS_H\n#define VGG2RTL_REGISTERS_H\n\n{}{}\n\
         /* Answers of the driver. */\nenum vgg2rtl_result {{\n{}}};\n\n\
         /* By code. */\n#define VGG2RTL_RESULT_TEXTS \\\n    {{{}}}\n#define VGG2RTL_ERROR_TEXTS \\\n    {{{}}}\n\n#endif\n",
        constants(
            |name, address| format!("#define VGG2RTL_REG_{name} 0x{address:02x}u\n"),
            |name, low, count| format!(
                "#define VGG2RTL_{name}_LOW {low}\n#define VGG2RTL_{name}_BITS {count}\n"
            ),
        ),
        errors_as(|name, code| format!("#define VGG2RTL_ERROR_{name} {code}u\n")),
        OUTCOMES.iter().map(|o| format!("    VGG2RTL_{}, /* {} */\n", o.name, o.text)).collect::<String>(),
        quoted(OUTCOMES.iter().map(|o| o.text)),
        quoted((0..=most).map(text)),
    )
}

/// Error codes, name and number, in the words of a language.
fn errors_as(constant: impl Fn(&str, u32) -> String) -> String {
    ERRORS.iter().map(|e| constant(&screaming(&format!("{:?}", e.0)), e.0 as u32)).collect()
}

/// Strings of C, one a line of a macro.
fn quoted<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    texts.map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", \\\n     ")
}

fn verilog() -> String {
    format!(
        "// Registers, errors and commands of the accelerator. {SOURCE}\n\
         localparam COMMAND_BYTES = {COMMAND_BYTES};\n{}{}{}",
        constants(
            |name, address| format!("localparam REG_{name} = 8'h{address:02x};\n"),
            |name, low, count| format!("localparam {name}_LOW = {low}, {name}_BITS = {count};\n"),
        ),
        errors_as(|name, code| format!("localparam ERROR_{name} = {code};\n")),
        FIELDS
            .iter()
            .map(|f| {
                let (name, at) = (f.name.to_uppercase(), 32 * f.word as u32 + f.low);
                format!("localparam FIELD_{name}_AT = {at}, FIELD_{name}_BITS = {};\n", f.bits)
            })
            .collect::<String>(),
    )
}

fn python() -> String {
    format!(
        "\"\"\"Registers and sizes of the accelerator. {SOURCE}\"\"\"\n\nCOMMAND_BYTES = {COMMAND_BYTES}\n\n\n\
         def part(value, bits):\n    \"\"\"What a register's value holds in bits = (low, count).\"\"\"\n    \
         return value >> bits[0] & (1 << bits[1]) - 1\n\n\n{}ERRORS = {{\n{}}}\n\
         {}\n# Answers of the driver.\nOUTCOMES = {{\n{}}}\n",
        constants(
            |name, address| format!("REG_{name} = 0x{address:02X}\n"),
            |name, low, count| format!("{name} = ({low}, {count})\n"),
        ),
        ERRORS.iter().map(|e| format!("    {}: \"{}\",\n", e.0 as u32, e.0.name())).collect::<String>(),
        errors_as(|name, code| format!("ERROR_{name} = {code}\n")),
        OUTCOMES.iter().map(|o| format!("    \"{}\": \"{}\",\n", o.name, o.text)).collect::<String>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: a line of each text.
    #[test]
    fn lines_of_the_texts() {
        let lines = [
            (
                registers(),
                "| 0x04 | STATUS | R | State of the run (bit 0 BUSY: A run is under way, or queued; bit 1 DONE:",
            ),
            (errors(), "| 7 | 2²⁰ cycles without a beat on the bus or a position in the array |"),
            (command(), "| 0 | 15:8 | `kernel` | How the kernel reaches the array; 0: convolution,"),
            (command(), "| 24 | 31:0 | `weight_rows` |"),
            (
                memory(|name| format!("<{name}>")),
                "channel, <act_bits> bits each; the input of a folded layer",
            ),
            (cpp(), "constexpr uint32_t REG_WRITE_LIMIT = 0x10;\n"),
            (cpp(), "constexpr Bits STATUS_ERROR = {8, 8};\n"),
            (verilog(), "localparam STATUS_ERROR_LOW = 8, STATUS_ERROR_BITS = 8;\n"),
            (verilog(), "localparam ERROR_READ_ADDRESS = 5;\n"),
            (verilog(), "localparam FIELD_KERNEL_AT = 8, FIELD_KERNEL_BITS = 8;\n"),
            (python(), "STATUS_ERROR = (8, 8)\n"),
            (python(), "    \"NO_END\": \"the run does not end\",\n"),
            (c(), "    VGG2RTL_NO_END, /* the run does not end */\n"),
            (outcomes(), "| `VGG2RTL_MISALIGNED` | an address is not a multiple of 4096 | the address |"),
        ];
        for (text, line) in lines {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
