//! Proofs of the emitted Verilog, by `sim/formal/prove.py` with yosys and z3: of `rtl/`, of a design of other widths, and that
//! wrong designs are refuted.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use vgg2rtl::config::{ArrayConfig, Multipliers, Requantize};
use vgg2rtl::hw;

/// Whether what the proofs need is there; says what is missing.
fn present() -> bool {
    let folders: Vec<PathBuf> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let programs = ["python3", "yosys", "yosys-smtbmc", "z3"];
    let missing = programs.iter().find(|p| !folders.iter().any(|f| f.join(p).is_file()));
    let Some(missing) = missing else { return true };
    assert!(std::env::var_os("CI").is_none(), "{missing} is missing");
    println!("skipped: {missing} is missing");
    false
}

/// Runs the driver: its exit code and its lines.
fn prove(arguments: &[&str]) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("sim/formal/prove.py");
    let output = Command::new(script).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    (output.status.code(), said.into_owned())
}

#[test]
fn the_reference_design_is_proven() {
    if !present() {
        return;
    }
    let (code, said) = prove(&[]);
    assert_eq!(code, Some(0), "{said}");
    for name in ["round_shift", "requantizer", "fifo", "write_port"] {
        assert!(said.contains(&format!("PROVED   {name}, ")), "{name}: {said}");
    }
}

/// Powers of two, rows of partial products, widths that divide nothing.
#[test]
fn a_design_of_other_widths_is_proven() {
    if !present() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let config = ArrayConfig {
        weight_bits: 3,
        act_bits: 5,
        requantize: Requantize::Pow2,
        multipliers: Multipliers::Lut,
        ..ArrayConfig::preset("tiny").unwrap()
    };
    for module in hw::verilog(&config).unwrap() {
        std::fs::write(folder.path().join(format!("{}.v", module.name)), module.text).unwrap();
    }
    let names = ["round_shift", "requantizer", "row_multiplier", "splitter"];
    let (code, said) = prove(&[&["--rtl", folder.path().to_str().unwrap()], &names[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("ABSENT"), "{said}");
    let (code, said) = prove(&["row_multiplier", "--mutants", "--rtl", folder.path().to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("5 of 5 wrong designs refuted"), "{said}");
}

/// One of each proof; `sim/nightly.sh` takes all.
#[test]
fn wrong_designs_are_refuted() {
    if !present() {
        return;
    }
    let (code, said) = prove(&["--mutants", "--most", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("11 of 11 wrong designs refuted"), "{said}");
}
