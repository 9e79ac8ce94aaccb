//! `vgg2rtl train`: a float network from scratch, or a float network into integers with training.

use super::number::{self, MOST_BATCH};
use super::outputs;
use super::print::{self, note, out};
use clap::ValueEnum;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Instant;
use vgg2rtl::arith::Levels;
use vgg2rtl::float::{DataSet, FloatModel, Split};
use vgg2rtl::net::{Header, LONGEST, Preprocessing, Shape};
use vgg2rtl::output::Output;
use vgg2rtl::quantize::qat::{Learn, Net, Spec};
use vgg2rtl::quantize::train::{
    self, Augment, Curve, Distill, Options, Point, Progress, Rule, Trainer, agreement,
};
use vgg2rtl::{Error, Result, interrupt};

/// Train a float network from scratch, or fine-tune one with quantized weights and activations.
///
/// With --qat the output is an integer model, and its every activation is checked against the training graph.
#[derive(clap::Args)]
pub struct Args {
    /// Float model to start from; without it, --model is trained from scratch.
    float: Option<PathBuf>,
    /// Network to train from scratch: vgg11, vgg13, vgg16 or vgg19, with batch norm.
    #[arg(long, default_value = "vgg16", conflicts_with = "float")]
    model: String,
    /// Factor on the convolutions' channels, for example 1/8.
    #[arg(long, default_value = "1", value_parser = fraction, conflicts_with = "float")]
    width: f64,
    /// Keep the float model's convolutions only, and train new dense layers on them for the classes of --data.
    #[arg(long, requires = "float", conflicts_with = "qat")]
    new_head: bool,
    /// Outputs of the new dense layers before the last one, for example 4096,4096.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = number::count(1..=MOST_HIDDEN))]
    hidden: Vec<usize>,
    /// Data set: a folder as `vgg2rtl eval` reads it, with a training and a test part.
    #[arg(long)]
    data: PathBuf,
    /// Training pictures to use, the first ones.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true, value_parser = number::count(1..=usize::MAX))]
    limit: usize,
    /// Where the trained model goes.
    #[arg(short, long)]
    output: PathBuf,
    /// Train with quantizers: plain fixed steps, learned steps, or learned powers of two.
    #[arg(long, requires = "float")]
    qat: Option<Qat>,
    /// Weight bits of the inner layers; a list trains one after the other, as in 8,4,2.
    #[arg(long, value_delimiter = ',', default_value = "8", requires = "qat", value_parser = number::width())]
    weights: Vec<u32>,
    /// Activation bits of the inner layers; one for all --weights, or as many.
    #[arg(long, value_delimiter = ',', default_value = "8", requires = "qat", value_parser = number::width())]
    acts: Vec<u32>,
    /// Bits of the image, and of the weights of the first and last layer.
    #[arg(long, default_value_t = 8, requires = "qat", value_parser = number::width())]
    ends: u32,
    /// Least and greatest weight code of the inner layers, as in -7,7.
    #[arg(long, requires = "qat", value_parser = levels, allow_hyphen_values = true)]
    weight_levels: Option<Levels>,
    /// One weight step a layer rather than one an output channel.
    #[arg(long, requires = "qat")]
    per_tensor: bool,
    /// Fold batch norm before training with quantizers; otherwise it is kept, and folded at the end.
    #[arg(long, requires = "qat")]
    fold_bn: bool,
    /// Passes over the training pictures; one for all --weights, or as many.
    #[arg(long, value_delimiter = ',', default_value = "10", value_parser = number::count(1..=MOST_EPOCHS))]
    epochs: Vec<usize>,
    /// Images of a step.
    #[arg(long, default_value_t = 64, value_parser = number::count(2..=MOST_BATCH))]
    batch: usize,
    /// Learning rate after the warm-up [default: 0.002, with --qat 0.0005].
    #[arg(long)]
    rate: Option<f64>,
    /// Epochs of the warm-up.
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// Update rule.
    #[arg(long, default_value = "adam")]
    optimizer: Optimizer,
    /// Weight decay.
    #[arg(long, default_value_t = 0.01)]
    decay: f32,
    /// Label smoothing.
    #[arg(long, default_value_t = 0.0)]
    smoothing: f64,
    /// Largest norm of all gradients together.
    #[arg(long, default_value_t = 5.0)]
    clip: f64,
    /// Decay of the moving average of the weights that is kept in their place, for example 0.999.
    #[arg(long, default_value_t = 0.0)]
    average: f32,
    /// Pixels by which training images are shifted at random.
    #[arg(long, default_value_t = 2, value_parser = number::count(0..=LONGEST))]
    pad: usize,
    /// Train on no mirror images.
    #[arg(long)]
    no_flip: bool,
    /// Share of the float network's outputs in the loss.
    #[arg(long, requires = "qat")]
    distill: Option<f64>,
    /// Softens both outputs for --distill.
    #[arg(long, default_value_t = 4.0, requires = "distill")]
    temperature: f64,
    /// Everything random follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Go on from the checkpoints beside the output, where there are any.
    #[arg(long)]
    resume: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Most outputs of a dense layer.
const MOST_HIDDEN: usize = 1 << 16;
/// Most passes over the pictures.
const MOST_EPOCHS: usize = 100_000;

#[derive(Clone, Copy, ValueEnum)]
enum Qat {
    Plain,
    Lsq,
    Tqt,
}

#[derive(Clone, Copy, ValueEnum)]
enum Optimizer {
    Sgd,
    Adam,
}

fn fraction(text: &str) -> std::result::Result<f64, String> {
    let number = |t: &str| t.trim().parse::<f64>().map_err(|e| format!("{t:?}: {e}"));
    match text.split_once('/') {
        Some((over, under)) => Ok(number(over)? / number(under)?),
        None => number(text),
    }
    .and_then(|width| match width > 0.0 && width <= 4.0 {
        true => Ok(width),
        false => Err(format!("{width} is not above 0 and up to 4")),
    })
}

fn levels(text: &str) -> std::result::Result<Levels, String> {
    let (a, b) = text.split_once(',').ok_or("needs two numbers, as in -7,7")?;
    let number = |t: &str| t.trim().parse::<i32>().map_err(|e| format!("{t:?}: {e}"));
    Ok(Levels { a: number(a)?, b: number(b)? })
}

/// Name of the stage of a float network.
const FLOAT: &str = "float";
/// Extensions of what is written beside the output.
const MODEL: &str = "safetensors";
const CHECKPOINT: &str = "checkpoint";

/// Name of the stage of these weight and activation bits.
fn stage_name(weights: u32, acts: u32) -> String {
    format!("W{weights}A{acts}")
}

/// Pictures whose activations give the quantizers their first steps.
const CALIBRATION: usize = 200;
/// Pictures on which training graph and golden model are compared after training.
const COMPARED: usize = 20;

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    args.validate()?;
    let outputs = args.outputs();
    let outputs: Vec<_> = outputs.iter().map(|path| Output::file("-o", path)).collect();
    outputs::check(&outputs, args.float.as_deref().into_iter().chain([&*args.data]))?;
    let mut train = DataSet::open_split(&args.data, Split::Train)?;
    let mut test = DataSet::open_split(&args.data, Split::Test)?;
    let float = match &args.float {
        Some(path) if args.new_head => args.with_new_head(FloatModel::load(path)?, &train)?,
        Some(path) => FloatModel::load(path)?,
        None => args.fresh(&train)?,
    };
    let outputs = float.layers.last().map_or(0, |l| l.op.co());
    train.align(&float.header, outputs)?;
    test.align(&float.header, outputs)?;
    let mut session = Session { args, data: (&train, &test), curve: Curve::default(), report: vec![] };
    match args.qat {
        None => session.float(&float)?,
        Some(qat) => session.quantized(float, qat)?,
    }
    match args.json {
        true => out!("{}", serde_json::json!({ "output": args.output, "stages": session.report })),
        false => Ok(()),
    }
}

impl Args {
    fn fresh(&self, data: &DataSet) -> Result<FloatModel> {
        let depth = self.model.strip_prefix("vgg").and_then(|d| d.parse().ok()).unwrap_or(0);
        let input = input_of(data)?;
        let name = format!("{}-{}", self.model, self.width);
        let preprocessing = Preprocessing {
            mean: vec![0.5; input.c],
            std: vec![0.5; input.c],
            ..Preprocessing::unit(input.c)
        };
        let header = Header { name, input, preprocessing, classes: data.classes().to_vec() };
        train::vgg(depth, self.width, &self.hidden, header, classes_of(data)?, self.seed)
    }

    fn with_new_head(&self, trunk: FloatModel, data: &DataSet) -> Result<FloatModel> {
        let header =
            Header { input: input_of(data)?, classes: data.classes().to_vec(), ..trunk.header.clone() };
        train::with_new_head(trunk, &self.hidden, header, classes_of(data)?, self.seed)
    }

    /// Refuses options that cannot train.
    fn validate(&self) -> Result<()> {
        self.each("--epochs", &self.epochs)?
            .iter()
            .try_for_each(|&epochs| self.options(epochs).validate())?;
        let acts = self.each("--acts", &self.acts)?;
        let mut seen = std::collections::BTreeSet::new();
        match self.weights.iter().zip(acts).find(|&(&w, a)| !seen.insert((w, a))) {
            Some((&w, a)) => Err(Error::usage("--weights", format!("{} is there twice", stage_name(w, a)))),
            None => Ok(()),
        }
    }

    /// `output` with the stage in its name.
    fn beside(&self, stage: &str, extension: &str) -> PathBuf {
        let stem = self.output.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}-{}.{extension}", stage.to_lowercase());
        self.output.with_file_name(name)
    }

    /// Whether checkpoints and curves go beside the output: not beside a device or a FIFO.
    fn has_files_beside(&self) -> bool {
        self.output.metadata().map_or(true, |at| at.is_file())
    }

    /// Every file that will be written.
    fn outputs(&self) -> Vec<PathBuf> {
        let mut outputs = vec![self.output.clone()];
        let stages: Vec<String> = match self.qat {
            None => vec![FLOAT.into()],
            Some(_) => {
                let acts = self.acts.iter().cycle();
                self.weights.iter().zip(acts).map(|(&w, &a)| stage_name(w, a)).collect()
            }
        };
        if let Some((_, earlier)) = stages.split_last() {
            outputs.extend(earlier.iter().map(|stage| self.beside(stage, MODEL)));
        }
        if self.has_files_beside() {
            outputs.extend(stages.iter().map(|stage| self.beside(stage, CHECKPOINT)));
            outputs.extend(Curve::files(&self.output));
        }
        outputs
    }

    fn options(&self, epochs: usize) -> Options {
        Options {
            epochs,
            batch: self.batch,
            rate: self.rate.unwrap_or(if self.qat.is_some() { 0.0005 } else { 0.002 }),
            warm_up: self.warm_up,
            rule: match self.optimizer {
                Optimizer::Sgd => Rule::Sgd,
                Optimizer::Adam => Rule::Adam,
            },
            decay: self.decay,
            smoothing: self.smoothing,
            clip: self.clip,
            average: self.average,
            augment: Augment { pad: self.pad, flip: !self.no_flip },
            distill: self.distill.map(|share| Distill { share, temperature: self.temperature }),
            seed: self.seed,
        }
    }

    /// Of an option that gives one value for all --weights or as many, those of each stage.
    fn each<T: Copy>(&self, option: &str, values: &[T]) -> Result<Vec<T>> {
        match values {
            [one] => Ok(vec![*one; self.weights.len()]),
            _ if values.len() == self.weights.len() => Ok(values.to_vec()),
            _ => {
                let reason = format!("{} numbers for {} of --weights", values.len(), self.weights.len());
                Err(Error::usage(option, reason))
            }
        }
    }
}

/// The first picture's size, padded so that five pools halve it.
fn input_of(data: &DataSet) -> Result<Shape> {
    let picture = data.picture(0)?;
    let side = picture.height.max(picture.width).next_multiple_of(32);
    Ok(Shape { c: picture.channels, h: side, w: side })
}

fn classes_of(data: &DataSet) -> Result<usize> {
    let labels = (0..data.len()).filter_map(|i| data.label(i));
    let classes = labels.max().map_or(0, |top| top + 1).max(data.classes().len());
    if classes < 2 {
        return Err(Error::bad_file(data.path(), "needs labels of two classes or more"));
    }
    Ok(classes)
}

/// The stages of one command.
struct Session<'a> {
    args: &'a Args,
    data: (&'a DataSet, &'a DataSet),
    curve: Curve,
    report: Vec<serde_json::Value>,
}

impl Session<'_> {
    fn float(&mut self, model: &FloatModel) -> Result<()> {
        let epochs = self.args.each("--epochs", &self.args.epochs)?[0];
        let net = self.stage(Net::float_from(model)?, FLOAT, epochs, None)?;
        net.float().save(&self.args.output)
    }

    fn quantized(&mut self, mut float: FloatModel, qat: Qat) -> Result<()> {
        let acts = self.args.each("--acts", &self.args.acts)?;
        let epochs = self.args.each("--epochs", &self.args.epochs)?;
        let learn = match qat {
            Qat::Plain => Learn::Plain,
            Qat::Lsq => Learn::Lsq,
            Qat::Tqt => Learn::Tqt,
        };
        if self.args.fold_bn || learn == Learn::Tqt {
            float.fold_batch_norm(); // power-of-two steps leave no place for batch norm's factors
        }
        let teacher = self.args.distill.map(|_| Net::float_from(&float)).transpose()?;
        let (train, test) = self.data;
        let images = train.batch(0..CALIBRATION.min(train.len()), &float.header)?;
        for (i, &weights) in self.args.weights.iter().enumerate() {
            let acts = acts[i];
            let spec = Spec {
                ends: self.args.ends,
                per_channel: !self.args.per_tensor,
                weight_levels: self.args.weight_levels,
                ..Spec::new(learn, weights, acts)
            };
            let net = Net::quantized_from(&float, &spec, images.view())?;
            let stage = stage_name(weights, acts);
            let net = self.stage(net, &stage, epochs[i], teacher.clone())?;
            agreement(&net, test, COMPARED)?;
            let last = i + 1 == self.args.weights.len();
            let path = if last { self.args.output.clone() } else { self.args.beside(&stage, MODEL) };
            net.lower()?.save(&path)?;
            float = net.float();
        }
        Ok(())
    }

    /// Trains one stage. Fails where a signal stops it, after a checkpoint.
    fn stage(&mut self, net: Net, stage: &str, epochs: usize, teacher: Option<Net>) -> Result<Net> {
        let before = self.curve.0.len();
        let mut trainer = Trainer::new(net, self.args.options(epochs), self.data, self.args.limit, teacher)?;
        trainer.stage = stage.into();
        trainer.curve = std::mem::take(&mut self.curve);
        if self.args.has_files_beside() {
            let checkpoint = self.args.beside(stage, CHECKPOINT);
            if self.args.resume && checkpoint.exists() {
                trainer.restore(&checkpoint)?;
            }
            trainer.checkpoint = Some(checkpoint);
        }
        let deferred = interrupt::defer();
        let finished = trainer.run(&mut Screen::new(stage))?;
        self.curve = trainer.curve.clone();
        if self.args.has_files_beside() {
            self.curve.save(&self.args.output)?;
        }
        if !finished {
            match trainer.checkpoint {
                Some(_) => note!("stopped; go on with the same command and --resume"),
                None => note!("stopped; nothing is saved beside a device or a FIFO"),
            }
            interrupt::check()?;
        }
        drop(deferred);
        let test = self.curve.0.last().map_or(0.0, |p| p.test); // of the same network
        let epochs = self.curve.0.len().saturating_sub(before);
        note!("{stage}: {:.2} % of {} test pictures", 100.0 * test, self.data.1.len());
        self.report.push(serde_json::json!({ "stage": stage, "epochs": epochs, "test_accuracy": test }));
        Ok(trainer.net)
    }
}

/// Progress on stderr: a line an epoch, and on a terminal one that is overwritten every step.
struct Screen {
    stage: String,
    start: Instant,
    /// First step of this session, and when the line was written last.
    first: Option<usize>,
    written: Instant,
    warnings: usize,
}

/// Warnings that are shown; a step held at its floor would otherwise report every step.
const WARNINGS: usize = 10;

impl Screen {
    fn new(stage: &str) -> Self {
        let now = Instant::now();
        Self { stage: stage.into(), start: now, first: None, written: now, warnings: 0 }
    }
}

impl Progress for Screen {
    fn step(&mut self, step: usize, total: usize, loss: f64, accuracy: f64) {
        let first = *self.first.get_or_insert(step - 1);
        if !std::io::stderr().is_terminal() || self.written.elapsed().as_millis() < 200 {
            return;
        }
        self.written = Instant::now();
        let left = self.start.elapsed().as_secs_f64() / (step - first) as f64 * (total - step) as f64;
        let (minutes, seconds) = (left as u64 / 60, left as u64 % 60);
        let stage = &self.stage;
        print::text(format_args!(
            "\r{stage}: step {step}/{total}, loss {loss:.4}, accuracy {:.2} %, {minutes}:{seconds:02} left \x1b[K",
            100.0 * accuracy
        ));
    }

    fn epoch(&mut self, p: &Point) {
        let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
        let (train, test, elapsed) = (100.0 * p.train, 100.0 * p.test, self.start.elapsed().as_secs());
        note!(
            "{clear}{}: epoch {}, loss {:.4}, training {train:.2} %, test {test:.2} %, {elapsed} s",
            p.stage,
            p.epoch,
            p.loss
        );
    }

    fn warn(&mut self, text: &str) {
        self.warnings += 1;
        if self.warnings <= WARNINGS {
            note!("warning: {text}");
        }
    }

    fn wants_to_stop(&self) -> bool {
        interrupt::flag().load(Ordering::Relaxed)
    }
}
