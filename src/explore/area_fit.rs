//! Fits the area model: `sim/synth/fit_area.sh ecp5 xc7`.

use super::area::error;
use super::area_features::features;
use super::area_model::{DATA, File, Kind, Model, RESOURCES};
use super::area_parts::{Part, parts};
use super::area_points::{grid, points};
use super::synth::{cells, own, synthesize};
use super::synth_cells::resources;
use super::synth_source::{Source, hashes, renamed, sources};
use super::{Family, Resources};
use crate::config::ArrayConfig;
use crate::cosim::Cache;
use crate::{Result, output};
use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Different modules of a kind that are synthesised for the fit.
const FEW: usize = 12;
/// The same for kinds whose logic varies much.
const MANY: usize = 48;
const VARIED: [&str; 14] = [
    "unpacker",
    "packer",
    "fold",
    "group_select",
    "requantizer",
    "requantizer_pow2",
    "round_shift",
    "max_pool",
    "pe",
    "accumulator",
    "act_unpack",
    "raw_beat",
    "ram",
    "lanes_ram",
];

static NEVER: AtomicBool = AtomicBool::new(false);

/// A synthesised module.
type Sample = (Vec<u32>, [u32; RESOURCES]);

/// The indices of the modules at the places of the design.
fn places(sources: &[Source], at: usize, path: &str, found: &mut BTreeMap<String, usize>) {
    found.insert(path.into(), at);
    for (name, child) in &sources[at].children {
        places(sources, *child, &format!("{path}.{name}"), found);
    }
}

/// Modules that are synthesised one after the other, those of a process of yosys together.
const TOGETHER: usize = 48;

/// Synthesises what `cache` lacks of the modules `wanted` of these design points, each once, on all cores: many small processes
/// of yosys would read its libraries of cells again and again.
fn warm(family: Family, cache: &Cache, wanted: &[(&ArrayConfig, Option<&[Part]>)]) -> Result<()> {
    let modules = |(config, parts): &(&ArrayConfig, Option<&[Part]>)| {
        let sources = sources(config)?;
        let mut at = BTreeMap::new();
        places(&sources, sources.len() - 1, "top", &mut at);
        let all = || (0..sources.len()).collect();
        let modules: BTreeSet<usize> =
            parts.map_or_else(all, |parts| parts.iter().map(|p| at[p.path]).collect());
        let hashes = hashes(&sources);
        let module = |module: usize| {
            let hash = hashes[module].clone();
            let prefix = format!("m{}", &hash[..16]);
            (hash, renamed(&sources, module, &prefix))
        };
        Ok(modules.into_iter().map(module).collect::<Vec<_>>())
    };
    let all: Vec<_> = wanted.par_iter().with_max_len(1).map(modules).collect::<Result<_>>()?;
    let pool: BTreeMap<String, Vec<Source>> = all.into_iter().flatten().collect();
    let pool: Vec<Vec<Source>> = pool.into_values().collect();
    println!("{}: {} modules", family.name(), pool.len());
    let batch = |modules: &[Vec<Source>]| {
        let (mut all, mut wanted): (Vec<Source>, BTreeSet<usize>) = Default::default();
        for sources in modules {
            let first = all.len();
            let moved = |s: &Source| {
                let children = s.children.iter().map(|(name, child)| (name.clone(), first + child)).collect();
                Source { children, ..s.clone() }
            };
            all.extend(sources.iter().map(moved));
            wanted.insert(all.len() - 1);
        }
        cells(&all, family, cache, &NEVER, |module, _| wanted.contains(&module)).map(drop)
    };
    pool.par_chunks(TOGETHER).with_max_len(1).map(batch).collect()
}

/// Modules of each kind, of the points of the fit and of the grid, synthesised on all cores.
fn samples(family: Family, cache: &Cache) -> Result<BTreeMap<&'static str, Vec<Sample>>> {
    let started = Instant::now();
    let chosen = chosen(family);
    let wanted: Vec<_> = chosen.iter().map(|(config, parts)| (config, Some(&parts[..]))).collect();
    warm(family, cache, &wanted)?;
    let measured = |(config, parts): &(ArrayConfig, Vec<Part>)| {
        let found = measured(config, parts, family, cache);
        println!("{}: {:.0} s", family.name(), started.elapsed().as_secs_f64());
        found
    };
    let all: Vec<Vec<(&str, Sample)>> =
        chosen.par_iter().with_max_len(1).map(measured).collect::<Result<_>>()?;
    let mut found: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
    all.into_iter().flatten().for_each(|(kind, sample)| found.entry(kind).or_default().push(sample));
    Ok(found)
}

/// The design points of which parts are synthesised, with these.
fn chosen(family: Family) -> Vec<(ArrayConfig, Vec<Part>)> {
    let mut seen: BTreeMap<&str, BTreeSet<Vec<u32>>> = BTreeMap::new();
    let points = points().0.into_iter().map(|config| (config, None));
    let points = points.chain(grid(family).into_iter().map(|(config, kinds)| (config, Some(kinds))));
    let wanted = |(config, kinds): (ArrayConfig, Option<&[&str]>)| {
        let mut parts = parts(&config);
        parts.retain(|part| {
            let seen = seen.entry(part.kind).or_default();
            let most = if VARIED.contains(&part.kind) { MANY } else { FEW };
            let room = kinds.map_or(seen.len() < most, |kinds| kinds.contains(&part.kind));
            room && seen.insert(part.args.clone()) || always(part.kind, seen.len())
        });
        (config, parts)
    };
    points.map(wanted).collect()
}

/// What `parts` of `config` take.
fn measured(
    config: &ArrayConfig,
    parts: &[Part],
    family: Family,
    cache: &Cache,
) -> Result<Vec<(&'static str, Sample)>> {
    let sources = sources(config)?;
    let mut at = BTreeMap::new();
    places(&sources, sources.len() - 1, "top", &mut at);
    let wanted: BTreeSet<usize> = parts.iter().map(|part| at[part.path]).collect();
    let cells = cells(&sources, family, cache, &NEVER, |module, _| wanted.contains(&module))?;
    let sample = |part: &Part| {
        let own = cells[at[part.path]].as_ref().map(own).unwrap_or_default();
        (part.kind, (part.args.clone(), numbers(resources(family, &own))))
    };
    Ok(parts.iter().map(sample).collect())
}

/// Kinds whose arguments do not tell all: several modules are looked at.
fn always(kind: &str, seen: usize) -> bool {
    matches!(kind, "registers") && seen < FEW
}

fn numbers(r: Resources) -> [u32; RESOURCES] {
    [r.lut, r.ff, r.carry, r.dsp, r.bram].map(|x| x as u32)
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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn held_out_path() -> PathBuf {
    root().join("tests/data/area_held_out.json")
}

/// Refits one family, measures it, and writes both data files.
fn fit_area(family: Family) {
    let cache = Cache::open(None).unwrap();
    let of_held_out = points().1;
    warm(family, &cache, &of_held_out.iter().map(|config| (config, None)).collect::<Vec<_>>()).unwrap();
    let held_out: Vec<(ArrayConfig, Resources)> = of_held_out
        .into_par_iter()
        .enumerate()
        .with_max_len(1)
        .map(|(i, config)| {
            let found = synthesize(&config, family, &cache, &NEVER).unwrap();
            println!("{}: held out {i}: {found:?}", family.name());
            (config, found)
        })
        .collect();
    let kinds: BTreeMap<String, Kind> = samples(family, &cache)
        .unwrap()
        .into_iter()
        .map(|(kind, samples)| (kind.into(), fit(family, kind, &samples)))
        .collect();
    let model = Model::new(family, &kinds);
    for (config, found) in &held_out {
        println!("{:?}\n    {found:?}\n    {:?}", config, model.total(&parts(config)));
    }
    println!("{}: {:?}", family.name(), error(&held_out, |config| model.total(&parts(config))));
    let linear: BTreeMap<String, Kind> =
        kinds.iter().map(|(name, k)| (name.clone(), Kind { measured: vec![], ..k.clone() })).collect();
    let linear = Model::new(family, &linear);
    println!("linear models alone: {:?}", error(&held_out, |config| linear.total(&parts(config))));
    worst_kinds(family, &kinds);
    write_model(family, kinds);
    write_held_out(family, held_out);
}

/// Prints for each kind how far its linear model is from what was measured: its features are what to improve.
fn worst_kinds(family: Family, kinds: &BTreeMap<String, Kind>) {
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

fn write_model(family: Family, kinds: BTreeMap<String, Kind>) {
    let path = root().join("src/explore/area_model.json");
    let mut file: File = serde_json::from_slice(&std::fs::read(&path).unwrap_or(DATA.into())).unwrap();
    file.insert(family.name().into(), kinds);
    let kind = |(name, k): (&String, &Kind)| format!("\"{name}\":{}", serde_json::to_string(k).unwrap());
    let family = |(name, kinds): (&String, &BTreeMap<String, Kind>)| {
        format!("\"{name}\":{{\n{}}}", kinds.iter().map(kind).collect::<Vec<_>>().join(",\n"))
    };
    let text = format!("{{\n{}}}\n", file.iter().map(family).collect::<Vec<_>>().join(",\n"));
    output::write(&path, text.as_bytes()).unwrap();
}

fn write_held_out(family: Family, points: Vec<(ArrayConfig, Resources)>) {
    let old = std::fs::read(held_out_path()).unwrap_or_else(|_| b"{}".to_vec());
    let mut file: BTreeMap<String, Vec<(ArrayConfig, Resources)>> = serde_json::from_slice(&old).unwrap();
    file.insert(family.name().into(), points);
    let point = |p: &(ArrayConfig, Resources)| serde_json::to_string(p).unwrap();
    let family = |(name, points): (&String, &Vec<_>)| {
        format!("\"{name}\":[\n{}]", points.iter().map(point).collect::<Vec<_>>().join(",\n"))
    };
    let text = format!("{{\n{}}}\n", file.iter().map(family).collect::<Vec<_>>().join(",\n"));
    output::write(&held_out_path(), text.as_bytes()).unwrap();
}

#[test]
#[ignore = "no check but the command sim/synth/fit_area.sh, which writes the model's data files"]
fn fit_families() {
    let named = std::env::var("VGG2RTL_FAMILIES").unwrap_or_default();
    for name in named.split_whitespace() {
        fit_area(Family::named(name).unwrap());
    }
}
