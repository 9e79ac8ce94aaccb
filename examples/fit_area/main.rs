//! Fits the analytical area model of `vgg2rtl explore` to yosys: `sim/synth/fit_area.sh ecp5 xc7`.
//!
//! Synthesises the modules that changed since the last time, writes `src/explore/area_model.json` and
//! `tests/data/area_held_out.json`, and prints the error on designs that are held out.

mod points;
mod samples;

use nalgebra::{DMatrix, DVector};
use points::points;
use rayon::prelude::*;
use samples::{NEVER, Sample, samples, warm};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::cosim::Cache;
use vgg2rtl::explore::fitting::{Kind, Model, RESOURCES, error, features, parts};
use vgg2rtl::explore::{Family, Resources, synthesize};
use vgg2rtl::{Error, Result, output, store};

/// Design points and what synthesis gave for them.
type Points = Vec<(ArrayConfig, Resources)>;

fn main() -> Result<()> {
    let families: Vec<String> = std::env::args().skip(1).collect();
    if families.is_empty() {
        return Err(Error::usage("FAMILY", "families to fit: ecp5, xc7, ice40, gowin, xcup"));
    }
    let families = families.iter().map(|name| Family::named(name)).collect::<Result<Vec<_>>>()?;
    let cache = Cache::open(None)?;
    families.into_iter().try_for_each(|family| fit_area(family, &cache))
}

/// Refits one family, measures it, and writes both data files.
fn fit_area(family: Family, cache: &Cache) -> Result<()> {
    let held_out = held_out(family, cache)?;
    let samples = samples(family, cache)?.into_iter();
    let kinds: BTreeMap<String, Kind> =
        samples.map(|(kind, samples)| (kind.into(), fit(family, kind, &samples))).collect();
    print_errors(family, &kinds, &held_out);
    print_worst_kinds(family, &kinds);
    put(&root().join("src/explore/area_model.json"), family, kinds, |kinds| {
        let kind = |(name, k): (&String, &Kind)| Ok(format!("\"{name}\":{}", json(k)?));
        Ok(format!("{{\n{}}}", kinds.iter().map(kind).collect::<Result<Vec<_>>>()?.join(",\n")))
    })?;
    put(&root().join("tests/data/area_held_out.json"), family, held_out, |points: &Points| {
        Ok(format!("[\n{}]", points.iter().map(json).collect::<Result<Vec<_>>>()?.join(",\n")))
    })
}

/// Synthesises the points that the fit does not see.
fn held_out(family: Family, cache: &Cache) -> Result<Points> {
    let points = points().1;
    warm(family, cache, &points.iter().map(|config| (config, None)).collect::<Vec<_>>())?;
    let one = |(i, config)| {
        let found = synthesize(&config, family, cache, &NEVER)?;
        println!("{}: held out {i}: {found:?}", family.name());
        Ok((config, found))
    };
    points.into_par_iter().enumerate().with_max_len(1).map(one).collect()
}

/// What is measured, where it is the same for the same arguments, and a linear model by least squares.
fn fit(family: Family, kind: &str, samples: &[Sample]) -> Kind {
    let mut measured: BTreeMap<&Vec<u32>, BTreeSet<[u32; RESOURCES]>> = BTreeMap::new();
    samples.iter().for_each(|(args, found)| {
        measured.entry(args).or_default().insert(*found);
    });
    let terms: Vec<Vec<f64>> = samples.iter().map(|(args, _)| features(family, kind, args)).collect();
    let matrix = DMatrix::from_fn(terms.len(), terms[0].len(), |r, c| terms[r][c]);
    let svd = matrix.svd(true, true);
    let solve = |resource: usize| {
        let values = DVector::from_iterator(samples.len(), samples.iter().map(|s| f64::from(s.1[resource])));
        let solution = svd.solve(&values, 1e-6).expect("both sides were computed");
        solution.iter().map(|c| ((c * 1e6) as i64) as f64 / 1e6).collect()
    };
    let alone = |(args, found): (&Vec<u32>, BTreeSet<_>)| {
        (found.len() == 1).then(|| (args.clone(), found.into_iter().next().expect("there is one")))
    };
    Kind { fitted: std::array::from_fn(solve), measured: measured.into_iter().filter_map(alone).collect() }
}

/// Prints what the model, and its linear part alone, say of the points that were held out.
fn print_errors(family: Family, kinds: &BTreeMap<String, Kind>, held_out: &Points) {
    let model = Model::new(family, kinds);
    for (config, found) in held_out {
        println!("{config:?}\n    {found:?}\n    {:?}", model.total(&parts(config)));
    }
    println!("{}: {:?}", family.name(), error(held_out, |config| model.total(&parts(config))));
    let linear = |(name, k): (&String, &Kind)| (name.clone(), Kind { measured: vec![], ..k.clone() });
    let linear = Model::new(family, &kinds.iter().map(linear).collect());
    println!("linear models alone: {:?}", error(held_out, |config| linear.total(&parts(config))));
}

/// Prints for each kind how far its linear model is from what was measured: its features are what to improve.
fn print_worst_kinds(family: Family, kinds: &BTreeMap<String, Kind>) {
    for (name, kind) in kinds {
        let off = |resource: usize| {
            let errors = kind.measured.iter().map(|(args, found)| {
                let terms = features(family, name, args);
                let is: f64 = terms.iter().zip(&kind.fitted[resource]).map(|(t, c)| t * c).sum();
                ((is - f64::from(found[resource])).abs(), args, is, found[resource])
            });
            errors.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|e| e.0 >= 2.0)
        };
        for (resource, label) in [(0, "LUT"), (1, "FF"), (3, "DSP"), (4, "BRAM")] {
            if let Some((_, args, is, found)) = off(resource) {
                println!("{}: {name} {args:?}: {is:.0} {label} where there are {found}", family.name());
            }
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::bad_file("area model", e.to_string()))
}

/// Puts `value` in the place of what the file says of `family`; `line` writes it with a line for each of its parts.
fn put<T: serde::de::DeserializeOwned>(
    path: &Path,
    family: Family,
    value: T,
    line: impl Fn(&T) -> Result<String>,
) -> Result<()> {
    let known = store::read_text(path)?;
    let mut file: BTreeMap<String, T> =
        serde_json::from_str(&known).map_err(|e| Error::bad_file(path, e.to_string()))?;
    file.insert(family.name().into(), value);
    let one = |(name, value): (&String, &T)| Ok(format!("\"{name}\":{}", line(value)?));
    let text = file.iter().map(one).collect::<Result<Vec<_>>>()?.join(",\n");
    output::write(path, format!("{{\n{text}}}\n").as_bytes())
}
