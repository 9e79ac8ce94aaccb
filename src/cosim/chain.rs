//! A whole network in rust_hdl's simulator, every word compared.

use super::compare::{Comparison, compare};
use super::in_process::InProcess;
use super::memory::MemoryOptions;
use super::simulator::ERRORS;
use crate::int::Trace;
use crate::schedule::Schedule;
use crate::schedule::cycles::{self, MemoryTiming};
use crate::{Error, Result};
use ndarray::ArrayView4;

/// Runs `schedule` on `codes`, one run's images, from start to interrupt; compares every layer with `golden`. Gives each
/// layer's cycles, from its command to the next one's.
pub fn run_in_process(
    schedule: &Schedule,
    codes: ArrayView4<i32>,
    golden: &Trace,
    memory: &MemoryOptions,
) -> Result<Vec<(u64, Comparison)>> {
    let timing = MemoryTiming { latency: memory.latency, stall_percent: memory.stall_percent.into() };
    let mut image = schedule.memory.clone();
    schedule.put_images(&mut image, codes);
    let mut device = InProcess::new(&schedule.config);
    let run =
        device.run(&mut image.bytes, schedule.write_window(), memory, cycles::limit(schedule, timing))?;
    if run.error != 0 {
        let meaning = ERRORS.get(run.error as usize - 1).unwrap_or(&"unknown");
        return Err(Error::Mismatch(format!("command {}: error {}, {meaning}", run.commands, run.error)));
    }
    let names: Vec<String> = schedule.layers.iter().map(|l| l.name.clone()).collect();
    let cycles = run.command_cycles.windows(2).map(|pair| pair[1] - pair[0]);
    Ok(cycles.zip(compare(&names, golden, &schedule.trace(&image))).collect())
}
