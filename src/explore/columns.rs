//! The columns that external tools fill: areas by yosys, clocks by nextpnr. Each design is done once, several at a time.

use super::cost::network_cost;
use super::task::{Event, Listener};
use super::{Family, ModelError, Network, Row, Source, Task, is_modelled, model_error};
use crate::config::ArrayConfig;
use crate::cosim::{Cache, in_parallel, tools};
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a point that was stopped.
pub(super) const STOPPED: u8 = 130;

/// What a tool gives for each design; `None` where it was stopped before.
type Results<T> = HashMap<(ArrayConfig, Family), Option<Result<T>>>;

impl Task {
    /// What `one` gives for every design of `rows`, each done once.
    fn each<T: Send>(
        &self,
        what: &'static str,
        rows: &[Row],
        one: impl Fn(&ArrayConfig, Family) -> Result<T> + Sync,
        hear: Listener,
        stop: &AtomicBool,
    ) -> Result<Results<T>> {
        let designs = designs(rows);
        hear(Event::Begin(designs.len(), what));
        let results = in_parallel(self.jobs, designs.len(), |i| {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let result = one(&designs[i].0, designs[i].1);
            hear(Event::Done);
            Ok(Some(result).filter(|r| r.is_ok() || !stop.load(Ordering::Relaxed)))
        })?;
        Ok(designs.into_iter().zip(results).collect())
    }

    /// Puts synthesised areas in place of the model's, where yosys is there.
    pub(super) fn synthesize(
        &self,
        rows: &mut [Row],
        cache: &Cache,
        notes: &mut Vec<String>,
        hear: Listener,
        stop: &AtomicBool,
    ) -> Result<()> {
        if let Some(missing) = missing(tools::version("yosys").map(drop))? {
            notes.push(format!("lut, ff, carry, dsp, bram: by the analytical model; {missing}"));
            return Ok(());
        }
        let one = |config: &_, family| super::synthesize(config, family, cache, stop);
        let results = self.each("syntheses", rows, one, hear, stop)?;
        for row in rows {
            let Some(config) = row.config.clone() else { continue };
            match &results[&(config, row.family)] {
                Some(Ok(area)) => (row.resources, row.source) = (Some(*area), Some(Source::Synthesis)),
                Some(Err(error)) => row.fail(error, error.exit_code()),
                None => row.fail("stopped before its synthesis", STOPPED),
            }
        }
        Ok(())
    }

    /// Fills in clocks after place and route, where nextpnr is there for the family.
    pub(super) fn place(
        &self,
        rows: &mut [Row],
        network: &Network,
        cache: &Cache,
        notes: &mut Vec<String>,
        hear: Listener,
        stop: &AtomicBool,
    ) -> Result<()> {
        let one = |config: &_, family| super::place(config, family, cache);
        let results = self.each("placements", rows, one, hear, stop)?;
        for row in rows {
            let Some(config) = row.config.clone() else { continue };
            match &results[&(config.clone(), row.family)] {
                Some(Ok(mhz)) => {
                    // The memory's rate does not grow with the clock: its share of stalls does.
                    let memory = self.timing(&config, *mhz);
                    match memory.and_then(|m| network_cost(&network.geometry, &config, self.batch, m)) {
                        Ok(cost) => row.network = Some(cost),
                        Err(error) => row.fail(&error, error.exit_code()),
                    }
                    row.fmax_mhz = Some(*mhz);
                    row.set_clock(*mhz);
                }
                // A missing tool, or a family without place and route: a matter of the column, not of the point.
                Some(Err(error @ (Error::ToolMissing { .. } | Error::Usage { .. }))) => {
                    let note = format!("fmax_mhz of {}: {error}", row.family.name());
                    if !notes.contains(&note) {
                        notes.push(note);
                    }
                }
                Some(Err(error)) => row.fail(error, error.exit_code()),
                None => row.fail("stopped before its place and route", STOPPED),
            }
        }
        Ok(())
    }
}

/// What a missing tool says of itself; other failures are failures.
fn missing(found: Result<()>) -> Result<Option<String>> {
    match found {
        Err(error @ Error::ToolMissing { .. }) => Ok(Some(error.to_string())),
        other => other.map(|()| None),
    }
}

/// How good the analytical model of a family is.
pub(super) fn of_the_model(family: Family) -> String {
    let ModelError { lut_median, lut_worst, ff_median, ff_worst, inexact, points } = model_error(family);
    let what = format!("lut, ff, carry, dsp, bram of {}: by the analytical model", family.name());
    match points {
        0 => format!("{what}, never compared with synthesis; --synth runs yosys"),
        _ => format!(
            "{what}; against yosys on {points} designs it was not fitted to, LUT are {lut_median:.1} % off (median; worst \
             {lut_worst:.1} %), FF {ff_median:.1} % ({ff_worst:.1} %), DSP or block RAM of {inexact} differ; --synth runs yosys"
        ),
    }
}

/// Which of `rows` have no area, because the model is not fitted to their modules.
pub(super) fn without_model(rows: &[Row]) -> Option<String> {
    let lacks = |r: &&Row| r.config.as_ref().is_some_and(|c| !is_modelled(c, r.family));
    let count = rows.iter().filter(lacks).count();
    let what = "lut, ff, carry, dsp, bram of builds whose bounds are not the default ones";
    (count > 0).then(|| format!("{what}, {count} points: the analytical model has none; --synth runs yosys"))
}

/// Every design of `rows` once.
fn designs(rows: &[Row]) -> Vec<(ArrayConfig, Family)> {
    let mut seen = HashSet::new();
    let all = rows.iter().filter_map(|r| Some((r.config.clone()?, r.family)));
    all.filter(|d| seen.insert(d.clone())).collect()
}
