//! A sweep as it is asked for, and its execution: points, accuracies, areas, tools, one after the other.

use super::accuracy::{Evaluator, Images, Measured};
use super::coding::Coding;
use super::columns::{STOPPED, of_the_model, without_model};
use super::cost::network_cost;
use super::mixed::Search;
use super::mixed_front::keep_front;
use super::network::Network;
use super::part::{Budget, cheapest};
use super::row::{Row, Source};
use super::sweep::{Axes, Point};
use super::{Axis, Resources, pareto, place};
use crate::arith::WIDTHS;
use crate::config::ArrayConfig;
use crate::cosim::{Cache, tools};
use crate::quantize::{Widths, interval};
use crate::schedule::cycles::MemoryTiming;
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// The external memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct External {
    /// Cycles from an address to its first word.
    pub latency: u64,
    /// Share of cycles in which a channel stalls, in percent, 0 … 90.
    pub stall_percent: u64,
    /// Bytes a second each way, in millions; `None`: a word of the bus a cycle.
    pub megabytes_per_s: Option<f64>,
}

/// Most cycles from an address to its first word.
const LONGEST_LATENCY: u64 = 1_000_000;

/// A sweep, ready to be run here or elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// A float model file, or `vgg11` … `vgg19`: torchvision's geometry at 224×224, without weights.
    pub model: PathBuf,
    /// What accuracy is measured with; `None`: it is not.
    pub images: Option<Images>,
    /// Fine-tuning before accuracy is measured; `None`: post-training quantization.
    pub qat: Option<super::tune::Tuning>,
    /// What varies.
    pub axes: Axes,
    /// Search for mixed precision, at the size of each of the axes' weight bits; needs `images`.
    pub mixed: Option<Mixed>,
    /// External memory.
    pub external: External,
    /// Images of a run.
    pub batch: usize,
    /// Clock where none is known from place and route, MHz.
    pub clock_mhz: f64,
    /// Areas by yosys rather than by the model.
    pub synth: bool,
    /// Clocks by nextpnr.
    pub place: bool,
    /// Go on where a tool of `synth` or `place` is missing: with the model's areas, without clocks.
    #[serde(default)]
    pub allow_missing: bool,
    /// What a design may take.
    pub budget: Option<Budget>,
    /// Axes of the Pareto front.
    pub pareto: Vec<Axis>,
    /// A point is on the front only if it is better than each of the others there by more than this share in some axis.
    #[serde(default)]
    pub tolerance: f64,
    /// Least share of right answers of a point on the front; `None`: half of the float network's.
    #[serde(default)]
    pub floor: Option<f64>,
    /// Images a second that the cheapest point is wanted for.
    #[serde(default)]
    pub target_fps: Option<f64>,
    /// Tools that run at a time.
    pub jobs: usize,
    /// Folder of results.
    pub cache: Option<PathBuf>,
}

/// How assignments are searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mixed {
    /// Fewest weight bits of a layer.
    pub least: u32,
    /// Most weight bits of a layer.
    pub most: u32,
}

/// What happens while a task runs.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// So many of something are begun.
    Begin(usize, &'static str),
    /// One of them is done.
    Done,
}

/// Hears events, from any thread.
pub type Listener<'a> = &'a (dyn Fn(Event) + Sync);

/// What a task gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// One a point, in the order of the sweep.
    pub rows: Vec<Row>,
    /// Labelled images, and how many of them the float network gets right.
    pub float: Option<(usize, usize)>,
    /// The cheapest point that reaches the images a second that were asked for.
    #[serde(default)]
    pub cheapest: Option<usize>,
    /// The knee of the front.
    #[serde(default)]
    pub knee: Option<usize>,
    /// What columns lack, and why.
    pub notes: Vec<String>,
    /// Stopped before the end: rows may lack numbers, and the same command goes on from here.
    pub stopped: bool,
}

impl Outcome {
    /// Fails where no point has a result, for the reason of the first.
    pub fn check(&self) -> Result<()> {
        if self.rows.iter().any(Row::has_result) {
            return Ok(());
        }
        let Some(first) = self.rows.first() else { return Ok(()) };
        let reason = first.refused.as_ref().or(first.failed.as_ref()).cloned().unwrap_or_default();
        Err(Error::NoResult { points: self.rows.len(), reason, code: first.exit_code.unwrap_or(1) })
    }
}

/// An accuracy, or why there is none and the exit code of that.
type Found = std::result::Result<Measured, (String, u8)>;

impl Task {
    /// Checks every limit.
    pub fn validate(&self, network: &Network) -> Result<()> {
        self.axes.validate(&network.model)?;
        if !(self.clock_mhz > 0.0 && self.clock_mhz.is_finite()) {
            return Err(Error::usage("--clock", format!("{} is no clock in MHz", self.clock_mhz)));
        }
        if let Some(rate) = self.external.megabytes_per_s
            && !(rate > 0.0 && rate.is_finite())
        {
            return Err(Error::usage("--bandwidth", format!("{rate} is no rate in MB/s")));
        }
        if self.external.stall_percent > 90 {
            let reason = format!("{} where 0 … 90 are possible", self.external.stall_percent);
            return Err(Error::usage("--stall-percent", reason));
        }
        if self.external.latency > LONGEST_LATENCY {
            let reason = format!("{} cycles, at most {LONGEST_LATENCY}", self.external.latency);
            return Err(Error::usage("--latency", reason));
        }
        if !(1..=1 << 12).contains(&self.batch) {
            return Err(Error::usage(
                "--batch",
                format!("{} images a run, 1 … 4096 are possible", self.batch),
            ));
        }
        if self.images.is_some() && !network.is_trained() {
            let reason = format!("{} has no weights to measure the accuracy of", self.model.display());
            return Err(Error::usage("--data", reason));
        }
        Ok(())
    }

    /// The evaluator of the task, if accuracy is measured.
    pub fn evaluator(&self, network: &Network, cache: &Cache) -> Result<Option<Evaluator>> {
        let evaluator = self.images.as_ref().map(|images| Evaluator::new(&network.model, images, cache));
        let evaluator = evaluator.transpose()?;
        if let (Some(tuning), Some(evaluator)) = (&self.qat, &evaluator)
            && evaluator.measures(&tuning.pictures()?)
        {
            let reason = format!("{} would train and measure", tuning.train.display());
            return Err(Error::usage("--train", reason));
        }
        Ok(evaluator)
    }

    /// Finds the assignments of [`Task::mixed`] and adds them to the axes: the first step. Where they are to be fine-tuned,
    /// those alone that no other coding beats. Gives what is to be said of the others.
    ///
    /// # Errors
    /// Those of [`Search::run`], and options outside their limits.
    pub fn search(&mut self, hear: Listener, stop: &AtomicBool) -> Result<Vec<String>> {
        let Some(Mixed { least, most }) = self.mixed.take() else { return Ok(vec![]) };
        if !(WIDTHS.contains(&least) && WIDTHS.contains(&most) && least < most) {
            return Err(Error::usage("--mixed", format!("no widths from {least} to {most} bits")));
        }
        let network = Network::open(&self.model)?;
        self.validate(&network)?;
        let cache = Cache::open(self.cache.as_deref())?;
        let Some(evaluator) = self.evaluator(&network, &cache)? else {
            return Err(Error::usage("--mixed", "needs --data, images to measure sensitivities with"));
        };
        for &requantize in &self.axes.requantize {
            for &acts in &self.axes.acts {
                for &as_small_as in self.axes.weights.iter().filter(|w| (least + 1..most).contains(w)) {
                    let ends = self.axes.ends;
                    let rounding = self.axes.rounding;
                    let search = Search { acts, requantize, ends, least, most, as_small_as, rounding };
                    let found = search.run(&network, &evaluator, &cache, hear, stop)?;
                    self.axes.assignments.push(found);
                }
            }
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
    pub fn run(&self, slice: (usize, usize), hear: Listener, stop: &AtomicBool) -> Result<Outcome> {
        let network = Network::open(&self.model)?;
        self.validate(&network)?;
        self.check_tools()?;
        let cache = Cache::open(self.cache.as_deref())?;
        let evaluator = self.evaluator(&network, &cache)?;
        let points: Vec<Point> =
            self.axes.points().into_iter().filter(|p| p.index % slice.1 == slice.0).collect();
        let measured = self.measure(&points, &network, evaluator.as_ref(), hear, stop)?;
        let mut rows: Vec<Row> = points.par_iter().map(|p| self.row(p, &network, &measured)).collect();
        let mut notes = self.wider_builds(&network)?;
        if self.images.is_some() && self.qat.is_none() {
            let rounding = self.axes.rounding.name();
            notes.push(format!("accuracy: weights are rounded by --rounding {rounding}"));
        }
        if self.images.is_none() {
            notes.push("accuracy: needs --data, labelled images".into());
            notes.push("accumulator bits: what the widths can need; with --data they are proven".into());
        }
        if self.synth {
            self.synthesize(&mut rows, &cache, &mut notes, hear, stop)?;
        } else {
            notes.extend(self.axes.families.iter().map(|&f| of_the_model(f)));
            notes.extend(without_model(&rows));
        }
        if self.place {
            self.place(&mut rows, &network, &cache, &mut notes, hear, stop)?;
        } else {
            notes.push("fmax_mhz: needs --place, which runs nextpnr".into());
        }
        notes.extend(evaluator.iter().flat_map(|e| e.notes().to_vec()));
        let float = evaluator.map(|e| e.float_accuracy());
        let stopped = stop.load(Ordering::Relaxed);
        Ok(Outcome { rows, float, cheapest: None, knee: None, notes, stopped })
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

    /// The rows of a slice of which nothing is known because of `reason`, which has exit code `code`.
    pub(super) fn unknown(&self, slice: (usize, usize), reason: &str, code: u8) -> Result<Vec<Row>> {
        let network = Network::open(&self.model)?;
        let points = self.axes.points().into_iter().filter(|p| p.index % slice.1 == slice.0);
        let rows = points.map(|p| {
            let mut row = Row::unknown(&p, self.clock_mhz);
            row.layer_bits = p.coding.bits(&network.model).map_or(vec![], |b| b.weights);
            row.fail(reason, code);
            row
        });
        Ok(rows.collect())
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

    fn measure(
        &self,
        points: &[Point],
        network: &Network,
        evaluator: Option<&Evaluator>,
        hear: Listener,
        stop: &AtomicBool,
    ) -> Result<HashMap<Coding, Found>> {
        let Some(evaluator) = evaluator else { return Ok(HashMap::new()) };
        let mut codings: Vec<&Coding> = points.iter().map(|p| &p.coding).collect();
        let mut seen = std::collections::HashSet::new();
        codings.retain(|c| seen.insert(*c));
        hear(Event::Begin(codings.len(), "accuracies"));
        let one = |coding: &&Coding| {
            if stop.load(Ordering::Relaxed) {
                let reason = "stopped before its accuracy was measured";
                return ((*coding).clone(), Err((reason.into(), STOPPED)));
            }
            let result = match &self.qat {
                None => evaluator.measure(coding),
                Some(tuning) => tuning.measure(&network.model, coding, evaluator, stop),
            };
            hear(Event::Done);
            ((*coding).clone(), result.map_err(|e| (e.to_string(), e.exit_code())))
        };
        Ok(match self.qat {
            None => codings.par_iter().map(one).collect(),
            Some(_) => codings.iter().map(one).collect(), // training uses all cores itself
        })
    }

    fn row(&self, point: &Point, network: &Network, measured: &HashMap<Coding, Found>) -> Row {
        let mut row = Row::unknown(point, self.clock_mhz);
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
        if let Err(error) = self.fill(&mut row, point, network, accumulators) {
            row.refuse(&error);
        }
        row
    }

    fn fill(
        &self,
        row: &mut Row,
        point: &Point,
        network: &Network,
        accumulators: Option<&[u32]>,
    ) -> Result<()> {
        let bits = point.coding.bits(&network.model)?;
        row.weight_bits_total = bits.weights.iter().zip(&network.sizes).map(|(&b, n)| u64::from(b) * n).sum();
        row.layer_bits = bits.weights.clone();
        let config = point.config(&network.geometry, &bits, accumulators, &self.axes.fixed)?;
        let memory = self.timing(&config, self.clock_mhz)?;
        let mut geometry = network.geometry.clone();
        geometry
            .layers
            .iter_mut()
            .zip(bits.digits(&config))
            .for_each(|(layer, digits)| layer.digits = digits);
        row.network = Some(network_cost(&geometry, &config, self.batch, memory)?);
        row.memory_bits = Some(config.memory_bits() as u64);
        let area = super::estimate(&config, point.family);
        if area != Resources::default() {
            (row.resources, row.source) = (Some(area), Some(Source::Model));
        }
        row.config = Some(config);
        row.set_clock(self.clock_mhz);
        Ok(())
    }

    /// The memory as the cycle model sees it at a clock: what its bandwidth does not give counts as stalls.
    pub(super) fn timing(&self, config: &ArrayConfig, clock_mhz: f64) -> Result<MemoryTiming> {
        let External { latency, stall_percent, megabytes_per_s } = self.external;
        let stalls = match megabytes_per_s {
            None => 0,
            Some(rate) => {
                let percent = (100.0 * rate / (config.bus_bytes() as f64 * clock_mhz)).floor();
                if percent < 1.0 {
                    let reason = format!("{rate} MB/s are less than 1 % of what the bus takes");
                    return Err(Error::usage("--bandwidth", reason));
                }
                100 - percent.min(100.0) as u64
            }
        };
        Ok(MemoryTiming { latency, stall_percent: stall_percent.max(stalls) })
    }
}
