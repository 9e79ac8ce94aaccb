//! The rules of the architecture, enforced on the source text.

use std::fs;
use std::path::{Path, PathBuf};

/// Module, and what it may use besides the common ground: [`COMMON`].
const MAY_USE: &[(&str, &[&str])] = &[
    ("arith", &[]),
    ("error", &[]),
    ("interrupt", &[]),
    ("output", &[]),
    ("config", &[]),
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
const COMMON: &[&str] = &["arith", "config", "error", "interrupt", "net", "output", "store"];

/// Stages in which no real number exists.
const INTEGERS_ONLY: &[&str] = &["int", "schedule", "hw", "bundle", "cosim"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(at: &Path) -> Vec<PathBuf> {
    if at.is_file() {
        return vec![at.into()];
    }
    let Ok(entries) = fs::read_dir(at) else { return vec![] };
    let files = entries.flat_map(|e| sources(&e.unwrap().path()));
    let product = |p: &PathBuf| p.extension().is_some_and(|e| e == "rs") && !p.ends_with("tests.rs");
    files.filter(product).collect()
}

fn module_files(module: &str) -> Vec<PathBuf> {
    let src = root().join("src");
    [src.join(module), src.join(format!("{module}.rs"))].iter().flat_map(|p| sources(p)).collect()
}

/// Numbered lines of product code: no comments, nothing after `#[cfg(test)]`.
fn code(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let uncommented = |line: &str| line.split("//").next().unwrap_or_default().to_string();
    product.lines().map(uncommented).enumerate().map(|(i, l)| (i + 1, l)).collect()
}

/// Lines of `modules` that are bad, as `file:line: text`.
fn violations(modules: &[&str], is_bad: impl Fn(&str, &str) -> bool) -> String {
    let mut found = vec![];
    for module in modules {
        for file in module_files(module) {
            let lines = code(&file).into_iter().filter(|(_, line)| is_bad(module, line));
            found.extend(lines.map(|(n, line)| format!("{}:{n}: {}", file.display(), line.trim())));
        }
    }
    found.join("\n")
}

fn names() -> Vec<&'static str> {
    MAY_USE.iter().map(|(name, _)| *name).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
}

#[test]
fn data_flows_one_way() {
    let bad = violations(&names(), |module, line| {
        let allowed = MAY_USE.iter().find(|(name, _)| *name == module).unwrap().1;
        let mut used = line.split("crate::").skip(1).filter_map(|rest| words(rest).next());
        used.any(|m| names().contains(&m) && m != module && !COMMON.contains(&m) && !allowed.contains(&m))
    });
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn integer_stages_hold_no_floats() {
    let bad = violations(INTEGERS_ONLY, |_, line| words(line).any(|w| w == "f32" || w == "f64"));
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn only_the_contract_rounds() {
    let elsewhere: Vec<_> = names().into_iter().filter(|m| *m != "arith").collect();
    let rounding = [".round(", ".round_ties_even(", ".rint("];
    let bad = violations(&elsewhere, |_, line| rounding.iter().any(|r| line.contains(r)));
    assert!(bad.is_empty(), "{bad}");
}

#[test]
fn every_module_is_in_the_table() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let modules = lib.lines().filter_map(|l| l.strip_prefix("pub mod ")).map(|m| m.trim_end_matches(';'));
    for module in modules {
        assert!(names().contains(&module), "{module} is not in the table of tests/layering.rs");
        assert!(!module_files(module).is_empty(), "{module} has no files");
    }
}

#[test]
fn the_rules_can_fail() {
    assert!(violations(&["arith"], |_, line| line.contains(".round_ties_even(")).contains("arith.rs:"));
}

/// Macros that print panic where nothing can be written: `src/cli/print.rs` prints for all.
#[test]
fn nothing_prints_past_the_one_place() {
    let macros = ["println!", "print!", "eprintln!", "eprint!"];
    let files = names().into_iter().chain(["cli", "main", "lib"]).collect::<Vec<_>>();
    let bad = violations(&files, |_, line| line.split([' ', '(', '{']).any(|word| macros.contains(&word)));
    // Compiled into tests only.
    let allowed = ["src/hw/check", "src/explore/area_fit.rs"];
    let elsewhere: Vec<_> = bad.lines().filter(|l| !allowed.iter().any(|a| l.contains(a))).collect();
    assert!(elsewhere.is_empty(), "{}", elsewhere.join("\n"));
}

#[test]
fn processes_start_in_two_files_only() {
    // The third, a file and a folder, is compiled into tests only.
    let allowed = ["src/cosim/tools.rs", "src/explore/tools.rs", "src/hw/check"];
    let bad = violations(&names(), |_, line| line.contains("process::Command"));
    let elsewhere: Vec<_> = bad.lines().filter(|l| !allowed.iter().any(|a| l.contains(a))).collect();
    assert!(elsewhere.is_empty(), "{}", elsewhere.join("\n"));
}
