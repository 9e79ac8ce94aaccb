//! `vgg2rtl eval`: accuracy of a model on labelled images, and agreement with its float model.

use super::design::Design;
use super::given::Given;
use super::print::out;
use super::simulation::Simulation;
use super::{images, number, outputs, table};
use clap::ValueEnum;
use ndarray::{Axis, concatenate};
use serde::Serialize;
use std::path::{Path, PathBuf};
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::int::{Golden, IntModel};
use vgg2rtl::net::Header;
use vgg2rtl::output::Output;
use vgg2rtl::quantize::{Executor, Score, fake, golden_logits, input_codes};
use vgg2rtl::{Error, Result};

/// Measure a model: accuracy, top-5, confusion, agreement with float, speed.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    given: Given,
    /// Model file: float for `--engine float`, integer for the others.
    model: PathBuf,
    /// Images: CIFAR-10 binary, IDX, or a folder of pictures; the test part where there is one.
    #[arg(long, value_name = "DATA")]
    data: PathBuf,
    /// What executes the model.
    #[arg(long, value_enum)]
    engine: Engine,
    /// Float model to agree with.
    #[arg(long, value_name = "FILE")]
    float_model: Option<PathBuf>,
    /// Images to use, spread evenly over DATA; all by default.
    #[arg(long, value_name = "N", value_parser = number::count(1..=usize::MAX))]
    images: Option<usize>,
    /// Write every layer's integers for the images used, with --engine golden.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    design: Design,
    #[command(flatten)]
    simulation: Simulation,
}

#[derive(Clone, Copy, PartialEq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Engine {
    /// The float network.
    Float,
    /// The bit-accurate golden model of the integer network.
    Golden,
    /// The graph that quantization-aware training trains, in evaluation mode: the golden model's integers.
    Fake,
    /// The accelerator in a simulator, from start to interrupt.
    Rtl,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    if args.trace.is_some() && args.engine != Engine::Golden {
        return Err(Error::usage("--trace", "only --engine golden writes one"));
    }
    if args.engine != Engine::Rtl {
        args.given.refuse::<Design>("--engine rtl")?;
        args.given.refuse::<Simulation>("--engine rtl")?;
    }
    let file = args.trace.iter().map(|path| Output::file("--trace", path));
    let cache = args.simulation.cache().map(|path| Output::folder("--cache", path));
    let inputs = [Some(&*args.model), Some(&args.data), args.float_model.as_deref(), args.design.file()];
    outputs::check(&file.chain(cache).collect::<Vec<_>>(), inputs.into_iter().flatten())?;
    let reference = args.float_model.as_deref().map(FloatModel::load).transpose()?;
    match args.engine {
        Engine::Float => {
            let model = FloatModel::load(&args.model)?;
            measure(args, &model.header, outputs(&model), &|x| float_logits(&model, x), reference.as_ref())
        }
        Engine::Golden => {
            let model = IntModel::load(&args.model)?;
            let golden = Golden::new(&model)?;
            let outputs = model.shapes().last().map_or(0, |s| s.len());
            if let Some(path) = &args.trace {
                trace(args, &model, &golden, path)?;
            }
            measure(args, &model.header, outputs, &|x| golden_logits(&model, &golden, x), reference.as_ref())
        }
        Engine::Fake => {
            let model = IntModel::load(&args.model)?;
            let outputs = model.shapes().last().map_or(0, |s| s.len());
            measure(args, &model.header, outputs, &|x| fake::logits(&model, x), reference.as_ref())
        }
        Engine::Rtl => {
            let model = IntModel::load(&args.model)?;
            let outputs = model.shapes().last().map_or(0, |s| s.len());
            let prepared = args.simulation.prepare(&model, &args.design)?;
            let network = args.simulation.network(&prepared);
            let logits = |x: &ndarray::Array4<f32>| {
                Ok(network.logits(input_codes(&model, x).view())?.mapv(|v| v as f64))
            };
            measure(args, &model.header, outputs, &logits, reference.as_ref())
        }
    }
}

/// Writes the codes and logits of every layer for the images that `args` selects.
fn trace(args: &Args, model: &IntModel, golden: &Golden, path: &Path) -> Result<()> {
    let data = DataSet::open(&args.data)?;
    images::check_memory("--images", model, args.images.unwrap_or(data.len()).min(data.len()))?;
    let batches = images::batches(&data, args.images, &model.header);
    let batches = batches.map(|batch| Ok(input_codes(model, &batch?.0))).collect::<Result<Vec<_>>>()?;
    let views: Vec<_> = batches.iter().map(|x| x.view()).collect();
    let codes = concatenate(Axis(0), &views).expect("batches have the input's shape");
    golden.trace(codes.view())?.save(path, model, codes.view())
}

fn outputs(model: &FloatModel) -> usize {
    model.shapes().last().map_or(0, |s| s.len())
}

fn float_logits(model: &FloatModel, x: &ndarray::Array4<f32>) -> Result<ndarray::Array2<f64>> {
    Ok(model.forward(x)?.mapv(f64::from))
}

fn measure(
    args: &Args,
    header: &Header,
    classes: usize,
    executor: &Executor,
    reference: Option<&FloatModel>,
) -> Result<()> {
    if let Some(r) = reference
        && (r.header.input, outputs(r)) != (header.input, classes)
    {
        let (input, outputs) = (r.header.input, outputs(r));
        let reason = format!("reads {input}, gives {outputs}; the model {} and {classes}", header.input);
        return Err(Error::usage("--float-model", reason));
    }
    let mut data = DataSet::open(&args.data)?;
    data.align(header, classes)?;
    let mut score = Score::default();
    for batch in images::batches(&data, args.images, header) {
        let (x, labels) = batch?;
        match reference {
            Some(r) => score.add(&x, &labels, executor, Some(&|x| float_logits(r, x)))?,
            None => score.add(&x, &labels, executor, None)?,
        }
    }
    match args.json {
        true => out!("{}", describe(args, &score, reference.is_some())),
        false => print(&score, header, reference.is_some()),
    }
}

/// `part` of `whole`; `None` when there is nothing to take a part of.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn describe(args: &Args, score: &Score, compared: bool) -> serde_json::Value {
    serde_json::json!({
        "model": args.model,
        "engine": args.engine,
        "images": score.images,
        "labelled": score.labelled,
        "accuracy": share(score.correct, score.labelled),
        "top5": share(score.top5, score.labelled),
        "agreement": share(score.agreeing, score.images).filter(|_| compared),
        "images_per_second": score.rate(),
        "confusion": score.confusion,
    })
}

fn print(score: &Score, header: &Header, compared: bool) -> Result<()> {
    let line = |what: &str, part: usize, whole: usize| match share(part, whole) {
        Some(share) => out!("{what:10} {:6.2} %  ({part} of {whole})", 100.0 * share),
        None => Ok(()),
    };
    line("accuracy", score.correct, score.labelled)?;
    line("top-5", score.top5, score.labelled)?;
    if compared {
        line("agreement", score.agreeing, score.images)?;
    }
    out!("{:10} {:6.1} images/s", "speed", score.rate())?;
    if !score.confusion.is_empty() && score.confusion.len() <= LARGEST_CONFUSION {
        out!("\nconfusion (row: label, column: answer)")?;
        confusion(score, header)?;
    }
    Ok(())
}

/// Classes up to which the confusion is printed; JSON has it always.
const LARGEST_CONFUSION: usize = 20;

fn confusion(score: &Score, header: &Header) -> Result<()> {
    let name = |c: usize| header.classes.get(c).cloned().unwrap_or_else(|| c.to_string());
    let columns: Vec<String> = (0..score.confusion.len()).map(|c| c.to_string()).collect();
    let head: Vec<&str> = [""].into_iter().chain(columns.iter().map(String::as_str)).collect();
    let row = |(label, counts): (usize, &Vec<usize>)| {
        [name(label)].into_iter().chain(counts.iter().map(usize::to_string)).collect()
    };
    table::print(&head, &score.confusion.iter().enumerate().map(row).collect::<Vec<_>>())
}
