//! `litex/board.py` of a bundle: what it refuses, and what it reads from nextpnr, by `testbenches/litex/test_board.py`.
//!
//! `VGG2RTL_LITEX=1` elaborates the systems on a chip, too, with a python that has LiteX; the bitstreams are made by
//! `testbenches/litex/boards.sh`.

use std::path::Path;
use std::process::Command;
use vgg2rtl::int::random;
use vgg2rtl::net::{Op, Shape};

fn call(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// A bundle of a small random network on the preset `tiny`, which has a bus of 64 bits.
fn bundle(folder: &Path) -> std::path::PathBuf {
    let recipe = random::Recipe {
        input: Shape { c: 3, h: 8, w: 8 },
        ops: vec![Op::Conv { co: 5, pool: true }, Op::Dense { co: 4 }],
        w: 8,
        a: 8,
        power_of_two: false,
        per_channel: true,
        seed: 1,
    };
    let (file, bundle) = (folder.join("int.safetensors"), folder.join("bundle"));
    random::model(&recipe).save(&file).unwrap();
    let vgg2rtl = &mut Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
    call(vgg2rtl.arg("generate").arg(&file).args(["--preset", "tiny", "-o"]).arg(&bundle));
    bundle
}

#[test]
fn boards_refuse_what_they_cannot_run() {
    let python = std::env::var("VGG2RTL_PYTHON").unwrap_or("python3".into());
    if Command::new(&python).arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "{python} is missing");
        println!("skipped: {python} is missing");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let test = concat!(env!("CARGO_MANIFEST_DIR"), "/testbenches/litex/test_board.py");
    let mut command = Command::new(python);
    command.arg(test).arg(bundle(folder.path()));
    if std::env::var_os("VGG2RTL_LITEX").is_some() {
        command.arg("elaborate");
    } else {
        println!("skipped: the systems on a chip are not elaborated: set VGG2RTL_LITEX where LiteX is installed");
    }
    assert!(call(&mut command).contains("PASS: "));
}
