//! The pictures that `vgg2rtl train` is given: which train, which measure, and what they ask of a network.

use super::images::{self, Reading};
use super::print::note;
use std::path::Path;
use vgg2rtl::float::{DataSet, FloatModel, Split};
use vgg2rtl::net::Shape;
use vgg2rtl::quantize::train::Data;
use vgg2rtl::{Error, Result};

/// The first picture's size, padded so that five pools halve it.
pub fn input_of(data: &DataSet) -> Result<Shape> {
    let picture = data.picture(0)?;
    let side = picture.height.max(picture.width).next_multiple_of(32);
    Ok(Shape { c: picture.channels, h: side, w: side })
}

/// Outputs of a network for `data`.
pub fn classes_of(data: &DataSet) -> Result<usize> {
    let labels = (0..data.len()).filter_map(|i| data.label(i));
    let classes = labels.max().map_or(0, |top| top + 1).max(data.classes().len());
    if classes < 2 {
        return Err(Error::bad_file(data.path(), "needs labels of two classes or more"));
    }
    Ok(classes)
}

/// The pictures of the data set, by what they do.
pub struct Parts {
    pub train: DataSet,
    validation: Option<DataSet>,
    test: Option<DataSet>,
}

/// Share of a data set without a test part that measures.
pub const VALIDATION: f64 = 0.1;

impl Parts {
    /// Opens `path`; `share` of the training pictures measure. `relabelled`: labels come from elsewhere.
    ///
    /// # Errors
    /// Where nothing would measure.
    pub fn open(path: &Path, share: Option<f64>, relabelled: bool) -> Result<Self> {
        let whole = DataSet::open_split(path, Split::Train)?;
        let test = match whole.part() {
            Some(_) => DataSet::open_part(path, Split::Test)?,
            None => None,
        };
        let test = test.filter(|set| set.is_labelled() || relabelled);
        let share = share.unwrap_or(if test.is_some() { 0.0 } else { VALIDATION });
        if test.is_none() && share == 0.0 {
            return Err(Error::usage("--validation", "there is no test part: nothing would measure"));
        }
        if share == 0.0 {
            return Ok(Self { train: whole, validation: None, test });
        }
        let (validation, train) = whole.split(share);
        Ok(Self { train, validation: Some(validation), test })
    }

    /// With labels that mean the outputs of `model`, and as many training pictures as are asked for.
    pub fn aligned(
        mut self,
        model: &FloatModel,
        reading: &Reading,
        limit: Option<usize>,
        seed: u64,
    ) -> Result<Self> {
        let outputs = model.outputs();
        let apply = |set: DataSet| reading.apply(set, &model.header, outputs);
        self.train = images::sample(&apply(self.train)?, limit, seed, outputs);
        self.validation = self.validation.map(apply).transpose()?;
        let all = |set: DataSet| Ok(images::sample(&apply(set)?, None, seed, outputs));
        self.test = self.test.map(all).transpose()?;
        self.say();
        Ok(self)
    }

    /// Which pictures do what.
    fn say(&self) {
        let path = self.train.path().display();
        let mut text = format!("{path}: {} pictures train", self.train.len());
        if let Some(set) = &self.validation {
            text +=
                &format!(", {} others, chosen by a hash of what they are, measure every epoch", set.len());
        }
        match &self.test {
            Some(set) => text += &format!(", {} of the test part measure", set.len()),
            None => text += "; there is no test part, and `eval` would measure on pictures that trained",
        }
        note!("{text}; the last epoch is kept, none is chosen");
    }

    /// As the trainer takes them.
    pub fn data(&self) -> Data<'_> {
        Data { train: &self.train, validation: self.validation.as_ref(), test: self.test.as_ref() }
    }
}
