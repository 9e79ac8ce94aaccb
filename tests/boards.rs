//! The scripts of a bundle for boards, which need no board: `litex/board.py`, by `testbenches/litex/test_board.py`;
//! `component.xml`, by `testbenches/vivado/test_component.py`; `vivado/`, with the commands of Vivado written down.
//!
//! `VGG2RTL_LITEX=1` elaborates the systems on a chip and reads `component.xml` with `ipyxact`, too, in a python that has LiteX and
//! that package; the bitstreams are made by `testbenches/litex/boards.sh`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use vgg2rtl::int::random;
use vgg2rtl::net::{Op, Shape};

const TESTBENCHES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testbenches");
/// The scripts for Vivado: where the drivers of the board look for registers, bits of its port, bytes of its memory that the port
/// reaches, the processor's pins and what it must be told to have them.
const VIVADO: [Vivado; 2] = [
    Vivado {
        name: "pynq_z2",
        registers: "0x43C00000",
        port: 64,
        memory: 512 << 20,
        master: "processor/M_AXI_GP0",
        slave: "processor/S_AXI_HP0",
        interrupt: "processor/IRQ_F2P",
        options: "CONFIG.PCW_S_AXI_HP0_DATA_WIDTH 64",
    },
    Vivado {
        name: "zcu102",
        registers: "0xA0000000",
        port: 128,
        memory: 2 << 30,
        master: "processor/M_AXI_HPM0_FPD",
        slave: "processor/S_AXI_HP0_FPD",
        interrupt: "processor/pl_ps_irq0",
        options: "CONFIG.PSU__SAXIGP2__DATA_WIDTH 128",
    },
];

struct Vivado {
    name: &'static str,
    registers: &'static str,
    port: u64,
    memory: u64,
    master: &'static str,
    slave: &'static str,
    interrupt: &'static str,
    options: &'static str,
}

fn call(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// `program`, if it is there.
fn tool(program: String, ask: &str) -> Option<String> {
    if Command::new(&program).arg(ask).stdin(std::process::Stdio::null()).output().is_ok() {
        return Some(program);
    }
    assert!(std::env::var_os("CI").is_none(), "{program} is missing");
    println!("skipped: {program} is missing");
    None
}

fn python() -> Option<String> {
    tool(std::env::var("VGG2RTL_PYTHON").unwrap_or("python3".into()), "--version")
}

/// A bundle of a small random network with a bus of `bus` bits.
fn bundle(folder: &Path, bus: &str) -> PathBuf {
    let recipe = random::Recipe {
        input: Shape { c: 3, h: 8, w: 8 },
        ops: vec![Op::Conv { co: 5, pool: true }, Op::Dense { co: 4 }],
        w: 8,
        a: 8,
        power_of_two: false,
        per_channel: true,
        seed: 1,
    };
    let (file, bundle) = (folder.join("int.safetensors"), folder.join(format!("bundle-{bus}")));
    random::model(&recipe).save(&file).unwrap();
    let vgg2rtl = &mut Command::new(env!("CARGO_BIN_EXE_vgg2rtl"));
    call(vgg2rtl.arg("generate").arg(&file).args(["--preset", "tiny", "--bus", bus, "-o"]).arg(&bundle));
    bundle
}

/// The script `test` over a bundle, with `more` where the packages that it needs are said to be there.
fn run(test: &str, bus: &str, more: &str) {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    command.arg(format!("{TESTBENCHES}/{test}")).arg(bundle(folder.path(), bus));
    match std::env::var_os("VGG2RTL_LITEX") {
        Some(_) => drop(command.arg(more)),
        None => println!("skipped: {test} without {more}: VGG2RTL_LITEX is not set"),
    }
    assert!(call(&mut command).contains("PASS: "));
}

#[test]
fn boards_refuse_what_they_cannot_run() {
    run("litex/test_board.py", "64", "elaborate");
}

#[test]
fn the_ip_xact_description_is_that_of_the_verilog() {
    run("vivado/test_component.py", "128", "ipyxact");
}

/// What the script of `board` in `bundle` asks of Vivado, in a folder of its own.
fn record(tclsh: &str, bundle: &Path, board: &str) -> (Output, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(tclsh)
        .arg(format!("{TESTBENCHES}/vivado/record.tcl"))
        .arg(bundle.join(format!("vivado/{board}.tcl")))
        .arg(folder.path().join(board))
        .output()
        .unwrap();
    let lines = String::from_utf8(output.stdout.clone()).unwrap().lines().map(String::from).collect();
    (output, lines)
}

#[test]
fn scripts_for_vivado_connect_the_accelerator() {
    let Some(tclsh) = tool("tclsh".into(), "/dev/null") else { return };
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), "64").canonicalize().unwrap();
    for board in VIVADO {
        let (output, lines) = record(&tclsh, &bundle, board.name);
        assert!(output.status.success(), "{output:?}");
        let at = |line: &str| {
            lines.iter().position(|l| l == line).unwrap_or_else(|| panic!("no {line:?} in {lines:#?}"))
        };
        at(&format!("set_property ip_repo_paths {} current_project", bundle.display()));
        let design = std::fs::read_to_string(bundle.join("design.json")).unwrap();
        let design: serde_json::Value = serde_json::from_str(&design).unwrap();
        let top = design["top"].as_str().unwrap();
        assert!(bundle.join(format!("rtl/{top}.v")).exists());
        at(&format!("create_bd_cell -type ip -vlnv vgg2rtl:ip:{top}:1.10 accelerator"));
        assert!(lines.iter().any(|l| l.starts_with("set_property -dict") && l.contains(board.options)));
        for (from, to) in [
            (board.master, "control/S00_AXI"),
            ("control/M00_AXI", "accelerator/s_axil"),
            ("accelerator/m_axi", "memory/S00_AXI"),
            ("memory/M00_AXI", board.slave),
        ] {
            at(&format!("connect_bd_intf_net {from} {to}"));
        }
        at("connect_bd_net reset/peripheral_aresetn accelerator/rst_n");
        at(&format!("connect_bd_net accelerator/irq {}", board.interrupt));
        let clocked = |l: &&String| l.starts_with("connect_bd_net") && l.ends_with("accelerator/clk");
        assert_eq!(lines.iter().filter(clocked).count(), 1);
        at(&format!(
            "assign_bd_address -offset {} -range 4K -target_address_space processor/Data accelerator/s_axil/registers",
            board.registers
        ));
        let memory =
            format!("-offset 0x0 -range 0x{:x} -target_address_space accelerator/m_axi", board.memory);
        assert!(lines.iter().any(|l| l.starts_with("assign_bd_address") && l.contains(&memory)));
        assert!(at("validate_bd_design") < at("launch_runs impl_1 -to_step write_bitstream"));
    }
}

#[test]
fn scripts_for_vivado_refuse_before_a_project_is_there() {
    let Some(tclsh) = tool("tclsh".into(), "/dev/null") else { return };
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle(folder.path(), "64");
    let file = bundle.join("design.json");
    let design: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let refused = |board: &Vivado, words: &[String]| {
        let (output, lines) = record(&tclsh, &bundle, board.name);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && words.iter().all(|w| said.contains(w)), "{words:?}: {said}");
        assert!(!lines.iter().any(|l| l.starts_with("create_project")), "{lines:?}");
    };
    for board in VIVADO {
        let mut wide = design.clone();
        wide["configuration"]["bus_bits"] = (2 * board.port).into();
        std::fs::write(&file, wide.to_string()).unwrap();
        refused(&board, &[format!("{} bits", 2 * board.port), format!("this board {}:", board.port)]);
        let mut big = design.clone();
        big["read_limit"] = board.memory.into();
        std::fs::write(&file, big.to_string()).unwrap();
        let needed = board.memory + 2 * design["write_limit"].as_u64().unwrap();
        refused(&board, &[needed.to_string(), board.memory.to_string()]);
        std::fs::remove_file(&file).unwrap();
        refused(&board, &["design.json is missing".into()]);
    }
}
