//! One file a verb: its options, and the calls of the stages' public functions.

use clap::{Parser, Subcommand};
use vgg2rtl::Result;

mod inspect;

/// From a trained float VGG16 to fixed point and verified Verilog.
#[derive(Parser)]
#[command(version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Inspect(inspect::Args),
}

/// Runs the verb.
pub fn run(cli: Cli) -> Result<()> {
    match cli.verb {
        Verb::Inspect(args) => inspect::run(&args),
    }
}
