//! What a coding does to a network's answers: accuracy of the integer model, measured by the golden model.

use super::coding::Coding;
use crate::arith;
use crate::cosim::Cache;
use crate::float::data::{SEED, listed};
use crate::float::{DataSet, FloatModel, Split};
use crate::int::{Golden, IntModel};
use crate::quantize::{
    Observed, Plan, Recipe, Score, calibrate, equalised, golden_logits, input_codes, lower, rounded,
};
use crate::{Error, Result, store};
use ndarray::{Array2, Array4};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Input values that a batch holds at most.
const BATCH_VALUES: usize = 1 << 20;
/// Changes when the same inputs would give other results.
const METHOD: &str = "accuracy 5";

/// Which images calibrate and which measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Images {
    /// Labelled images, as `vgg2rtl eval` reads them.
    pub data: PathBuf,
    /// Images to calibrate with; `None`: those of `data`. Of a data set in two parts its training part calibrates. Of one
    /// that is all of `data` a quarter calibrates, and the rest measures.
    pub calibration: Option<PathBuf>,
    /// Most images to measure with, a sample of them.
    pub most: Option<usize>,
    /// Labels of the images or outputs of the classes; see [`DataSet::relabel`].
    #[serde(default)]
    pub labels: Option<PathBuf>,
    /// Whether images are turned as their EXIF orientation says.
    #[serde(default)]
    pub turned: bool,
}

/// Most images to calibrate with, where they come from a set of their own.
const CALIBRATION: usize = 128;
/// Share of the images that calibrates, where there is no set for it.
const CALIBRATION_SHARE: f64 = 0.25;

/// Accuracy of a coding, and what it needs of the hardware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Labelled images.
    pub labelled: usize,
    /// Of them those whose label has the greatest logit.
    pub correct: usize,
    /// Accumulator bits of each layer, proven from its integers.
    pub accumulator_bits: Vec<u32>,
}

/// Measures codings of one network on one set of images.
pub struct Evaluator {
    /// Folded and equalised.
    float: FloatModel,
    observed: Vec<Observed>,
    /// Images that calibrate, for [`super::mixed`].
    pub(super) calibration: Array4<f32>,
    data: DataSet,
    notes: Vec<String>,
    /// Right answers of the float network.
    float_correct: usize,
    cache: Cache,
    key: String,
}

impl Evaluator {
    /// Reads the images, and observes what the layers of `model` read.
    pub fn new(model: &FloatModel, images: &Images, cache: &Cache) -> Result<Self> {
        if images.most == Some(0) {
            return Err(Error::usage("--images", "0 images, at least one is needed"));
        }
        let outputs = model.outputs();
        let turn = |set: DataSet| if images.turned { set.turned() } else { set };
        let mut data = turn(DataSet::open(&images.data)?);
        if let Some(file) = &images.labels {
            data.relabel(file, &model.header.classes)?;
        }
        data.align(&model.header, outputs)?;
        if !data.is_labelled() {
            return Err(Error::bad_file(&images.data, "has no labels to measure accuracy with"));
        }
        let (calibration, measured) = match &images.calibration {
            Some(path) => (DataSet::open_to_calibrate(path)?, data),
            None => match (data.part(), DataSet::open_part(&images.data, Split::Train)?) {
                (Some(_), Some(train)) => (train, data),
                _ if data.len() < 4 => {
                    let reason =
                        format!("{} images are too few to calibrate with a quarter of them", data.len());
                    return Err(Error::bad_file(&images.data, reason));
                }
                _ => data.split(CALIBRATION_SHARE),
            },
        };
        let calibration = turn(calibration).sample(CALIBRATION, SEED);
        let data = measured.sample(images.most.unwrap_or(usize::MAX), SEED);
        let mut notes = said(&calibration, &data, outputs);
        if model.layers.iter().any(|l| l.quantizer.is_some()) {
            notes.push(
                "accuracy: weight steps that came with the model are not used; each width has its own".into(),
            );
        }
        let calibration = calibration.batch(0..calibration.len(), &model.header)?;
        let mut float = model.clone();
        float.fold_batch_norm();
        float.layers.iter_mut().for_each(|l| l.quantizer = None); // codings are what is explored
        let observed = equalised(&mut float, true, std::slice::from_ref(&calibration))?;
        let mut new = Self {
            float,
            observed,
            calibration,
            data,
            notes,
            float_correct: 0,
            cache: cache.clone(),
            key: String::new(),
        };
        new.key = new.digest(model)?;
        new.float_correct = new.float_score()?;
        Ok(new)
    }

    /// Labelled images that measure, and how many of them the float network gets right.
    pub fn float_accuracy(&self) -> (usize, usize) {
        (self.data.len(), self.float_correct)
    }

    /// Whether `set` is the one that images which measure were taken from.
    pub(super) fn measures(&self, set: &DataSet) -> bool {
        set.path() == self.data.path()
    }

    /// Which images do what, and what is odd about them.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The hash of everything but the coding: network, images, labels.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The float network's logits of the calibration images.
    pub(super) fn float_logits(&self) -> Result<Array2<f64>> {
        Ok(self.float.forward(&self.calibration)?.mapv(f64::from))
    }

    /// The steps of `coding`.
    pub(super) fn plan(&self, coding: &Coding) -> Result<Plan> {
        calibrate(&self.float, &coding.recipe(), &self.observed)
    }

    /// The integer network of `plan`, after training.
    fn lower(&self, plan: Plan, recipe: &Recipe) -> Result<IntModel> {
        let images = std::slice::from_ref(&self.calibration);
        let rounded = rounded(&self.float, plan, recipe, &self.observed, images)?;
        lower(&rounded.float, &rounded.plan)
    }

    /// The integer network of `coding`, after training.
    pub fn quantize(&self, coding: &Coding) -> Result<IntModel> {
        self.lower(self.plan(coding)?, &coding.recipe())
    }

    /// Logits of the calibration images in the float network's units.
    pub(super) fn logits(&self, plan: Plan, recipe: &Recipe) -> Result<Array2<f64>> {
        let model = self.lower(plan, recipe)?;
        let logits = Golden::new(&model)?.logits(input_codes(&model, &self.calibration).view())?;
        let last = model.layers.last().expect("a network has layers");
        let read = model.input_quantizers().last().map_or(1.0, |q| f64::from(q.step.get()));
        let unit = f64::from(last.weight_steps[0].get()) * read;
        Ok(logits.mapv(|v| v as f64 * unit))
    }

    /// Accuracy of `coding` after post-training quantization; from the cache where it is known.
    pub fn measure(&self, coding: &Coding) -> Result<Measured> {
        let text = serde_json::to_string(coding).map_err(|e| Error::bad_file("coding", e.to_string()))?;
        let key = format!("accuracy-{}", store::digest([&self.key, &text]));
        if let Some(known) = self.known(&key) {
            return Ok(known);
        }
        let measured = self.score(&self.quantize(coding)?)?;
        self.keep(&key, &measured);
        Ok(measured)
    }

    /// What the cache has under `key`.
    pub(super) fn known(&self, key: &str) -> Option<Measured> {
        self.cache.value(key)
    }

    /// Keeps a result under `key`.
    pub(super) fn keep(&self, key: &str, measured: &Measured) {
        self.cache.keep_value(key, measured);
    }

    /// Accuracy of an integer network.
    pub fn score(&self, model: &IntModel) -> Result<Measured> {
        let golden = Golden::new(model)?;
        let mut score = Score::default();
        for (images, labels) in self.batches() {
            score.add(&images?, &labels, &|x| golden_logits(model, &golden, x), None)?;
        }
        Ok(Measured {
            labelled: score.labelled,
            correct: score.correct,
            accumulator_bits: model.accumulator_bits(),
        })
    }

    fn float_score(&self) -> Result<usize> {
        let key = format!("float-{}", self.key);
        if let Some(known) = self.cache.value(&key) {
            return Ok(known);
        }
        let mut score = Score::default();
        for (images, labels) in self.batches() {
            score.add(&images?, &labels, &|x| Ok(self.float.forward(x)?.mapv(f64::from)), None)?;
        }
        self.cache.keep_value(&key, &score.correct);
        Ok(score.correct)
    }

    fn batches(&self) -> impl Iterator<Item = (Result<Array4<f32>>, Vec<Option<usize>>)> + '_ {
        let header = &self.float.header;
        let size = (BATCH_VALUES / header.input.len().max(1)).clamp(1, 256);
        (0..self.data.len()).step_by(size).map(move |first| {
            let places = first..(first + size).min(self.data.len());
            let labels = places.clone().map(|i| self.data.label(i)).collect();
            (self.data.batch(places, header), labels)
        })
    }

    fn digest(&self, model: &FloatModel) -> Result<String> {
        fn bytes<'a>(values: impl IntoIterator<Item = &'a f32>) -> Vec<u8> {
            values.into_iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        let mut parts = vec![METHOD.as_bytes().to_vec(), env!("CARGO_PKG_VERSION").as_bytes().to_vec()];
        for layer in &model.layers {
            parts.push(format!("{} {:?} {:?}", layer.name, layer.op, layer.saturation).into_bytes());
            parts.push(bytes(layer.weight.iter().chain(&layer.bias)));
            if let Some(bn) = &layer.batch_norm {
                let all = bn.gamma.iter().chain(&bn.beta).chain(&bn.mean).chain(&bn.var).chain([&bn.eps]);
                parts.push(bytes(all));
            }
        }
        parts.push(bytes(&self.calibration));
        for (images, labels) in self.batches() {
            parts.push(store::digest([bytes(&images?), format!("{labels:?}").into_bytes()]).into_bytes());
        }
        Ok(store::digest(parts))
    }
}

/// Which images calibrate, choose and measure, and which classes none of them has.
fn said(calibration: &DataSet, data: &DataSet, outputs: usize) -> Vec<String> {
    let of = |set: &DataSet| {
        let part = match set.part() {
            Some(Split::Train) => "the training part of ",
            Some(Split::Test) => "the test part of ",
            None => "",
        };
        format!("{} images of {part}{}", set.len(), set.path().display())
    };
    let mut notes = vec![format!(
        "accuracy: {} calibrate, and choose where bits are assigned by --mixed; {} others measure",
        of(calibration),
        of(data)
    )];
    notes.extend(calibration.notes().chain(data.notes()));
    for (set, outputs, does) in [(calibration, 0, "calibrate"), (data, outputs, "measure")] {
        let missing = set.lacks(outputs);
        if !missing.is_empty() {
            notes.push(format!("accuracy: the images that {does} lack class {}", listed(&missing)));
        }
    }
    notes
}

/// Accumulator bits that weights of `weights` bits and inputs of `acts` bits can need in a sum of `terms`, bias not
/// counted.
pub fn accumulator_bits_by_type(weights: u32, acts: u32, terms: usize) -> u32 {
    arith::accumulator_bits((terms as u64) << (weights - 1 + acts))
}
