//! Which pictures do what.

use crate::float::DataSet;
use crate::float::data::listed;
use crate::{Error, Result};

/// The pictures of a run. None of `test` is in `train` or `validation`.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    /// Weights, steps and moments are learned from them.
    pub train: &'a DataSet,
    /// Measured after every epoch.
    pub validation: Option<&'a DataSet>,
    /// Measured after the last epoch, and where nothing validates after every epoch.
    pub test: Option<&'a DataSet>,
}

impl Data<'_> {
    /// Refuses what cannot teach a network of `outputs` in batches of `batch` pictures.
    pub(super) fn validate(&self, batch: usize, outputs: usize) -> Result<()> {
        for set in [Some(self.train), self.validation, self.test].into_iter().flatten() {
            if !set.is_labelled() {
                return Err(Error::bad_file(set.path(), "has no labels to learn from"));
            }
        }
        let (path, count) = (self.train.path(), self.train.len());
        if count < batch {
            return Err(Error::usage("--batch", format!("{batch} images of {count} training pictures")));
        }
        match self.train.lacks(outputs) {
            none if none.is_empty() => Ok(()),
            missing => {
                let reason = format!("{count} training pictures, and none of class {}", listed(&missing));
                Err(Error::bad_file(path, reason))
            }
        }
    }
}
