//! `vgg2rtl classify`: what a network says of some pictures.

use super::images::{self, Reading};
use super::number;
use super::print::out;
use ndarray::{Array4, ArrayView1};
use serde::Serialize;
use std::path::PathBuf;
use vgg2rtl::Result;
use vgg2rtl::float::{DataSet, FloatModel};
use vgg2rtl::int::{Golden, IntModel};
use vgg2rtl::net::Header;
use vgg2rtl::quantize::{Executor, golden_logits};

/// Say what pictures show: the likeliest classes of each.
#[derive(clap::Args)]
pub struct Args {
    /// Model file, float or integer.
    model: PathBuf,
    /// Pictures, folders of pictures, or data sets.
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// Classes to print of each picture.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = number::count(1..=usize::MAX))]
    top: usize,
    #[command(flatten)]
    reading: Reading,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// What a network says of a picture.
#[derive(Serialize)]
struct Found {
    picture: String,
    /// The likeliest first.
    answers: Vec<Answer>,
}

#[derive(Serialize)]
struct Answer {
    class: usize,
    name: String,
    /// In the unit of the float network's logits.
    logit: f64,
    /// Softmax of all logits.
    probability: f64,
}

/// A network, and how it gives logits in the float network's unit.
struct Classifier<'a> {
    header: &'a Header,
    outputs: usize,
    run: &'a Executor<'a>,
}

impl Classifier<'_> {
    fn answers(&self, logits: ArrayView1<f64>, top: usize) -> Vec<Answer> {
        let greatest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let all: f64 = logits.iter().map(|v| (v - greatest).exp()).sum();
        let answer = |class: usize| Answer {
            class,
            name: images::class_name(&self.header.classes, class),
            logit: logits[class],
            probability: (logits[class] - greatest).exp() / all,
        };
        images::ranked(logits).into_iter().take(top).map(answer).collect()
    }
}

/// Runs the verb.
pub fn run(args: &Args) -> Result<()> {
    if !IntModel::is_in(&args.model)? {
        let model = FloatModel::load(&args.model)?;
        let run = |x: &Array4<f32>| Ok(model.forward(x)?.mapv(f64::from));
        return classify(args, &Classifier { header: &model.header, outputs: model.outputs(), run: &run });
    }
    let model = IntModel::load(&args.model)?;
    let (golden, step) = (Golden::new(&model)?, f64::from(model.logit_step().get()));
    let run = |x: &Array4<f32>| Ok(golden_logits(&model, &golden, x)? * step);
    classify(args, &Classifier { header: &model.header, outputs: model.outputs(), run: &run })
}

fn classify(args: &Args, network: &Classifier) -> Result<()> {
    let mut found = vec![];
    for path in &args.pictures {
        let data = args.reading.apply(DataSet::open(path)?, network.header, network.outputs)?;
        let mut names = (0..data.len()).map(|i| data.name(i).display().to_string());
        for batch in images::batches(&data, network.header) {
            for logits in (network.run)(&batch?.0)?.outer_iter() {
                let picture = names.next().unwrap_or_default();
                found.push(Found { picture, answers: network.answers(logits, args.top) });
            }
        }
    }
    match args.json {
        true => out!("{}", serde_json::json!({ "model": args.model, "pictures": found })),
        false => found.iter().try_for_each(print),
    }
}

fn print(found: &Found) -> Result<()> {
    out!("{}", found.picture)?;
    for Answer { class, name, logit, probability } in &found.answers {
        out!("{:8.2} %  {name}  (output {class}, logit {logit:.3})", 100.0 * probability)?;
    }
    Ok(())
}
