//! The FuseSoC description (CAPI 2): targets lint, sim (Icarus) and verilator.

use super::contents::Bundle;

impl Bundle<'_> {
    pub(super) fn core_file(&self) -> String {
        let numbers = self.numbers();
        let number = |name: &str| numbers.iter().find(|n| n.0 == name).map_or(0, |n| n.1);
        let files: String = self.modules.iter().map(|m| format!("      - {}\n", self.rtl(m))).collect();
        let names: Vec<&str> = numbers.iter().map(|n| n.0).collect();
        let parameter = |(name, value): &(&str, u64)| {
            format!("  {name}: {{datatype: int, paramtype: vlogparam, default: {value}}}\n")
        };
        let parameters: String = numbers.iter().map(parameter).collect();
        let arguments = [
            ("image", "data/image.bin".to_string()),
            ("expected", "data/expected.bin".to_string()),
            ("model-bytes", number("MODEL_BYTES").to_string()),
            ("write-base", number("WRITE_BASE").to_string()),
            ("write-limit", number("WRITE_LIMIT").to_string()),
            ("weights-at", number("WEIGHTS_AT").to_string()),
            ("max-cycles", number("MAX_CYCLES").to_string()),
            ("words", number("WORDS").to_string()),
        ];
        let arguments = arguments.map(|(name, value)| format!("--{name}, \"{value}\"")).join(", ");
        format!(
            "CAPI=2:

name: vgg2rtl::{name}:{version}
description: Systolic array that runs {model}

filesets:
  rtl:
    file_type: verilogSource-2005
    files:
{files}  data:
    file_type: user
    files:
      - data/image.bin: {{copyto: data/image.bin}}
      - data/expected.bin: {{copyto: data/expected.bin}}
  icarus:
    file_type: verilogSource-2005
    files:
      - sim/tb.v
      - sim/isa.vh: {{is_include_file: true}}
  verilator:
    file_type: cppSource
    files:
      - sim/axi_memory.h: {{is_include_file: true}}
      - sim/device.h: {{is_include_file: true}}
      - sim/isa.h: {{is_include_file: true}}
      - sim/main.cpp

parameters:
{parameters}
targets:
  default:
    filesets: [rtl]
    toplevel: {top}
  lint:
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
    filesets: [rtl]
    toplevel: {top}
  sim:
    flow: sim
    flow_options:
      tool: icarus
      iverilog_options: [-g2005, -DACCELERATOR={top}]
    filesets: [rtl, icarus, data]
    parameters: [{names}]
    toplevel: tb
  verilator:
    flow: sim
    flow_options:
      tool: verilator
      mode: cc
      verilator_options: [-O3, --x-assign, fast, --x-initial, fast, --noassert, -CFLAGS, -DBUS_BITS={bus}, -CFLAGS, -DVERILATED_TOP=V{top}]
      run_options: [{arguments}]
    filesets: [rtl, verilator, data]
    toplevel: {top}
",
            name = vlnv(&self.model.header.name),
            version = env!("CARGO_PKG_VERSION"),
            model = vlnv(&self.model.header.name),
            names = names.join(", "),
            bus = number("BUS_BITS"),
            top = self.top(),
        )
    }
}

/// `name` in the characters that FuseSoC allows.
pub fn vlnv(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if name.is_empty() { "network".into() } else { name }
}
