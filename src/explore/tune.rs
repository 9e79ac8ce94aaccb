//! Accuracy after fine-tuning with quantized weights and activations.

use super::accuracy::{Evaluator, Measured};
use super::coding::Coding;
use crate::config::Requantize;
use crate::float::data::SEED;
use crate::float::{DataSet, FloatModel, Split};
use crate::quantize::qat::{Learn, Net, Spec};
use crate::quantize::train::{Data, Options, Point, Progress, Trainer};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Pictures whose activations give the quantizers their first steps.
const FIRST: usize = 200;

/// How a coding is fine-tuned: learned steps (LSQ), or learned powers of two (TQT) for requantization by shifts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// Labelled pictures to learn from: the training part of a data set.
    pub train: PathBuf,
    /// Passes over the pictures.
    pub epochs: usize,
    /// Pictures to use, a sample of them.
    pub limit: usize,
}

impl Tuning {
    /// Accuracy of `coding` after fine-tuning `model`; from the cache where it is known.
    pub fn measure(
        &self,
        model: &FloatModel,
        coding: &Coding,
        evaluator: &Evaluator,
        stop: &AtomicBool,
    ) -> Result<Measured> {
        let mut train = self.pictures()?;
        train.align(&model.header, model.outputs())?;
        let train = train.sample(self.limit, SEED);
        let key = self.key(coding, evaluator, &train, model)?;
        if let Some(known) = evaluator.known(&key) {
            return Ok(known);
        }
        let mut float = model.clone();
        let learn = match coding.requantize {
            Requantize::Scale => Learn::Lsq,
            Requantize::Pow2 => Learn::Tqt,
        };
        if learn == Learn::Tqt {
            float.fold_batch_norm();
        }
        let spec = Spec { learn, widths: coding.widths(), per_channel: true, rounding: coding.rounding };
        let images = train.batch(0..FIRST.min(train.len()), &float.header)?; // a sample's beginning is one
        let net = Net::quantized_from(&float, &spec, images.view())?;
        let options = Options { epochs: self.epochs, rate: 0.0005, ..Options::default() };
        let data = Data { train: &train, validation: None, test: None }; // nothing is chosen by an epoch
        let mut trainer = Trainer::new(net, options, data, None)?;
        if !trainer.run(&mut Silent { stop })? {
            return Err(Error::usage("--qat", "stopped before its end"));
        }
        let measured = evaluator.score(&trainer.net.lower()?)?;
        evaluator.keep(&key, &measured);
        Ok(measured)
    }

    /// The pictures to learn from, before some of them are taken.
    pub(super) fn pictures(&self) -> Result<DataSet> {
        DataSet::open_split(&self.train, Split::Train)
    }

    fn key(
        &self,
        coding: &Coding,
        evaluator: &Evaluator,
        train: &DataSet,
        model: &FloatModel,
    ) -> Result<String> {
        let text = serde_json::to_string(&(coding, self.epochs, train.len()));
        let text = text.map_err(|e| Error::bad_file("coding", e.to_string()))?;
        let first = train.batch(0..FIRST.min(train.len()), &model.header)?;
        let pixels: Vec<u8> = first.iter().flat_map(|v| v.to_le_bytes()).collect();
        let parts = [evaluator.key().as_bytes(), text.as_bytes(), &pixels, &train.len().to_le_bytes()];
        Ok(format!("tuned-{}", crate::store::digest(parts)))
    }
}

/// A run that says nothing.
struct Silent<'a> {
    stop: &'a AtomicBool,
}

impl Progress for Silent<'_> {
    fn step(&mut self, _: usize, _: usize, _: f64, _: f64) {}
    fn epoch(&mut self, _: &Point) {}
    fn warn(&mut self, _: &str) {}
    fn wants_to_stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
