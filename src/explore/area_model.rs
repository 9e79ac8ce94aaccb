//! The fitted model: per family and kind of module, what was measured, and a linear model for the rest.

use super::area_features::{features, requantizer_products};
use super::area_memory::memory;
use super::area_parts::Part;
use super::{Family, Resources};
use crate::arith::nearest_count;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

/// LUT, FF, carry cells, DSPs, block RAMs.
pub const RESOURCES: usize = 5;

/// What is known of a kind of module.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// Modules that were synthesised: arguments and what they take.
    pub measured: Vec<(Vec<u32>, [u32; RESOURCES])>,
    /// Coefficients of the [`features`], per resource.
    pub fitted: [Vec<f64>; RESOURCES],
}

/// The kinds of each family.
pub type File = BTreeMap<String, BTreeMap<String, Kind>>;

/// The data file, written by the fit.
pub const DATA: &str = include_str!("area_model.json");

/// Kinds whose measured neighbours, which differ in the last argument only, tell more than the linear model.
const SMOOTH: [&str; 3] = ["pe", "pe_lut", "accumulator"];

/// What was measured, by arguments.
type Measured = HashMap<Vec<u32>, [u32; RESOURCES]>;

/// A model of one family.
pub struct Model {
    family: Family,
    kinds: HashMap<String, (Measured, Kind)>,
}

impl Model {
    /// From what the data file says of `family`.
    pub fn new(family: Family, kinds: &BTreeMap<String, Kind>) -> Self {
        let kind = |k: &Kind| (k.measured.iter().cloned().collect(), k.clone());
        Self { family, kinds: kinds.iter().map(|(name, k)| (name.clone(), kind(k))).collect() }
    }

    /// The model of `family` in this program.
    pub fn of(family: Family) -> &'static Self {
        static MODELS: OnceLock<Vec<Model>> = OnceLock::new();
        let models = MODELS.get_or_init(|| {
            let file: File = serde_json::from_str(DATA).expect("a test reads the data file");
            let empty = BTreeMap::new();
            let model = |f: Family| Self::new(f, file.get(f.name()).unwrap_or(&empty));
            Family::ALL.into_iter().map(model).collect()
        });
        models.iter().find(|m| m.family == family).expect("there is one for every family")
    }

    /// Whether the model was fitted to modules such as these: it knows the kinds, with as many terms as they have now.
    pub fn fits(&self, parts: &[Part]) -> bool {
        parts.iter().all(|part| {
            let known = self.kinds.get(part.kind).map(|(_, kind)| kind.fitted[0].len());
            known == Some(features(self.family, part.kind, &part.args).len())
        })
    }

    /// What `parts` take.
    pub fn total(&self, parts: &[Part]) -> Resources {
        let mut total = [0.0; RESOURCES];
        for part in parts {
            let one = self.part(part.kind, &part.args);
            total.iter_mut().zip(one).for_each(|(sum, x)| *sum += x * part.count as f64);
        }
        let [lut, ff, carry, dsp, bram] = total.map(nearest_count);
        Resources { lut, ff, carry, dsp, bram }
    }

    /// What one module of `kind` takes: what was measured, or else what the linear model says.
    pub fn part(&self, kind: &str, args: &[u32]) -> [f64; RESOURCES] {
        let Some((measured, known)) = self.kinds.get(kind) else { return [0.0; RESOURCES] };
        if let Some(exact) = measured.get(args) {
            return exact.map(f64::from);
        }
        let beside = SMOOTH.contains(&kind).then(|| beside(known, args)).flatten();
        let mut found = beside.unwrap_or_else(|| {
            let terms = features(self.family, kind, args);
            let value = |c: &Vec<f64>| c.iter().zip(&terms).map(|(c, t)| c * t).sum::<f64>();
            known.fitted.each_ref().map(value)
        });
        found[3] = match *args {
            [_, acc] if kind == "requantizer" => requantizer_products(self.family, acc).into(),
            _ => nearest_count(found[3]) as f64,
        };
        let blocks = |address, bits| memory(self.family, address, bits as usize).blocks as f64;
        found[4] = match *args {
            [address, bits] if matches!(kind, "ram" | "lanes_ram" | "queue") => blocks(address, bits),
            [channels, code, x, ..] if kind == "fold" => 2.0 * blocks(x, channels * code),
            _ => nearest_count(found[4]) as f64,
        };
        found.map(|x| x.max(0.0))
    }
}

/// From the measured module that differs from `args` in the last one only, and least; `None` where there is none.
fn beside(known: &Kind, args: &[u32]) -> Option<[f64; RESOURCES]> {
    let (last, rest) = args.split_last()?;
    let distance = |a: &[u32]| f64::from(*last) - f64::from(a[rest.len()]);
    let alike = known.measured.iter().filter(|(a, _)| a[..rest.len()] == *rest);
    let (near, exact) = alike.min_by(|a, b| distance(&a.0).abs().total_cmp(&distance(&b.0).abs()))?;
    let slopes = slopes(&known.measured);
    Some(std::array::from_fn(|i| f64::from(exact[i]) + slopes[i] * distance(near)))
}

/// What one more of the last argument takes, by least squares over modules that differ in nothing else.
fn slopes(measured: &[(Vec<u32>, [u32; RESOURCES])]) -> [f64; RESOURCES] {
    let (mut products, mut squares) = ([0.0; RESOURCES], 0.0);
    for pair in measured.windows(2) {
        let [(a, found), (b, more)] = pair else { continue };
        let last = a.len() - 1;
        if a[..last] == b[..last] {
            let distance = f64::from(b[last]) - f64::from(a[last]);
            squares += distance * distance;
            (0..RESOURCES).for_each(|i| products[i] += distance * (f64::from(more[i]) - f64::from(found[i])));
        }
    }
    products.map(|p| if squares > 0.0 { p / squares } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_requantizers_are_those_that_yosys_took() {
        let file: File = serde_json::from_str(DATA).unwrap();
        for family in Family::ALL {
            let measured = &file[family.name()]["requantizer"].measured;
            assert!(measured.len() > 30, "{}", family.name());
            for (args, found) in measured {
                assert_eq!(requantizer_products(family, args[1]), found[3], "{}: {args:?}", family.name());
            }
        }
    }
}
