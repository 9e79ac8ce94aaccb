//! `vgg2rtl export`: a model in another format.

use super::outputs;
use super::print::out;
use std::path::PathBuf;
use vgg2rtl::float::FloatModel;
use vgg2rtl::int::IntModel;
use vgg2rtl::output::Output;
use vgg2rtl::{Result, export};

/// Write an integer model as ONNX, or an integer or float model as a PyTorch state dict; `import` gives the same model again.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("format").required(true).multiple(true)))]
pub struct Args {
    /// Model file.
    model: PathBuf,
    /// ONNX file to write, with QuantizeLinear and DequantizeLinear, for ONNX Runtime.
    #[arg(long, value_name = "FILE", group = "format")]
    onnx: Option<PathBuf>,
    /// QONNX file to write, with Quant nodes, for FINN and hls4ml.
    #[arg(long, value_name = "FILE", group = "format")]
    qonnx: Option<PathBuf>,
    /// PyTorch file to write: a state dict of torchvision's names; docs/vgg2rtl_torch.py computes it.
    #[arg(long, value_name = "FILE", group = "format")]
    torch: Option<PathBuf>,
    /// Print what was written as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let named = [("--onnx", &args.onnx), ("--qonnx", &args.qonnx), ("--torch", &args.torch)];
    let written = named.iter().filter_map(|(option, path)| Some(Output::file(option, path.as_deref()?)));
    outputs::check(&written.collect::<Vec<_>>(), [&*args.model])?;
    args.write()?;
    if args.json {
        let files = named.iter().filter_map(|(option, path)| Some((&option[2..], path.as_ref()?)));
        let files = files.map(|(format, path)| serde_json::json!({ "format": format, "path": path }));
        out!("{}", serde_json::json!({ "model": args.model, "files": files.collect::<Vec<_>>() }))?;
    }
    Ok(())
}

impl Args {
    fn write(&self) -> Result<()> {
        let only_torch = self.onnx.is_none() && self.qonnx.is_none();
        if let Some(path) = self.torch.as_ref().filter(|_| only_torch)
            && !IntModel::is_in(&self.model)?
        {
            return export::torch::float(&FloatModel::load(&self.model)?, path);
        }
        let model = IntModel::load(&self.model)?;
        if let Some(path) = &self.onnx {
            export::onnx(&model, path)?;
        }
        if let Some(path) = &self.qonnx {
            export::qonnx(&model, path)?;
        }
        self.torch.as_ref().map_or(Ok(()), |path| export::torch::int(&model, path))
    }
}
