//! The bundle's README: registers and memory map.

use super::contents::Bundle;
use crate::isa::{COMMAND_BYTES, text};
use crate::schedule::{Excerpt, Region, Regions};

impl Bundle<'_> {
    pub(super) fn readme(&self, short: Option<&Excerpt>) -> String {
        let (schedule, config) = (self.schedule, &self.schedule.config);
        let Regions { model_bytes, window, .. } = schedule.regions();
        let region = |r: &Region| {
            let (area, address) = schedule.place(r);
            format!("| {} + 0x{address:08x} | {} | {} |\n", area.base(), r.bytes, r.name)
        };
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
`design.json` holds the configuration; the top is module `{top}`. All modules' names begin alike, so that another accelerator
fits into the same design.

## Check it

```sh
make verilator   # fast
make icarus      # independent of the first; {slow}
make driver      # the C driver on Verilator: self-test, faults that it must find, pictures in, logits out
make cocotb      # cocotb 2 and cocotbext-axi on Icarus, every channel of AXI4 held up at random; the same layers
make lint        # verilator -Wall
fusesoc --cores-root . run --target=lint vgg2rtl::{vlnv}   # also: sim (Icarus), verilator
```

Each bench loads `data/image.bin`, runs the network from start to interrupt, and fails unless every byte that the
accelerator may write equals `data/expected.bin`.{short} Its last line is its verdict, and the only line of this form:

```
PASS words=N cycles=N [layers=NAME,…]
FAIL reason
```

`words` are the integers of the golden model that were compared: codes of all layers and logits, of the driver's bench logits
alone; `cycles` is what the accelerator has counted; `layers` is there where not all of the network was run. `data/golden.safetensors` holds the same numbers as tensors: the input
codes, every layer's output codes, and the logits of {images} image(s).

`make` refuses files that are not as they were generated, by `SHA256SUMS`. After changes on purpose: `make seal`.

## Use it

1. Put the first 0x{model_bytes:x} bytes of `data/image.bin`, the model, into memory at any multiple of 4096, and the rest, the
   input, at another, with 0x{limit:x} bytes of memory for the data that begin with it.
2. Over AXI4-Lite (`s_axil_*`), write MODEL_BASE and DATA_BASE, these two addresses, and the limits that protect the rest of
   memory: READ_LIMIT = 0x{model_bytes:x}, WRITE_BASE = 0x{base:x}, WRITE_LIMIT = 0x{limit:x}.
3. Write CONTROL = 1, wait for `irq`, read STATUS: bits 15:8 must be 0.
4. The logits are in the last region: a word of the bus each, 64 bits, two's complement.

`driver/` does all that in C99 without allocation or an operating system: `vgg2rtl.h` says how, `network.h` holds what it must
know of this network. It takes pictures as bytes, of the network's input size. `vgg2rtl.py` is the same in Python, for PYNQ,
UIO and LiteX. On a new board `selftest.h`, or `selftest.py`, comes first: it needs no network of yours, and says what is wrong.

`litex/vgg2rtl_litex.py` adds the accelerator to a LiteX system on a chip; `litex/soc.py . --build FOLDER` simulates one, with a
processor, an SDRAM and firmware that classifies `data/pictures.bin`; `litex/board.py . --board NAME --build FOLDER` makes a
bitstream of the same with open tools. `component.xml` is its IP-XACT description; `vivado/` has a script each for PYNQ-Z2 and ZCU102.

Another input goes to region `input` in the same layout. Several data areas can share the model: with another DATA_BASE, a
start in a run is queued, and begins when that one ends.

`m_axi_*` is an AXI4 master with addresses of {address} bits: bursts of whole words within 4 KiB, one ID, answers in order.
`rst_n` is synchronous and active low.

## Synthesise it

`rtl/` is all that a tool needs; it names no vendor's primitive. yosys takes fewer look-up tables, up to half, when it
leaves the wide multiplexers of a slice alone, in `synth_xilinx` and `synth_gowin` too:

```sh
yosys -p 'read_verilog rtl/*.v; synth_ecp5 -nowidelut -top {top} -json accelerator.json'
```

## Registers

{registers}
{errors}
{outcomes}
## Memory

Addresses are bytes, from two bases. Bits are little-endian: element 0 in the lowest bits.

| address | bytes | region |
|---|---|---|
{regions}
{layouts}
`data/program.hex` shows the program; `data/bounds.hex` is a command with the first bit set that is beyond each field's bound
in this build. A command has these fields; words of 32 bits:

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
            top = self.top(),
            slow = if short.is_some() { "some layers, all with WHOLE=1" } else { "slow on large networks" },
            short = short.map_or(String::new(), short_run),
            address = config.address_bits,
            limit = window.end,
            base = window.start,
            registers = text::registers(),
            errors = text::errors(),
            outcomes = text::outcomes(),
            layouts = text::memory(number),
            command = text::command(),
        )
    }
}

/// What the slow benches run.
fn short_run(short: &Excerpt) -> String {
    let names: Vec<&str> = short.schedule.layers.iter().map(|layer| &layer.name[..]).collect();
    format!(
        " `make icarus` and `make cocotb` take `data/short.bin` and\n`data/short_expected.bin` instead: the first channels of {}, of convolutions the first rows, from the golden model's\ninputs. `WHOLE=1` runs the network.",
        names.join(", ")
    )
}
