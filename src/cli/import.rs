//! `vgg2rtl import`: a trained VGG from PyTorch or ONNX as a model file.

use super::print::out;
use super::{number, outputs};
use std::path::PathBuf;
use vgg2rtl::float::import::{Options, import};
use vgg2rtl::net::{Colour, Filter, Fit, Header, LONGEST, Preprocessing, Shape};
use vgg2rtl::output::Output;
use vgg2rtl::{Error, Result};

/// Read a trained VGG (.safetensors, .pth or .onnx) into a model file, batch norm folded.
#[derive(clap::Args)]
pub struct Args {
    /// State dict (.safetensors, .pth) or ONNX file.
    file: PathBuf,
    /// Model file to write.
    #[arg(short, long)]
    output: PathBuf,
    /// Input shape, such as 3x224x224, where the file does not say.
    #[arg(long, value_name = "CxHxW", value_parser = shape)]
    input: Option<Shape>,
    /// Class names in the order of the outputs, separated by commas.
    #[arg(long, value_delimiter = ',')]
    classes: Vec<String>,
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
    /// Subtracted after scaling, one a channel, separated by commas.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, value_parser = number::real::<f32>("numbers", |_| true))]
    mean: Vec<f32>,
    /// Divisor, one a channel, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = number::real::<f32>("numbers other than 0", |v| v != 0.0))]
    std: Vec<f32>,
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    outputs::check(&[Output::file("-o", &args.output)], [&*args.file])?;
    let options = Options { input: args.input, preprocessing: None, classes: args.classes.clone() };
    let mut model = import(&args.file, &options)?;
    args.change(&mut model.header.preprocessing)?;
    args.check(&model.header)?;
    let outputs = model.layers.last().map_or(0, |l| l.op.co());
    if !args.classes.is_empty() && args.classes.len() != outputs {
        let reason = format!("{} names for {outputs} outputs", args.classes.len());
        return Err(Error::usage("--classes", reason));
    }
    model.save(&args.output)?;
    let (input, layers, macs) = (model.header.input, model.layers.len(), model.macs());
    out!("{}: {input} → {outputs}, {layers} layers, {macs} MACs an image", args.output.display())
}

impl Args {
    /// Names the option that does not fit the network.
    fn check(&self, header: &Header) -> Result<()> {
        let channels = header.input.c;
        for (option, list) in [("--mean", &self.mean), ("--std", &self.std)] {
            if ![0, channels].contains(&list.len()) {
                let reason = format!("{} numbers for {channels} channels", list.len());
                return Err(Error::usage(option, reason));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(name) = self.classes.iter().find(|name| !seen.insert(*name)) {
            return Err(Error::usage("--classes", format!("{name:?} is there twice")));
        }
        header.preprocessing.check(header.input).map_err(|reason| match &self.colour {
            Some(_) => Error::usage("--colour", reason),
            None => Error::bad_file(&self.file, reason),
        })
    }

    /// Overrides what the user said in the default preprocessing.
    fn change(&self, p: &mut Preprocessing) -> Result<()> {
        if let Some(colour) = &self.colour {
            p.colour = named(
                "--colour",
                colour,
                &[("rgb", Colour::Rgb), ("bgr", Colour::Bgr), ("grey", Colour::Grey)],
            )?;
        }
        if let Some(fit) = &self.fit {
            p.fit = parse_fit(fit)?;
        }
        if let Some(filter) = &self.filter {
            let to =
                named("--filter", filter, &[("bilinear", Filter::Bilinear), ("bicubic", Filter::Bicubic)])?;
            match &mut p.fit {
                Fit::Pad => return Err(Error::usage("--filter", "needs --fit stretch or crop")),
                Fit::Stretch { filter } | Fit::Crop { filter, .. } => *filter = to,
            }
        }
        p.scale = self.scale.unwrap_or(p.scale);
        let replace = |to: &mut Vec<f32>, from: &Vec<f32>| {
            if !from.is_empty() {
                to.clone_from(from)
            }
        };
        replace(&mut p.mean, &self.mean);
        replace(&mut p.std, &self.std);
        Ok(())
    }
}

fn parse_fit(text: &str) -> Result<Fit> {
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
