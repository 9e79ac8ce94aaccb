//! `vgg2rtl eval`: accuracy of a model on labelled images, and agreement with its float model.

use super::design::Design;
use super::given::Given;
use super::images::{self, Reading};
use super::next;
use super::predictions::Predictions;
use super::print::{note, out};
use super::simulation::Simulation;
use super::{number, outputs, table};
use clap::ValueEnum;
use ndarray::ArrayView4;
use serde::Serialize;
use std::path::PathBuf;
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::int::{Golden, IntModel, Trace, TraceFile};
use vgg2rtl::net::Header;
use vgg2rtl::output::Output;
use vgg2rtl::quantize::{Executor, Score, fake, golden_logits, input_codes, interval, weights_only};
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
    /// What executes the model [default: float for a float model, golden for an integer model].
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Leave the activations of an integer model float, with --engine fake: what its weights alone cost.
    #[arg(long, value_enum)]
    acts: Option<Acts>,
    #[command(flatten)]
    reading: Reading,
    /// Float model to agree with.
    #[arg(long, value_name = "FILE")]
    float_model: Option<PathBuf>,
    /// Images to use, a sample of DATA in which each class has its share; all by default.
    #[arg(long, value_name = "N", value_parser = number::count(1..=usize::MAX))]
    images: Option<usize>,
    /// Write every layer's integers for the images used, with --engine golden or fake: the same bytes.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Write what is answered to every picture: its label, the answer, all logits (of integer engines as integers).
    #[arg(long, value_name = "FILE.csv")]
    predictions: Option<PathBuf>,
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

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Acts {
    /// Neither rounded nor clipped.
    Float,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let engine = match args.engine {
        Some(engine) => engine,
        None => args.engine_of_model()?,
    };
    args.check_acts(engine)?;
    if args.trace.is_some() && !matches!(engine, Engine::Golden | Engine::Fake) {
        return Err(Error::usage("--trace", "only --engine golden and --engine fake write one"));
    }
    if engine != Engine::Rtl {
        args.given.refuse::<Design>("--engine rtl")?;
        args.given.refuse::<Simulation>("--engine rtl")?;
    }
    let predictions = args.predictions.iter().map(|path| Output::file("--predictions", path));
    let files = args.trace.iter().map(|path| Output::file("--trace", path)).chain(predictions);
    let cache = args.simulation.cache().map(|path| Output::folder("--cache", path));
    let inputs = [Some(&*args.model), Some(&args.data), args.float_model.as_deref(), args.design.file()];
    let inputs = inputs.into_iter().chain([args.reading.labels.as_deref()]);
    outputs::check(&files.chain(cache).collect::<Vec<_>>(), inputs.flatten())?;
    let reference = args.float_model.as_deref().map(FloatModel::load).transpose()?;
    if engine == Engine::Float {
        let model = FloatModel::load(&args.model)?;
        let data = args.images(&model.header, model.outputs(), reference.as_ref())?;
        return measure(
            args,
            engine,
            (&model.header, model.outputs()),
            &data,
            &|x| float_logits(&model, x),
            reference.as_ref(),
        );
    }
    let model = IntModel::load(&args.model)?;
    let data = args.images(&model.header, model.outputs(), reference.as_ref())?;
    let measure = |run: &Executor| {
        measure(args, engine, (&model.header, model.outputs()), &data, run, reference.as_ref())
    };
    match engine {
        Engine::Fake if args.acts.is_some() => {
            let float = weights_only(&model);
            measure(&|x| float_logits(&float, x))
        }
        Engine::Golden => {
            let golden = Golden::new(&model)?;
            args.write_trace(&model, &data, &|x| golden.trace(x))?;
            measure(&|x| golden_logits(&model, &golden, x))
        }
        Engine::Fake => {
            args.write_trace(&model, &data, &|x| fake::trace(&model, x))?;
            measure(&|x| fake::logits(&model, x))
        }
        Engine::Float | Engine::Rtl => {
            let (bench, _) = args.simulation.testbench(&model, &args.design)?;
            let network = args.simulation.network(&bench);
            measure(&|x| Ok(network.logits(input_codes(&model, x).view())?.mapv(|v| v as f64)))
        }
    }
}

impl Args {
    /// The engine that follows from the model, which is told.
    fn engine_of_model(&self) -> Result<Engine> {
        let (engine, name, why) = match (self.acts, IntModel::is_in(&self.model)?) {
            (Some(_), _) => (Engine::Fake, "fake", "activations stay float"),
            (None, true) => (Engine::Golden, "golden", "this is an integer model"),
            (None, false) => (Engine::Float, "float", "this is a float model"),
        };
        note!("--engine {name}: {why}");
        Ok(engine)
    }

    /// Refuses float activations where integers are computed.
    fn check_acts(&self, engine: Engine) -> Result<()> {
        let reason = match engine {
            _ if self.acts.is_none() => return Ok(()),
            Engine::Float => "a float model's activations are float",
            Engine::Golden | Engine::Rtl => {
                "golden model and hardware compute with integers: use --engine fake"
            }
            Engine::Fake if self.trace.is_some() => "there are no integers to trace: leave --trace away",
            Engine::Fake => return Ok(()),
        };
        Err(Error::usage("--acts", reason))
    }

    /// The images to use, labels meaning the `classes` outputs of the network of `header`.
    fn images(&self, header: &Header, classes: usize, reference: Option<&FloatModel>) -> Result<DataSet> {
        if let Some(r) = reference
            && (r.header.input, r.outputs()) != (header.input, classes)
        {
            let (input, outputs) = (r.header.input, r.outputs());
            let reason = format!("reads {input}, gives {outputs}; the model {} and {classes}", header.input);
            return Err(Error::usage("--float-model", reason));
        }
        let data = self.reading.apply(DataSet::open(&self.data)?, header, classes)?;
        Ok(images::sample(&data, self.images, self.simulation.seed, classes))
    }

    /// Writes the codes and logits of every layer, where a trace is asked for.
    fn write_trace(
        &self,
        model: &IntModel,
        data: &DataSet,
        run: &dyn Fn(ArrayView4<i32>) -> Result<Trace>,
    ) -> Result<()> {
        let Some(path) = &self.trace else { return Ok(()) };
        let mut file = TraceFile::new(model)?;
        for batch in images::batches(data, &model.header) {
            let codes = input_codes(model, &batch?.0);
            file.add(codes.view(), &run(codes.view())?)?;
        }
        file.save(path)
    }
}

fn float_logits(model: &FloatModel, x: &ndarray::Array4<f32>) -> Result<ndarray::Array2<f64>> {
    Ok(model.forward(x)?.mapv(f64::from))
}

fn measure(
    args: &Args,
    engine: Engine,
    (header, outputs): (&Header, usize),
    data: &DataSet,
    executor: &Executor,
    reference: Option<&FloatModel>,
) -> Result<()> {
    let mut score = Score::default();
    let table = |path| Predictions::new(path, &header.classes, outputs);
    let mut predictions = args.predictions.as_deref().map(table).transpose()?;
    for batch in images::batches(data, header) {
        let (x, labels) = batch?;
        let logits = match reference {
            Some(r) => score.add(&x, &labels, executor, Some(&|x| float_logits(r, x)))?,
            None => score.add(&x, &labels, executor, None)?,
        };
        predictions.iter_mut().try_for_each(|table| table.add(data, &logits))?;
    }
    predictions.map(Predictions::save).transpose()?;
    for doubt in score.doubts() {
        note!("warning: {doubt}: check the labels, and the preprocessing: {}", header.described());
    }
    if args.json {
        return out!("{}", describe(args, engine, &score, reference.is_some()));
    }
    print(&score, header, reference.is_some())?;
    match engine {
        Engine::Float => next::after_float(&args.model, &args.data),
        Engine::Golden => next::after_int(&args.model, &args.data),
        Engine::Fake | Engine::Rtl => {}
    }
    Ok(())
}

/// `part` of `whole`; `None` when there is nothing to take a part of.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn describe(args: &Args, engine: Engine, score: &Score, compared: bool) -> serde_json::Value {
    serde_json::json!({
        "model": args.model,
        "engine": engine,
        "images": score.images,
        "labelled": score.labelled,
        "accuracy": share(score.correct, score.labelled),
        "accuracy_interval": interval(score.correct, score.labelled),
        "top5": share(score.top5, score.labelled),
        "top5_interval": interval(score.top5, score.labelled),
        "agreement": share(score.agreeing, score.images).filter(|_| compared),
        "agreement_interval": interval(score.agreeing, score.images).filter(|_| compared),
        "images_per_second": score.rate(),
        "confusion": score.confusion,
    })
}

fn print(score: &Score, header: &Header, compared: bool) -> Result<()> {
    let line = |what: &str, part: usize, whole: usize| match (share(part, whole), interval(part, whole)) {
        (Some(share), Some((low, high))) => {
            let (low, high) = (100.0 * low, 100.0 * high);
            out!("{what:10} {:6.2} %  ({part} of {whole}; 95 %: {low:.2} to {high:.2})", 100.0 * share)
        }
        _ => Ok(()),
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
    let name = |c: usize| images::class_name(&header.classes, c);
    let columns: Vec<String> = (0..score.confusion.len()).map(|c| c.to_string()).collect();
    let head: Vec<&str> = [""].into_iter().chain(columns.iter().map(String::as_str)).collect();
    let row = |(label, counts): (usize, &Vec<usize>)| {
        [name(label)].into_iter().chain(counts.iter().map(usize::to_string)).collect()
    };
    table::print(&head, &score.confusion.iter().enumerate().map(row).collect::<Vec<_>>())
}
