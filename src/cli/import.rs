//! `vgg2rtl import`: a trained VGG from PyTorch, ONNX, Keras, numpy or Caffe as a model file.

use super::levels;
use super::next;
use super::print::out;
use super::{number, outputs, table};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use vgg2rtl::arith::Levels;
use vgg2rtl::float::import::check::{self, Case, Row};
use vgg2rtl::float::import::options::{Activation, Flatten, Head, Options, Pictures, Pools};
use vgg2rtl::float::import::{Imported, files, import};
use vgg2rtl::int::IntModel;
use vgg2rtl::net::{Colour, Filter, Fit, LONGEST, Shape};
use vgg2rtl::output::Output;
use vgg2rtl::quantize::{Agreement, given};
use vgg2rtl::{Error, Result};

const LONG: &str = r#"Read a trained VGG (.safetensors, .pth of any age, .onnx, Keras, numpy, Caffe, a model hub's folder) into a model file, batch
norm folded.

What the file does not say is taken from habit, and the table says so. --check FILE makes sure: it compares with what
the source computes, saved by

  x = torch.randn(4, 3, 224, 224); model.eval()
  numpy.savez("check.npz", x=x.numpy(), y=model(x).detach().numpy())

and says where a difference starts if the outputs of the layers are saved as well:

  seen = {}; [m.register_forward_hook(lambda m, i, o, n=n: seen.update({n: o.detach().clone().numpy()}))
              for n, m in model.named_modules() if n and not list(m.children())]
  y = model(x).detach().numpy(); numpy.savez("check.npz", x=x.numpy(), y=y, **seen)

docs/import.md has more."#;

/// Read a trained VGG (.safetensors, .pth, .onnx, Keras, numpy, Caffe) into a model file, batch norm folded.
#[derive(clap::Args)]
#[command(long_about = LONG)]
pub struct Args {
    /// State dict or checkpoint (.safetensors, .pth), .onnx, Keras (.h5, .keras), .npz, .npy, .caffemodel, index of shards, or a
    /// model hub's folder.
    file: PathBuf,
    /// Model file to write; without it the file is only looked at.
    #[arg(short, long, required_unless_present = "check")]
    output: Option<PathBuf>,
    /// Compare with what the source computed: x, y and outputs of layers in .npz or .safetensors; a difference is an error.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: Network,
    #[command(flatten)]
    pictures: PictureArgs,
}

/// What a state dict does not say about the network.
#[derive(clap::Args)]
#[command(next_help_heading = "What a state dict does not say")]
struct Network {
    /// Input shape, such as 3x224x224.
    #[arg(long, value_name = "CxHxW", value_parser = shape)]
    input: Option<Shape>,
    /// Which of a checkpoint's state dicts, or the part of one that is the network, such as model.backbone.
    #[arg(long)]
    key: Option<String>,
    /// Added to the variance by every batch norm: PyTorch 1e-5, Keras 1e-3.
    #[arg(long, value_name = "EPS", value_parser = number::real::<f32>("a number from 0 to 1", |v| (0.0..=1.0).contains(&v)))]
    bn_eps: Option<f32>,
    /// What stands behind every layer but the last: relu or relu6.
    #[arg(long)]
    activation: Option<String>,
    /// Convolutions before each 2x2 max pool, such as 2,2,3,3,3.
    #[arg(long, value_name = "N,…", value_delimiter = ',', conflicts_with = "cfg")]
    pools: Vec<usize>,
    /// Output channels and pools in order, such as 64,M,128,M,256,256,M.
    #[arg(long, value_name = "N,M,…", value_delimiter = ',')]
    cfg: Vec<String>,
    /// What stands before the first dense layer: flat, avg, avg:SIDE or max.
    #[arg(long)]
    head: Option<String>,
    /// Order of the flattened map: chw (PyTorch) or hwc (TensorFlow).
    #[arg(long)]
    flatten: Option<String>,
    /// Number of outputs, for a last layer as wide as a hidden one.
    #[arg(long, value_name = "N")]
    outputs: Option<usize>,
    /// Codes of weights that a state dict has steps for (step_size): bits or A..B.
    #[arg(long, value_name = "LEVELS", allow_hyphen_values = true)]
    weight_levels: Option<String>,
    /// Quantized graphs: give a last layer with a scale a channel 16-bit weights of one step, which logits need.
    #[arg(long)]
    common_step: bool,
    /// Class names in the order of the outputs, separated by commas.
    #[arg(long, value_delimiter = ',')]
    classes: Vec<String>,
}

/// What no file says about pictures.
#[derive(clap::Args)]
#[command(next_help_heading = "From pictures to the input")]
struct PictureArgs {
    /// How pictures are brought to the input's size: pad, stretch, or crop:SHORTER.
    #[arg(long)]
    fit: Option<String>,
    /// Interpolation of --fit: bilinear or bicubic.
    #[arg(long)]
    filter: Option<String>,
    /// Colour order: rgb, bgr or grey.
    #[arg(long)]
    colour: Option<String>,
    /// Factor on the bytes 0 … 255; the input is (byte · scale − mean) / std.
    #[arg(long, value_parser = number::real::<f32>("a number other than 0", |v| v != 0.0))]
    scale: Option<f32>,
    /// Subtracted after scaling: one for all channels, or one a channel, separated by commas.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, value_parser = number::real::<f32>("numbers", |_| true))]
    mean: Vec<f32>,
    /// Divisor: one for all channels, or one a channel, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = number::real::<f32>("numbers other than 0", |v| v != 0.0))]
    std: Vec<f32>,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    let options = args.options()?;
    let written = args.output.as_ref().map(|path| Output::file("-o", path));
    let parts = files(&args.file)?;
    let read = parts.iter().chain(&args.check).chain(Some(&args.file).filter(|file| file.is_file()));
    outputs::check(written.as_slice(), read.map(|path| path.as_path()))?;
    let imported = import(&args.file, &options)?;
    let int = imported.quantized.as_ref().map(|codes| given(&imported.model, codes)).transpose();
    let int = int.map_err(|e| Error::bad_file(&args.file, e.to_string()))?;
    if !args.json {
        print_facts(&imported)?;
    }
    let check = match (&args.check, &int) {
        (None, _) => None,
        (Some(path), None) => Some(Check::Layers(compared(&imported, path, args.json)?)),
        (Some(path), Some(int)) => Some(Check::Answers(agreement(&imported, int, path, args.json)?)),
    };
    if let Some(output) = &args.output {
        match &int {
            Some(int) => int.save(output)?,
            None => imported.model.save(output)?,
        }
    }
    report(args, &imported, check)?;
    if let (Some(output), false) = (&args.output, args.json) {
        next::after_model(output, None);
    }
    Ok(())
}

impl Args {
    /// What the user says beyond the file.
    fn options(&self) -> Result<Options> {
        let network = &self.network;
        let mut seen = BTreeSet::new();
        if let Some(name) = network.classes.iter().find(|name| !seen.insert(*name)) {
            return Err(Error::usage("--classes", format!("{name:?} is there twice")));
        }
        Ok(Options {
            input: network.input,
            pictures: self.pictures.parse()?,
            classes: network.classes.clone(),
            key: network.key.clone(),
            bn_eps: network.bn_eps,
            activation: network.activation.as_deref().map(activation).transpose()?,
            pools: network.pools()?,
            head: network.head.as_deref().map(head).transpose()?,
            flatten: network.flatten.as_deref().map(flatten).transpose()?,
            outputs: network.outputs,
            weight_levels: network.weight_levels()?,
            common_step: network.common_step,
        })
    }
}

impl Network {
    fn weight_levels(&self) -> Result<Option<Levels>> {
        self.weight_levels.as_deref().map(|text| levels::weights("--weight-levels", text)).transpose()
    }

    fn pools(&self) -> Result<Option<Pools>> {
        let part = |text: &String| match text.as_str() {
            "M" | "m" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                Error::usage(
                    "--cfg",
                    format!("{text:?} is neither a number of channels nor M for a max pool"),
                )
            }),
        };
        let cfg = self.cfg.iter().map(part).collect::<Result<Vec<_>>>()?;
        Ok(match (self.pools.is_empty(), cfg.is_empty()) {
            (false, _) => Some(Pools::Stages(self.pools.clone())),
            (_, false) => Some(Pools::Configuration(cfg)),
            _ => None,
        })
    }
}

impl PictureArgs {
    fn parse(&self) -> Result<Pictures> {
        let colours = [("rgb", Colour::Rgb), ("bgr", Colour::Bgr), ("grey", Colour::Grey)];
        let filters = [("bilinear", Filter::Bilinear), ("bicubic", Filter::Bicubic)];
        let fit = self.fit.as_deref().map(fit).transpose()?;
        let filter = self.filter.as_deref().map(|f| named("--filter", f, &filters)).transpose()?;
        if filter.is_some() && fit == Some(Fit::Pad) {
            return Err(Error::usage("--filter", "needs --fit stretch or crop"));
        }
        Ok(Pictures {
            fit,
            filter,
            colour: self.colour.as_deref().map(|c| named("--colour", c, &colours)).transpose()?,
            scale: self.scale,
            mean: self.mean.clone(),
            std: self.std.clone(),
        })
    }
}

fn activation(text: &str) -> Result<Activation> {
    match text {
        "relu" => Ok(Activation::Relu),
        "relu6" => Ok(Activation::Relu6),
        _ => {
            let reason = "is not supported, relu and relu6 are: train a few epochs with ReLU in its place";
            Err(Error::usage("--activation", format!("{text} {reason}")))
        }
    }
}

fn head(text: &str) -> Result<Head> {
    if let Some(side) = text.strip_prefix("avg:") {
        let side = side.parse().ok().filter(|side| (1..=64).contains(side));
        return side
            .map(Head::Average)
            .ok_or_else(|| Error::usage("--head", format!("{text:?}: avg:SIDE, such as avg:7")));
    }
    named("--head", text, &[("flat", Head::Flat), ("avg", Head::Average(1)), ("max", Head::Max)])
}

fn flatten(text: &str) -> Result<Flatten> {
    named("--flatten", text, &[("chw", Flatten::ChannelsFirst), ("hwc", Flatten::ChannelsLast)])
}

fn fit(text: &str) -> Result<Fit> {
    let filter = Filter::default();
    if let Some(shorter) = text.strip_prefix("crop:") {
        let pixels = shorter.parse().ok().filter(|pixels| (1..=LONGEST).contains(pixels));
        let reason = || format!("crop:{shorter}, 1 to {LONGEST} pixels are possible");
        let shorter = pixels.ok_or_else(|| Error::usage("--fit", reason()))?;
        return Ok(Fit::Crop { shorter, filter });
    }
    named("--fit", text, &[("pad", Fit::Pad), ("stretch", Fit::Stretch { filter })])
}

fn named<T: Copy>(option: &str, text: &str, known: &[(&str, T)]) -> Result<T> {
    let found = known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        Error::usage(option, format!("{text:?} is none of {}", names.join(", ")))
    })
}

fn shape(text: &str) -> std::result::Result<Shape, String> {
    let sizes: Vec<usize> = text.split(['x', '×']).map_while(|s| s.parse().ok()).collect();
    match sizes[..] {
        [c, h, w] if Shape { c, h, w }.is_sensible() => Ok(Shape { c, h, w }),
        _ => Err("must be channels x rows x columns, such as 3x224x224".into()),
    }
}

/// What was taken, and from where.
fn print_facts(imported: &Imported) -> Result<()> {
    let mut facts = imported.facts.0.iter();
    facts.try_for_each(|fact| out!("{:18}  {:38}  {}", fact.what, fact.taken, fact.from))
}

/// The comparison with the source, printed; a difference is an error.
fn compared(imported: &Imported, path: &Path, json: bool) -> Result<Vec<Row>> {
    let case = Case::read(path)?;
    let rows = check::compare(imported, &case).map_err(|reason| Error::bad_file(path, reason))?;
    if !json {
        let cells = |r: &Row| {
            let verdict = if r.differs() { "differs" } else { "equal" };
            vec![
                r.layer.clone(),
                r.name.clone(),
                format!("{:.2e}", r.difference),
                format!("{:.2e}", r.largest),
                verdict.into(),
            ]
        };
        out!("")?;
        table::print(
            &["layer", "source", "difference", "largest", ""],
            &rows.iter().map(cells).collect::<Vec<_>>(),
        )?;
    }
    match check::verdict(&rows) {
        Some(reason) => Err(Error::Mismatch(format!("{}: {reason}", path.display()))),
        None => Ok(rows),
    }
}

/// How the integer model's answers compare with the source's, printed; more than 2 in a thousand others are an error.
fn agreement(imported: &Imported, int: &IntModel, path: &Path, json: bool) -> Result<Agreement> {
    let case = Case::read(path)?;
    let (x, y) = check::images_and_logits(imported, &case).map_err(|reason| Error::bad_file(path, reason))?;
    let found = Agreement::of(int, &x, &y)?;
    let Agreement { images, agreeing, difference, largest } = found;
    let text = format!(
        "{agreeing} of {images} answers agree, logits differ by up to {difference:.2e}, the largest is {largest:.2e}"
    );
    if !json {
        out!("{text}")?;
    }
    if found.holds() { Ok(found) } else { Err(Error::Mismatch(format!("{}: {text}", path.display()))) }
}

/// What `--check` found.
#[derive(Serialize)]
#[serde(untagged)]
enum Check {
    /// Of a float network, layer by layer.
    Layers(Vec<Row>),
    /// Of an integer model.
    Answers(Agreement),
}

/// The report of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    input: Shape,
    outputs: usize,
    layers: usize,
    macs: u64,
    facts: &'a vgg2rtl::float::import::facts::Facts,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Check>,
}

fn report(args: &Args, imported: &Imported, check: Option<Check>) -> Result<()> {
    let model = &imported.model;
    let (input, layers, macs) = (model.header.input, model.layers.len(), model.macs());
    let outputs = model.outputs();
    if args.json {
        let report = Report { input, outputs, layers, macs, facts: &imported.facts, check };
        return out!("{}", serde_json::json!(report));
    }
    let assumed = imported.facts.assumed().count();
    if assumed > 0 && check.is_none() {
        out!("{assumed} of these are assumed: options set them, --check FILE compares with the source")?;
    }
    if let Some(output) = &args.output {
        let kind = if imported.quantized.is_some() { "integer model, " } else { "" };
        out!("{}: {kind}{input} → {outputs}, {layers} layers, {macs} MACs an image", output.display())?;
    }
    Ok(())
}
