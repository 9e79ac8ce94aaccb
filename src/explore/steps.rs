//! The steps of a sweep: the search for assignments, the run of a slice, and what is said of all its rows.

use super::budget::Budget;
use super::choice::cheapest;
use super::mixed_front::keep_front;
use super::network::Network;
use super::outcome::Outcome;
use super::pareto::{self, Axis};
use super::place;
use super::row::Row;
use super::run::Run;
use super::task::Task;
use super::watch::Watch;
use crate::cosim::{Cache, tools};
use crate::quantize::Widths;
use crate::{Error, Result};

impl Task {
    /// Finds the assignments of [`Task::mixed`] and adds them to the axes: the first step. Where they are to be fine-tuned,
    /// those alone that no other coding beats. Gives what is to be said of the others.
    ///
    /// # Errors
    /// Those of the search, and options outside their limits.
    pub fn search(&mut self, watch: Watch) -> Result<Vec<String>> {
        let Some(mixed) = self.mixed.take() else { return Ok(vec![]) };
        let searches = mixed.searches(&self.axes)?;
        let network = Network::open(&self.model)?;
        self.validate(&network)?;
        let cache = Cache::open(self.cache.as_deref())?;
        let Some(evaluator) = self.evaluator(&network, &cache)? else {
            return Err(Error::usage("--mixed", "needs --data, images to measure sensitivities with"));
        };
        for search in searches {
            let found = search.run(&network, &evaluator, &cache, watch)?;
            self.axes.assignments.push(found);
        }
        match self.qat {
            Some(_) => keep_front(&mut self.axes, &network, &evaluator),
            None => Ok(vec![]),
        }
    }

    /// Runs slice `slice` of the task's points, `(i, n)` being every n-th from the i-th on.
    ///
    /// A point that cannot be built, or whose tool fails, says so in its row and does not stop the others.
    ///
    /// # Errors
    /// Options outside their limits, and files that cannot be read.
    pub fn run(&self, slice: (usize, usize), watch: Watch) -> Result<Outcome> {
        let network = Network::open(&self.model)?;
        self.validate(&network)?;
        self.check_tools()?;
        let run = Run::new(self, network, watch)?;
        let mut rows = run.rows(&self.points(slice));
        let mut notes = self.remarks(&run.network)?;
        run.areas(&mut rows, &mut notes)?;
        run.clocks(&mut rows, &mut notes)?;
        notes.extend(run.evaluator.iter().flat_map(|e| e.notes().to_vec()));
        let float = run.evaluator.map(|e| e.float_accuracy());
        Ok(Outcome { rows, float, notes, stopped: watch.stopped(), ..Outcome::default() })
    }

    /// Marks what fits and what nothing beats, and says how each point is made: the last step, over all slices.
    pub fn finish(&self, outcome: &mut Outcome) {
        outcome.rows.sort_by_key(|r| r.point);
        for row in &mut outcome.rows {
            let lacks = |b: &Budget| row.resources.map_or(vec![], |design| b.lacks(&design));
            row.lacks = self.budget.as_ref().map_or(vec![], lacks);
            row.fits = self.budget.map(|_| row.resources.is_some() && row.lacks.is_empty());
        }
        let known = |axis: &Axis| outcome.rows.iter().any(|r| axis.value(r).is_some());
        let axes: Vec<Axis> = self.pareto.iter().copied().filter(known).collect();
        for missing in self.pareto.iter().filter(|a| !axes.contains(a)) {
            outcome.notes.push(format!("Pareto front: without {}, which no point has", missing.name()));
        }
        let half =
            outcome.float.filter(|f| f.0 > 0).map(|(images, right)| 0.5 * right as f64 / images as f64);
        let floor = self.floor.or(half).unwrap_or(0.0);
        let below = |r: &&Row| r.has_result() && r.accuracy.is_some_and(|accuracy| accuracy < floor);
        match outcome.rows.iter().filter(below).count() {
            0 => {}
            n => outcome
                .notes
                .push(format!("Pareto front: without {n} points below {:.2} % right", 100.0 * floor)),
        }
        pareto::mark(&mut outcome.rows, &axes, self.tolerance, floor);
        outcome.knee = pareto::knee(&outcome.rows, &axes);
        for row in &mut outcome.rows {
            row.commands = self.commands(row);
        }
        if let Some(fps) = self.target_fps {
            outcome.cheapest = cheapest(&outcome.rows, fps, floor, self.budget.as_ref()).map(|row| row.point);
        }
    }

    /// Fails where a tool that is asked for is missing.
    fn check_tools(&self) -> Result<()> {
        if self.allow_missing {
            return Ok(());
        }
        if self.synth {
            tools::version("yosys")?;
        }
        for &family in self.axes.families.iter().filter(|_| self.place) {
            match place::check_tools(family) {
                Err(Error::Usage { .. }) => {} // no open place and route: a matter of the column
                found => found?,
            }
        }
        Ok(())
    }

    /// What is to be said of the widths and of accuracies.
    fn remarks(&self, network: &Network) -> Result<Vec<String>> {
        let mut notes = self.wider_builds(network)?;
        if self.images.is_some() && self.qat.is_none() {
            let rounding = self.axes.rounding.name();
            notes.push(format!("accuracy: weights are rounded by --rounding {rounding}"));
        }
        if self.images.is_none() {
            notes.push("accuracy: needs --data, labelled images".into());
            notes.push("accumulator bits: what the widths can need; with --data they are proven".into());
        }
        Ok(notes)
    }

    /// Of the narrowest coding, why its build is wider.
    fn wider_builds(&self, network: &Network) -> Result<Vec<String>> {
        let (weights, acts) = (self.axes.weights.iter().min(), self.axes.acts.iter().min());
        let Some((&weights, &acts)) = weights.zip(acts) else { return Ok(vec![]) };
        let widths = Widths { ends: self.axes.ends, ..Widths::bits(weights, acts) };
        let builds = match self.axes.digits {
            true => "they run by digits",
            false => "the builds explored are that wide (--wide-builds)",
        };
        let reason = widths.wider_parts(&network.model)?;
        Ok(reason.into_iter().map(|why| format!("{why} (--ends); {builds}")).collect())
    }
}
