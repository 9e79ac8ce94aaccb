//! What a design point takes of a part, as synthesised: each distinct module once, with its children as black boxes.
//!
//! A module's cells are cached under the hash of its text, its children's ports, the flow and the version of yosys, so
//! that design points share what they have in common. The total is the sum over all instances, which are counted in
//! yosys' own netlist.

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
    let hierarchy = Hierarchy::synthesized(config, family, cache, stop)?;
    Ok(resources(family, &hierarchy.inside(hierarchy.sources.len() - 1)))
}

/// The modules of a design, and the cells of each.
pub struct Hierarchy {
    /// Children before parents, the accelerator last.
    pub sources: Vec<Source>,
    /// Cells of each, its children among them.
    pub cells: Vec<Cells>,
}

impl Hierarchy {
    /// As [`synthesize`].
    pub fn synthesized(
        config: &ArrayConfig,
        family: Family,
        cache: &Cache,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let sources = sources(config)?;
        let cells = cells(&sources, family, cache, stop, |_, _| true)?;
        Ok(Self { sources, cells: cells.into_iter().map(Option::unwrap_or_default).collect() })
    }

    /// How often module `at` instantiates each of its children, in the order of [`distinct_children`].
    fn instances(&self, at: usize) -> Vec<(usize, u64)> {
        let count = |(i, child)| (child, self.cells[at].get(&format!("#{i}")).copied().unwrap_or(0));
        distinct_children(&self.sources[at]).into_iter().enumerate().map(count).collect()
    }

    /// How often each instance of the text of module `at` exists: generate loops repeat them.
    pub fn repeats(&self, at: usize) -> Vec<u64> {
        let times: BTreeMap<usize, u64> = self.instances(at).into_iter().collect();
        let children = &self.sources[at].children;
        let written = |child| children.iter().filter(|c| c.1 == child).count() as u64;
        children.iter().map(|(_, child)| times[child] / written(*child)).collect()
    }

    /// The family's cells in one instance of module `at`, and in all that is inside it.
    pub fn inside(&self, at: usize) -> Cells {
        let mut total = self.own(at);
        for (child, times) in self.instances(at) {
            add(&mut total, &self.inside(child), times);
        }
        total
    }

    /// The family's cells of module `at` without its children.
    pub fn own(&self, at: usize) -> Cells {
        let cells = self.cells[at].iter().filter(|(name, _)| !name.starts_with('#'));
        cells.map(|(name, n)| (name.clone(), *n)).collect()
    }
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
            cache.keep_value(&keys[module], &found)?;
            cells[module] = Some(found);
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
    let output = tools::call("yosys", &["-q", "-p", &script], Some(folder.path()))?;
    let failed = |reason| Error::ToolFailed { tool: "yosys".into(), reason };
    if !output.status.success() {
        let log = [output.stderr, output.stdout].concat();
        return Err(failed(tools::first_error(&log)));
    }
    let path = folder.path().join("stat.txt");
    let text = fs::read_to_string(&path).map_err(Error::io(&path))?;
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
