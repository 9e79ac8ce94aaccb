//! The registers that say what an accelerator is: their values for a design point.

use super::register::{Bits, address, bit};
use crate::config::{ArrayConfig, Requantize};

/// What ID reads: "VGR2".
pub const ID: u32 = 0x5647_5232;
/// What VERSION reads.
pub const VERSION: u32 = 2;

/// Address and value of each register that tells a design point from others.
pub fn identity(config: &ArrayConfig) -> [(usize, u32); 8] {
    let parts = |parts: &[(Bits, usize)]| parts.iter().map(|(bits, value)| bits.put(*value as u32)).sum();
    [
        (address::ID, ID),
        (address::VERSION, VERSION),
        (address::ARRAY, parts(&[(bit::ROWS, config.rows), (bit::COLS, config.cols)])),
        (
            address::WIDTHS,
            parts(&[
                (bit::WEIGHT_BITS, config.weight_bits as usize),
                (bit::ACT_BITS, config.act_bits as usize),
                (bit::ACC_BITS, config.acc_bits as usize),
            ]),
        ),
        (
            address::DEPTHS,
            parts(&[(bit::ACT_DEPTH, config.act_depth - 1), (bit::WEIGHT_DEPTH, config.weight_depth - 1)]),
        ),
        (
            address::DRAIN,
            parts(&[(bit::ACC_DEPTH, config.acc_depth - 1), (bit::REQUANTIZERS, config.requantizers)]),
        ),
        (
            address::BUS,
            parts(&[
                (bit::BUS_BITS, config.bus_bits),
                (bit::FOLD_CHANNELS, config.fold_channels),
                (bit::POW2, (config.requantize == Requantize::Pow2) as usize),
                (bit::ADDRESS_BITS, config.address_bits as usize),
            ]),
        ),
        (address::FOLD_WIDTH, config.fold_width as u32),
    ]
}
