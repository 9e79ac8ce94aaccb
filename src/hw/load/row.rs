//! The description of a row on its way from [`super::ActWalk`] to [`super::ActUnpack`].
//!
//! | bit | meaning |
//! |---|---|
//! | 0 | the words of a block of channels begin |
//! | 1 | the patch ends with this row |
//! | 2 | the row comes from memory; otherwise it lies below the map and is 0 |
//! | 3 | folded: the windows around the row above are wanted |
//! | 4 | folded: the row two before lies above the map |
//! | 5 … | block of channels within the patch |
//! | [`block_at`] … | folded: block of reduction lanes |

use crate::hw::datapath::address_bits;
use crate::hw::rt::{Ty, u};

/// Bits of the flags.
pub const FLAGS: u32 = 5;

/// First bit of the block of reduction lanes, for patches of `groups` blocks of channels.
pub fn block_at(groups: usize) -> u32 {
    FLAGS + address_bits(groups)
}

/// The type of a description, for patches of `groups` blocks of channels and `blocks` blocks of reduction lanes.
pub fn ty(groups: usize, blocks: usize) -> Ty {
    u(block_at(groups) + address_bits(blocks))
}
