//! A state dict as modules: convolutions, dense layers and batch norms, found by the shapes of their tensors.

use crate::float::import::tensors::Tensors;
use std::collections::BTreeMap;

/// What a module computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Convolution of `co` outputs over `ci` channels with a square kernel.
    Conv {
        /// Output channels.
        co: usize,
        /// Input channels.
        ci: usize,
        /// Side of the kernel.
        side: usize,
    },
    /// Dense layer.
    Dense {
        /// Outputs.
        co: usize,
        /// Inputs.
        inputs: usize,
    },
    /// Batch norm of this many channels.
    Norm(usize),
}

/// A module with weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    /// Its name, without the tensor's.
    pub path: String,
    /// What it computes.
    pub kind: Kind,
    /// Whether it has a bias (a batch norm: γ and β).
    pub biased: bool,
    /// Quantizers before it in its `Sequential`, which number like modules.
    pub passed: usize,
}

impl Module {
    /// Output channels.
    pub fn co(&self) -> usize {
        match self.kind {
            Kind::Conv { co, .. } | Kind::Dense { co, .. } | Kind::Norm(co) => co,
        }
    }

    /// What stands before the last dot.
    pub fn parent(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }

    /// The number behind the last dot, as modules in a `Sequential` have it, quantizers not counted.
    pub fn index(&self) -> Option<usize> {
        self.path.rsplit('.').next()?.parse::<usize>().ok()?.checked_sub(self.passed)
    }
}

/// Tensors that say nothing about what a network computes.
const IGNORED: [&str; 3] = ["num_batches_tracked", "total_ops", "total_params"];

/// Tensors of fake quantizers: of plain modules, LSQ, torch.ao and Brevitas.
const QUANTIZER: [&str; 10] = [
    "step_size",
    "bit_width",
    "scale",
    "zero_point",
    "alpha",
    "fake_quant_enabled",
    "observer_enabled",
    "min_val",
    "max_val",
    "value",
];

/// The modules in the order of their first tensor; an error names the first tensor that is part of none. `slots` are places of
/// quantizers in a `Sequential`: its path and their number.
pub fn modules(tensors: &Tensors, slots: &[(String, usize)]) -> Result<Vec<Module>, String> {
    let mut order: Vec<&str> = vec![];
    let mut parts: BTreeMap<&str, BTreeMap<&str, &[usize]>> = BTreeMap::new();
    for (name, shape) in tensors.iter() {
        let (path, part) = name.rsplit_once('.').unwrap_or(("", name));
        if IGNORED.contains(&part) {
            continue;
        }
        if QUANTIZER.contains(&part) {
            return Err(format!(
                "tensor {name} belongs to a quantizer of a kind that is not taken over (docs/import.md has those that are): \
                 without such tensors the float weights are imported, and `vgg2rtl quantize` or `train --qat` finds steps anew"
            ));
        }
        if !["weight", "bias", "running_mean", "running_var"].contains(&part) {
            return Err(format!("tensor {name} belongs to no layer of a VGG"));
        }
        if !parts.contains_key(path) {
            order.push(path);
        }
        parts.entry(path).or_default().insert(part, shape);
    }
    let passed = |m: &Module| {
        let own = m.path.rsplit('.').next().and_then(|last| last.parse::<usize>().ok());
        own.map_or(0, |own| slots.iter().filter(|(parent, slot)| parent == m.parent() && *slot < own).count())
    };
    let made = order.into_iter().map(|path| module(path, &parts[path]));
    made.map(|m| m.map(|m| Module { passed: passed(&m), ..m })).collect()
}

fn module(path: &str, parts: &BTreeMap<&str, &[usize]>) -> Result<Module, String> {
    let biased = parts.contains_key("bias");
    let made = |kind| Ok(Module { path: path.into(), kind, biased, passed: 0 });
    let bad = |part: &str, reason: &str| {
        let shape = parts.get(part).copied().unwrap_or_default();
        Err(format!("tensor {path}.{part} has shape {shape:?}: {reason}"))
    };
    let normed = parts.contains_key("running_mean") || parts.contains_key("running_var");
    match (parts.get("weight").copied(), normed) {
        (weight, true) => {
            let channels = match parts.get("running_mean") {
                Some(&&[channels]) if channels > 0 => channels,
                _ => return bad("running_mean", "must be one value a channel"),
            };
            match weight {
                Some(shape) if shape != [channels] => bad("weight", "is none of a batch norm"),
                _ if weight.is_some() != biased => {
                    bad("weight", "a batch norm has both weight and bias, or neither")
                }
                _ => made(Kind::Norm(channels)),
            }
        }
        (Some(&[co, ci, h, w]), _) if co * ci * h * w > 0 => match h == w {
            true => made(Kind::Conv { co, ci, side: h }),
            false => bad("weight", "only square kernels are supported"),
        },
        (Some(&[co, inputs]), _) if co * inputs > 0 => made(Kind::Dense { co, inputs }),
        (Some([_]), _) => bad(
            "weight",
            "no batch norm (it has no running_mean); PReLU, LayerNorm and the like are not supported",
        ),
        (Some(_), _) => bad("weight", "is none of a convolution, a dense layer or a batch norm"),
        (None, _) => bad("bias", "has no weight beside it"),
    }
}
