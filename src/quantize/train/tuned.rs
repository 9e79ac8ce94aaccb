//! The float weights that an integer model was trained with: kept beside it, so that training can go on from them.

use crate::arith::quantize;
use crate::float::FloatModel;
use crate::int::IntModel;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// Most codes that may differ from those of the weights, one in so many: ties of a rounding that batch norm's factors turn.
const TIES: usize = 1000;

/// Where the weights of the integer model `int` are kept: `w4a4-tuned.safetensors` beside `w4a4.safetensors`.
pub fn beside(int: &Path) -> PathBuf {
    let stem = int.file_stem().unwrap_or_default().to_string_lossy();
    int.with_file_name(format!("{stem}-tuned.safetensors"))
}

/// The float network of `path`; where that is an integer model, the one that it was fine-tuned as.
///
/// # Errors
/// An integer model whose weights are not beside it, or are those of another one.
pub fn load(path: &Path) -> Result<FloatModel> {
    if !IntModel::is_in(path)? {
        return FloatModel::load(path);
    }
    let weights = beside(path);
    if !weights.exists() {
        let reason = format!(
            "holds an integer model, and the weights that it was fine-tuned with are missing: {}, which `train --qat` writes; start from its float model",
            weights.display()
        );
        return Err(Error::bad_file(path, reason));
    }
    let model = FloatModel::load(&weights)?;
    match belongs(&model, &IntModel::load(path)?) {
        true => Ok(model),
        false => Err(Error::bad_file(
            &weights,
            format!("its weights are not those of the codes in {}", path.display()),
        )),
    }
}

/// Whether the codes of `int` are those of the weights of `float`, but for ties.
fn belongs(float: &FloatModel, int: &IntModel) -> bool {
    let mut float = float.clone();
    float.fold_batch_norm();
    let same = float.header.input == int.header.input && float.layers.len() == int.layers.len();
    let layers = || float.layers.iter().zip(&int.layers);
    if !same || layers().any(|(f, i)| f.name != i.name || f.op != i.op) {
        return false;
    }
    let others = layers().map(|(f, i)| {
        let (inputs, steps) = (f.weight.len() / f.op.co(), &i.weight_steps);
        let other = |(k, (&w, &code)): (usize, (&f32, &i16))| {
            let step = steps[if steps.len() == 1 { 0 } else { k / inputs }];
            quantize(w, step, i.weight_levels) != i32::from(code)
        };
        f.weight.iter().zip(&i.weight).enumerate().filter(|&pair| other(pair)).count()
    });
    let weights: usize = layers().map(|(f, _)| f.weight.len()).sum();
    others.sum::<usize>() * TIES <= weights
}
