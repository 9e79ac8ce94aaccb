//! One file a verb: its options, and the calls of the stages' public functions.

use clap::{Parser, Subcommand};
use vgg2rtl::{Error, Result};

mod bench;
mod classify;
mod cosim;
mod demo;
mod design;
mod doctor;
mod eval;
mod explore;
mod explore_table;
mod export;
mod generate;
mod given;
mod images;
mod import;
mod inspect;
mod levels;
mod number;
mod outputs;
mod predictions;
pub mod print;
mod progress;
mod quantize;
mod simulation;
mod table;
mod train;
mod train_screen;

/// From a trained float VGG16 to fixed point and verified Verilog.
#[derive(Parser)]
#[command(version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Bench(bench::Args),
    Classify(classify::Args),
    Cosim(Box<cosim::Args>),
    Demo(demo::Args),
    Doctor(doctor::Args),
    Eval(Box<eval::Args>),
    Explore(Box<explore::Args>),
    Export(export::Args),
    Generate(Box<generate::Args>),
    Import(Box<import::Args>),
    Inspect(inspect::Args),
    Quantize(Box<quantize::Args>),
    Train(Box<train::Args>),
}

/// Runs the verb that the command line names.
pub fn run() -> Result<()> {
    let verb = match Cli::try_parse() {
        Ok(cli) => cli.verb,
        Err(said) if said.use_stderr() => said.exit(),
        Err(said) => return said.print().map_err(Error::Print), // --help, --version
    };
    match verb {
        Verb::Bench(args) => bench::run(&args),
        Verb::Classify(args) => classify::run(&args),
        Verb::Cosim(args) => cosim::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Eval(args) => eval::run(&args),
        Verb::Explore(args) => explore::run(&args),
        Verb::Export(args) => export::run(&args),
        Verb::Generate(args) => generate::run(&args),
        Verb::Quantize(args) => quantize::run(&args),
        Verb::Import(args) => import::run(&args),
        Verb::Inspect(args) => inspect::run(&args),
        Verb::Train(args) => train::run(&args),
    }
}
