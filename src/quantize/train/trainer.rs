//! The training loop.

use super::evaluate::{accuracy, correct};
use super::{Curve, Data, Options, Point};
use crate::autograd::optim::{Average, Gradients, Optimizer, clip_norm, gradients};
use crate::autograd::{Tape, Var};
use crate::float::DataSet;
use crate::quantize::qat::{Forward, Net, Phase};
use crate::{Error, Result};
use ndarray::Array4;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Running sums of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    loss: f64,
    right: usize,
    images: usize,
}

/// Share of a batch in the running moments of batch norm.
const NORM_RATE: f64 = 0.1;
/// Batches whose moments replace the running ones in a network that is evaluated or saved.
const REESTIMATION_BATCHES: usize = 50;

/// A run in progress.
pub struct Trainer<'a> {
    /// The network.
    pub net: Net,
    /// One point an epoch, of this stage and of those before it.
    pub curve: Curve,
    /// What is being trained, for the curve: `float`, `W4A4`.
    pub stage: String,
    /// Where checkpoints go, after every epoch and on [`Progress`]'s wish to stop.
    pub checkpoint: Option<PathBuf>,
    pub(super) options: Options,
    pub(super) optimizer: Box<dyn Optimizer>,
    pub(super) average: Option<Average>,
    pub(super) step: usize,
    pub(super) sums: Sums,
    teacher: Option<Net>,
    data: Data<'a>,
    /// Pictures for the moments of batch norm, in batches that are mixed as the training part is.
    moments: DataSet,
    tape: Tape<f32>,
}

/// Hears how a run goes on.
pub trait Progress {
    /// After step `step` of `total`, with the means of the epoch so far.
    fn step(&mut self, step: usize, total: usize, loss: f64, accuracy: f64);
    /// After an epoch.
    fn epoch(&mut self, point: &Point);
    /// Something that the user should know.
    fn warn(&mut self, text: &str);
    /// Whether to save a checkpoint and stop.
    fn wants_to_stop(&self) -> bool;
}

impl<'a> Trainer<'a> {
    /// Prepares a run of `net`; `teacher` is needed for distillation.
    ///
    /// # Errors
    /// Options that cannot train, and data without labels, without a class, or with fewer pictures than a batch.
    pub fn new(net: Net, options: Options, data: Data<'a>, teacher: Option<Net>) -> Result<Self> {
        options.validate()?;
        data.validate(options.batch, net.layers.last().map_or(0, |l| l.op.co()))?;
        let side = net.header.input.h.max(net.header.input.w);
        if options.augment.pad >= side {
            let reason = format!("{} pixels shift images of {side} out of sight", options.augment.pad);
            return Err(Error::usage("--pad", reason));
        }
        if options.distill.is_some() && teacher.is_none() {
            return Err(Error::usage("--distill", "needs a float network to learn from"));
        }
        let batches = REESTIMATION_BATCHES.min(data.train.len() / options.batch);
        let moments = data.train.sample(batches * options.batch, options.seed);
        Ok(Self {
            optimizer: options.optimizer(),
            average: (options.average > 0.0).then(|| Average::new(options.average, &net.parameters)),
            stage: "float".into(),
            curve: Curve::default(),
            checkpoint: None,
            step: 0,
            sums: Sums::default(),
            tape: Tape::default(),
            net,
            options,
            teacher,
            data,
            moments,
        })
    }

    /// Steps of an epoch; pictures that do not fill a last batch wait for the next epoch's order.
    pub(super) fn steps(&self) -> usize {
        self.data.train.len() / self.options.batch
    }

    /// Trains to the end. `Ok(false)`: stopped early on the user's wish, after saving a checkpoint.
    ///
    /// # Errors
    /// A run that diverges, with the step and the layer; the checkpoint of the last epoch is kept.
    pub fn run(&mut self, progress: &mut dyn Progress) -> Result<bool> {
        let (steps, total) = (self.steps(), self.steps() * self.options.epochs);
        let schedule = self.options.schedule(steps);
        while self.step < total {
            let order = self.order(self.step / steps);
            for k in self.step % steps..steps {
                let places = &order[k * self.options.batch..][..self.options.batch];
                self.one_step(places, schedule.rate(self.step), progress)?;
                self.step += 1;
                let Sums { loss, right, images } = self.sums;
                progress.step(self.step, total, loss / images as f64, right as f64 / images as f64);
                if progress.wants_to_stop() {
                    self.save_if_asked()?;
                    return Ok(false);
                }
            }
            self.end_epoch(progress)?;
        }
        self.net = self.evaluated()?;
        Ok(true)
    }

    /// The pictures of epoch `epoch` in its order.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.data.train.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(mix(self.options.seed, epoch as u64)));
        order
    }

    fn images(&self, places: &[usize], seed: u64) -> Result<Array4<f32>> {
        let mut images = self.data.train.batch(places.iter().copied(), &self.net.header)?;
        self.options.augment.apply(&mut images, &self.net.header.preprocessing, seed);
        Ok(images)
    }

    fn one_step(&mut self, places: &[usize], rate: f64, progress: &mut dyn Progress) -> Result<()> {
        let seed = mix(self.options.seed, !(self.step as u64));
        let images = self.images(places, seed)?;
        let labels: Vec<usize> = places.iter().filter_map(|&i| self.data.train.label(i)).collect();
        let forward = self.net.forward(&mut self.tape, images.view(), Phase::Train { seed })?;
        let loss = self.loss(&forward, &labels, &images)?;
        let value = f64::from(self.tape.slice(loss)[0]);
        if !value.is_finite() {
            return Err(self.diverged(&forward, value));
        }
        let logits = self.tape.value(forward.logits).view().into_dimensionality().expect("(image, class)");
        self.sums.right += correct(logits, labels.iter().map(|&l| Some(l)));
        self.sums.loss += value * labels.len() as f64;
        self.sums.images += labels.len();
        self.tape.backward(loss);
        let mut gradients = gradients(&mut self.tape, &forward.parameters);
        self.tape.clear();
        self.check(&mut gradients)?;
        self.optimizer.step(&mut self.net.parameters, &gradients, rate);
        gradients.into_iter().flatten().for_each(|g| self.tape.recycle(g));
        self.net.absorb(&forward.moments, NORM_RATE);
        for name in self.net.guard() {
            progress.warn(&format!("step {}: {name} fell to zero and was held above it", self.step));
        }
        if let Some(average) = &mut self.average {
            average.update(&self.net.parameters);
        }
        Ok(())
    }

    fn loss(&mut self, forward: &Forward, labels: &[usize], images: &Array4<f32>) -> Result<Var> {
        let hard = self.tape.cross_entropy(forward.logits, labels, self.options.smoothing);
        let Some((distill, teacher)) = self.options.distill.zip(self.teacher.as_ref()) else {
            return Ok(hard);
        };
        let mut tape = Tape::<f32>::default();
        let taught = teacher.forward(&mut tape, images.view(), Phase::Evaluate)?;
        let soft = self.tape.distillation(forward.logits, tape.value(taught.logits), distill.temperature);
        let hard = self.tape.scale(hard, 1.0 - distill.share);
        let soft = self.tape.scale(soft, distill.share);
        Ok(self.tape.add(hard, soft))
    }

    fn diverged(&self, forward: &Forward, loss: f64) -> Error {
        let bad = |x: &Var| self.tape.slice(*x).iter().any(|v| !v.is_finite());
        let last = self.net.layers.len() - 1;
        let layer = forward.activations.iter().position(bad).unwrap_or(last);
        self.divergence(layer, &format!("the loss is {loss}"))
    }

    /// Clips the gradients; fails where one is not a number.
    fn check(&self, gradients: &mut Gradients) -> Result<()> {
        if clip_norm(gradients, self.options.clip).is_finite() {
            return Ok(());
        }
        let bad = |g: &Option<ndarray::ArrayD<f32>>| g.iter().flatten().any(|v| !v.is_finite());
        let name = gradients.iter().position(bad).map_or("", |i| &self.net.parameters[i].name);
        let layer = self.net.layers.iter().position(|l| name.starts_with(&format!("{}.", l.name)));
        Err(self.divergence(layer.unwrap_or(0), &format!("the gradient of {name} is not a number")))
    }

    fn divergence(&self, layer: usize, what: &str) -> Error {
        let kept = match &self.checkpoint {
            Some(path) if path.exists() => format!("the checkpoint {} is kept", path.display()),
            _ => "no checkpoint was written yet".into(),
        };
        let reason = format!("diverged at step {}: {what}; {kept}; try a lower --rate", self.step);
        Error::bad_layer(&self.net.layers[layer].name, reason)
    }

    fn end_epoch(&mut self, progress: &mut dyn Progress) -> Result<()> {
        let Sums { loss, right, images } = std::mem::take(&mut self.sums);
        let net = self.evaluated()?;
        let epoch = self.step / self.steps();
        let measure = |set: Option<&DataSet>| set.map(|set| accuracy(&net, set)).transpose();
        let last = epoch == self.options.epochs;
        let tests = self.data.test.filter(|_| last || self.data.validation.is_none());
        let point = Point {
            stage: self.stage.clone(),
            epoch,
            loss: loss / images as f64,
            train: right as f64 / images as f64,
            validation: measure(self.data.validation)?,
            test: measure(tests)?,
        };
        progress.epoch(&point);
        self.curve.0.push(point);
        self.save_if_asked()
    }

    fn save_if_asked(&self) -> Result<()> {
        self.checkpoint.as_ref().map_or(Ok(()), |path| self.save(path))
    }

    /// The network as it would be saved now: with averaged parameters, where they are averaged, and moments of batch norm
    /// from fresh batches without augmentation.
    fn evaluated(&mut self) -> Result<Net> {
        let mut net = self.net.clone();
        if let Some(average) = &self.average {
            net.parameters = average.parameters.clone();
        }
        if net.layers.iter().all(|l| l.norm.is_none()) {
            return Ok(net);
        }
        let batch = self.options.batch;
        for k in 0..self.moments.len() / batch {
            let images = self.moments.batch(k * batch..(k + 1) * batch, &net.header)?;
            let forward = net.forward(&mut self.tape, images.view(), Phase::Train { seed: 0 })?;
            self.tape.clear();
            net.absorb(&forward.moments, 1.0 / (k + 1) as f64);
        }
        Ok(net)
    }
}

/// A seed from two numbers (the finalizer of SplitMix64, Steele et al. 2014).
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
