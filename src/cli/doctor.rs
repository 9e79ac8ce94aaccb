//! `vgg2rtl doctor`: which external tools are present, and what each missing one costs.

use super::print::out;
use vgg2rtl::Result;
use vgg2rtl::cosim::tools;

/// List the external tools: present, failing or missing, what is lost without them, how to install them.
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
        match (tool.version, tool.fault) {
            (Some(version), _) => out!("present  {:20} {version}", tool.program)?,
            (None, Some(fault)) => out!("fails    {:20} {fault}; so {}", tool.program, tool.without)?,
            (None, None) => out!("missing  {:20} {}; install: {}", tool.program, tool.without, tool.install)?,
        }
    }
    Ok(())
}
