//! A task at work: what its steps share.

use super::accuracy::Evaluator;
use super::network::Network;
use super::task::Task;
use super::watch::Watch;
use crate::cosim::Cache;
use crate::{Error, Result};

/// A task, its network, and what measures.
pub struct Run<'a> {
    pub task: &'a Task,
    pub network: Network,
    pub cache: Cache,
    /// `None`: accuracy is not measured.
    pub evaluator: Option<Evaluator>,
    pub watch: Watch<'a>,
}

impl<'a> Run<'a> {
    /// Reads the images of `task`, which is valid.
    pub fn new(task: &'a Task, network: Network, watch: Watch<'a>) -> Result<Self> {
        let cache = Cache::open(task.cache.as_deref())?;
        let evaluator = task.evaluator(&network, &cache)?;
        Ok(Self { task, network, cache, evaluator, watch })
    }
}

impl Task {
    /// The evaluator of the task, if accuracy is measured.
    pub(super) fn evaluator(&self, network: &Network, cache: &Cache) -> Result<Option<Evaluator>> {
        let evaluator = self.images.as_ref().map(|images| Evaluator::new(&network.model, images, cache));
        let evaluator = evaluator.transpose()?;
        if let (Some(tuning), Some(evaluator)) = (&self.qat, &evaluator)
            && evaluator.measures(&tuning.pictures()?)
        {
            let reason = format!("{} would train and measure", tuning.train.display());
            return Err(Error::usage("--train", reason));
        }
        Ok(evaluator)
    }
}
