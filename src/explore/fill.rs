//! The columns that need no tool: accuracies, cycles and traffic, areas by the analytical model.

use super::accuracy::Measured;
use super::area::estimate;
use super::coding::Coding;
use super::cost::network_cost;
use super::network::Network;
use super::resources::Resources;
use super::row::{Row, Source};
use super::run::Run;
use super::sweep::Point;
use super::task::Task;
use super::watch::STOPPED;
use crate::Result;
use crate::quantize::interval;
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};

/// Of each coding its accuracy, or why there is none and the exit code of that.
type Accuracies = HashMap<Coding, std::result::Result<Measured, (String, u8)>>;

impl Run<'_> {
    /// The rows of `points`. A point that cannot be built says so in its row.
    pub(super) fn rows(&self, points: &[Point]) -> Vec<Row> {
        let measured = self.accuracies(points);
        points.par_iter().map(|point| self.row(point, &measured)).collect()
    }

    fn accuracies(&self, points: &[Point]) -> Accuracies {
        let Some(evaluator) = &self.evaluator else { return HashMap::new() };
        let mut seen = HashSet::new();
        let codings: Vec<&Coding> = points.iter().map(|p| &p.coding).filter(|c| seen.insert(*c)).collect();
        self.watch.begin(codings.len(), "accuracies");
        let one = |coding: &&Coding| {
            if self.watch.stopped() {
                let reason = "stopped before its accuracy was measured";
                return ((*coding).clone(), Err((reason.into(), STOPPED)));
            }
            let result = match &self.task.qat {
                None => evaluator.measure(coding),
                Some(tuning) => tuning.measure(&self.network.model, coding, evaluator, self.watch.stop),
            };
            self.watch.done();
            ((*coding).clone(), result.map_err(|e| (e.to_string(), e.exit_code())))
        };
        match self.task.qat {
            None => codings.par_iter().map(one).collect(),
            Some(_) => codings.iter().map(one).collect(), // training uses all cores itself
        }
    }

    fn row(&self, point: &Point, measured: &Accuracies) -> Row {
        let mut row = Row::unknown(point, self.task.clock_mhz);
        let accumulators = match measured.get(&point.coding) {
            Some(Ok(m)) => {
                row.accuracy = (m.labelled > 0).then(|| m.correct as f64 / m.labelled as f64);
                row.correct = Some(m.correct);
                row.accuracy_interval = interval(m.correct, m.labelled);
                Some(&m.accumulator_bits[..])
            }
            Some(Err((reason, code))) => {
                row.fail(format!("accuracy: {reason}"), *code);
                None
            }
            None => None,
        };
        if let Err(error) = self.fill(&mut row, point, accumulators) {
            row.refuse(&error);
        }
        row
    }

    fn fill(&self, row: &mut Row, point: &Point, accumulators: Option<&[u32]>) -> Result<()> {
        let (task, network) = (self.task, &self.network);
        let bits = point.coding.bits(&network.model)?;
        row.weight_bits_total = bits.weights.iter().zip(&network.sizes).map(|(&b, n)| u64::from(b) * n).sum();
        row.layer_bits = bits.weights.clone();
        let config = point.config(&network.geometry, &bits, accumulators, &task.axes.fixed)?;
        let memory = task.timing(&config, task.clock_mhz)?;
        let mut geometry = network.geometry.clone();
        geometry
            .layers
            .iter_mut()
            .zip(bits.digits(&config))
            .for_each(|(layer, digits)| layer.digits = digits);
        row.network = Some(network_cost(&geometry, &config, task.batch, memory)?);
        row.memory_bits = Some(config.memory_bits() as u64);
        let area = estimate(&config, point.family);
        if area != Resources::default() {
            (row.resources, row.source) = (Some(area), Some(Source::Model));
        }
        row.config = Some(config);
        row.set_clock(task.clock_mhz);
        Ok(())
    }
}

impl Task {
    /// The rows of a slice of which nothing is known because of `reason`, which has exit code `code`.
    pub(super) fn unknown(&self, slice: (usize, usize), reason: &str, code: u8) -> Result<Vec<Row>> {
        let network = Network::open(&self.model)?;
        let rows = self.points(slice).into_iter().map(|p| {
            let mut row = Row::unknown(&p, self.clock_mhz);
            row.layer_bits = p.coding.bits(&network.model).map_or(vec![], |b| b.weights);
            row.fail(reason, code);
            row
        });
        Ok(rows.collect())
    }
}
