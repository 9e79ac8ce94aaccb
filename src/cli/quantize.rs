//! `vgg2rtl quantize`: post-training quantization of a float model.

use super::levels::{self, Exceptions};
use super::next;
use super::print::out;
use super::{images, number, outputs, table};
use clap::ValueEnum;
use std::path::PathBuf;
use vgg2rtl::arith::{Levels, Step, WIDTHS};
use vgg2rtl::float::data::SEED;
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::output::Output;
use vgg2rtl::quantize::{
    DEFAULT_ENDS, Method, Mode, Quantized, Recipe, Rounding, TensorReport, Trained, Widths, quantize,
    weights_only,
};
use vgg2rtl::{Error, Result};

/// Quantize a float model after training.
///
/// LEVELS are bits (8) or a range of integer codes (-7..7). Activations are unsigned: bits, or 0..B.
#[derive(clap::Args)]
pub struct Args {
    /// Float model file.
    model: PathBuf,
    /// Integer model file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Calibration images: CIFAR-10 binary, IDX, or a folder of pictures; the training part where there is one.
    #[arg(long, value_name = "DATA")]
    calib: PathBuf,
    /// Calibration images to use, a sample of DATA in which each class has its share.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = number::count(1..=usize::MAX))]
    images: usize,
    /// Turn pictures as their EXIF orientation says.
    #[arg(long)]
    turn: bool,
    /// Draws the sample.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
    /// Levels of the weights.
    #[arg(long, value_name = "LEVELS", default_value = "8", allow_hyphen_values = true)]
    weights: String,
    /// Levels of the activations; `float` quantizes weights only: the output is a float model, for `eval`.
    #[arg(long, value_name = "LEVELS", default_value = "8", allow_hyphen_values = true)]
    acts: String,
    /// Levels of the weights in place of --weights, as in -7..7.
    #[arg(
        long,
        alias = "levels",
        value_name = "A..B",
        conflicts_with = "weights",
        allow_hyphen_values = true
    )]
    weight_levels: Option<String>,
    #[command(flatten)]
    exceptions: Exceptions,
    /// Least bits of the image, of the first and last layer's weights, and of what the last layer reads.
    #[arg(long, value_name = "BITS", default_value_t = DEFAULT_ENDS)]
    ends: u32,
    /// Requantization: any steps, or powers of two only (no multiplier in hardware).
    #[arg(long, alias = "scale", value_enum, default_value_t = Steps::Scale, value_name = "MODE")]
    requantize: Steps,
    /// One weight step an output channel (default); the last layer always has one step.
    #[arg(long, conflicts_with = "per_tensor")]
    per_channel: bool,
    /// One weight step a layer.
    #[arg(long)]
    per_tensor: bool,
    /// How steps are chosen.
    #[arg(long, value_enum, default_value_t = Choice::Mse)]
    method: Choice,
    /// Share of values, in percent, that --method percentile does not clip [default: 99.99].
    #[arg(long, value_name = "P", value_parser = number::real::<f64>("a percentage above 0 and up to 100", |p| p > 0.0 && p <= 100.0))]
    percentile: Option<f64>,
    /// Which code a weight gets: the nearest, or by GPTQ those with which the layer's sums lose least.
    #[arg(long, value_enum, default_value_t)]
    rounding: Rounding,
    /// Correct biases by the mean error of the weights.
    #[arg(long, value_enum, default_value_t = Switch::On, num_args = 0..=1, default_missing_value = "on")]
    bias_correction: Switch,
    /// Cross-layer equalisation: of channels' activations, where weights have a step a channel, else of their weights.
    #[arg(long, alias = "equalize", value_enum, default_value_t = Switch::On, num_args = 0..=1, default_missing_value = "on")]
    equalise: Switch,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Steps {
    #[value(alias = "free")]
    Scale,
    Pow2,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Choice {
    Minmax,
    Percentile,
    Mse,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Of --method percentile.
const PERCENTILE: f64 = 99.99;

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let recipe = recipe(args)?;
    outputs::check(&[Output::file("-o", &args.output)], [&*args.model, &args.calib])?;
    let model = FloatModel::load(&args.model)?;
    args.exceptions.check(&model)?;
    images::say_input(&model.header);
    if !args.is_weights_only() {
        images::say_wider(&recipe.widths, &model)?;
    }
    let data = DataSet::open_to_calibrate(&args.calib)?;
    let data = if args.turn { data.turned() } else { data };
    let data = images::sample(&data, Some(args.images), args.seed, 0);
    let batches = images::batches(&data, &model.header);
    let mut quantized = quantize(&model, &recipe, batches.map(|batch| batch.map(|(x, _)| x)))?;
    if args.is_weights_only() {
        quantized.report.retain(|tensor| tensor.tensor == "weights");
        weights_only(&quantized.int).save(&args.output)?;
    } else {
        quantized.int.save(&args.output)?;
    }
    if args.json {
        return out!("{}", describe(args, &recipe, &quantized, data.len()));
    }
    print(&quantized.report)?;
    quantized.trained.map_or(Ok(()), say_trained)?;
    next::after_model(&args.output, Some(&args.calib));
    Ok(())
}

/// What stands for levels of activations that stay float.
const FLOAT: &str = "float";

impl Args {
    fn is_weights_only(&self) -> bool {
        self.acts == FLOAT
    }

    /// Levels of the activations. Those that stay float are, while weights are rounded, the finest that there are.
    fn act_levels(&self) -> Result<Levels> {
        if !self.is_weights_only() {
            return levels::acts("--acts", &self.acts);
        }
        match self.exceptions.all()?.iter().find(|exception| exception.output.is_some()) {
            None => Ok(Levels::unsigned(*WIDTHS.end())),
            Some(layer) => {
                let layer = layer.to_string();
                let reason =
                    format!("{layer:?} gives levels to activations, which --acts float leaves as they are");
                Err(Error::usage("--layer", reason))
            }
        }
    }
}

/// That the codes which weights were trained for are those of the integer model.
fn say_trained(Trained { layers, weights, kept }: Trained) -> Result<()> {
    let share = 100.0 * kept as f64 / weights.max(1) as f64;
    out!(
        "trained codes kept: {kept} of {weights} ({share:.2} %) in {layers} layers; no equalisation, rounding to nearest"
    )
}

fn recipe(args: &Args) -> Result<Recipe> {
    if args.percentile.is_some() && args.method != Choice::Percentile {
        return Err(Error::usage("--percentile", "has a meaning only with --method percentile"));
    }
    Ok(Recipe {
        mode: match args.requantize {
            Steps::Scale => Mode::Free,
            Steps::Pow2 => Mode::Pow2,
        },
        per_channel: !args.per_tensor,
        method: match args.method {
            Choice::Minmax => Method::MinMax,
            Choice::Percentile => Method::Percentile(args.percentile.unwrap_or(PERCENTILE)),
            Choice::Mse => Method::Mse,
        },
        widths: widths(args)?,
        equalise: args.equalise == Switch::On,
        rounding: args.rounding,
        correct_biases: args.bias_correction == Switch::On,
    })
}

fn widths(args: &Args) -> Result<Widths> {
    let weights = match &args.weight_levels {
        None => levels::weights("--weights", &args.weights)?,
        Some(range) => levels::weights("--weight-levels", range)?,
    };
    Ok(Widths {
        weights,
        acts: args.act_levels()?,
        ends: levels::ends(args.ends)?,
        layers: args.exceptions.all()?,
    })
}

fn describe(args: &Args, recipe: &Recipe, quantized: &Quantized, images: usize) -> serde_json::Value {
    serde_json::json!({
        "output": args.output,
        "mode": recipe.mode,
        "per_channel": recipe.per_channel,
        "method": recipe.method,
        "rounding": recipe.rounding,
        "equalised": recipe.equalise,
        "biases_corrected": recipe.correct_biases,
        "calibration_images": images,
        "accumulator_bits": (!args.is_weights_only()).then(|| quantized.int.accumulator_bits()),
        "trained_codes": quantized.trained,
        "tensors": quantized.report,
    })
}

fn print(report: &[TensorReport]) -> Result<()> {
    let row = |t: &TensorReport| {
        vec![
            t.layer.clone(),
            t.tensor.into(),
            t.bits.to_string(),
            format!("{}..{}", t.levels.a, t.levels.b),
            steps(t.steps),
            format!("{:.4}..{:.4}", t.range.0, t.range.1),
            format!("{:.3} %", 100.0 * t.loss.clipped),
            t.loss.sqnr_db.map_or("exact".into(), |db| format!("{db:.1} dB")),
        ]
    };
    let head = ["layer", "tensor", "bits", "levels", "step", "range", "clipped", "SQNR"];
    table::print_varying(&head, &report.iter().map(row).collect::<Vec<_>>())
}

/// One step, or the least and the greatest.
pub fn steps((least, most): (Step, Step)) -> String {
    let one = |step: Step| match step.is_power_of_two() {
        true => format!("2^{}", step.get().log2()),
        false => format!("{:.4e}", step.get()),
    };
    if least == most { one(least) } else { format!("{}..{}", one(least), one(most)) }
}
