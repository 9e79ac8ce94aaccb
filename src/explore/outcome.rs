//! What a sweep gave.

use super::row::Row;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a task gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// One a point, in the order of the sweep.
    pub rows: Vec<Row>,
    /// Labelled images, and how many of them the float network gets right.
    pub float: Option<(usize, usize)>,
    /// The cheapest point that reaches the images a second that were asked for.
    #[serde(default)]
    pub cheapest: Option<usize>,
    /// The knee of the front.
    #[serde(default)]
    pub knee: Option<usize>,
    /// What columns lack, and why.
    pub notes: Vec<String>,
    /// Stopped before the end: rows may lack numbers, and the same command goes on from here.
    pub stopped: bool,
}

impl Outcome {
    /// Fails where no point has a result, for the reason of the first.
    pub fn check(&self) -> Result<()> {
        if self.rows.iter().any(Row::has_result) {
            return Ok(());
        }
        let Some(first) = self.rows.first() else { return Ok(()) };
        let reason = first.refused.as_ref().or(first.failed.as_ref()).cloned().unwrap_or_default();
        Err(Error::NoResult { points: self.rows.len(), reason, code: first.exit_code.unwrap_or(1) })
    }
}
