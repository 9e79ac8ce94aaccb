//! Synthesised modules: what the model is fitted to.

use crate::points::{grid, points};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use vgg2rtl::Result;
use vgg2rtl::config::ArrayConfig;
use vgg2rtl::cosim::Cache;
use vgg2rtl::explore::fitting::{
    Part, RESOURCES, Source, cells, hashes, own, parts, renamed, resources, sources,
};
use vgg2rtl::explore::{Family, Resources};

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

/// Nothing stops the fit.
pub static NEVER: AtomicBool = AtomicBool::new(false);

/// A synthesised module.
pub type Sample = (Vec<u32>, [u32; RESOURCES]);

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
pub fn warm(family: Family, cache: &Cache, wanted: &[(&ArrayConfig, Option<&[Part]>)]) -> Result<()> {
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
pub fn samples(family: Family, cache: &Cache) -> Result<BTreeMap<&'static str, Vec<Sample>>> {
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
