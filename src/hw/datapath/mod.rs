//! The datapath: cells that the control wires together.
//!
//! Cycle numbers in the descriptions count rising edges: an input "at cycle t" is sampled by the edge that ends cycle t, and
//! a register written by that edge is visible at cycle t + 1. Each cell states its latency as a constant or a function.

mod accumulator;
mod accumulators;
mod array;
mod delay;
mod digit_shift;
mod extend;
mod lane;
mod lane_buffer;
mod max_pool;
mod packed_pe;
mod packing;
mod pe;
mod plane_extend;
mod plane_select;
mod ram;
mod requantizer;
mod requantizer_pow2;
mod round_shift;
mod row_multiplier;
mod split_sums;
mod weight_digits;

pub use accumulator::Accumulator;
pub use accumulators::Accumulators;
pub use array::Array;
pub use delay::Delay;
pub use digit_shift::DigitShift;
pub use extend::Extend;
pub use lane::Lane;
pub use lane_buffer::LaneBuffer;
pub use max_pool::MaxPool;
pub use packed_pe::PackedPe;
pub use packing::Packing;
pub use pe::Pe;
pub use plane_extend::PlaneExtend;
pub use plane_select::PlaneSelect;
pub use ram::Ram;
pub use requantizer::Requantizer;
pub use requantizer_pow2::RequantizerPow2;
pub use round_shift::RoundShift;
pub use row_multiplier::RowMultiplier;
pub use split_sums::SplitSums;
pub use weight_digits::WeightDigits;

/// Bits of an address of `depth` words, at least one.
pub fn address_bits(depth: usize) -> u32 {
    depth.next_power_of_two().ilog2().max(1)
}
