//! The command line of vgg2rtl.

use std::process::ExitCode;
use vgg2rtl::{Error, interrupt};

mod cli;

fn main() -> ExitCode {
    let result = interrupt::listen().and_then(|()| cli::run()).and_then(|()| cli::print::check());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `vgg2rtl inspect MODEL | head` is no failure: it ends in silence when nobody reads any more.
            let is_silent = matches!(&error, Error::Print(e) if e.kind() == std::io::ErrorKind::BrokenPipe);
            if !is_silent {
                cli::print::text(format_args!("error: {error}\n"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}
