//! `vgg2rtl inspect`: a model as a table.

use std::path::PathBuf;
use vgg2rtl::Result;
use vgg2rtl::int::IntModel;

/// Print a model as a table.
#[derive(clap::Args)]
pub struct Args {
    /// Model file.
    model: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let model = IntModel::load(&args.model)?;
    for ((layer, shape), bits) in model.layers.iter().zip(model.shapes()).zip(model.accumulator_bits()) {
        println!("{:12} {shape:>12} {bits:3}", layer.name);
    }
    Ok(())
}
