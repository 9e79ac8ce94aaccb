//! `vgg2rtl export`: an integer model in another format.

use super::outputs;
use std::path::PathBuf;
use vgg2rtl::Result;
use vgg2rtl::int::IntModel;
use vgg2rtl::output::Output;

/// Write an integer model as ONNX (QuantizeLinear and DequantizeLinear), for ONNX Runtime.
#[derive(clap::Args)]
pub struct Args {
    /// Integer model file.
    model: PathBuf,
    /// ONNX file to write.
    #[arg(long, value_name = "FILE")]
    onnx: PathBuf,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    outputs::check(&[Output::file("--onnx", &args.onnx)], [&*args.model])?;
    vgg2rtl::export::onnx(&IntModel::load(&args.model)?, &args.onnx)
}
