//! The columns that external tools fill: areas by yosys, clocks by nextpnr. Each design is done once, several at a time.

use super::area::{of_the_model, without_model};
use super::cost::network_cost;
use super::family::Family;
use super::place::place;
use super::row::{Row, Source};
use super::run::Run;
use super::synth::synthesize;
use super::watch::STOPPED;
use crate::config::ArrayConfig;
use crate::cosim::{in_parallel, tools};
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};

/// What a tool gives for each design; `None` where it was stopped before.
type Results<T> = HashMap<(ArrayConfig, Family), Option<Result<T>>>;

impl Run<'_> {
    /// What `one` gives for every design of `rows`, each done once.
    fn each<T: Send>(
        &self,
        what: &'static str,
        rows: &[Row],
        one: impl Fn(&ArrayConfig, Family) -> Result<T> + Sync,
    ) -> Result<Results<T>> {
        let designs = designs(rows);
        self.watch.begin(designs.len(), what);
        let results = in_parallel(self.task.jobs, designs.len(), |i| {
            if self.watch.stopped() {
                return Ok(None);
            }
            let result = one(&designs[i].0, designs[i].1);
            self.watch.done();
            Ok(Some(result).filter(|r| r.is_ok() || !self.watch.stopped()))
        })?;
        Ok(designs.into_iter().zip(results).collect())
    }

    /// Areas: by synthesis where that is asked for and yosys is there, else they stay the model's.
    pub(super) fn areas(&self, rows: &mut [Row], notes: &mut Vec<String>) -> Result<()> {
        if !self.task.synth {
            notes.extend(self.task.axes.families.iter().map(|&f| of_the_model(f)));
            notes.extend(without_model(rows.iter().map(|r| (r.config.as_ref(), r.family))));
            return Ok(());
        }
        if let Some(missing) = missing(tools::version("yosys").map(drop))? {
            notes.push(format!("lut, ff, carry, dsp, bram: by the analytical model; {missing}"));
            return Ok(());
        }
        let one = |config: &_, family| synthesize(config, family, &self.cache, self.watch.stop);
        let results = self.each("syntheses", rows, one)?;
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

    /// Clocks after place and route, where they are asked for and nextpnr is there for the family.
    pub(super) fn clocks(&self, rows: &mut [Row], notes: &mut Vec<String>) -> Result<()> {
        if !self.task.place {
            notes.push("fmax_mhz: needs --place, which runs nextpnr".into());
            return Ok(());
        }
        let one = |config: &_, family| place(config, family, &self.cache);
        let results = self.each("placements", rows, one)?;
        for row in rows {
            let Some(config) = row.config.clone() else { continue };
            match &results[&(config.clone(), row.family)] {
                Some(Ok(mhz)) => self.set_clock(row, &config, *mhz),
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

    /// The memory's rate does not grow with the clock: its share of stalls does.
    fn set_clock(&self, row: &mut Row, config: &ArrayConfig, mhz: f64) {
        let cost = self.task.timing(config, mhz);
        match cost.and_then(|memory| network_cost(&self.network.geometry, config, self.task.batch, memory)) {
            Ok(cost) => row.network = Some(cost),
            Err(error) => row.fail(&error, error.exit_code()),
        }
        row.fmax_mhz = Some(mhz);
        row.set_clock(mhz);
    }
}

/// What a missing tool says of itself; other failures are failures.
fn missing(found: Result<()>) -> Result<Option<String>> {
    match found {
        Err(error @ Error::ToolMissing { .. }) => Ok(Some(error.to_string())),
        other => other.map(|()| None),
    }
}

/// Every design of `rows` once.
fn designs(rows: &[Row]) -> Vec<(ArrayConfig, Family)> {
    let mut seen = HashSet::new();
    let all = rows.iter().filter_map(|r| Some((r.config.clone()?, r.family)));
    all.filter(|d| seen.insert(d.clone())).collect()
}
