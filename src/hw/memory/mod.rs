//! External memory: AXI4 ports, FIFOs, from words of the bus to items and back.
//!
//! A *beat* is a word of the bus: `bus_bits / 32` lanes of 32 bits. A *run* is a row of consecutive beats, a *burst* a
//! part of it that one AXI transaction moves: it ends at the latest at the next multiple of [`BURST`] beats, and so
//! never crosses 4 KiB.

#[cfg(test)]
pub(crate) mod axi_model;
mod fifo;
mod lanes_ram;
mod packer;
mod queue;
mod read_port;
mod read_stream;
mod splitter;
mod strobe;
mod unpacker;
mod write_port;

pub use fifo::Fifo;
pub use lanes_ram::LanesRam;
pub use packer::Packer;
pub use queue::Queue;
pub use read_port::ReadPort;
pub use read_stream::ReadStream;
pub use splitter::Splitter;
pub use strobe::Strobe;
pub use unpacker::Unpacker;
pub use write_port::WritePort;

use super::rt::Ty;

/// Beats of the longest burst.
pub const BURST: usize = 16;

/// Lanes of 32 bits of a beat.
pub(crate) const fn beat_lanes(bus_bits: usize) -> usize {
    bus_bits / 32
}

/// Bits of an address below a beat.
const fn beat_shift(bus_bits: usize) -> u32 {
    (bus_bits / 8).ilog2()
}

/// Bits of a counter that goes up to `most`.
const fn counter_bits(most: usize) -> usize {
    (usize::BITS - most.leading_zeros()) as usize
}

/// The bits of `lanes` of type `ty`, the lowest first.
fn bits(lanes: &[i64], ty: Ty) -> Vec<bool> {
    lanes.iter().flat_map(|&x| (0..ty.bits).map(move |i| x >> i & 1 == 1)).collect()
}

/// Lane `lane` of type `ty` of `bits`.
fn lane(bits: &[bool], lane: usize, ty: Ty) -> i64 {
    let n = ty.bits as usize;
    ty.wrap(bits[lane * n..][..n].iter().rev().fold(0, |x, &bit| x << 1 | bit as i64))
}

/// Lines that turn the units of `input` (`count` units of `unit` bits) cyclically towards the high end, by as many
/// as the register `turn` of `bits` bits says, into the wire `turned`.
fn turning(input: &str, count: usize, unit: usize, bits: usize) -> String {
    let high = count * unit - 1;
    let mut text = format!("wire [{high}:0] turned0 = {input};\n");
    for k in 0..bits {
        let by = ((1 << k) % count) * unit;
        let turned = format!("{{turned{k}[{}:0], turned{k}[{high}:{}]}}", high - by, high + 1 - by);
        text += &format!("wire [{high}:0] turned{} = turn[{k}] ? {turned} : turned{k};\n", k + 1);
    }
    text + &format!("wire [{high}:0] turned = turned{bits};\n")
}
