//! Which cells yosys takes for a memory.

use super::Family;

/// A kind of memory cell with one write and one read port.
struct Cell {
    /// Address bits at the narrowest width.
    address_bits: u32,
    /// Words of these bits, each half as many as at the width before.
    widths: &'static [usize],
    /// Bits that a write enable holds; 0: all of a word.
    byte: usize,
    /// Cost of a cell, and how much of it falls with the bits that are used.
    cost: f64,
    scaled: f64,
    /// Block RAMs, in the unit of [`super::Resources::bram`]; 0: look-up tables.
    blocks: u64,
}

/// The cells of a memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// Block RAMs, in the unit of [`super::Resources::bram`].
    pub blocks: u64,
    /// Cells of look-up tables.
    pub cells: usize,
    /// Rows of cells, whose outputs are multiplexed.
    pub rows: usize,
}

const fn lut(address_bits: u32, width: &'static [usize], cost: f64, scaled: f64) -> Cell {
    Cell { address_bits, widths: width, byte: 0, cost, scaled, blocks: 0 }
}

const fn block(address_bits: u32, widths: &'static [usize], byte: usize, cost: f64, blocks: u64) -> Cell {
    Cell { address_bits, widths, byte, cost, scaled: 0.0, blocks }
}

/// Widths of a block RAM of 16 Kibit with parity.
const NARROW: [usize; 6] = [1, 2, 4, 9, 18, 36];
/// Lattice's and Gowin's.
const EBR: Cell = block(14, &NARROW, 9, 128.0, 1);
const RAMB18: Cell = block(14, &NARROW, 9, 129.0, 1);
const RAMB36: Cell = block(15, &[1, 2, 4, 9, 18, 36, 72], 9, 257.0, 2);

const ECP5: &[Cell] = &[lut(4, &[4], 4.0, 0.0), EBR];
const GOWIN: &[Cell] = &[lut(4, &[4], 4.0, 4.0), EBR];
const ICE40: &[Cell] = &[block(11, &[2, 4, 8, 16], 1, 64.0, 1)];
const XC7: &[Cell] = &[
    lut(5, &[6], 8.0, 7.0),
    lut(6, &[3], 8.0, 7.0),
    lut(5, &[4], 8.0, 8.0),
    lut(6, &[2], 8.0, 8.0),
    lut(7, &[1], 8.0, 8.0),
    RAMB18,
    RAMB36,
];
const XCUP: &[Cell] = &[
    lut(5, &[14], 16.0, 16.0),
    lut(6, &[7], 16.0, 16.0),
    lut(5, &[8], 16.0, 16.0),
    lut(6, &[4], 16.0, 16.0),
    lut(7, &[2], 16.0, 16.0),
    lut(8, &[1], 16.0, 16.0),
    RAMB18,
    RAMB36,
];

/// The cells of each family as yosys 0.23 describes them in `lutrams*.txt` and `brams*.txt`.
fn cells(family: Family) -> &'static [Cell] {
    match family {
        Family::Ecp5 => ECP5,
        Family::Gowin => GOWIN,
        Family::Ice40 => ICE40,
        Family::Xc7 => XC7,
        Family::Xcup => XCUP,
    }
}

/// The cells of a memory of 2^`address_bits` words of `bits`: those that cost least, as in yosys' `memory_libmap`, which
/// counts half a cell for a bit of a multiplexer and for a row to decode. Nothing where flip-flops cost less.
pub fn memory(family: Family, address_bits: u32, bits: usize) -> Memory {
    let depth = 1usize << address_bits;
    let flip_flops = Memory { blocks: 0, cells: 0, rows: 1 };
    let mut best = ((bits * depth) as f64, flip_flops);
    for cell in cells(family) {
        for (narrowings, &width) in cell.widths.iter().enumerate() {
            let byte = if cell.byte == 0 { width } else { cell.byte.min(width) };
            let rows = depth.div_ceil(1 << (cell.address_bits - narrowings as u32));
            let cells = (rows * bits.next_multiple_of(byte)).div_ceil(width);
            let used = (rows * bits) as f64 / width as f64;
            let demux = if rows > 1 { rows } else { 0 };
            let cost = (cell.cost - cell.scaled) * cells as f64
                + cell.scaled * used
                + 0.5 * ((rows - 1) * bits + demux) as f64;
            if cost < best.0 {
                let in_logic = if cell.blocks == 0 { cells } else { 0 };
                best = (cost, Memory { blocks: cells as u64 * cell.blocks, cells: in_logic, rows });
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As yosys 0.23 mapped `rtl/ram.v` at these sizes.
    #[test]
    fn cells_are_those_that_yosys_took() {
        let cases = [
            (Family::Xc7, 5, 16, 0, 3),
            (Family::Xc7, 7, 20, 0, 14),
            (Family::Xc7, 7, 22, 1, 0),
            (Family::Xc7, 7, 40, 0, 28),
            (Family::Xc7, 9, 4, 0, 16),
            (Family::Xc7, 9, 5, 1, 0),
            (Family::Xc7, 11, 48, 6, 0),
            (Family::Xc7, 12, 10, 3, 0),
            (Family::Xc7, 12, 40, 10, 0),
            (Family::Ecp5, 5, 48, 0, 24),
            (Family::Ecp5, 7, 8, 0, 16),
            (Family::Ecp5, 7, 12, 1, 0),
            (Family::Ecp5, 12, 40, 10, 0),
            (Family::Ice40, 3, 6, 0, 0),
            (Family::Ice40, 10, 48, 12, 0),
            (Family::Gowin, 7, 8, 0, 16),
            (Family::Gowin, 8, 48, 2, 0),
            (Family::Xcup, 7, 20, 0, 6),
            (Family::Xcup, 7, 30, 1, 0),
            (Family::Xcup, 12, 10, 3, 0),
        ];
        for (family, address_bits, bits, blocks, cells) in cases {
            let found = memory(family, address_bits, bits);
            assert_eq!((found.blocks, found.cells), (blocks, cells), "{family:?} {address_bits} {bits}");
        }
    }
}
