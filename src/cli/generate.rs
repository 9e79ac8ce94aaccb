//! `vgg2rtl generate`: Verilog, program and benches of a model as a folder that stands alone.

use super::design::Design;
use super::next;
use super::print::out;
use super::{images, number, outputs};
use std::path::PathBuf;
use vgg2rtl::Result;
use vgg2rtl::bundle::{self, Bundle};
use vgg2rtl::hw::{self, Prefix};
use vgg2rtl::int::{Golden, IntModel};
use vgg2rtl::quantize::byte_codes;
use vgg2rtl::schedule::schedule;

/// Write the accelerator's Verilog, the model's program and memory image, its golden trace and self-checking benches.
#[derive(clap::Args)]
pub struct Args {
    /// Integer model file.
    model: PathBuf,
    /// Folder to write; an older bundle is replaced.
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Images of the run: CIFAR-10 binary, IDX, or a folder of pictures; random codes when left out.
    #[arg(long, value_name = "DATA")]
    data: Option<PathBuf>,
    /// Images of the run.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number::batch())]
    images: usize,
    /// Chooses random codes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the names of all modules begin with, an underscore behind it [default: vgg_ and six digits of the design point's hash].
    #[arg(long, value_name = "NAME", value_parser = Prefix::named)]
    prefix: Option<Prefix>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    design: Design,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let inputs = [Some(&*args.model), args.data.as_deref(), args.design.file()];
    outputs::check_bundle(&args.output, inputs.into_iter().flatten())?;
    let model = IntModel::load(&args.model)?;
    images::check_memory("--images", &model, args.images)?;
    let config = args.design.config(&model)?;
    let schedule = schedule(&model, &config, args.images)?;
    let modules = hw::prefixed(&config, &args.prefix.clone().unwrap_or_else(|| Prefix::of(&config)))?;
    let data = images::drawn(args.data.as_deref(), args.images, args.seed)?;
    let codes = images::codes(&model, data.as_ref(), args.images, args.seed)?;
    let trace = Golden::new(&model)?.trace(codes.view())?;
    let bundle = Bundle {
        model: &model,
        schedule: &schedule,
        modules: &modules,
        codes: codes.view(),
        trace: &trace,
        byte_codes: byte_codes(&model),
        pictures: data.map(|data| images::bytes(&model.header, &data)).transpose()?,
    };
    let short = bundle::write(&bundle, &args.output)?;
    let (top, modules) = (&modules[modules.len() - 1].name, modules.len());
    let layers = schedule.layers.len();
    match args.json {
        true => {
            let report = serde_json::json!({
                "output": args.output, "modules": modules, "layers": layers, "images": args.images,
                "config": schedule.config, "top": top, "short": short,
            });
            out!("{report}")
        }
        false => {
            let parts = match &short[..] {
                [] => String::new(),
                some => format!(
                    "\nmake icarus and make cocotb run parts of {}; with WHOLE=1 the network",
                    some.join(", ")
                ),
            };
            out!("{}: {modules} modules, top {top}, {layers} layers{parts}", args.output.display())?;
            next::after_bundle(&args.output);
            Ok(())
        }
    }
}
