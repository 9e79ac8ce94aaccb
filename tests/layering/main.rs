//! The rules of the architecture, enforced on the parsed source text.

mod graph;

use graph::{File, Graph};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Module, and what it may use besides the common ground: [`COMMON`].
const MAY_USE: &[(&str, &[&str])] = &[
    ("arith", &[]),
    ("error", &[]),
    ("interrupt", &[]),
    ("output", &[]),
    ("shell", &[]),
    ("config", &[]),
    ("isa", &[]),
    ("net", &[]),
    ("store", &[]),
    ("float", &[]),
    ("autograd", &[]),
    ("int", &[]),
    ("quantize", &["float", "autograd", "int"]),
    ("export", &["float", "int"]),
    ("schedule", &["int"]),
    ("hw", &[]),
    ("bundle", &["int", "schedule", "hw"]),
    ("cosim", &["int", "schedule", "hw"]),
    ("explore", &["float", "int", "schedule", "hw", "cosim", "quantize"]),
];
const COMMON: &[&str] = &["arith", "config", "error", "interrupt", "isa", "net", "output", "shell", "store"];

/// Stages in which no real number exists.
const INTEGERS_ONLY: &[&str] = &["isa", "int", "schedule", "hw", "bundle", "cosim"];

/// The only file that starts processes; the checks of `hw`, compiled into tests only, are not product code.
const STARTS_PROCESSES: &[&str] = &["src/cosim/tools.rs"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

static GRAPH: LazyLock<Graph> = LazyLock::new(|| Graph::read(&root().join("src/lib.rs")));

/// The file's path from the project's folder.
fn place(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn module(file: &File) -> &str {
    file.module.first().map_or("lib", |m| m)
}

/// Every place of `graph` at which `bad` finds something, as `file:line: what`.
fn violations(graph: &Graph, bad: impl Fn(&File) -> Vec<(String, usize)>) -> String {
    let lines = graph.files.iter().flat_map(|file| {
        let found = bad(file).into_iter();
        found.map(|(what, line)| format!("{}:{line}: {what}", place(&file.path))).collect::<Vec<_>>()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Modules that the table does not let `file` use.
fn forbidden(graph: &Graph, file: &File) -> Vec<(String, usize)> {
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module(file)) else { return vec![] };
    let used = file.named.iter().chain(&file.exported).map(|(names, line)| {
        let owner = graph.owner(names).map_or(&names[0][..], module);
        (owner.to_string(), *line)
    });
    let known = |m: &str| MAY_USE.iter().any(|(name, _)| *name == m);
    let fine = |m: &str| m == module(file) || COMMON.contains(&m) || allowed.contains(&m) || !known(m);
    used.filter(|(m, _)| !fine(m)).collect()
}

#[test]
fn data_flows_one_way() {
    let bad = violations(&GRAPH, |file| forbidden(&GRAPH, file));
    assert!(bad.is_empty(), "{bad}");
}

/// Words of `file` that are among `words`.
fn holds(file: &File, words: &[&str]) -> Vec<(String, usize)> {
    file.words.iter().filter(|(word, _)| words.contains(&&word[..])).cloned().collect()
}

#[test]
fn integer_stages_hold_no_floats() {
    let bad = violations(&GRAPH, |file| match INTEGERS_ONLY.contains(&module(file)) {
        true => holds(file, &["f32", "f64"]),
        false => vec![],
    });
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn only_the_contract_rounds() {
    let rounding = ["round", "round_ties_even", "rint"];
    let bad = violations(&GRAPH, |file| match module(file) {
        "arith" => vec![],
        _ => holds(file, &rounding),
    });
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn every_module_is_in_the_table() {
    let modules: BTreeSet<&str> = GRAPH.files.iter().map(module).filter(|m| *m != "lib").collect();
    let table: BTreeSet<&str> = MAY_USE.iter().map(|(name, _)| *name).collect();
    assert_eq!(modules, table);
}

/// Macros that print panic where nothing can be written: `src/cli/print.rs` prints for all.
#[test]
fn nothing_prints_past_the_one_place() {
    let program = Graph::read(&root().join("src/main.rs"));
    for graph in [&*GRAPH, &program] {
        let bad = violations(graph, prints);
        assert!(bad.is_empty(), "{bad}");
    }
    assert!(program.files.iter().any(|file| place(&file.path) == "src/cli/print.rs"));
}

fn prints(file: &File) -> Vec<(String, usize)> {
    let macros = ["println", "print", "eprintln", "eprint"];
    file.macros.iter().filter(|(name, _)| macros.contains(&&name[..])).cloned().collect()
}

fn starts_a_process(file: &File) -> Vec<(String, usize)> {
    let ends = |names: &[String]| names.windows(2).any(|w| w == ["process", "Command"]);
    file.foreign.iter().filter(|(names, _)| ends(names)).map(|(n, line)| (n.join("::"), *line)).collect()
}

#[test]
fn processes_start_in_one_file_only() {
    let starting = GRAPH.files.iter().filter(|file| !starts_a_process(file).is_empty());
    assert_eq!(starting.map(|f| place(&f.path)).collect::<Vec<_>>(), STARTS_PROCESSES);
}

/// Opens files without `store`, which refuses a FIFO or a device.
fn opens_a_file(file: &File) -> Vec<(String, usize)> {
    let ways = [["fs", "read"], ["fs", "read_to_string"], ["File", "open"]];
    let opens = |names: &[String]| names.windows(2).any(|w| ways.iter().any(|way| w == way));
    file.foreign.iter().filter(|(names, _)| opens(names)).map(|(n, line)| (n.join("::"), *line)).collect()
}

#[test]
fn what_users_hold_is_opened_in_one_place() {
    let bad = violations(&GRAPH, |file| match module(file) {
        "float" | "int" | "quantize" => opens_a_file(file),
        _ => vec![],
    });
    assert!(bad.is_empty(), "{bad}");
}

/// Files that need each other, through however many others: the sets of more than one.
fn circles(edges: &BTreeMap<&Path, BTreeSet<&Path>>) -> Vec<BTreeSet<PathBuf>> {
    let reach = |from: &Path| {
        let (mut seen, mut todo) = (BTreeSet::new(), vec![from]);
        while let Some(at) = todo.pop() {
            todo.extend(edges[at].iter().filter(|to| seen.insert(to.to_path_buf())));
        }
        seen
    };
    let reached: BTreeMap<&Path, BTreeSet<PathBuf>> = edges.keys().map(|&file| (file, reach(file))).collect();
    let circle = |file: &Path| -> BTreeSet<PathBuf> {
        let back = |to: &&PathBuf| reached[&***to].contains(file);
        reached[file].iter().filter(back).cloned().collect()
    };
    let all: BTreeSet<_> = edges.keys().map(|file| circle(file)).filter(|c| !c.is_empty()).collect();
    all.into_iter().collect()
}

#[test]
fn no_files_need_each_other() {
    let list = |c: &BTreeSet<PathBuf>| c.iter().map(|p| place(p)).collect::<Vec<_>>().join(", ");
    let found: Vec<_> = circles(&GRAPH.edges()).iter().map(list).collect();
    assert!(found.is_empty(), "files in a circle:\n{}", found.join("\n"));
}

/// A crate in which every rule is broken, in forms of `use` that a search for text overlooks.
#[test]
fn the_rules_can_fail() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "pub mod int;\npub mod hw;\npub use hw::Wire;");
    write("hw.rs", "pub struct Wire;\nfn f() { crate::int::g(); }");
    write(
        "int.rs",
        "use crate::{Wire, hw};\nuse std::process;\n\
         pub fn g() { let w = hw::Wire; process::Command::new(\"ls\"); }\n\
         fn h() { println!(\"{}\", crate::hw::Wire.x.round() as f32); }\n\
         #[cfg(test)]\nmod tests { use crate::hw::Wire; }\nfn i() -> f64 { 0.0 }\n\
         fn j() { assert!(k(), \"{}\", { eprint!(\"\"); 1 }); }\n\
         fn k() { std::fs::read(\"x\"); std::fs::File::open(\"y\"); }",
    );
    let graph = Graph::read(&folder.path().join("lib.rs"));
    let int = graph.files.iter().find(|f| f.module == ["int"]).unwrap();
    let lines = |found: Vec<(String, usize)>| found.into_iter().map(|(_, line)| line).collect::<Vec<_>>();
    assert_eq!(lines(forbidden(&graph, int)), [1, 1, 3, 4]);
    assert_eq!(lines(holds(int, &["f32", "f64"])), [4, 7]);
    assert_eq!(lines(holds(int, &["round"])), [4]);
    assert_eq!(lines(prints(int)), [8, 4]); // eprint, println
    assert_eq!(lines(starts_a_process(int)), [3]);
    assert_eq!(lines(opens_a_file(int)), [9, 9]);
    let circle = circles(&graph.edges());
    assert_eq!(circle.len(), 1);
    assert_eq!(circle[0].len(), 2);
}
