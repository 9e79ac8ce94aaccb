//! From accumulators to written maps: requantization, pooling, packing.
//!
//! ```text
//! drain_walk → row_read → (accumulators) → group_select → requantizers → packer ─┬→ beats
//!      └→ runs                param_store ───────┘              └→ raw_beat ─────┘
//! ```

#[expect(clippy::module_inception, reason = "the block of that name")]
mod drain;
mod drain_walk;
mod group_select;
mod param_store;
mod raw_beat;
mod record_ram;
mod requantizers;
mod row_read;

pub use drain::Drain;
pub use drain_walk::DrainWalk;
pub use group_select::GroupSelect;
pub use param_store::ParamStore;
pub use raw_beat::RawBeat;
pub use record_ram::RecordRam;
pub use requantizers::Requantizers;
pub use row_read::RowRead;

use super::rt::{Ty, u};
use crate::arith::{MULTIPLIER_BITS, SHIFT_BITS};
use crate::config::Requantize;

/// How a column's m and s are held: s in the low bits, m above it where there is one.
const fn scale_ty(mode: Requantize) -> Ty {
    match mode {
        Requantize::Scale => u(SHIFT_BITS + MULTIPLIER_BITS),
        Requantize::Pow2 => u(SHIFT_BITS),
    }
}

/// Lines that choose one of `count` words of `bits` bits in `input` by the signal `by`, as the wire `selected`: a tree
/// of multiplexers, which synthesis maps better than an index with a product in it.
fn select(input: &str, count: usize, bits: u32, by: &str) -> String {
    let (bits, levels) = (bits as usize, count.next_power_of_two().ilog2() as usize);
    let wire = |words: usize, name: String, value: String| {
        format!("wire [{}:0] {name} = {value};\n", words * bits - 1)
    };
    let spare = ((1 << levels) - count) * bits;
    let all = if spare == 0 { input.to_string() } else { format!("{{{spare}'d0, {input}}}") };
    let mut text = wire(1 << levels, format!("choice{levels}"), all);
    for level in (0..levels).rev() {
        let half = bits << level;
        let from = format!("choice{}", level + 1);
        let bit = if levels == 1 { by.to_string() } else { format!("{by}[{level}]") };
        let value = format!("{bit} ? {from}[{}:{half}] : {from}[{}:0]", 2 * half - 1, half - 1);
        text += &wire(1 << level, format!("choice{level}"), value);
    }
    if levels == 0 {
        text += &format!("wire {by}_unused = {by};\n");
    }
    text.replace("choice0", "selected")
}
