//! What a design may take, and what it lacks.

use super::Resources;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

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
    pub fn filled_by(&self, design: &Resources) -> f64 {
        let share = |(_, needs, has): (_, u64, u64)| if needs == 0 { 0.0 } else { needs as f64 / has as f64 };
        self.compared(design).map(share).fold(0.0, f64::max)
    }
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
}
