//! What benchmarks and tests run on is what is shipped: development dependencies turn on no kernels of their own.

use std::collections::BTreeMap;
use std::process::Command;

/// Packages whose features differ without effect on what is computed.
const HARMLESS: &[&str] = &["num-complex"];

/// Features of every package that runs in the program, by name; `edges` says which dependencies count.
fn features(edges: &str) -> BTreeMap<String, String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--prefix", "none", "-e", edges, "-f", "{p}|{f}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).unwrap();
    let line = |line: &str| {
        let (package, features) = line.split_once('|').unwrap();
        (package.to_string(), features.trim_end_matches(" (*)").to_string())
    };
    text.lines().map(line).collect()
}

#[test]
fn benches_have_the_features_of_the_release() {
    let (shipped, tested) = (features("no-dev,no-build,no-proc-macro"), features("normal,no-proc-macro,dev"));
    assert!(shipped.len() > 50, "{shipped:?}");
    let harmless = |package: &str| HARMLESS.iter().any(|h| package.starts_with(&format!("{h} ")));
    let differs = |(package, features): &(&String, &String)| tested.get(*package) != Some(features);
    let different: Vec<_> = shipped.iter().filter(differs).filter(|(p, _)| !harmless(p)).collect();
    assert!(different.is_empty(), "{different:?}");
}
