//! What a run accepts.

use crate::int::IntModel;
use crate::net::Shape;
use crate::{Error, Result};
use ndarray::ArrayView4;

/// Refuses images of another shape than the model's input, and codes outside its levels.
pub(super) fn check_input(model: &IntModel, codes: ArrayView4<i32>) -> Result<()> {
    let (_, c, h, w) = codes.dim();
    let found = Shape { c, h, w };
    if found != model.header.input {
        let reason = format!("images of {found} where {} is needed", model.header.input);
        return Err(Error::bad_layer("input", reason));
    }
    let levels = model.input.levels;
    match codes.iter().find(|&&code| levels.clip(code.into()) != code) {
        Some(code) => {
            Err(Error::bad_layer("input", format!("code {code} outside {} … {}", levels.a, levels.b)))
        }
        None => Ok(()),
    }
}
