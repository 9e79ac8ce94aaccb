//! Parts that one can buy, and budgets.

use super::{Family, Resources, Row};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// An FPGA.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// The name that users type.
    pub name: &'static str,
    /// What its maker calls it.
    pub device: &'static str,
    /// Its family.
    pub family: Family,
    /// Look-up tables.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Multipliers of the family's DSP block.
    pub dsp: u64,
    /// Block RAMs, in the unit of [`Resources::bram`].
    pub bram: u64,
    /// The data sheet that says so.
    pub source: &'static str,
}

/// The parts that are known. Units are those of [`Resources`]: a Xilinx RAMB36 counts as two block RAMs.
pub const PARTS: &[Part] = &[
    part("ecp5-25k", "Lattice LFE5U-25", Family::Ecp5, [24_288, 24_288, 28, 56], ECP5),
    part("ecp5-45k", "Lattice LFE5U-45", Family::Ecp5, [43_848, 43_848, 72, 108], ECP5),
    part("ecp5-85k", "Lattice LFE5U-85", Family::Ecp5, [83_640, 83_640, 156, 208], ECP5),
    part("up5k", "Lattice iCE40UP5K", Family::Ice40, [5_280, 5_280, 8, 30], "FPGA-DS-02008, table 1.1"),
    part("hx8k", "Lattice iCE40HX8K", Family::Ice40, [7_680, 7_680, 0, 32], "FPGA-DS-02029, table 1.1"),
    part("xc7a35t", "AMD XC7A35T", Family::Xc7, [20_800, 41_600, 90, 100], DS180),
    part("xc7a100t", "AMD XC7A100T", Family::Xc7, [63_400, 126_800, 240, 270], DS180),
    part("xc7z020", "AMD XC7Z020", Family::Xc7, [53_200, 106_400, 220, 280], "DS190, table 1"),
    part("xc7k325t", "AMD XC7K325T", Family::Xc7, [203_800, 407_600, 840, 890], DS180),
    part("zu9eg", "AMD XCZU9EG", Family::Xcup, [274_080, 548_160, 2_520, 1_824], "DS891, table 2"),
    part("gw2a-18", "Gowin GW2A-18", Family::Gowin, [20_736, 15_552, 48, 46], "DS102, table 1-1"),
];

const ECP5: &str = "FPGA-DS-02012, table 1.1";
const DS180: &str = "DS180, device tables";

const fn part(
    name: &'static str,
    device: &'static str,
    family: Family,
    [lut, ff, dsp, bram]: [u64; 4],
    source: &'static str,
) -> Part {
    Part { name, device, family, lut, ff, dsp, bram, source }
}

impl Part {
    /// The part called `name`.
    pub fn named(name: &str) -> Result<&'static Self> {
        let known = || PARTS.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
        let found = PARTS.iter().find(|p| p.name == name);
        found.ok_or_else(|| Error::usage("--fit", format!("no part {name}; known: {}", known())))
    }

    /// What it offers.
    pub fn budget(&self) -> Budget {
        let Self { lut, ff, dsp, bram, .. } = *self;
        Budget { lut: Some(lut), ff: Some(ff), dsp: Some(dsp), bram: Some(bram), ..Budget::default() }
    }
}

/// Most that a design may take; `None`: as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Look-up tables.
    pub lut: Option<u64>,
    /// Flip-flops.
    pub ff: Option<u64>,
    /// Carry cells.
    pub carry: Option<u64>,
    /// Multipliers.
    pub dsp: Option<u64>,
    /// Block RAMs.
    pub bram: Option<u64>,
}

/// A resource that a design has too little of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lack {
    /// `lut`, `ff`, `carry`, `dsp`, `bram`.
    pub resource: String,
    /// What the design takes.
    pub needs: u64,
    /// What the budget offers.
    pub has: u64,
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} {} of {}", self.resource, self.needs, self.has)
    }
}

impl Budget {
    /// `lut=20000,dsp=64,bram=100`.
    pub fn parse(text: &str) -> Result<Self> {
        let mut budget = Self::default();
        for item in text.split(',') {
            let (name, value) = item.split_once('=').unwrap_or((item, ""));
            let Ok(value) = value.trim().parse() else {
                let reason = format!("{item:?} is not of the form NAME=NUMBER, as in lut=20000,dsp=64");
                return Err(Error::usage("--budget", reason));
            };
            let place = match name.trim() {
                "lut" => &mut budget.lut,
                "ff" => &mut budget.ff,
                "carry" => &mut budget.carry,
                "dsp" => &mut budget.dsp,
                "bram" => &mut budget.bram,
                other => {
                    let reason = format!("no resource {other:?}; known: lut, ff, carry, dsp, bram");
                    return Err(Error::usage("--budget", reason));
                }
            };
            if place.replace(value).is_some() {
                return Err(Error::usage("--budget", format!("{} is there twice", name.trim())));
            }
        }
        Ok(budget)
    }

    /// Name, what `design` takes, and what there is, of the resources that have a budget.
    fn compared(&self, design: &Resources) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let Resources { lut, ff, carry, dsp, bram } = *design;
        let all = [
            ("lut", lut, self.lut),
            ("ff", ff, self.ff),
            ("carry", carry, self.carry),
            ("dsp", dsp, self.dsp),
            ("bram", bram, self.bram),
        ];
        all.into_iter().filter_map(|(name, needs, has)| Some((name, needs, has?)))
    }

    /// What `design` takes beyond the budget.
    pub fn lacks(&self, design: &Resources) -> Vec<Lack> {
        self.compared(design)
            .filter(|(_, needs, has)| needs > has)
            .map(|(resource, needs, has)| Lack { resource: resource.into(), needs, has })
            .collect()
    }

    /// The greatest share that `design` takes of a resource.
    fn filled_by(&self, design: &Resources) -> f64 {
        let share = |(_, needs, has): (_, u64, u64)| if needs == 0 { 0.0 } else { needs as f64 / has as f64 };
        self.compared(design).map(share).fold(0.0, f64::max)
    }
}

/// The cheapest of the points that give at least `fps` images a second and `floor`, a share, of right answers: that which fills
/// the budget least, by the resource that it takes the greatest share of, or has the fewest look-up tables without a budget.
pub fn cheapest<'a>(rows: &'a [Row], fps: f64, floor: f64, budget: Option<&Budget>) -> Option<&'a Row> {
    let is_enough = |row: &&Row| {
        let (speed, accuracy) = (row.images_per_s, row.accuracy);
        row.is_candidate()
            && row.has_result()
            && speed.is_some_and(|s| s >= fps)
            && accuracy.is_none_or(|a| a >= floor)
    };
    let cost = |row: &Row| {
        let design = row.resources?;
        Some((budget.map_or(0.0, |b| b.filled_by(&design)), design.lut))
    };
    let known = rows.iter().filter(is_enough).filter_map(|row| Some((cost(row)?, row)));
    known.min_by(|((a, lut), _), ((b, other), _)| a.total_cmp(b).then(lut.cmp(other))).map(|(_, row)| row)
}

/// The points that lack least, the nearest first: by the greatest share that any resource is over its budget.
pub fn nearest(rows: &[Row], count: usize) -> Vec<&Row> {
    let over = |row: &Row| {
        let share = |l: &Lack| l.needs as f64 / l.has as f64; // infinite where the part has none
        row.lacks.iter().map(share).fold(0.0, f64::max)
    };
    let mut lacking: Vec<&Row> = rows.iter().filter(|r| !r.lacks.is_empty()).collect();
    lacking.sort_by(|a, b| over(a).total_cmp(&over(b)).then(a.lacks.len().cmp(&b.lacks.len())));
    lacking.truncate(count);
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_budget_is_named() {
        let budget = Budget::parse("lut=100, dsp=4,bram=2").unwrap();
        let design = Resources { lut: 101, ff: 9999, carry: 0, dsp: 4, bram: 3 };
        let lacks: Vec<_> = budget.lacks(&design).iter().map(Lack::to_string).collect();
        assert_eq!(lacks, ["lut 101 of 100", "bram 3 of 2"]);
        for bad in ["", "lut", "lut=x", "gates=3", "lut=-1", "lut=1,lut=2"] {
            assert_eq!(Budget::parse(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }

    #[test]
    fn the_cheapest_fills_a_part_least() {
        let mut rows: Vec<Row> = (0..4).map(crate::explore::tests::row).collect();
        let designs = [(90, 1, 30.0, 0.9), (80, 8, 30.0, 0.9), (10, 1, 29.0, 0.9), (10, 1, 40.0, 0.3)];
        for (row, (lut, dsp, fps, accuracy)) in rows.iter_mut().zip(designs) {
            row.resources = Some(Resources { lut, dsp, ..Resources::default() });
            (row.images_per_s, row.accuracy) = (Some(fps), Some(accuracy));
        }
        let budget = Budget::parse("lut=100,dsp=8").unwrap();
        let found = |fps: f64, budget: Option<&Budget>| cheapest(&rows, fps, 0.45, budget).map(|r| r.point);
        assert_eq!(found(30.0, Some(&budget)), Some(0), "90 % of the look-up tables, not all of the DSPs");
        assert_eq!(found(30.0, None), Some(1), "fewer look-up tables");
        assert_eq!(found(20.0, None), Some(2));
        assert_eq!(found(31.0, None), None, "the fourth is hardly ever right");
    }

    #[test]
    fn parts_are_known_by_name() {
        for part in PARTS {
            assert_eq!(Part::named(part.name).unwrap(), part);
        }
        let error = Part::named("spartan").unwrap_err().to_string();
        assert!(error.contains("no part spartan") && error.contains("ecp5-85k, up5k"), "{error}");
    }
}
