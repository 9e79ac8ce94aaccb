//! Whole networks in a simulator, every word compared: layer by layer from golden inputs, or in one go.

use super::cache::{Cache, warn};
use super::compare::{Comparison, compare};
use super::memory::{MemoryOptions, Traffic};
use super::pool::in_parallel;
use super::simulator::{Job, Mark, Simulator, Statistics, Waveform};
use crate::int::Trace;
use crate::schedule::cycles::{self, MemoryTiming};
use crate::schedule::{Memory, Schedule};
use crate::{Error, Result, output, store};
use ndarray::{Array2, Array4, ArrayView4, Axis, s};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;

/// Layers of fewer cycles are not cut into parts.
const SMALL: u64 = 1_000_000;
/// Cycles of a waveform before and after the first wrong word.
const AROUND: (u64, u64) = (1_000, 100);

/// One layer in the simulator, all images together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Multiply-accumulate operations.
    pub macs: u64,
    /// Cycles.
    pub cycles: u64,
    /// Cycles of the closed-form model.
    pub model_cycles: u64,
    /// Words of the bus read for weights and parameters.
    pub weight_beats: u64,
    /// Words of the bus read for activations.
    pub act_beats: u64,
    /// Words of the bus written.
    pub write_beats: u64,
    /// Words compared, and how they compare.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Cycle of its run in which the first wrong word was written.
    pub wrong_cycle: Option<u64>,
}

/// A scheduled network and the simulator of its design point.
pub struct Network<'a> {
    /// Simulator.
    pub simulator: &'a dyn Simulator,
    /// The network, for as many images a run as the schedule says.
    pub schedule: &'a Schedule,
    /// Where results of finished jobs are kept.
    pub cache: &'a Cache,
    /// External memory.
    pub memory: MemoryOptions,
    /// Processes at a time.
    pub jobs: usize,
    /// Look for results of earlier runs.
    pub resume: bool,
}

/// Output tiles of a layer, for the images of one run.
#[derive(Clone, Debug)]
struct Piece {
    run: usize,
    layer: usize,
    tiles: Range<usize>,
    /// By the cycle model.
    cycles: u64,
}

impl Network<'_> {
    /// Runs each layer of `layers` on golden inputs, by itself; large ones in parts. `codes` and `trace` are of whole
    /// runs. `done` is told cycles of the model as they have been simulated.
    pub fn layers(
        &self,
        layers: Range<usize>,
        codes: ArrayView4<i32>,
        trace: &Trace,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<LayerReport>> {
        let mut pieces = self.cut(layers, self.runs(codes));
        pieces.sort_by_key(|piece| std::cmp::Reverse(piece.cycles)); // the longest first
        let reports = in_parallel(self.jobs, pieces.len(), |i| {
            let report = self.layer(&pieces[i], codes, trace)?;
            done(pieces[i].cycles);
            Ok(report)
        })?;
        let mut reports: Vec<_> = pieces.into_iter().zip(reports).collect();
        reports.sort_by_key(|(piece, _)| (piece.layer, piece.run, piece.tiles.start));
        let same_layer = reports.chunk_by(|a, b| a.0.layer == b.0.layer);
        Ok(same_layer.map(|parts| sum(parts.iter().map(|p| p.1.clone()))).collect())
    }

    /// Runs the network from start to interrupt, once for each run's images.
    pub fn chain(
        &self,
        codes: ArrayView4<i32>,
        trace: &Trace,
        done: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<LayerReport>> {
        let models = self.model_cycles();
        let runs = in_parallel(self.jobs, self.runs(codes), |run| {
            let reports = self.whole(run, codes, trace)?;
            done(models.iter().sum());
            Ok(reports)
        })?;
        let layers = 0..self.schedule.layers.len();
        Ok(layers.map(|l| sum(runs.iter().map(|reports| reports[l].clone()))).collect())
    }

    /// Logits `(image, class)`, without a comparison; the last run is filled up with its last image.
    pub fn logits(&self, codes: ArrayView4<i32>) -> Result<Array2<i64>> {
        let (count, batch) = (codes.dim().0, self.schedule.images);
        let runs = in_parallel(self.jobs, count.div_ceil(batch), |run| {
            let images: Vec<usize> = (run * batch..(run + 1) * batch).map(|i| i.min(count - 1)).collect();
            let images = codes.select(Axis(0), &images);
            let (memory, _) = self.simulate(self.schedule, images.view(), None, None)?;
            Ok(self.schedule.logits(&memory))
        })?;
        let views: Vec<_> = runs.iter().map(|r| r.view()).collect();
        let logits = ndarray::concatenate(Axis(0), &views).expect("runs have one number of classes");
        Ok(logits.slice_move(s![..count, ..]))
    }

    /// Writes the waveform around the first wrong word of `layer` (of the whole network where `None`), with `traced`, a
    /// simulator that can; the cycle of that word, `None` where no word is wrong.
    pub fn waveform(
        &self,
        traced: &dyn Simulator,
        layer: Option<usize>,
        codes: ArrayView4<i32>,
        trace: &Trace,
        path: &Path,
    ) -> Result<Option<u64>> {
        let part = layer.map(|l| self.schedule.part(l, self.tiles(l))).transpose()?;
        let schedule = part.as_ref().unwrap_or(self.schedule);
        for run in 0..self.runs(codes) {
            let trace = self.trace(trace, run);
            let input = self.input(layer.unwrap_or(0), codes, &trace, run);
            let golden = layer.map(|l| self.schedule.part_of(&trace, l, &self.tiles(l)));
            let expected = schedule.expected(golden.as_ref().unwrap_or(&trace));
            let (_, statistics) = self.simulate(schedule, input.view(), Some(&expected), None)?;
            let Some(cycle) = statistics.wrong_cycle else { continue };
            let (from, to) = (cycle.saturating_sub(AROUND.0), cycle + AROUND.1);
            let work = self.cache.workspace()?;
            let file = work.path().join("wave.vcd");
            let waveform = Waveform { path: file.clone(), from, to };
            let network = Network { simulator: traced, memory: self.memory.clone(), ..*self };
            network.simulate(schedule, input.view(), None, Some(waveform))?;
            output::write(path, &std::fs::read(&file).map_err(Error::io(&file))?)?;
            return Ok(Some(cycle));
        }
        Ok(None)
    }

    fn runs(&self, codes: ArrayView4<i32>) -> usize {
        codes.dim().0 / self.schedule.images
    }

    fn tiles(&self, layer: usize) -> Range<usize> {
        0..self.schedule.layers[layer].command.co_tiles as usize
    }

    /// Cycles of each layer, by the model.
    pub fn model_cycles(&self) -> Vec<u64> {
        cycles::estimate(self.schedule, self.timing()).iter().map(|c| c.total).collect()
    }

    fn timing(&self) -> MemoryTiming {
        MemoryTiming { latency: self.memory.latency, stall_percent: self.memory.stall_percent.into() }
    }

    fn cut(&self, layers: Range<usize>, runs: usize) -> Vec<Piece> {
        let models = self.model_cycles();
        let total: u64 = models[layers.clone()].iter().sum::<u64>() * runs as u64;
        let most = (total / (4 * self.jobs as u64)).max(SMALL);
        let layer_jobs = |run: usize, layer: usize| {
            let tiles = self.tiles(layer).end;
            let parts = (models[layer].div_ceil(most) as usize).clamp(1, tiles);
            let cycles = models[layer] / parts as u64;
            let bound = move |part: usize| part * tiles / parts;
            (0..parts).map(move |p| Piece { run, layer, tiles: bound(p)..bound(p + 1), cycles })
        };
        let pairs = (0..runs).flat_map(|run| layers.clone().map(move |layer| (run, layer)));
        pairs.flat_map(|(run, layer)| layer_jobs(run, layer)).collect()
    }

    /// The images of run `run`.
    fn images<'c>(&self, codes: ArrayView4<'c, i32>, run: usize) -> ArrayView4<'c, i32> {
        let n = self.schedule.images;
        codes.slice_move(s![run * n..(run + 1) * n, .., .., ..])
    }

    /// The trace of run `run`.
    fn trace(&self, trace: &Trace, run: usize) -> Trace {
        let images = run * self.schedule.images..(run + 1) * self.schedule.images;
        let maps = trace.activations.iter().map(|x| x.slice(s![images.clone(), .., .., ..]).to_owned());
        Trace { activations: maps.collect(), logits: trace.logits.slice(s![images.clone(), ..]).to_owned() }
    }

    /// The input of layer `layer` in run `run`, whose trace is `trace`.
    fn input(&self, layer: usize, codes: ArrayView4<i32>, trace: &Trace, run: usize) -> Array4<i32> {
        match layer.checked_sub(1) {
            Some(before) => trace.activations[before].clone(),
            None => self.images(codes, run).to_owned(),
        }
    }

    fn layer(&self, piece: &Piece, codes: ArrayView4<i32>, trace: &Trace) -> Result<LayerReport> {
        let part = self.schedule.part(piece.layer, piece.tiles.clone())?;
        let trace = self.trace(trace, piece.run);
        let input = self.input(piece.layer, codes, &trace, piece.run);
        let golden = self.schedule.part_of(&trace, piece.layer, &piece.tiles);
        let first_channel = self.schedule.channels(piece.layer, &piece.tiles).start;
        let reports = self.compared(&part, input.view(), &golden, &[piece.cycles])?;
        let mut report = reports.into_iter().next().expect("a part is one layer");
        if let Some(first) = &mut report.comparison.first {
            first.channel += first_channel;
            first.image += piece.run * self.schedule.images;
        }
        Ok(report)
    }

    fn whole(&self, run: usize, codes: ArrayView4<i32>, trace: &Trace) -> Result<Vec<LayerReport>> {
        let (images, trace) = (self.images(codes, run), self.trace(trace, run));
        let mut reports = self.compared(self.schedule, images, &trace, &self.model_cycles())?;
        let firsts = reports.iter_mut().filter_map(|r| r.comparison.first.as_mut());
        firsts.for_each(|first| first.image += run * self.schedule.images);
        Ok(reports)
    }

    /// Simulates `schedule` on `input` and compares with `golden`, or finds the result of that in the cache.
    fn compared(
        &self,
        schedule: &Schedule,
        input: ArrayView4<i32>,
        golden: &Trace,
        models: &[u64],
    ) -> Result<Vec<LayerReport>> {
        let expected = schedule.expected(golden);
        let mut memory = schedule.memory.clone();
        schedule.put_images(&mut memory, input);
        let options = serde_json::json!({ "memory": self.memory, "models": models }).to_string();
        let parts = [self.simulator.key().as_bytes(), options.as_bytes(), &memory.bytes, &expected];
        let key = format!("result-{}", &store::digest(parts)[..32]);
        let known: Option<Vec<LayerReport>> = if self.resume { self.cache.value(&key) } else { None };
        if let Some(reports) = known {
            if is_verdict(&reports, schedule, golden, models) {
                return Ok(reports);
            }
            warn(&format!(
                "{}: is no verdict on this network; simulated again",
                self.cache.path(&key).display()
            ));
        }
        let (memory, statistics) = self.execute(schedule, memory, Some(&expected), None)?;
        let names: Vec<String> = schedule.layers.iter().map(|l| l.name.clone()).collect();
        let comparisons = compare(&names, golden, &schedule.trace(&memory));
        let count = schedule.layers.len();
        let layers = schedule.layers.iter().zip(comparisons).zip(models).enumerate();
        let reports: Vec<LayerReport> = layers
            .map(|(i, ((layer, comparison), &model_cycles))| {
                let Mark { cycle, traffic } = statistics.taken(i, count);
                let Traffic { weight_beats, act_beats, write_beats } = traffic;
                let wrong_cycle = statistics.wrong_cycle.filter(|_| comparison.mismatches > 0);
                LayerReport {
                    macs: layer.macs,
                    cycles: cycle,
                    model_cycles,
                    weight_beats,
                    act_beats,
                    write_beats,
                    comparison,
                    wrong_cycle,
                }
            })
            .collect();
        if reports.iter().all(|r| r.comparison.mismatches == 0) {
            self.cache.keep_value(&key, &reports);
        }
        Ok(reports)
    }

    /// Memory after a run of `schedule` on `input`.
    fn simulate(
        &self,
        schedule: &Schedule,
        input: ArrayView4<i32>,
        expected: Option<&[u8]>,
        waveform: Option<Waveform>,
    ) -> Result<(Memory, Statistics)> {
        let mut memory = schedule.memory.clone();
        schedule.put_images(&mut memory, input);
        self.execute(schedule, memory, expected, waveform)
    }

    fn execute(
        &self,
        schedule: &Schedule,
        mut memory: Memory,
        expected: Option<&[u8]>,
        waveform: Option<Waveform>,
    ) -> Result<(Memory, Statistics)> {
        let traced_until = waveform.as_ref().map(|w| w.to + 1);
        let job = Job {
            schedule,
            image: &memory.bytes,
            expected,
            memory: &self.memory,
            max_cycles: traced_until.unwrap_or_else(|| cycles::limit(schedule, self.timing())),
            waveform,
        };
        let (statistics, output) = self.simulator.run(&job)?;
        if traced_until.is_none() {
            let names: Vec<&str> = schedule.layers.iter().map(|l| l.name.as_str()).collect();
            statistics.check(&names)?;
        }
        let window = schedule.write_window();
        if output.len() != window.len() {
            let reason = format!("{} bytes of output where {} are needed", output.len(), window.len());
            return Err(Error::ToolFailed { tool: "the simulator".into(), reason });
        }
        memory.bytes[window].copy_from_slice(&output);
        Ok((memory, statistics))
    }
}

/// Whether `reports` count what a run of `schedule` compares with `golden`, and say that all of it is equal.
fn is_verdict(reports: &[LayerReport], schedule: &Schedule, golden: &Trace, models: &[u64]) -> bool {
    let words = golden.activations.iter().map(|x| x.len()).chain([golden.logits.len()]);
    let layers = schedule.layers.iter().zip(words).zip(models);
    reports.len() == schedule.layers.len()
        && reports.iter().zip(layers).all(|(report, ((layer, words), &model_cycles))| {
            let Comparison { layer: name, words: compared, mismatches, first } = &report.comparison;
            (name, *compared, *mismatches, first) == (&layer.name, words, 0, &None)
                && (report.macs, report.model_cycles) == (layer.macs, model_cycles)
        })
}

/// Parts of one layer, or runs of it, together.
fn sum(reports: impl Iterator<Item = LayerReport>) -> LayerReport {
    let add = |mut sum: LayerReport, other: LayerReport| {
        sum.macs += other.macs;
        sum.cycles += other.cycles;
        sum.model_cycles += other.model_cycles;
        sum.weight_beats += other.weight_beats;
        sum.act_beats += other.act_beats;
        sum.write_beats += other.write_beats;
        sum.comparison.absorb(other.comparison);
        sum.wrong_cycle = sum.wrong_cycle.or(other.wrong_cycle);
        sum
    };
    reports.reduce(add).expect("a layer has parts")
}
