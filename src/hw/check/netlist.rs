//! The vectors of a block on its netlist: what yosys makes of the Verilog, in the family's simulation cells.

use super::{Bench, NO_DIFFERENCE, emit, files, replay, run};
use rust_hdl::prelude::*;
use std::path::PathBuf;

/// FPGA families whose simulation cells come with yosys and work in Icarus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Xilinx 7, products in DSP48E1.
    Xc7,
    /// Lattice iCE40, products in SB_MAC16. Flattened, yosys loses partial sums on their way from DSP to DSP.
    Ice40,
    /// Lattice ECP5, products in logic: yosys has no simulation model of MULT18X18D.
    Ecp5,
}

impl Family {
    fn synthesis(self) -> &'static str {
        match self {
            Self::Xc7 => "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf",
            Self::Ice40 => "synth_ice40 -dsp -noflatten",
            Self::Ecp5 => "synth_ecp5 -nodsp",
        }
    }

    /// Folder of its cells in yosys' own.
    fn folder(self) -> &'static str {
        match self {
            Self::Xc7 => "xilinx",
            Self::Ice40 => "ice40",
            Self::Ecp5 => "ecp5",
        }
    }
}

impl<B: Block> Bench<B> {
    /// Synthesises the block for `family` and replays the vectors on the netlist, as [`Bench::verilog`] does on the
    /// Verilog. Gives the netlist; `None` where a tool is missing.
    ///
    /// # Panics
    /// On a difference; with the environment variable `CI` also if a tool is missing.
    pub fn netlist(&self, name: &str, settle: usize, family: Family) -> Option<String> {
        let modules = emit::emit(name, &self.block, "a test", "").unwrap();
        let folder = tempfile::tempdir().unwrap();
        self.write(folder.path(), &modules, name, settle);
        let script = format!(
            "read_verilog {}; {} -top {name}; check -assert; write_verilog -noattr netlist.v",
            files(&modules).collect::<Vec<_>>().join(" "),
            family.synthesis()
        );
        run("yosys", &["-q".into(), "-p".into(), script], folder.path())?;
        let cells = share().join(family.folder());
        let include = format!("-I{}", cells.display());
        let flags = ["-g2012", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", &include];
        let sources = ["netlist.v".into(), cells.join("cells_sim.v").display().to_string()];
        let report = replay(folder.path(), &flags, &sources)?;
        assert!(report.contains(NO_DIFFERENCE), "{name} differs from its {family:?} netlist:\n{report}");
        println!("{name}, {family:?}: {} vectors equal", self.vectors());
        std::fs::read_to_string(folder.path().join("netlist.v")).ok()
    }
}

/// The folder of yosys' own files, which it finds beside its program.
fn share() -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|f| f.join("yosys")).find(|p| p.is_file());
    let program = found.expect("yosys has just run").canonicalize().unwrap();
    program.parent().and_then(|bin| bin.parent()).expect("a program is in a folder").join("share/yosys")
}

mod tests {
    use super::*;
    use crate::config::Multipliers;
    use crate::hw::datapath::Pe;
    use std::process::Command;

    /// A comparison that cannot fail proves nothing.
    #[test]
    fn a_netlist_with_one_wrong_bit_is_found() {
        if ["iverilog", "yosys"].iter().any(|tool| Command::new(tool).arg("-V").output().is_err()) {
            println!("skipped: yosys or iverilog is not installed");
            return;
        }
        let mut bench = Bench::new(Pe::new(4, 4, 12, Multipliers::Dsp), |b| &mut b.clk_i);
        for t in 0..20 {
            bench.block.shift_i.next = true;
            bench.block.swap_i.next = true;
            bench.block.act_i.next = t - 10;
            bench.cycle();
        }
        bench.netlist("pe", 6, Family::Ice40);
        let last = bench.vectors[12][2].pop().unwrap();
        bench.vectors[12][2].push(if last == '0' { '1' } else { '0' });
        assert!(std::panic::catch_unwind(|| bench.netlist("pe", 6, Family::Ice40)).is_err());
    }
}
