//! What goes into a bundle.

use super::driver::Driven;
use crate::hw::TOP;
use crate::hw::emit::Module;
use crate::int::{IntModel, Trace};
use crate::schedule::Schedule;
use crate::schedule::cycles::MemoryTiming;
use ndarray::{Array2, ArrayView4};

/// The memory that the benches have unless it is set, and that cycles in a bundle are for.
pub const MEMORY: MemoryTiming = MemoryTiming { latency: 20, stall_percent: 10 };

/// What goes into a bundle.
pub struct Bundle<'a> {
    /// The network.
    pub model: &'a IntModel,
    /// Its program and memory image.
    pub schedule: &'a Schedule,
    /// The Verilog of the schedule's design point, the top last.
    pub modules: &'a [Module],
    /// Input codes of one run.
    pub codes: ArrayView4<'a, i32>,
    /// What the golden model gives for them.
    pub trace: &'a Trace,
    /// Code of each byte of a picture, `(channel, byte)`.
    pub byte_codes: Array2<i32>,
    /// Pictures of one run, bytes `(image, row, column, channel)` of the input's size; `None`: random ones.
    pub pictures: Option<Vec<u8>>,
}

impl Bundle<'_> {
    /// The network, as drivers see it.
    pub(super) fn driven(&self) -> Driven<'_> {
        Driven { model: self.model, schedule: self.schedule, byte_codes: self.byte_codes.view() }
    }

    /// The name of the top.
    pub(super) fn top(&self) -> &str {
        self.modules.last().map_or(TOP, |module| &module.name)
    }

    /// Where the text of `module` lies.
    pub(super) fn rtl(&self, module: &Module) -> String {
        format!("rtl/{}.v", module.name)
    }
}
