//! The bundle's README: registers and memory map.

use super::Bundle;
use crate::isa::{COMMAND_BYTES, text};

impl Bundle<'_> {
    pub(super) fn readme(&self) -> String {
        let (schedule, config) = (self.schedule, &self.schedule.config);
        let window = schedule.write_window();
        let region =
            |r: &crate::schedule::Region| format!("| 0x{:08x} | {} | {} |\n", r.base, r.bytes, r.name);
        let regions: String = schedule.memory.regions.iter().map(region).collect();
        let number = |name: &str| {
            match name {
                "command" => COMMAND_BYTES,
                "rows" => config.rows,
                "cols" => config.cols,
                "block" => config.block(),
                "fold_channels" => config.fold_channels,
                "weight_bits" => config.weight_bits as usize,
                "act_bits" => config.act_bits as usize,
                "code_bits" => config.code_bits() as usize,
                _ => config.acc_bits as usize,
            }
            .to_string()
        };
        format!(
            "# {model} on a {rows}×{cols} systolic array

Verilog-2005 of an accelerator, a network for it, and benches that check it. Nothing here needs vgg2rtl.

Weights have {w} bits, activations {a}, accumulators {acc}; the bus has {bus} bits; {kbit} kbit of memory on chip.
`design.json` holds the configuration; the top is module `accelerator`.

## Check it

```sh
make verilator   # fast
make icarus      # independent of the first; slow on large networks
make cocotb      # cocotb 2 and cocotbext-axi on Icarus
make lint        # verilator -Wall
fusesoc --cores-root . run --target=lint vgg2rtl::{vlnv}   # also: sim (Icarus), verilator
```

Each bench loads `data/image.bin`, runs the network from start to interrupt, and fails unless every byte that the
accelerator may write equals `data/expected.bin`. `data/golden.safetensors` holds the same numbers as tensors: the input
codes, every layer's output codes, and the logits of {images} image(s).

`make` refuses files that are not as they were generated, by `SHA256SUMS`. After changes on purpose: `make seal`.

## Use it

1. Put `data/image.bin` into memory at address 0: program, weights, parameters, input.
2. Over AXI4-Lite (`s_axil_*`), write READ_LIMIT = 0x{limit:x}, WRITE_BASE = 0x{base:x}, WRITE_LIMIT = 0x{limit:x}.
3. Write CONTROL = 1, wait for `irq`, read STATUS: bits 15:8 must be 0.
4. The logits are in the last region: a word of the bus each, 64 bits, two's complement.

Another input goes to region `input` in the same layout. `m_axi_*` is an AXI4 master: bursts of whole words within
4 KiB, one ID, answers in order. `rst_n` is synchronous and active low.

## Synthesise it

`rtl/` is all that a tool needs; it names no vendor's primitive. yosys takes fewer look-up tables, up to half, when it
leaves the wide multiplexers of a slice alone, in `synth_xilinx` and `synth_gowin` too:

```sh
yosys -p 'read_verilog rtl/*.v; synth_ecp5 -nowidelut -top accelerator -json accelerator.json'
```

## Registers

{registers}
{errors}
## Memory

Addresses are bytes. Bits are little-endian: element 0 in the lowest bits.

| address | bytes | region |
|---|---|---|
{regions}
{layouts}
`data/program.hex` shows the program. A command has these fields; words of 32 bits:

{command}",
            model = self.model.header.name,
            rows = config.rows,
            cols = config.cols,
            w = config.weight_bits,
            a = config.act_bits,
            acc = config.acc_bits,
            bus = config.bus_bits,
            kbit = config.memory_bits() / 1000,
            vlnv = super::core_file::vlnv(&self.model.header.name),
            images = schedule.images,
            limit = window.end,
            base = window.start,
            registers = text::registers(),
            errors = text::errors(),
            layouts = text::memory(number),
            command = text::command(),
        )
    }
}
