//! What a design point takes of a part, as synthesised: each distinct module once, with its children as black boxes.
//!
//! A module's cells are cached under the hash of its text, its children's ports, the flow and the version of yosys, so
//! that design points share what they have in common. The total is the sum over all instances, which are counted in
//! yosys' own netlist.
//!
//! What a synthesis of the whole, flattened, takes less: nothing is optimised across the border of modules, so logic that
//! feeds an open port or gets a constant stays. The 8×8 of the small VGG16, W8A8, on ECP5, yosys 0.23, hierarchical against
//! flat: 9646 against 9006 LUT (+7 %), 10411 against 10161 FF (+2 %), 68 DSPs and 38 block RAMs both; the test
//! `hierarchical_and_flat_synthesis` measures a preset. So resources by this file are an upper bound, and compare design
//! points with each other.

use super::synth_cells::{add, resources, synthesis};
use super::synth_source::{Source, distinct_children, hashes, sources};
use super::{Family, Resources};
use crate::config::ArrayConfig;
use crate::cosim::{Cache, tools};
use crate::{Error, Result, store};
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

/// Counts of cells; a child is `#` and its place among the module's distinct children.
pub type Cells = BTreeMap<String, u64>;

/// Changes with what this file asks of yosys.
const FLOW: &str = "1";
/// Modules that one process synthesises: `stop` is looked at between processes.
const BATCH: usize = 24;

/// Resources of the accelerator `config` after hierarchical synthesis for `family` by yosys. Results of modules are
/// taken from and kept in `cache`; `stop` ends the work between two processes.
///
/// Fails where the configuration is not valid, yosys is missing, fails or is killed, or `stop` is set.
pub fn synthesize(
    config: &ArrayConfig,
    family: Family,
    cache: &Cache,
    stop: &AtomicBool,
) -> Result<Resources> {
    let sources = sources(config)?;
    let cells = cells(&sources, family, cache, stop, |_, _| true)?;
    let cells = cells.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
    Ok(resources(family, &inside(&sources, &cells)))
}

/// The family's cells in the last of `sources` and in all that is inside it; `cells` are those of each module, its
/// children among them.
fn inside(sources: &[Source], cells: &[Cells]) -> Cells {
    let mut totals: Vec<Cells> = vec![];
    for (source, cells) in sources.iter().zip(cells) {
        let children = distinct_children(source);
        let mut total = own(cells);
        for (i, &child) in children.iter().enumerate() {
            let times = cells.get(&format!("#{i}")).copied().unwrap_or(0);
            add(&mut total, &totals[child], times);
        }
        totals.push(total);
    }
    totals.pop().unwrap_or_default()
}

/// `cells` without children.
pub fn own(cells: &Cells) -> Cells {
    cells.iter().filter(|(name, _)| !name.starts_with('#')).map(|(name, n)| (name.clone(), *n)).collect()
}

/// The cells of those of `sources` that are `wanted` (by index and hash), synthesised where `cache` lacks them.
pub fn cells(
    sources: &[Source],
    family: Family,
    cache: &Cache,
    stop: &AtomicBool,
    mut wanted: impl FnMut(usize, &str) -> bool,
) -> Result<Vec<Option<Cells>>> {
    let version = tools::version("yosys")?;
    let script = synthesis(family);
    let hashes = hashes(sources);
    let wanted: Vec<bool> = hashes.iter().enumerate().map(|(i, hash)| wanted(i, hash)).collect();
    let key = |hash: &String| format!("cells-{}", store::digest([hash, FLOW, script, &version]));
    let keys: Vec<String> = hashes.iter().map(key).collect();
    let kept = |(key, wanted): (&String, &bool)| if *wanted { cache.value(key) } else { None };
    let mut cells: Vec<Option<Cells>> = keys.iter().zip(&wanted).map(kept).collect();
    let missing: Vec<usize> = (0..sources.len()).filter(|&i| wanted[i] && cells[i].is_none()).collect();
    for batch in missing.chunks(BATCH) {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::ToolFailed { tool: "yosys".into(), reason: "interrupted".into() });
        }
        for (&module, found) in batch.iter().zip(run(sources, batch, script, cache)?) {
            // Cells depend a little on what else is in the process: the first that were kept hold for all points.
            let first = cache.value(&keys[module]);
            if first.is_none() {
                cache.keep_value(&keys[module], &found);
            }
            cells[module] = Some(first.unwrap_or(found));
        }
    }
    Ok(cells)
}

/// The cells of each module in what yosys' `stat` prints (its JSON is not valid in all versions): after a headline, lines
/// of a cell and its count, in this or, in later versions, the other order.
fn statistics(text: &str) -> BTreeMap<&str, Cells> {
    let mut modules: BTreeMap<&str, Cells> = BTreeMap::new();
    let mut current = None;
    for words in text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        match words[..] {
            ["===", name, "==="] => current = Some(name),
            ["===", ..] => current = None,
            [one, two] => {
                let count = |name, n: &str| Some((String::from(name), n.parse().ok()?));
                let cell = count(one, two).or_else(|| count(two, one));
                if let (Some(module), Some((name, n))) = (current, cell) {
                    modules.entry(module).or_default().insert(name, n);
                }
            }
            _ => {}
        }
    }
    modules
}

/// Synthesises the modules `batch` of `sources` in one process.
fn run(sources: &[Source], batch: &[usize], script: &str, cache: &Cache) -> Result<Vec<Cells>> {
    const FILE: &str = "design.v";
    let folder = cache.workspace()?;
    let path = folder.path().join(FILE);
    fs::write(&path, design(sources, batch)).map_err(Error::io(&path))?;
    let script = format!("read_verilog {FILE}; {script} -top all_of_them; tee -q -o stat.txt stat");
    let output =
        tools::call_within("yosys", &["-q", "-p", &script], Some(folder.path()), tools::BUILD_LIMIT)?;
    let failed = |reason| Error::ToolFailed { tool: "yosys".into(), reason };
    if !output.status.success() {
        let log = [output.stderr, output.stdout].concat();
        return Err(failed(tools::first_error(&log)));
    }
    let path = folder.path().join("stat.txt");
    let text = tools::product("yosys", &path)?;
    let text = String::from_utf8_lossy(&text);
    let statistics = statistics(&text);
    if !statistics.contains_key("all_of_them") {
        return Err(failed("its statistics cannot be read".into()));
    }
    // A module without a cell may have no section.
    let cells = |&module: &usize| {
        let found = statistics.get(&*sources[module].name).cloned().unwrap_or_default();
        anonymous(sources, module, &found)
    };
    Ok(batch.iter().map(cells).collect())
}

/// `cells` of `module` with its children by their place.
fn anonymous(sources: &[Source], module: usize, cells: &Cells) -> Cells {
    let children = distinct_children(&sources[module]);
    let place = |name: &str| children.iter().position(|&c| sources[c].name == name);
    let named = |name: &str| place(name).map_or_else(|| name.to_string(), |i| format!("#{i}"));
    cells.iter().map(|(name, n)| (named(name), *n)).collect()
}

/// The modules `batch`, the ports of what else they use, and a top that holds one of each.
fn design(sources: &[Source], batch: &[usize]) -> String {
    let mut used: Vec<usize> = batch.iter().flat_map(|&m| distinct_children(&sources[m])).collect();
    used.sort_unstable();
    used.dedup();
    used.retain(|child| !batch.contains(child));
    let mut text = String::from("`default_nettype none\n");
    text.extend(used.iter().map(|&child| sources[child].black_box()));
    text.extend(batch.iter().map(|&module| &*sources[module].text));
    let instances =
        batch.iter().enumerate().map(|(i, &m)| format!("(* keep *) {} u_{i} ();\n", sources[m].name));
    text + "module all_of_them;\n" + &instances.collect::<String>() + "endmodule\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_old_and_new_versions_are_read() {
        let old = "\n=== pe ===\n\n   Number of cells:  3\n     CCU2C   9\n     TRELLIS_FF     61\n\n=== design hierarchy ===\n     pe 4\n";
        let new = "=== pe ===\n\n        +----------Local Count\n        |\n       9   CCU2C\n      61   TRELLIS_FF\n";
        for text in [old, new] {
            let modules = statistics(text);
            assert_eq!(modules.len(), 1);
            assert_eq!(modules["pe"], Cells::from([("CCU2C".into(), 9), ("TRELLIS_FF".into(), 61)]));
        }
    }

    #[test]
    fn cells_are_counted_through_the_hierarchy() {
        let source = |name: &str, children: &[usize]| Source {
            name: name.into(),
            text: String::new(),
            children: children.iter().map(|&c| (format!("i{c}"), c)).collect(),
        };
        let sources = [source("leaf", &[]), source("row", &[0]), source("top", &[1, 0, 1])];
        let cells = |list: &[(&str, u64)]| list.iter().map(|(k, v)| (k.to_string(), *v)).collect::<Cells>();
        let counts =
            [cells(&[("LUT4", 2)]), cells(&[("#0", 4), ("LUT4", 1)]), cells(&[("#0", 2), ("#1", 1)])];
        assert_eq!(inside(&sources, &counts), cells(&[("LUT4", 2 * 9 + 2)]));
    }

    #[test]
    fn a_set_stop_ends_the_work_and_a_broken_entry_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path())).unwrap();
        let sources = sources(&ArrayConfig::preset("tiny").unwrap()).unwrap();
        let strobe = |stop| {
            let wanted = |i: usize, _: &str| sources[i].name == "extend";
            cells(&sources, Family::Ecp5, &cache, &AtomicBool::new(stop), wanted)
        };
        let Err(error) = strobe(true) else { panic!("it was not stopped") };
        assert_eq!(error.exit_code(), 3);
        let first = match strobe(false) {
            Ok(found) => found,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "{error}");
                return println!("skipped: {error}");
            }
        };
        let entry = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path());
        for path in entry.filter(|p| p.is_file()) {
            fs::write(path, "{\"LUT4\": ").unwrap();
        }
        assert_eq!(strobe(false).unwrap(), first);
        assert_eq!(strobe(true).unwrap(), first); // from the cache, no work is left to stop
    }

    /// The difference that the module's documentation states.
    #[test]
    #[ignore = "minutes: sim/nightly.sh runs it"]
    fn hierarchical_and_flat_synthesis() {
        let cache = Cache::open(None).unwrap();
        let config = ArrayConfig::preset("ecp5-85k").unwrap();
        let parts = synthesize(&config, Family::Ecp5, &cache, &AtomicBool::new(false)).unwrap();
        let folder = cache.workspace().unwrap();
        let design: String = sources(&config).unwrap().iter().map(|s| s.text.clone()).collect();
        fs::write(folder.path().join("flat.v"), design).unwrap();
        let script = "read_verilog flat.v; synth_ecp5 -nowidelut -top accelerator; tee -q -o stat.txt stat";
        tools::call("yosys", &["-q", "-p", script], Some(folder.path())).unwrap();
        let text = fs::read_to_string(folder.path().join("stat.txt")).unwrap();
        let flat = resources(Family::Ecp5, &statistics(&text)["accelerator"]);
        println!("hierarchical {parts:?}\n        flat {flat:?}");
        assert_eq!((parts.dsp, parts.bram), (flat.dsp, flat.bram));
        let more = |parts: u64, flat: u64| 100.0 * parts as f64 / flat as f64 - 100.0;
        let (lut, ff) = (more(parts.lut, flat.lut), more(parts.ff, flat.ff));
        println!("hierarchical takes {lut:.1} % more LUT, {ff:.1} % more FF");
        assert!((0.0..20.0).contains(&lut) && (0.0..3.0).contains(&ff));
    }
}
