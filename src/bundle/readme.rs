//! The bundle's README: registers and memory map.

use super::Bundle;

/// Registers: offset, name, meaning.
const REGISTERS: [(u8, &str, &str); 21] = [
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

/// Error codes, from 1.
const ERRORS: [&str; 8] = [
    "unknown opcode",
    "a field of the command cannot work",
    "memory answered a read with an error",
    "memory answered a write with an error",
    "a read beyond READ_LIMIT",
    "a write outside WRITE_BASE … WRITE_LIMIT",
    "no progress",
    "the program has no end mark",
];

impl Bundle<'_> {
    pub(super) fn readme(&self) -> String {
        let (schedule, config) = (self.schedule, &self.schedule.config);
        let window = schedule.write_window();
        let registers =
            REGISTERS.map(|(at, name, what)| format!("| 0x{at:02x} | {name} | {what} |\n")).concat();
        let errors =
            (1..).zip(ERRORS).map(|(code, what)| format!("| {code} | {what} |\n")).collect::<String>();
        let region =
            |r: &crate::schedule::Region| format!("| 0x{:08x} | {} | {} |\n", r.base, r.bytes, r.name);
        let regions: String = schedule.memory.regions.iter().map(region).collect();
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

## Use it

1. Put `data/image.bin` into memory at address 0: program, weights, parameters, input.
2. Over AXI4-Lite (`s_axil_*`), write READ_LIMIT = 0x{limit:x}, WRITE_BASE = 0x{base:x}, WRITE_LIMIT = 0x{limit:x}.
3. Write CONTROL = 1, wait for `irq`, read STATUS: bits 15:8 must be 0.
4. The logits are in the last region: a word of the bus each, 64 bits, two's complement.

Another input goes to region `input` in the same layout. `m_axi_*` is an AXI4 master: bursts of whole words within
4 KiB, one ID, answers in order. `rst_n` is synchronous and active low.

## Registers

| offset | name | meaning |
|---|---|---|
{registers}
| error | meaning |
|---|---|
{errors}
## Memory

Addresses are bytes. Bits are little-endian: element 0 in the lowest bits.

| address | bytes | region |
|---|---|---|
{regions}
* **program**: 32 words of 32 bits a layer, then an end mark; `data/program.hex` shows it.
* **feature maps**: image → block of {block} channels → row, padded to the bus → pixel → channel, {a} bits each. The first
  layer's input is one block of {fold} channels where it folds.
* **weights**: output tile of {cols} channels → reduction tile of {rows} → kernel position → array row, last to first →
  column, {w} bits each.
* **params**: output tile → column: bias ({acc} bits), multiplier m (16), shift s (6), padded to 64-bit words.
",
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
            block = config.block(),
            fold = config.fold_channels,
        )
    }
}
