//! The command line of vgg2rtl.

use clap::Parser;
use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    end_with_the_reader();
    match cli::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// `vgg2rtl inspect MODEL | head` is no failure: when nobody reads standard output any more, the program ends in
/// silence, where `println!` would panic. With the code that a shell gives to SIGPIPE.
fn end_with_the_reader() {
    const SIGPIPE: i32 = 13;
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if said.starts_with("failed printing to stdout: Broken pipe") {
            std::process::exit(128 + SIGPIPE);
        }
        usual(panic);
    }));
}
