//! Integers that a file brings: no choice is left.

use crate::Result;
use crate::float::FloatModel;
use crate::float::import::quantized::Quantized;
use crate::int::{IntLayer, IntModel, Output};

/// The integer model of an imported network: names and operations of `model`, integers of `quantized`.
///
/// # Errors
/// Those of [`IntModel::validate`].
pub fn given(model: &FloatModel, quantized: &Quantized) -> Result<IntModel> {
    let layers = model.layers.iter().zip(&quantized.layers).map(|(layer, codes)| IntLayer {
        name: layer.name.clone(),
        op: layer.op,
        weight: codes.weight.clone(),
        weight_levels: codes.weight_levels,
        weight_steps: codes.weight_steps.clone(),
        bias: codes.bias.clone(),
        output: match &codes.output {
            Some((quantizer, by)) => Output::Requantized { quantizer: *quantizer, by: by.clone() },
            None => Output::Logits,
        },
    });
    let int = IntModel { header: model.header.clone(), input: quantized.input, layers: layers.collect() };
    int.validate()?;
    Ok(int)
}
