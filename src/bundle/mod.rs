//! A folder that holds an accelerator, a network for it and everything to check it, and needs nothing of this program.
//!
//! | file | holds |
//! |---|---|
//! | `README.md` | registers, memory map, how to run the benches |
//! | `design.json` | configuration, regions, layers |
//! | `rtl/` | Verilog, one module a file; `files.f` lists them, children first |
//! | `accelerator.core` | FuseSoC: lint and simulation |
//! | `data/` | memory image, program, golden trace, bytes that a run must write, pictures and their logits |
//! | `driver/` | drivers and self-tests in C and Python, and what C must know of the network |
//! | `litex/` | the accelerator as a core for LiteX, a simulated system on a chip, bitstreams for boards, and the firmware |
//! | `component.xml`, `vivado/` | IP-XACT description; scripts that build a system for a board in Vivado |
//! | `sim/`, `Makefile`, `design.mk` | benches for Verilator, Icarus and cocotb |
//! | `data/short.bin`, `data/short_expected.bin` | where the network takes Icarus long: a short program and what it writes |
//! | `SHA256SUMS` | checksums of all other files, which every target of the Makefile verifies |
//!
//! It is written under a temporary name and renamed. The same input gives the same bytes.

mod contents;
mod core_file;
mod design;
pub mod driver;
mod ip;
mod readme;
mod runs;
pub mod selftest;

use crate::int::Golden;
use crate::isa::{COMMAND_WORDS, FIELDS};
use crate::output::{self, Workspace};
use crate::schedule::Excerpt;
use crate::{Error, Result, store};
pub use contents::{Bundle, MEMORY};
use selftest::SelfTest;
use std::fs;
use std::path::{Path, PathBuf};

/// The bundle and the folders in it, each after the one that it lies in.
const FOLDERS: [&str; 8] = ["", "rtl", "data", "sim", "driver", "litex", "litex/firmware", "vivado"];

/// Files that are the same in every bundle.
const BENCHES: [(&str, &str); 32] = [
    ("Makefile", include_str!("../../testbenches/Makefile")),
    ("sim/verdict.sh", include_str!("../../testbenches/verdict.sh")),
    ("sim/tb.v", include_str!("../../testbenches/tb.v")),
    ("sim/cocotb_top.sv", include_str!("../../testbenches/cocotb_top.sv")),
    ("sim/test_accelerator.py", include_str!("../../testbenches/test_accelerator.py")),
    ("sim/main.cpp", include_str!("../../sim/main.cpp")),
    ("sim/device.h", include_str!("../../sim/device.h")),
    ("sim/driver.cpp", include_str!("../../testbenches/driver/driver.cpp")),
    ("sim/board_faults.cpp", include_str!("../../testbenches/driver/board_faults.cpp")),
    ("driver/vgg2rtl.h", include_str!("../../testbenches/driver/vgg2rtl.h")),
    ("driver/vgg2rtl.c", include_str!("../../testbenches/driver/vgg2rtl.c")),
    ("driver/selftest.h", include_str!("../../testbenches/driver/selftest.h")),
    ("driver/selftest.c", include_str!("../../testbenches/driver/selftest.c")),
    ("driver/selftest.py", include_str!("../../testbenches/driver/selftest.py")),
    ("driver/registers.h", include_str!("../../testbenches/driver/registers.h")),
    ("driver/vgg2rtl.py", include_str!("../../testbenches/driver/vgg2rtl.py")),
    ("litex/vgg2rtl_litex.py", include_str!("../../testbenches/litex/vgg2rtl_litex.py")),
    ("litex/soc.py", include_str!("../../testbenches/litex/soc.py")),
    ("litex/vgg2rtl_memory.py", include_str!("../../testbenches/litex/vgg2rtl_memory.py")),
    ("litex/board.py", include_str!("../../testbenches/litex/board.py")),
    ("litex/requirements.txt", include_str!("../../testbenches/litex/requirements.txt")),
    ("litex/requirements-boards.txt", include_str!("../../testbenches/litex/requirements-boards.txt")),
    ("litex/faults.py", include_str!("../../testbenches/litex/faults.py")),
    ("litex/firmware/main.c", include_str!("../../testbenches/litex/firmware/main.c")),
    ("litex/firmware/Makefile", include_str!("../../testbenches/litex/firmware/Makefile")),
    ("vivado/system.tcl", include_str!("../../testbenches/vivado/system.tcl")),
    ("vivado/pynq_z2.tcl", include_str!("../../testbenches/vivado/pynq_z2.tcl")),
    ("vivado/zcu102.tcl", include_str!("../../testbenches/vivado/zcu102.tcl")),
    ("sim/axi_memory.h", include_str!("../../sim/axi_memory.h")),
    ("sim/isa.h", include_str!("../../sim/isa.h")),
    ("sim/isa.vh", include_str!("../../testbenches/isa.vh")),
    ("sim/isa.py", include_str!("../../testbenches/isa.py")),
];

/// Writes `bundle` as the folder `to`, in the place of an older bundle if one is there. Gives the layers that its slow benches run
/// where that is not said otherwise; none, if they run the network.
///
/// Fails where `to` is anything else than an empty folder or a bundle.
pub fn write(bundle: &Bundle, to: &Path) -> Result<Vec<String>> {
    if let Some(reason) = refusal(to) {
        return Err(Error::bad_file(to, reason));
    }
    let parent = match to.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(Error::io(parent))?;
    let work = Workspace::new(parent)?;
    let fresh = work.path().join("fresh");
    let short = bundle.short()?;
    bundle.write_files(&fresh, short.as_ref())?;
    output::replace_folder(&fresh, to)?;
    Ok(short.map_or(vec![], |short| short.schedule.layers.into_iter().map(|layer| layer.name).collect()))
}

/// Why [`write()`] would not replace `to`; `None`: it would.
pub fn refusal(to: &Path) -> Option<&'static str> {
    let Ok(mut entries) = fs::read_dir(to) else {
        return to.exists().then_some("is not a folder");
    };
    let is_other = entries.next().is_some() && !design::is_bundle(&to.join(design::FILE));
    is_other.then_some("is neither empty nor a bundle; choose another folder")
}

/// The list of checksums, as `sha256sum` writes and checks it.
const SUMS: &str = "SHA256SUMS";

/// Lines of [`SUMS`] for all files in `folder`, by name.
fn sums(folder: &Path) -> Result<String> {
    let mut names = vec![];
    for part in FOLDERS {
        let path = folder.join(part);
        for entry in fs::read_dir(&path).map_err(Error::io(&path))? {
            let path = entry.map_err(Error::io(&path))?.path();
            let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
            names.extend(path.is_file().then_some(name));
        }
    }
    names.sort();
    let line =
        |name: &String| Ok(format!("{}  {name}\n", store::sha256(&store::read_file(&folder.join(name))?)));
    names.iter().map(line).collect()
}

impl Bundle<'_> {
    fn write_files(&self, folder: &Path, short: Option<&Excerpt>) -> Result<()> {
        // Folder by folder: a workspace that an interrupt removes does not come back.
        for part in FOLDERS {
            let path = folder.join(part);
            fs::create_dir(&path).map_err(Error::io(&path))?;
        }
        let put = |name: &str, bytes: &[u8]| {
            let path: PathBuf = folder.join(name);
            fs::write(&path, bytes).map_err(Error::io(&path))
        };
        for module in self.modules {
            put(&self.rtl(module), module.text.as_bytes())?;
        }
        let list: String = self.modules.iter().map(|m| self.rtl(m) + "\n").collect();
        put("rtl/files.f", list.as_bytes())?;
        for (name, text) in BENCHES {
            put(name, text.as_bytes())?;
        }
        let mut memory = self.schedule.memory.clone();
        self.schedule.put_images(&mut memory, self.codes);
        put("data/image.bin", &memory.bytes[..self.schedule.write_window().start])?;
        put("data/expected.bin", &self.schedule.expected(self.trace))?;
        if let Some(Excerpt { schedule, trace }) = short {
            put("data/short.bin", &schedule.memory.bytes[..schedule.write_window().start])?;
            put("data/short_expected.bin", &schedule.expected(trace))?;
        }
        put("data/program.hex", self.program().as_bytes())?;
        put("data/bounds.hex", self.bounds().as_bytes())?;
        self.trace.save(&folder.join("data/golden.safetensors"), self.model, self.codes)?;
        let driven = self.driven();
        let pictures = self.pictures.clone().unwrap_or_else(|| driven.random_pictures());
        let logits = Golden::new(self.model)?.logits(driven.picture_codes(&pictures).view())?;
        put("driver/network.h", driven.header().as_bytes())?;
        let selftest = SelfTest::new(&self.schedule.config)?;
        put("driver/selftest_data.h", selftest.header().as_bytes())?;
        put("data/selftest.bin", &selftest.bytes())?;
        put("data/byte_codes.bin", &driven.code_bytes())?;
        put("data/pictures.bin", &pictures)?;
        put("data/logits.bin", &driver::logit_bytes(&logits))?;
        put(design::FILE, self.design(&selftest, short).as_bytes())?;
        put("design.mk", self.make_variables(short).as_bytes())?;
        put("accelerator.core", self.core_file().as_bytes())?;
        put(ip::FILE, self.component().as_bytes())?;
        put("README.md", self.readme(short).as_bytes())?;
        put(SUMS, sums(folder)?.as_bytes())
    }

    /// The program as words of 32 bits, for people and `$readmemh`.
    fn program(&self) -> String {
        let mut text = String::new();
        for layer in &self.schedule.layers {
            text += &format!("// {}\n", layer.name);
            text += &hex(&layer.command.encode());
        }
        text + "// end\n000000ff\n"
    }

    /// A command with the first bit set that is beyond each field's bound in this build.
    fn bounds(&self) -> String {
        let bounds = self.schedule.config.bounds();
        let mut words = [0; COMMAND_WORDS];
        for field in &FIELDS {
            if let Some(bits) = bounds.bits(field.name).filter(|&bits| bits < field.bits) {
                words[field.word] |= 1 << (field.low + bits);
            }
        }
        hex(&words)
    }
}

/// Words of 32 bits as `$readmemh` takes them.
fn hex(words: &[u32; COMMAND_WORDS]) -> String {
    let words: Vec<String> = words.iter().map(|w| format!("{w:08x}")).collect();
    words.chunks(8).map(|line| line.join(" ") + "\n").collect()
}

#[cfg(test)]
mod tests;
