//! The table of `docs/flows.md` is what `benches/flows/run.sh` prints. It installs the other tools: nightly.

use std::process::Command;

#[test]
fn the_table_of_flows_is_what_they_print() {
    if std::env::var_os("VGG2RTL_FLOWS").is_none() {
        println!("skipped: VGG2RTL_FLOWS=1 installs the tools and runs the flows");
        return;
    }
    let root = env!("CARGO_MANIFEST_DIR");
    let output = Command::new("benches/flows/run.sh").current_dir(root).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let docs = std::fs::read_to_string(format!("{root}/docs/flows.md")).unwrap();
    assert_eq!(printed.lines().count(), 5, "{printed}");
    for line in printed.lines() {
        assert!(docs.contains(&format!("| {line} | ")), "docs/flows.md has no row {line:?}");
    }
}
