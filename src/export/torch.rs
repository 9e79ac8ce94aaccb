//! Networks as PyTorch's state dicts: the zip of `torch.save`, with torchvision's names of modules.
//!
//! The file is `{"state_dict": …, "vgg2rtl": …}`, the second a JSON text of what a state dict cannot say. A float network has
//! its weights, with `step_size`, `a` and `b` where it has steps; an integer network its codes, biases, steps, levels and
//! multipliers. `docs/vgg2rtl_torch.py` computes both, `import` gives both again.

use super::pickle::Pickle;
use crate::arith::{Levels, Quantizer, Step};
use crate::float::FloatModel;
use crate::float::import::torch::own::{self, Own};
use crate::int::{IntModel, Output};
use crate::net::{Header, Op};
use crate::store::Tensor;
use crate::{Error, Result, output};
use std::io::{Cursor, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

type Tensors<'a> = Vec<(String, Tensor<'a>)>;

/// Writes a float network, batch norm folded.
///
/// # Errors
/// Where [`FloatModel::validate`] fails, or the file cannot be written.
pub fn float(model: &FloatModel, path: &Path) -> Result<()> {
    let mut model = model.clone();
    model.fold_batch_norm();
    model.validate()?;
    let modules = own::modules(model.layers.iter().map(|l| l.op));
    let mut tensors: Tensors = vec![];
    for ((layer, x), module) in model.layers.iter().zip(model.shapes()).zip(&modules) {
        let mut put = |part: &str, tensor| tensors.push((format!("{module}.{part}"), tensor));
        put("weight", Tensor::borrowed(layer.op.weight_shape(x), &layer.weight));
        put("bias", Tensor::borrowed([layer.op.co()], &layer.bias));
        if let Some(quantizer) = &layer.quantizer {
            put("step_size", steps(&quantizer.steps));
            put("a", Tensor::new([1], [quantizer.levels.a]));
            put("b", Tensor::new([1], [quantizer.levels.b]));
        }
    }
    let layers = model.layers.iter().map(|l| (l.name.clone(), l.op, l.saturation));
    write(path, &own(&model.header, layers, false), &tensors)
}

/// Writes an integer network.
///
/// # Errors
/// Where [`IntModel::validate`] fails, or the file cannot be written.
pub fn int(model: &IntModel, path: &Path) -> Result<()> {
    model.validate()?;
    let modules = own::modules(model.layers.iter().map(|l| l.op));
    let mut tensors: Tensors = quantizer(own::INPUT, model.input).into();
    for ((layer, x), module) in model.layers.iter().zip(model.shapes()).zip(&modules) {
        let mut put = |part: &str, tensor| tensors.push((format!("{module}.{part}"), tensor));
        put("weight", Tensor::shorts(layer.op.weight_shape(x), &layer.weight));
        put("weight_step", steps(&layer.weight_steps));
        put("weight_levels", levels(layer.weight_levels));
        put("bias", Tensor::borrowed([layer.op.co()], &layer.bias));
        if let Output::Requantized { quantizer: to, by } = &layer.output {
            put("m", Tensor::new([by.len()], by.iter().map(|m| i32::from(m.m))));
            put("s", Tensor::new([by.len()], by.iter().map(|m| i32::from(m.s))));
            tensors.extend(quantizer(&format!("{module}.output"), *to));
        }
    }
    let layers = model.layers.iter().map(|l| (l.name.clone(), l.op, None));
    write(path, &own(&model.header, layers, true), &tensors)
}

fn own(header: &Header, layers: impl Iterator<Item = (String, Op, Option<f32>)>, integers: bool) -> Own {
    let layers = layers.map(|(name, op, saturation)| own::Layer { name, op, saturation }).collect();
    Own { header: header.clone(), integers, layers }
}

fn quantizer(name: &str, q: Quantizer) -> [(String, Tensor<'static>); 2] {
    [(format!("{name}_step"), steps(&[q.step])), (format!("{name}_levels"), levels(q.levels))]
}

fn steps(steps: &[Step]) -> Tensor<'static> {
    Tensor::new([steps.len()], steps.iter().map(|s| s.get()))
}

fn levels(Levels { a, b }: Levels) -> Tensor<'static> {
    Tensor::new([2], [a, b])
}

fn write(path: &Path, own: &Own, tensors: &Tensors) -> Result<()> {
    let json = serde_json::to_string(own).map_err(|e| Error::bad_file(path, e.to_string()))?;
    let bytes = archive(&json, tensors).map_err(Error::io(path))?;
    output::write(path, &bytes)
}

/// The zip, nothing in it compressed: `torch.load` reads it as it is.
fn archive(json: &str, tensors: &Tensors) -> std::io::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(vec![]));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut entry = |name: &str, bytes: &[u8]| {
        zip.start_file(format!("archive/{name}"), stored)?;
        zip.write_all(bytes)
    };
    entry("data.pkl", &pickled(json, tensors))?;
    entry("byteorder", b"little")?;
    for (key, (_, tensor)) in tensors.iter().enumerate() {
        entry(&format!("data/{key}"), tensor.bytes())?;
    }
    entry("version", b"3\n")?;
    Ok(zip.finish()?.into_inner())
}

fn pickled(json: &str, tensors: &Tensors) -> Vec<u8> {
    let mut pickle = Pickle::new();
    pickle.dict();
    pickle.text(own::STATE_DICT);
    pickle.ordered_dict();
    for (key, (name, tensor)) in tensors.iter().enumerate() {
        pickle.text(name);
        pickle.tensor(&key.to_string(), tensor.dtype(), tensor.shape());
    }
    pickle.end_dict();
    pickle.text(own::KEY);
    pickle.text(json);
    pickle.end_dict();
    pickle.end()
}
