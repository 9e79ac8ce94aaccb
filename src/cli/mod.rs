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
mod next;
mod number;
mod outputs;
mod predictions;
pub mod print;
mod progress;
mod quantize;
mod shell;
mod simulation;
mod table;
mod train;
mod train_data;
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
    Completions(shell::CompletionsArgs),
    Cosim(Box<cosim::Args>),
    Demo(demo::Args),
    Doctor(doctor::Args),
    Eval(Box<eval::Args>),
    Explore(Box<explore::Args>),
    Export(export::Args),
    Generate(Box<generate::Args>),
    Import(Box<import::Args>),
    Inspect(inspect::Args),
    Man(shell::ManArgs),
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
        Verb::Completions(args) => shell::completions(&args),
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
        Verb::Man(args) => shell::man(&args),
        Verb::Train(args) => train::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Command, CommandFactory};
    use std::collections::BTreeMap;

    /// Options whose defaults differ, and why. The demo is a story of its own.
    const OTHERWISE: &[(&str, &str)] = &[
        ("acts", "levels to round to; in eval whether they are rounded"),
        ("array", "a sweep begins small; one design is a preset or an array"),
        ("batch", "images of a run of the accelerator, or of a step of training"),
        ("engine", "what executes a model, or where a sweep runs"),
        ("images", "all that measure or train, 128 that calibrate, 1 that is simulated or timed"),
        ("multipliers", "a list to sweep; elsewhere the default is that of the design point, the same dsp"),
        ("pack", "a list to sweep; elsewhere the default is that of the design point, the same 1"),
        ("requantize", "chosen where steps are chosen; elsewhere it follows from the model, and is told"),
    ];

    /// Every verb, and those below it.
    fn verbs(command: &Command) -> Vec<&Command> {
        command.get_subcommands().flat_map(|verb| std::iter::once(verb).chain(verbs(verb))).collect()
    }

    #[test]
    fn one_name_has_one_default() {
        let mut command = Cli::command();
        command.build();
        let mut seen: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        for verb in verbs(&command).into_iter().filter(|verb| verb.get_name() != "demo") {
            for option in verb.get_arguments().filter(|o| !o.is_hide_set()) {
                let Some(name) = option.get_long() else { continue };
                let values: Vec<_> =
                    option.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
                let verbs = seen.entry(name.into()).or_default().entry(values.join(",")).or_default();
                verbs.push(verb.get_name().into());
            }
        }
        let excused = |name: &str| OTHERWISE.iter().any(|(option, _)| *option == name);
        let apart: Vec<_> =
            seen.iter().filter(|(name, defaults)| defaults.len() > 1 && !excused(name)).collect();
        assert!(apart.is_empty(), "{apart:#?}");
    }

    /// Names and forms of options that scripts may still have.
    #[test]
    fn old_forms_are_understood() {
        for line in [
            "quantize m --calib d -o x --scale free --levels=-7..7",
            "quantize m --calib d -o x --requantize pow2 --weights=-7,7 --equalize",
            "train --data d -o x --limit 5",
            "explore m --data d --qat 1 --train t --train-limit 5",
        ] {
            let words = std::iter::once("vgg2rtl").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
