//! What the verbs say: results on standard output, where a failure is one of the program's, and notes on standard error.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use vgg2rtl::{Error, Result};

/// A note could not be written.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints a line of the result.
pub fn line(text: Arguments) -> Result<()> {
    writeln!(io::stdout(), "{text}").map_err(Error::Print)
}

/// Characters of a line on standard output: those of COLUMNS, or of the terminal. `None`: it goes to no terminal.
pub fn width() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let of_terminal = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col.into());
    said.or_else(of_terminal).filter(|&columns| columns > 0)
}

/// Prints a part of a note. The work goes on where that fails; [`check`] tells in the end.
pub fn text(text: Arguments) {
    if io::stderr().write_fmt(text).is_err() {
        LOST.store(true, Ordering::Relaxed);
    }
}

/// Fails where a note was lost.
pub fn check() -> Result<()> {
    match LOST.load(Ordering::Relaxed) {
        true => Err(Error::Print(io::Error::other("a note on standard error is lost"))),
        false => Ok(()),
    }
}

/// A line on standard output, as `println!`; fails where it cannot be written.
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::print::line(format_args!($($text)*)) };
}

/// A line on standard error, as `eprintln!`.
macro_rules! note {
    ($($text:tt)*) => { $crate::cli::print::text(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {note, out};
