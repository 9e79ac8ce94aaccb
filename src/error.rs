//! One error type for the whole program; each variant states a fact and carries what the user must look at.

use std::path::{Path, PathBuf};

/// What can go wrong. [`Error::exit_code`] sorts the variants into classes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option or a combination of options makes no sense.
    #[error("{option}: {reason}")]
    Usage {
        /// The option as the user typed it, for example `--weights`.
        option: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// An external program is not installed.
    #[error("{tool} is not installed: {purpose}; install it with `{install}`")]
    ToolMissing {
        /// Program name.
        tool: String,
        /// What cannot be done without it.
        purpose: String,
        /// The command that installs it.
        install: String,
    },
    /// An external program failed.
    #[error("{tool} failed: {reason}")]
    ToolFailed {
        /// Program name.
        tool: String,
        /// Its first error line, and where the log is.
        reason: String,
    },
    /// Two executors that must agree do not.
    #[error("{0}")]
    Mismatch(String),
    /// A file cannot be used as what it should be.
    #[error("{}: {reason}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A layer of a network cannot be used.
    #[error("layer {layer}: {reason}")]
    BadLayer {
        /// Layer name as in the model file.
        layer: String,
        /// What is wrong and what would be right.
        reason: String,
    },
    /// A result cannot go where an option says.
    #[error("{option} {}: {reason}", path.display())]
    BadOutput {
        /// The option as the user typed it, for example `-o`.
        option: String,
        /// Where the result should go.
        path: PathBuf,
        /// Why it cannot.
        reason: String,
    },
    /// Standard output or error takes no more.
    #[error("cannot print: {0}")]
    Print(std::io::Error),
    /// No point of a sweep has a result.
    #[error("none of {points} points has a result: {reason}")]
    NoResult {
        /// How many there are.
        points: usize,
        /// What kept the first one from having one.
        reason: String,
        /// The exit code of that.
        code: u8,
    },
    /// The user ended the program.
    #[error("interrupted by {0}")]
    Interrupted(Signal),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// A signal that asks the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: `kill`, batch systems.
    Terminate,
}

impl Signal {
    /// The exit code that shells have for it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

/// Result of the whole program.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Usage 2, tool missing or failed 3, mismatch 4, bad input or output 5, interrupted 130 or 143; and what shells have
    /// for a program whose reader went away, 141.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage { .. } => 2,
            Error::ToolMissing { .. } | Error::ToolFailed { .. } => 3,
            Error::Mismatch(_) => 4,
            Error::Print(e) if e.kind() == std::io::ErrorKind::BrokenPipe => 141,
            Error::BadFile { .. } | Error::BadLayer { .. } | Error::BadOutput { .. } => 5,
            Error::Print(_) | Error::Io { .. } => 5,
            Error::NoResult { code, .. } => *code,
            Error::Interrupted(signal) => signal.exit_code(),
        }
    }

    /// A usage error of `option`.
    pub fn usage(option: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::Usage { option: option.into(), reason: reason.into() }
    }

    /// `path` cannot be used because of `reason`.
    pub fn bad_file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Error::BadFile { path: path.as_ref().into(), reason: reason.into() }
    }

    /// Layer `layer` cannot be used because of `reason`.
    pub fn bad_layer(layer: impl Into<String>, reason: impl Into<String>) -> Self {
        Error::BadLayer { layer: layer.into(), reason: reason.into() }
    }

    /// For `map_err` on file operations: `fs::read(p).map_err(Error::io(p))`.
    pub fn io(path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { path, source }
    }
}
