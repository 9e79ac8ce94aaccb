//! Checkpoints: everything that a run needs to go on as if it had never stopped.

use super::trainer::{Sums, Trainer};
use super::{Curve, Options};
use crate::autograd::optim::Parameter;
use crate::store::{self, Tensor};
use crate::{Error, Result};
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::path::Path;

const FORMAT: &str = "vgg2rtl-checkpoint";

#[derive(Serialize, Deserialize)]
struct Description {
    format: String,
    version: u32,
    /// The options of the run and what it trains, which must be the same to go on.
    run: serde_json::Value,
    step: usize,
    sums: Sums,
    curve: Curve,
    /// Names and shapes of the optimizer's state.
    state: Vec<(String, Vec<usize>)>,
}

/// What must be the same for a run to go on: its options, stage and step count.
fn run(options: &Options, stage: &str, steps: usize) -> serde_json::Value {
    serde_json::json!({ "options": options, "stage": stage, "steps_per_epoch": steps })
}

fn named(prefix: &str, name: &str, value: &ArrayD<f32>) -> (String, Tensor<'static>) {
    (format!("{prefix}/{name}"), Tensor::new(value.shape(), value.iter().copied()))
}

impl Trainer<'_> {
    /// Writes a checkpoint, through a temporary file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut tensors = vec![];
        let mut put = |prefix: &str, parameters: &[Parameter]| {
            tensors.extend(parameters.iter().map(|p| named(prefix, &p.name, &p.value.to_owned())))
        };
        put("parameter", &self.net.parameters);
        put("average", self.average.as_ref().map_or(&[], |a| &a.parameters));
        for layer in &self.net.layers {
            let Some(norm) = &layer.norm else { continue };
            for (part, v) in [("mean", &norm.mean), ("var", &norm.var)] {
                tensors
                    .push((format!("norm/{}.{part}", layer.name), Tensor::new([v.len()], v.iter().copied())));
            }
        }
        let state = self.optimizer.state();
        tensors.extend(state.iter().map(|(n, v)| named("optimizer", n, v)));
        let description = Description {
            format: FORMAT.into(),
            version: store::VERSION,
            run: run(&self.options, &self.stage, self.steps()),
            step: self.step,
            sums: self.sums,
            curve: self.curve.clone(),
            state: state.iter().map(|(n, v)| (n.clone(), v.shape().to_vec())).collect(),
        };
        store::write_sealed(path, &description, &tensors)
    }

    /// Goes on from a checkpoint of the same run.
    ///
    /// # Errors
    /// A file of another format or version, another network, or other options.
    pub fn restore(&mut self, path: &Path) -> Result<()> {
        let file = store::File::open(path)?;
        let description: Description = file.sealed_header(FORMAT)?;
        let expected = run(&self.options, &self.stage, self.steps());
        if description.run != expected {
            return Err(difference(path, &description.run, &expected));
        }
        let get = |prefix: &str, name: &str, shape: &[usize]| -> Result<ArrayD<f32>> {
            let values = file.floats(&format!("{prefix}/{name}"), shape)?;
            Ok(ArrayD::from_shape_vec(shape, values).expect("of this shape"))
        };
        let fill = |prefix: &str, parameters: &mut [Parameter]| -> Result<()> {
            for p in parameters {
                p.value = get(prefix, &p.name, p.value.shape())?.into_shared();
            }
            Ok(())
        };
        fill("parameter", &mut self.net.parameters)?;
        if let Some(average) = &mut self.average {
            fill("average", &mut average.parameters)?;
        }
        for layer in &mut self.net.layers {
            let Some(norm) = &mut layer.norm else { continue };
            for (part, v) in [("mean", &mut norm.mean), ("var", &mut norm.var)] {
                *v = file.floats(&format!("norm/{}.{part}", layer.name), &[v.len()])?;
            }
        }
        let state = description.state.iter().map(|(n, shape)| Ok((n.clone(), get("optimizer", n, shape)?)));
        self.optimizer.restore(state.collect::<Result<_>>()?);
        (self.step, self.sums, self.curve) = (description.step, description.sums, description.curve);
        Ok(())
    }
}

/// Names the first option that differs.
fn difference(path: &Path, found: &serde_json::Value, expected: &serde_json::Value) -> Error {
    let flat = |v: &serde_json::Value| -> Vec<(String, String)> {
        let top = v.as_object().into_iter().flatten().filter(|(k, _)| *k != "options");
        let inner = v["options"].as_object().into_iter().flatten();
        inner.chain(top).map(|(k, v)| (k.clone(), v.to_string())).collect()
    };
    let (found, expected) = (flat(found), flat(expected));
    let first = found.iter().zip(&expected).find(|(f, e)| f != e);
    let what = first
        .map_or("its options differ".into(), |(f, e)| format!("{} is {}, this run has {}", f.0, f.1, e.1));
    Error::bad_file(path, format!("is the checkpoint of another run: {what}"))
}
