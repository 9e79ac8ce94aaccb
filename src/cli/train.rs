//! `vgg2rtl train`: a float network from scratch, or a float network into integers with training.

use super::given::Given;
use super::images::{self, Reading};
use super::levels::{self, Exceptions};
use super::next;
use super::number::{self, MOST_BATCH};
use super::outputs;
use super::print::{note, out};
use super::train_data::{Parts, VALIDATION, classes_of, input_of};
use super::train_screen::Screen;
use clap::ValueEnum;
use std::path::PathBuf;
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::net::{Header, LONGEST, Preprocessing};
use vgg2rtl::output::Output;
use vgg2rtl::quantize::qat::{Learn, Net, Spec};
use vgg2rtl::quantize::train::{
    self, Augment, Curve, Data, Distill, Options, Rule, Trainer, agreement, tuned,
};
use vgg2rtl::quantize::{DEFAULT_ENDS, Rounding, Widths};
use vgg2rtl::{Error, Result, interrupt};

/// Train a float network from scratch, or fine-tune one with quantized weights and activations.
///
/// With --qat the output is an integer model, and its every activation is checked against the training graph.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    given: Given,
    /// Float model to start from, or an integer model that was trained: its fine-tuned weights; without it, --model is trained from scratch.
    float: Option<PathBuf>,
    /// Network to train from scratch: vgg11, vgg13, vgg16 or vgg19, with batch norm.
    #[arg(long, default_value = "vgg16", conflicts_with = "float")]
    model: String,
    /// Factor on the convolutions' channels, for example 1/8.
    #[arg(long, default_value = "1", value_parser = number::fraction, conflicts_with = "float")]
    width: f64,
    /// Keep the float model's convolutions only, and train new dense layers on them for the classes of --data.
    #[arg(long, requires = "float", conflicts_with = "qat")]
    new_head: bool,
    /// Outputs of the new dense layers before the last one, for example 4096,4096.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = number::count(1..=MOST_HIDDEN))]
    hidden: Vec<usize>,
    /// Data set, as `vgg2rtl eval` reads it.
    #[arg(long)]
    data: PathBuf,
    #[command(flatten)]
    reading: Reading,
    /// Training pictures to use, a sample of them in which each class has its share; all by default.
    #[arg(long = "images", alias = "limit", value_name = "N", value_parser = number::count(1..=usize::MAX))]
    limit: Option<usize>,
    /// Share of the training pictures that do not train but measure every epoch; the test part then measures once, at the
    /// end [default: 0; 0.1 where there is no test part].
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Where the trained model goes.
    #[arg(short, long)]
    output: PathBuf,
    /// Train with quantizers: plain fixed steps, learned steps, or learned powers of two.
    #[arg(long, requires = "float")]
    qat: Option<Qat>,
    /// Levels of the weights: bits (8) or a range of codes (-7..7); a list trains one after the other, as in 8,4,2.
    #[arg(
        long,
        value_name = "LEVELS,…",
        value_delimiter = ',',
        default_value = "8",
        requires = "qat",
        allow_hyphen_values = true
    )]
    weights: Vec<String>,
    /// Levels of the activations, bits or 0..B; one for all --weights, or as many.
    #[arg(long, value_name = "LEVELS,…", value_delimiter = ',', default_value = "8", requires = "qat")]
    acts: Vec<String>,
    /// Least bits of the image, of the first and last layer's weights, and of what the last layer reads.
    #[arg(long, value_name = "BITS", default_value_t = DEFAULT_ENDS, requires = "qat")]
    ends: u32,
    #[command(flatten)]
    exceptions: Exceptions,
    /// Levels of the weights in place of those that --weights means, as in -7..7.
    #[arg(long, value_name = "A..B", requires = "qat", allow_hyphen_values = true)]
    weight_levels: Option<String>,
    /// One weight step a layer rather than one an output channel.
    #[arg(long, requires = "qat")]
    per_tensor: bool,
    /// Which code a weight starts from: the nearest, or by GPTQ those with which the layer's sums lose least.
    #[arg(long, value_enum, default_value_t, requires = "qat")]
    rounding: Rounding,
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

/// Name of the stage of a float network.
const FLOAT: &str = "float";
/// Extensions of what is written beside the output.
const MODEL: &str = "safetensors";
const CHECKPOINT: &str = "checkpoint";

/// Pictures whose activations give the quantizers their first steps.
const CALIBRATION: usize = 200;
/// Pictures on which training graph and golden model are compared after training.
const COMPARED: usize = 20;

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    args.validate()?;
    let outputs = args.outputs()?;
    let outputs: Vec<_> = outputs.iter().map(|path| Output::file("-o", path)).collect();
    let weights = args.float.as_deref().map(tuned::beside).filter(|path| path.exists());
    let inputs =
        [Some(&*args.data), args.float.as_deref(), weights.as_deref(), args.reading.labels.as_deref()];
    outputs::check(&outputs, inputs.into_iter().flatten())?;
    let relabelled = args.reading.labels.is_some();
    let parts = Parts::open(&args.data, args.validation, relabelled)?;
    let mut float = match &args.float {
        Some(path) if args.new_head => args.with_new_head(FloatModel::load(path)?, &parts.train)?,
        Some(path) => tuned::load(path)?,
        None => args.fresh(&parts.train)?,
    };
    args.exceptions.check(&float)?;
    let parts = parts.aligned(&float, &args.reading, args.limit, args.seed)?;
    images::say_input(&float.header);
    if float.header.classes.is_empty() && parts.train.classes().len() == float.outputs() {
        float.header.classes = parts.train.classes().to_vec();
    }
    let mut session = Session { args, data: parts.data(), curve: Curve::default(), report: vec![] };
    match args.qat {
        None => session.float(&float)?,
        Some(qat) => session.quantized(float, qat)?,
    }
    match args.json {
        true => out!("{}", serde_json::json!({ "output": args.output, "stages": session.report })),
        false => {
            next::after_model(&args.output, Some(&args.data));
            Ok(())
        }
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
        if self.qat.is_none() {
            self.given.refuse::<Exceptions>("--qat")?;
        }
        let share = self.validation.unwrap_or(VALIDATION);
        if !(0.0..1.0).contains(&share) {
            return Err(Error::usage("--validation", format!("{share} is no share from 0 to below 1")));
        }
        self.each("--epochs", &self.epochs)?
            .iter()
            .try_for_each(|&epochs| self.options(epochs).validate())?;
        let stages = self.stages()?;
        let mut seen = std::collections::BTreeSet::new();
        match stages.iter().map(|(stage, _)| stage).find(|stage| !seen.insert(*stage)) {
            Some(stage) => Err(Error::usage("--weights", format!("{stage} is there twice"))),
            None => Ok(()),
        }
    }

    /// Names and widths of the stages with quantizers.
    fn stages(&self) -> Result<Vec<(String, Widths)>> {
        let name = |w: &Widths| format!("W{}A{}", w.weights.bits(), w.acts.bits());
        Ok(self.widths()?.into_iter().map(|widths| (name(&widths), widths)).collect())
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
    fn outputs(&self) -> Result<Vec<PathBuf>> {
        let mut outputs = vec![self.output.clone()];
        let stages: Vec<String> = match self.qat {
            None => vec![FLOAT.into()],
            Some(_) => self.stages()?.into_iter().map(|(stage, _)| stage).collect(),
        };
        if let Some((_, earlier)) = stages.split_last() {
            outputs.extend(earlier.iter().map(|stage| self.beside(stage, MODEL)));
        }
        if self.has_files_beside() {
            let weights = outputs.iter().filter(|_| self.qat.is_some()).map(|int| tuned::beside(int));
            outputs.extend(weights.collect::<Vec<_>>());
            outputs.extend(stages.iter().map(|stage| self.beside(stage, CHECKPOINT)));
            outputs.extend(Curve::files(&self.output));
        }
        Ok(outputs)
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

    /// The widths of each stage.
    fn widths(&self) -> Result<Vec<Widths>> {
        let acts = self.each("--acts", &self.acts)?;
        let layers = self.exceptions.all()?;
        let stage = |(weights, acts): (&String, &String)| {
            Ok(Widths {
                weights: match &self.weight_levels {
                    Some(range) => levels::weights("--weight-levels", range)?,
                    None => levels::weights("--weights", weights)?,
                },
                acts: levels::acts("--acts", acts)?,
                ends: levels::ends(self.ends)?,
                layers: layers.clone(),
            })
        };
        self.weights.iter().zip(&acts).map(stage).collect()
    }

    /// Of an option that gives one value for all --weights or as many, those of each stage.
    fn each<T: Clone>(&self, option: &str, values: &[T]) -> Result<Vec<T>> {
        match values {
            [one] => Ok(vec![one.clone(); self.weights.len()]),
            _ if values.len() == self.weights.len() => Ok(values.to_vec()),
            _ => {
                let reason = format!("{} numbers for {} of --weights", values.len(), self.weights.len());
                Err(Error::usage(option, reason))
            }
        }
    }
}

/// The stages of one command.
struct Session<'a> {
    args: &'a Args,
    data: Data<'a>,
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
        let first = self.data.train.sample(CALIBRATION, self.args.seed);
        let first = first.batch(0..first.len(), &float.header)?;
        let held = self.data.test.or(self.data.validation).unwrap_or(self.data.train);
        let compared = held.sample(COMPARED, self.args.seed);
        for (i, (stage, widths)) in self.args.stages()?.into_iter().enumerate() {
            images::say_wider(&widths, &float)?;
            let (per_channel, rounding) = (!self.args.per_tensor, self.args.rounding);
            let spec = Spec { learn, widths, per_channel, rounding };
            let net = Net::quantized_from(&float, &spec, first.view())?;
            let net = self.stage(net, &stage, epochs[i], teacher.clone())?;
            agreement(&net, &compared)?;
            let last = i + 1 == self.args.weights.len();
            let path = if last { self.args.output.clone() } else { self.args.beside(&stage, MODEL) };
            float = net.float();
            if self.args.has_files_beside() {
                float.save(&tuned::beside(&path))?;
            }
            net.lower()?.save(&path)?;
        }
        Ok(())
    }

    /// Trains one stage. Fails where a signal stops it, after a checkpoint.
    fn stage(&mut self, net: Net, stage: &str, epochs: usize, teacher: Option<Net>) -> Result<Net> {
        let before = self.curve.0.len();
        let mut trainer = Trainer::new(net, self.args.options(epochs), self.data, teacher)?;
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
        let last = self.curve.0.last(); // of the same network
        let (validation, test) = (last.and_then(|p| p.validation), last.and_then(|p| p.test));
        let epochs = self.curve.0.len().saturating_sub(before);
        let measured = [("validation", validation, self.data.validation), ("test", test, self.data.test)];
        for (what, share, set) in measured {
            if let (Some(share), Some(set)) = (share, set) {
                note!("{stage}: {:.2} % of {} {what} pictures", 100.0 * share, set.len());
            }
        }
        self.report.push(serde_json::json!({
            "stage": stage, "epochs": epochs, "validation_accuracy": validation, "test_accuracy": test,
        }));
        Ok(trainer.net)
    }
}
