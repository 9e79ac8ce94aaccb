//! What users get of a sweep: JSON, CSV, a page, and plots for papers.

mod csv;
mod page;
#[cfg(feature = "plots")]
mod plots;

pub use csv::csv;
pub use page::{MOST_ROWS, page};
#[cfg(feature = "plots")]
pub use plots::plots;

use super::network::Network;
use super::outcome::Outcome;
use super::task::Task;
use super::{ModelError, Row, model_error};
use crate::net::{Op, Shape};
use serde::Serialize;
use std::collections::BTreeMap;

/// A sweep and everything about it; its JSON form is documented in `docs/reports.md`.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    /// Version of this program.
    pub version: &'static str,
    /// Name of the network.
    pub model: String,
    /// What was asked for.
    pub task: &'a Task,
    /// Layers in order.
    pub layers: Vec<Layer>,
    /// Labelled images that measured accuracy.
    pub images: Option<usize>,
    /// Share of them that the float network gets right.
    pub float_accuracy: Option<f64>,
    /// Error of the analytical area model of each family, in percent of synthesis.
    pub area_error: BTreeMap<&'static str, ModelError>,
    /// One a point.
    pub points: &'a [Row],
    /// Places in `points` of the Pareto front.
    pub front: Vec<usize>,
    /// Place in `points` of the cheapest that reaches `task.target_fps`.
    pub cheapest: Option<usize>,
    /// Place in `points` of the front's knee.
    pub knee: Option<usize>,
    /// What columns lack, and why.
    pub notes: &'a [String],
    /// Stopped before the end: points may lack numbers.
    pub stopped: bool,
}

/// A layer of the network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// Name.
    pub layer: String,
    /// What it computes.
    #[serde(flatten)]
    pub op: Op,
    /// Shape of its output.
    pub output: Shape,
    /// Multiply-accumulate operations an image, zero-padding terms counted.
    pub macs: u64,
    /// Weights.
    pub weights: u64,
}

impl<'a> Report<'a> {
    /// The report of a task's outcome.
    pub fn new(task: &'a Task, network: &Network, outcome: &'a Outcome) -> Self {
        let shapes = network.geometry.shapes();
        let layer = |(i, l): (usize, &crate::schedule::LayerGeometry)| Layer {
            layer: l.name.clone(),
            op: l.op,
            output: shapes[i + 1],
            macs: l.op.macs(shapes[i]),
            weights: network.sizes[i],
        };
        let points = &outcome.rows;
        Self {
            version: env!("CARGO_PKG_VERSION"),
            model: network.model.header.name.clone(),
            task,
            layers: network.geometry.layers.iter().enumerate().map(layer).collect(),
            images: outcome.float.map(|f| f.0),
            float_accuracy: outcome.float.filter(|f| f.0 > 0).map(|f| f.1 as f64 / f.0 as f64),
            area_error: task.axes.families.iter().map(|&f| (f.name(), model_error(f))).collect(),
            front: (0..points.len()).filter(|&i| points[i].pareto).collect(),
            cheapest: outcome.cheapest,
            knee: outcome.knee,
            points,
            notes: &outcome.notes,
            stopped: outcome.stopped,
        }
    }

    /// The JSON form.
    pub fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a report holds nothing that JSON cannot")
    }
}
