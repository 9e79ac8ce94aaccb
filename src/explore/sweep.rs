//! Which points are looked at: the product of everything that varies.

use super::Family;
use super::accuracy::accumulator_bits_by_type;
use super::coding::{Assignment, Bits, Coding};
use crate::arith::WIDTHS;
use crate::config::{ArrayConfig, COLS, Multipliers, Pack, ROWS, Requantize};
use crate::float::FloatModel;
use crate::quantize::{Rounding, check_exceptions};
use crate::schedule::{Digits, Geometry, LayerGeometry};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Most points of a sweep.
pub const MOST_POINTS: usize = 200_000;

/// What varies. Every list holds at least one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axes {
    /// Weight bits W, 2 … 16.
    pub weights: Vec<u32>,
    /// Activation bits A, 2 … 16.
    pub acts: Vec<u32>,
    /// Least bits of the image, of the first and last layer's weights, and of what the last layer reads.
    pub ends: u32,
    /// Bit assignments beside the uniform widths.
    pub assignments: Vec<Assignment>,
    /// Requantization modes.
    pub requantize: Vec<Requantize>,
    /// Which codes weights get.
    #[serde(default)]
    pub rounding: Rounding,
    /// What the array's products are made of.
    pub multipliers: Vec<Multipliers>,
    /// How many neighbouring columns share a multiplier.
    pub packs: Vec<Pack>,
    /// Builds have the widths above, and layers that are wider run by digits; otherwise builds are as wide as the widest layer.
    #[serde(default)]
    pub digits: bool,
    /// Rows and columns.
    pub arrays: Vec<(usize, usize)>,
    /// Bits of the bus; `None`: the preset's.
    pub buses: Vec<Option<usize>>,
    /// FPGA families.
    pub families: Vec<Family>,
    /// Numbers of the design point that replace the preset's.
    pub fixed: Fixed,
}

/// Numbers of a design point that do not vary; `None`: as in the preset that is nearest in size to the array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// Words of each activation lane.
    pub act_depth: Option<usize>,
    /// Words of each weight lane.
    pub weight_depth: Option<usize>,
    /// Positions of an accumulator bank.
    pub acc_depth: Option<usize>,
    /// Accumulators requantized per cycle.
    pub requantizers: Option<usize>,
    /// Bits of an accumulator; `None`: proven from the network's integers, or what its widths can need.
    pub acc_bits: Option<u32>,
    /// Longest row that the folding block holds.
    pub fold_width: Option<usize>,
}

/// One point of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Place in the sweep, from 0.
    pub index: usize,
    /// Widths and requantization.
    pub coding: Coding,
    /// What the array's products are made of.
    pub multipliers: Multipliers,
    /// How many neighbouring columns share a multiplier.
    pub pack: Pack,
    /// The build has the coding's widths, and wider layers run by digits.
    pub digits: bool,
    /// Rows and columns.
    pub array: (usize, usize),
    /// Bits of the bus.
    pub bus: Option<usize>,
    /// FPGA family.
    pub family: Family,
}

impl Axes {
    /// Checks every value, and that there are not too many points.
    pub fn validate(&self, model: &FloatModel) -> Result<()> {
        let empty = [
            ("--weights", self.weights.is_empty()),
            ("--acts", self.acts.is_empty()),
            ("--requantize", self.requantize.is_empty()),
            ("--multipliers", self.multipliers.is_empty()),
            ("--pack", self.packs.is_empty()),
            ("--array", self.arrays.is_empty()),
            ("--bus", self.buses.is_empty()),
            ("--family", self.families.is_empty()),
        ];
        if let Some((option, _)) = empty.iter().find(|e| e.1) {
            return Err(Error::usage(*option, "needs at least one value"));
        }
        let width = |option: &str, bits: u32| match WIDTHS.contains(&bits) {
            true => Ok(()),
            false => {
                let (least, most) = (WIDTHS.start(), WIDTHS.end());
                Err(Error::usage(option, format!("{bits} bits where {least} … {most} are possible")))
            }
        };
        self.weights.iter().try_for_each(|&w| width("--weights", w))?;
        self.acts.iter().try_for_each(|&a| width("--acts", a))?;
        width("--ends", self.ends)?;
        for assignment in &self.assignments {
            check_exceptions("--assign", &assignment.layers, model)?;
        }
        for &(rows, cols) in &self.arrays {
            if !(ROWS.contains(&rows) && COLS.contains(&cols)) {
                let reason = format!("{rows}×{cols} where 3 … 64 rows and 2 … 64 columns are possible");
                return Err(Error::usage("--array", reason));
            }
        }
        for &bus in self.buses.iter().flatten() {
            if ![64, 128, 256, 512].contains(&bus) {
                return Err(Error::usage("--bus", format!("{bus} is not 64, 128, 256 or 512")));
            }
        }
        let points = self.count();
        if points > MOST_POINTS {
            let reason = format!("{points} points, at most {MOST_POINTS} are possible in one sweep");
            return Err(Error::usage("--weights", reason));
        }
        Ok(())
    }

    /// Points at most.
    pub fn count(&self) -> usize {
        let factors = [
            self.weights.len(),
            1 + self.assignments.len(),
            self.acts.len(),
            self.requantize.len(),
            self.multipliers.len(),
            self.packs.len(),
            self.arrays.len(),
            self.buses.len(),
            self.families.len(),
        ];
        factors.into_iter().fold(1, usize::saturating_mul)
    }

    /// Every coding: uniform widths, then assignments.
    pub fn codings(&self) -> Vec<Coding> {
        let mut all = vec![];
        for &requantize in &self.requantize {
            for &acts in &self.acts {
                let rounding = self.rounding;
                let of = |weights, ends, assignment| Coding {
                    weights,
                    acts,
                    ends,
                    assignment,
                    requantize,
                    rounding,
                };
                all.extend(self.weights.iter().map(|&w| of(w, self.ends, None)));
                for a in &self.assignments {
                    // A found assignment names every layer, once for A and mode.
                    let weights = match a.found_for {
                        None => self.weights.clone(),
                        Some(found) if found == (acts, requantize) => {
                            a.layers.iter().map(|l| l.weights.bits()).max().into_iter().collect()
                        }
                        Some(_) => vec![],
                    };
                    all.extend(weights.into_iter().map(|w| of(w, self.ends, Some(a.clone()))));
                }
            }
        }
        all
    }

    /// Every point, in an order that does not change.
    pub fn points(&self) -> Vec<Point> {
        let mut points = vec![];
        let products =
            || self.multipliers.iter().flat_map(|&m| self.packs.iter().map(move |&pack| (m, pack)));
        for &family in &self.families {
            for &array in &self.arrays {
                for &bus in &self.buses {
                    for (multipliers, pack) in products() {
                        let point = |(i, coding)| Point {
                            index: i,
                            coding,
                            multipliers,
                            pack,
                            digits: self.digits,
                            array,
                            bus,
                            family,
                        };
                        let first = points.len();
                        points.extend((first..).zip(self.codings()).map(point));
                    }
                }
            }
        }
        points
    }
}

impl Point {
    /// The design point for a network of `bits`, as `--array` makes it: the preset that is nearest in size, with the
    /// widths that the network needs. `accumulators` are the bits that its sums are proven to need.
    pub fn config(
        &self,
        geometry: &Geometry,
        bits: &Bits,
        accumulators: Option<&[u32]>,
        fixed: &Fixed,
    ) -> Result<ArrayConfig> {
        let (rows, cols) = self.array;
        let base = ArrayConfig::near(rows, cols);
        let widest = |bits: &[u32]| bits.iter().copied().max().unwrap_or(2);
        let (weight_bits, act_bits) = match self.digits {
            true => (self.coding.weights, self.coding.acts),
            false => (widest(&bits.weights), widest(&bits.acts)),
        };
        let mut config = ArrayConfig {
            weight_bits,
            act_bits,
            requantize: self.coding.requantize,
            multipliers: self.multipliers,
            bus_bits: self.bus.unwrap_or(base.bus_bits),
            act_depth: fixed.act_depth.unwrap_or(base.act_depth),
            weight_depth: fixed.weight_depth.unwrap_or(base.weight_depth),
            acc_depth: fixed.acc_depth.unwrap_or(base.acc_depth),
            fold_width: fixed.fold_width.unwrap_or(base.fold_width),
            ..base
        };
        let shapes = geometry.shapes();
        let by_type = || {
            let terms = geometry.layers.iter().zip(&shapes).map(|(l, &x)| l.op.reduction(x));
            let widths = bits.weights.iter().zip(&bits.acts);
            widths.zip(terms).map(|((&w, &a), n)| accumulator_bits_by_type(w, a, n)).max()
        };
        let needed = accumulators.map_or_else(by_type, |bits| bits.iter().copied().max());
        config.acc_bits = fixed.acc_bits.unwrap_or(needed.unwrap_or(0).max(config.psum_bits()));
        if rows > 0 && cols > 0 {
            config.requantizers = fixed.requantizers.unwrap_or(config.most_requantizers());
        }
        if self.digits {
            let digits = bits.digits(&config);
            config.weight_digits = digits.iter().map(|d| d.weights).max().unwrap_or(1);
            config.act_digits = digits.iter().map(|d| d.acts).max().unwrap_or(1);
        }
        let config = config.with_pack(self.pack, self.family.multiplier_bits());
        config.validate_options()?;
        match needed.filter(|&needed| needed > config.acc_bits) {
            Some(needed) => Err(Error::usage(
                "--acc-bits",
                format!("accumulators of {needed} bits, the build has {}", config.acc_bits),
            )),
            None => Ok(config),
        }
    }
}

/// The geometry of a float network: its last layer yields logits.
pub fn geometry(model: &FloatModel) -> Geometry {
    let last = model.layers.len().saturating_sub(1);
    let layer = |(i, l): (usize, &crate::float::FloatLayer)| LayerGeometry {
        name: l.name.clone(),
        op: l.op,
        clip: (i < last).then_some(u16::MAX),
        digits: Digits::ONE,
    };
    let layers = model.layers.iter().enumerate().map(layer).collect();
    Geometry { input: model.header.input, signed: true, layers }
}
