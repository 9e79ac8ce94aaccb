//! `vgg2rtl completions` and `vgg2rtl man`: what shells and `man` read, made from the options themselves.

use super::print::out;
use super::{Cli, outputs};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::path::{Path, PathBuf};
use vgg2rtl::output::{self, Output};
use vgg2rtl::{Error, Result};

/// Name of the program.
const PROGRAM: &str = "vgg2rtl";

/// Print a shell's completions: `vgg2rtl completions bash > ~/.local/share/bash-completion/completions/vgg2rtl`.
#[derive(clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Write manual pages, one a verb, as in `vgg2rtl man ~/.local/share/man/man1`.
#[derive(clap::Args)]
pub struct ManArgs {
    /// Folder for the pages; it is made where it is missing.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs `completions`.
pub fn completions(args: &CompletionsArgs) -> Result<()> {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), PROGRAM, &mut script);
    out!("{}", String::from_utf8_lossy(&script).trim_end())
}

/// Runs `man`.
pub fn man(args: &ManArgs) -> Result<()> {
    outputs::check(&[Output::folder("DIR", &args.folder)], [])?;
    std::fs::create_dir_all(&args.folder).map_err(Error::io(&args.folder))?;
    let mut command = Cli::command();
    command.build();
    pages(&command, PROGRAM, &args.folder)
}

/// Writes the pages of `command` and of the verbs below it.
fn pages(command: &Command, name: &str, folder: &Path) -> Result<()> {
    let path = folder.join(format!("{name}.1"));
    let mut page = vec![];
    let man = Man::new(command.clone()).title(name.to_uppercase());
    man.render(&mut page).map_err(Error::io(&path))?;
    output::write(&path, &page)?;
    let mut verbs = command.get_subcommands();
    verbs.try_for_each(|verb| pages(verb, &format!("{name}-{}", verb.get_name()), folder))
}
