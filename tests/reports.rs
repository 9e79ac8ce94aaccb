//! What the verbs print: every key of --json is on docs/reports.md, tables are as wide as they may be.

mod writers;

use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use writers::{command, data, said};

/// Verb, and options of a run that reports.
const REPORTS: &[(&str, &str)] = &[
    ("bench accelerator", "INT --array 8x8"),
    ("bench golden", "INT --runs 1"),
    ("classify", "INT PICTURES"),
    ("cosim", "INT --preset tiny --simulator in-process"),
    ("doctor", ""),
    ("eval", "INT --data PICTURES"),
    ("explore", "vgg16 --weights 4,8 --array 16x16"),
    ("export", "INT --onnx @"),
    ("generate", "INT --preset tiny -o @"),
    ("import", "STATE_DICT --input 3x32x32 -o @"),
    ("inspect", "INT"),
    ("inspect", "FLOAT"),
    ("train", "--model vgg11 --width 1/64 --data DATA --epochs 1 --batch 20 -o @"),
];

/// What other pages describe: a design point, and a sweep as it was asked for.
const ELSEWHERE: [&str; 2] = ["config", "task"];

/// All keys of `value`, at any depth.
fn keys(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(values) => values.iter().flat_map(keys).collect(),
        Value::Object(map) => {
            let inner = map.iter().filter(|(key, _)| !ELSEWHERE.contains(&key.as_str()));
            map.keys().map(String::as_str).chain(inner.flat_map(|(_, value)| keys(value))).collect()
        }
        _ => vec![],
    }
}

/// The words between backticks of a verb's section on the page.
fn documented(page: &str, verb: &str) -> Vec<String> {
    let head = format!("## `vgg2rtl {verb}`\n");
    let section = page.split(&head).nth(1).unwrap_or_else(|| panic!("docs/reports.md has no section {head}"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let code = section.split('`').skip(1).step_by(2);
    code.flat_map(|code| code.split(|c: char| !c.is_alphanumeric() && c != '_')).map(String::from).collect()
}

#[test]
fn every_key_is_documented() {
    let folder = TempDir::new().unwrap();
    let data = data(folder.path());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reports.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut failures = vec![];
    for (i, (verb, options)) in REPORTS.iter().enumerate() {
        let output = folder.path().join(format!("{i}.out"));
        let line = format!("{verb} {options}");
        let found = command(line.trim(), &data, &output).arg("--json").output().unwrap();
        said(&found, 0, &line);
        let report: Value = serde_json::from_slice(&found.stdout).unwrap_or_else(|e| panic!("{line}: {e}"));
        let (keys, words) = (keys(&report), documented(&page, verb));
        assert!(!keys.is_empty(), "{line}: {report}");
        let missing: Vec<_> = keys.iter().filter(|key| !words.iter().any(|word| word == *key)).collect();
        if !missing.is_empty() {
            failures.push(format!("{line}: docs/reports.md has no {missing:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Up to the empty line behind it, a table has no line that is longer than COLUMNS; without it one table has all columns.
#[test]
fn tables_fit_the_terminal() {
    let folder = TempDir::new().unwrap();
    let data = data(folder.path());
    let run = |line: &str, columns: Option<&str>| {
        let mut command = command(line, &data, &folder.path().join("x"));
        command.env_remove("COLUMNS").env("NO_COLOR", "1");
        if let Some(columns) = columns {
            command.env("COLUMNS", columns);
        }
        let found = command.output().unwrap();
        said(&found, 0, line);
        assert!(
            !found.stdout.contains(&0x1b) && !found.stderr.contains(&0x1b),
            "{line}: no escapes in pipes"
        );
        String::from_utf8(found.stdout).unwrap()
    };
    let sweep = "explore vgg16 --weights 4,6,8 --acts 4,8 --array 16x16,32x32 --bus 64,128";
    for (line, column) in
        [(sweep, "images/s"), ("inspect INT", "acc by type"), ("bench accelerator INT", "written")]
    {
        for columns in [80, 120] {
            let text = run(line, Some(&columns.to_string()));
            let table = text.lines().take_while(|line| !line.contains(" points: "));
            let long: Vec<_> = table.filter(|line| line.chars().count() > columns).collect();
            assert!(long.is_empty() && text.contains(column), "{line} in {columns} columns: {long:#?}");
        }
        let wide = run(line, None);
        let heads = wide.lines().filter(|line| line.contains(column)).count();
        assert_eq!(heads, 1, "{wide}");
    }
    let wide = run(sweep, None);
    assert!(wide.lines().next().unwrap().contains("family ecp5"), "{wide}");
    assert!(wide.lines().nth(1).unwrap().starts_with("point  coding  array  bus  "), "{wide}");
}
