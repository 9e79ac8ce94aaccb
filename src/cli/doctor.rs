//! `vgg2rtl doctor`: which external tools are present, and what each missing one costs.

use super::print::out;
use vgg2rtl::Result;
use vgg2rtl::cosim::tools;

/// List the external tools: present or missing, what is lost without them, how to install them.
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let tools = tools::survey();
    if args.json {
        out!("{}", serde_json::json!({ "tools": tools }))?;
        return Ok(());
    }
    for tool in tools {
        match tool.version {
            Some(version) => out!("present  {:20} {version}", tool.program)?,
            None => out!("missing  {:20} {}; install: {}", tool.program, tool.without, tool.install)?,
        }
    }
    Ok(())
}
