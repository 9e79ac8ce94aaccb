//! `vgg2rtl quantize`: post-training quantization of a float model.

use super::{images, table};
use clap::ValueEnum;
use std::path::{Path, PathBuf};
use vgg2rtl::arith::{Levels, Step, WIDTHS};
use vgg2rtl::float::{DataSet, FloatModel, Split};
use vgg2rtl::quantize::{
    DEFAULT_ENDS, Exception, Method, Mode, Quantized, Recipe, Rounding, TensorReport, Widths, quantize,
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
    /// Calibration images to use, spread evenly over DATA.
    #[arg(long, value_name = "N", default_value_t = 128)]
    images: usize,
    /// Levels of the weights.
    #[arg(long, value_name = "LEVELS", default_value = "8", allow_hyphen_values = true)]
    weights: String,
    /// Levels of the activations.
    #[arg(long, value_name = "LEVELS", default_value = "8", allow_hyphen_values = true)]
    acts: String,
    /// Codes of the weights as a range, instead of --weights.
    #[arg(long, value_name = "A..B", conflicts_with = "weights", allow_hyphen_values = true)]
    levels: Option<String>,
    /// Exception for one layer: levels of its weights and of its output; may be repeated.
    #[arg(long = "layer", value_name = "NAME=W[:A]")]
    layers: Vec<String>,
    /// Least bits of the image, of the first and last layer's weights, and of what the last layer reads.
    #[arg(long, value_name = "BITS", default_value_t = DEFAULT_ENDS)]
    ends: u32,
    /// Any steps, or powers of two only (no multiplier in hardware).
    #[arg(long, value_enum, default_value_t = Scale::Free)]
    scale: Scale,
    /// One weight step an output channel (default); the last layer always has one step.
    #[arg(long, conflicts_with = "per_tensor")]
    per_channel: bool,
    /// One weight step a layer.
    #[arg(long)]
    per_tensor: bool,
    /// How steps are chosen.
    #[arg(long, value_enum, default_value_t = Choice::Mse)]
    method: Choice,
    /// Share of values, in percent, that --method percentile does not clip.
    #[arg(long, value_name = "P", default_value_t = 99.99)]
    percentile: f64,
    /// Which code a weight gets: the nearest, or by GPTQ those with which the layer's sums lose least.
    #[arg(long, value_enum, default_value_t)]
    rounding: Rounding,
    /// Correct biases by the mean error of the weights.
    #[arg(long, value_enum, default_value_t = Switch::On, num_args = 0..=1, default_missing_value = "on")]
    bias_correction: Switch,
    /// Cross-layer equalisation; with a step a channel, between dense layers only.
    #[arg(long, alias = "equalize", value_enum, default_value_t = Switch::On, num_args = 0..=1, default_missing_value = "on")]
    equalise: Switch,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scale {
    #[value(alias = "scale")]
    Free,
    Pow2,
}

#[derive(Clone, Copy, ValueEnum)]
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

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let recipe = recipe(args)?;
    let model = FloatModel::load(&args.model)?;
    let data = open(&args.calib)?;
    let batches = images::batches(&data, Some(args.images), &model.header);
    let quantized = quantize(&model, &recipe, batches.map(|batch| batch.map(|(x, _)| x)))?;
    quantized.int.save(&args.output)?;
    match args.json {
        true => println!("{}", describe(args, &recipe, &quantized, args.images.min(data.len()))),
        false => print(&quantized.report),
    }
    Ok(())
}

/// The training pictures where `path` holds both parts, else whatever it holds.
fn open(path: &Path) -> Result<DataSet> {
    DataSet::open_split(path, Split::Train).or_else(|error| DataSet::open(path).map_err(|_| error))
}

fn recipe(args: &Args) -> Result<Recipe> {
    if args.images == 0 {
        return Err(Error::usage("--images", "0 images, at least one is needed to calibrate"));
    }
    if !(args.percentile > 0.0 && args.percentile <= 100.0) {
        let reason = format!("{} is not a percentage above 0 and up to 100", args.percentile);
        return Err(Error::usage("--percentile", reason));
    }
    Ok(Recipe {
        mode: match args.scale {
            Scale::Free => Mode::Free,
            Scale::Pow2 => Mode::Pow2,
        },
        per_channel: !args.per_tensor,
        method: match args.method {
            Choice::Minmax => Method::MinMax,
            Choice::Percentile => Method::Percentile(args.percentile),
            Choice::Mse => Method::Mse,
        },
        widths: widths(args)?,
        equalise: args.equalise == Switch::On,
        rounding: args.rounding,
        correct_biases: args.bias_correction == Switch::On,
    })
}

fn widths(args: &Args) -> Result<Widths> {
    let weights = match &args.levels {
        None => levels("--weights", &args.weights, Levels::signed)?,
        Some(range) => levels("--levels", range, Levels::signed)?,
    };
    if args.ends > *WIDTHS.end() {
        return Err(Error::usage(
            "--ends",
            format!("{} bits, at most {} are supported", args.ends, WIDTHS.end()),
        ));
    }
    Ok(Widths {
        weights,
        acts: levels("--acts", &args.acts, Levels::unsigned)?,
        ends: args.ends,
        layers: args.layers.iter().map(|text| exception(text)).collect::<Result<_>>()?,
    })
}

/// `NAME=W` or `NAME=W:A`.
fn exception(text: &str) -> Result<Exception> {
    let form = || Error::usage("--layer", format!("{text:?} is not of the form NAME=W or NAME=W:A"));
    let (layer, widths) = text.split_once('=').ok_or_else(form)?;
    let (weights, output) = match widths.split_once(':') {
        None => (widths, None),
        Some((weights, output)) => (weights, Some(output)),
    };
    Ok(Exception {
        layer: layer.into(),
        weights: levels("--layer", weights, Levels::signed)?,
        output: output.map(|text| levels("--layer", text, Levels::unsigned)).transpose()?,
    })
}

/// Levels from bits (`8`, as `of_bits` makes them) or a range of codes (`-7..7`).
fn levels(option: &str, text: &str, of_bits: fn(u32) -> Levels) -> Result<Levels> {
    if let Some((a, b)) = text.split_once("..") {
        let number = |s: &str| s.parse::<i32>().ok();
        if let (Some(a), Some(b)) = (number(a), number(b)) {
            return Ok(Levels { a, b });
        }
    } else if let Some(bits) = text.parse().ok().filter(|bits| WIDTHS.contains(bits)) {
        return Ok(of_bits(bits));
    }
    let (least, most) = (WIDTHS.start(), WIDTHS.end());
    Err(Error::usage(option, format!("{text:?} is neither {least} to {most} bits nor codes A..B")))
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
        "accumulator_bits": quantized.int.accumulator_bits(),
        "tensors": quantized.report,
    })
}

fn print(report: &[TensorReport]) {
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
    table::print(&head, &report.iter().map(row).collect::<Vec<_>>());
}

/// One step, or the least and the greatest.
pub fn steps((least, most): (Step, Step)) -> String {
    let one = |step: Step| match step.is_power_of_two() {
        true => format!("2^{}", step.get().log2()),
        false => format!("{:.4e}", step.get()),
    };
    if least == most { one(least) } else { format!("{}..{}", one(least), one(most)) }
}
