//! What the numbers of a design point may be, each by itself.

use std::ops::RangeInclusive;

/// Digits of a weight, planes of an activation.
pub const DIGITS: RangeInclusive<usize> = 1..=9;

/// Words of the bus that a read stream or the write port holds: four bursts.
pub const STREAM_WORDS: usize = 64;

/// Rows of an array: sums of one accumulator are at least three cycles apart.
pub const ROWS: RangeInclusive<usize> = 3..=64;
/// Columns of an array.
pub const COLS: RangeInclusive<usize> = 2..=64;
/// Most bits of an accumulator.
pub const MOST_ACC_BITS: u32 = 48;
/// Words of lanes, positions of accumulator banks.
pub const DEPTHS: RangeInclusive<usize> = 16..=1 << 16;
/// Bits of an address of external memory.
pub const ADDRESS_BITS: RangeInclusive<usize> = 32..=64;
/// Bits of the AXI IDs.
pub const ID_BITS: RangeInclusive<usize> = 1..=16;
/// Values of AxCACHE.
pub const AXI_CACHES: RangeInclusive<usize> = 0..=15;
/// A base of external memory, and every region, lies on a multiple of so many bytes.
pub const PAGE: usize = 1 << PAGE_BITS;
/// Bits of an address below [`PAGE`].
pub const PAGE_BITS: u32 = 12;
/// Channels of folded first layers.
pub const FOLD_CHANNELS: RangeInclusive<usize> = 0..=4;
/// Columns that share a multiplier.
pub const PACK: RangeInclusive<usize> = 1..=4;
/// Bits of the wider operand of a signed multiplier, by family: iCE40; ECP5 and Gowin; Xilinx 7 series; UltraScale+.
pub const MULTIPLIER_BITS: [u32; 4] = [16, 18, 25, 27];
/// Longest rows of folded first layers.
pub const FOLD_WIDTHS: RangeInclusive<usize> = 4..=1 << 12;
