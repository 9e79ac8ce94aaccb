//! The commands that make a point of a sweep: a model at its widths, and its Verilog.

use super::row::Row;
use super::task::Task;
use super::{Coding, Family};
use crate::config::{ArrayConfig, Multipliers, Requantize};
use crate::quantize::{DEFAULT_ENDS, Rounding};
use crate::schedule::inside;
use crate::shell;

/// The data set of a sweep without one: its name is the user's to fill in.
const SOME_DATA: &str = "DIR";

impl Task {
    /// The commands that make the design of `row`, in their order; none for one that cannot be built. A sweep of a shape
    /// without weights gets the model file that the user has to bring, and one without images `DIR`.
    pub fn commands(&self, row: &Row) -> Vec<String> {
        let Some(config) = &row.config else { return vec![] };
        let Some(coding) = self.coding(row) else { return vec![] };
        let stem = self.model.file_stem().map_or("model".into(), |name| name.to_string_lossy());
        let model = format!("{stem}-{}", self.suffix(row));
        let int = format!("{model}.safetensors");
        let mut code = self.tuned(&coding).unwrap_or_else(|| self.quantized(&coding));
        code.extend(["-o".into(), int.clone()]);
        let mut build = vec!["generate".into(), int];
        build.extend(self.build(row, config));
        let array = format!("{}x{}", row.rows, row.cols);
        let shared = if config.pack > 1 { format!("-pack{}", config.pack) } else { String::new() };
        let products = if config.multipliers == Multipliers::Lut { "-lut" } else { &*shared };
        build.extend(["-o".into(), format!("{model}-{array}{products}")]);
        [code, build].iter().map(|words| shell::command(words)).collect()
    }

    /// The coding that `row` is of.
    fn coding(&self, row: &Row) -> Option<Coding> {
        let name = row.assignment.as_ref();
        let is_its = |a: &&super::Assignment| {
            Some(&a.name) == name && a.found_for.is_none_or(|found| found == (row.acts, row.requantize))
        };
        let assignment = self.axes.assignments.iter().find(is_its).cloned();
        (assignment.is_some() == name.is_some()).then_some(Coding {
            weights: row.weights,
            acts: row.acts,
            ends: self.axes.ends,
            assignment,
            requantize: row.requantize,
            rounding: self.axes.rounding,
        })
    }

    /// What tells the model files of a sweep apart.
    fn suffix(&self, row: &Row) -> String {
        let place = self.axes.assignments.iter().position(|a| Some(&a.name) == row.assignment.as_ref());
        let mixed = place.map_or(String::new(), |i| format!("-mixed{}", i + 1));
        let pow2 = if row.requantize == Requantize::Pow2 { "-pow2" } else { "" };
        format!("w{}a{}{mixed}{pow2}", row.weights, row.acts)
    }

    /// The float model's file.
    fn float(&self) -> String {
        let path = self.model.display().to_string();
        if self.model.extension().is_some() || self.model.exists() {
            path
        } else {
            format!("{path}.safetensors")
        }
    }

    fn quantized(&self, coding: &Coding) -> Vec<String> {
        let mut words = vec!["quantize".into(), self.float()];
        words.extend(widths(coding));
        if coding.requantize == Requantize::Pow2 {
            words.extend(["--requantize".into(), "pow2".into()]);
        }
        if coding.rounding != Rounding::default() {
            words.extend(["--rounding".into(), coding.rounding.name().into()]);
        }
        let images = self.images.as_ref().map(|i| i.calibration.as_ref().unwrap_or(&i.data));
        words.extend(["--calib".into(), images.map_or(SOME_DATA.into(), |path| path.display().to_string())]);
        if self.images.as_ref().is_some_and(|i| i.turned) {
            words.push("--turn".into());
        }
        words
    }

    /// `None`: the sweep does not fine-tune.
    fn tuned(&self, coding: &Coding) -> Option<Vec<String>> {
        let tuning = self.qat.as_ref()?;
        let learn = if coding.requantize == Requantize::Pow2 { "tqt" } else { "lsq" };
        let mut words = vec!["train".into(), self.float(), "--qat".into(), learn.into()];
        words.extend(widths(coding));
        if coding.rounding != Rounding::default() {
            words.extend(["--rounding".into(), coding.rounding.name().into()]);
        }
        words.extend(["--epochs".into(), tuning.epochs.to_string()]);
        words.extend(["--data".into(), tuning.train.display().to_string()]);
        if tuning.limit != usize::MAX {
            words.extend(["--images".into(), tuning.limit.to_string()]);
        }
        Some(words)
    }

    /// The options of `generate` whose defaults give another build than `config`.
    fn build(&self, row: &Row, config: &ArrayConfig) -> Vec<String> {
        let fixed = &self.axes.fixed;
        let near = ArrayConfig::near(row.rows, row.cols);
        // Bits of activations are known layer by layer of uniform widths only.
        let uniform = self.axes.digits && row.assignment.is_none() && row.layer_bits.len() > 2;
        let other = |is_other: bool, value: u32| is_other.then(|| value.to_string());
        let size = |size: Option<usize>| size.map(|size| size.to_string());
        let options = [
            ("--array", Some(format!("{}x{}", row.rows, row.cols))),
            ("--bus", (config.bus_bits != near.bus_bits).then(|| config.bus_bits.to_string())),
            ("--weight-bits", other(config.weight_bits != inside(&row.layer_bits), config.weight_bits)),
            ("--act-bits", other(!uniform, config.act_bits)),
            ("--multipliers", (config.multipliers == Multipliers::Lut).then(|| "lut".into())),
            ("--pack", other(config.pack > 1, config.pack as u32)),
            ("--family", (config.pack > 1 && row.family != Family::Ecp5).then(|| row.family.name().into())),
            ("--acc-bits", fixed.acc_bits.map(|bits| bits.to_string())),
            ("--act-depth", size(fixed.act_depth)),
            ("--weight-depth", size(fixed.weight_depth)),
            ("--acc-depth", size(fixed.acc_depth)),
            ("--requantizers", size(fixed.requantizers)),
            ("--fold-width", size(fixed.fold_width)),
        ];
        let given = options.into_iter().filter_map(|(option, value)| Some([option.into(), value?]));
        given.flatten().collect()
    }
}

/// Widths as `quantize` and `train` take them.
fn widths(coding: &Coding) -> Vec<String> {
    let mut words = vec!["--weights".into(), coding.weights.to_string()];
    words.extend(["--acts".into(), coding.acts.to_string()]);
    if coding.ends != DEFAULT_ENDS {
        words.extend(["--ends".into(), coding.ends.to_string()]);
    }
    if let Some(assignment) = &coding.assignment {
        words.extend(["--assign".into(), assignment.option()]);
    }
    words
}
