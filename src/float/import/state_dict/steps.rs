//! Quantizers of weights beside the weights: the step that a layer's weights were trained for.
//!
//! | tensors | written by |
//! |---|---|
//! | `step_size`, perhaps `bit_width`, `a`, `b` | plain modules and LSQ: `clip(round(w / step_size), a, b)` |
//! | `weight_fake_quant.scale`, `.zero_point` | `torch.ao.quantization.prepare_qat` |
//!
//! Quantizers of activations are left: `quantize` calibrates these.

use super::chain::Link;
use crate::arith::{Levels, Step, WIDTHS};
use crate::float::import::facts::{Facts, Origin};
use crate::float::import::imported::Outcome;
use crate::float::import::natural;
use crate::float::import::options::Options;
use crate::float::import::tensors::Tensors;
use crate::float::{FloatLayer, WeightQuantizer};
use std::collections::BTreeMap;

const STEP: [&str; 1] = ["step_size"];
const BITS: [&str; 4] = ["bit_width", "bits", "n_bits", "num_bits"];
const LEAST: [&str; 4] = ["a", "qmin", "quant_min", "Qn"];
const MOST: [&str; 4] = ["b", "qmax", "quant_max", "Qp"];
/// Parts of a quantizer that say nothing about codes.
const IDLE: [&str; 7] =
    ["fake_quant_enabled", "observer_enabled", "min_val", "max_val", "eps", "initialized", "init_state"];
/// Modules of torch.ao that hold the scale of weights, and of activations.
const WEIGHTS: [&str; 2] = ["weight_fake_quant", "weight_quantizer"];
const ACTIVATIONS: [&str; 3] = ["activation_post_process", "activation_fake_quant", "act_quant"];

/// A quantizer of weights.
#[derive(Debug, Default)]
pub struct Found {
    /// Its module.
    path: String,
    steps: Vec<f32>,
    bits: Option<f32>,
    least: Option<f32>,
    most: Option<f32>,
}

/// Takes the tensors of quantizers out of `tensors`.
///
/// # Errors
/// A zero point that is not 0, parts without a step: with the tensor's name.
pub fn take(tensors: &mut Tensors, facts: &mut Facts) -> Outcome<Vec<Found>> {
    let mut modules: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut activations = 0;
    let names: Vec<String> = tensors.iter().map(|(name, _)| name.to_string()).collect();
    let split = |name: &str| {
        let (path, part) = name.rsplit_once('.').unwrap_or(("", name));
        (path.to_string(), part.to_string())
    };
    let is_step = |path: &str, part: &str| {
        STEP.contains(&part) || part == "scale" && WEIGHTS.iter().any(|w| path.rsplit('.').any(|s| s == *w))
    };
    let stepped: Vec<String> =
        names.iter().map(|n| split(n)).filter(|(p, s)| is_step(p, s)).map(|(p, _)| p).collect();
    let mut order = vec![];
    for name in &names {
        let (path, part) = split(name);
        if path.split('.').any(|segment| ACTIVATIONS.iter().any(|a| segment.starts_with(a))) {
            activations += usize::from(part == "scale");
            tensors.remove(name);
            continue;
        }
        // The quantizer's own tensors stand under its path; a layer that has a step itself keeps its weights.
        let own = stepped.iter().find(|p| path == **p || path.starts_with(&format!("{p}.")));
        let known = [&STEP[..], &BITS, &LEAST, &MOST, &IDLE, &["scale", "zero_point"]].concat();
        if let Some(own) = own.filter(|_| known.contains(&part.as_str())) {
            if !modules.contains_key(own) {
                order.push(own.clone());
            }
            modules.entry(own.clone()).or_default().push(name.clone());
        }
    }
    if activations > 0 {
        let taken = format!("{activations} left, `quantize` calibrates them");
        facts.note("activation scales", taken, Origin::File);
    }
    let found = order.into_iter().map(|path| one(tensors, &modules[&path], path.clone()));
    found.collect()
}

fn one(tensors: &mut Tensors, names: &[String], path: String) -> Outcome<Found> {
    let mut found = Found { path, ..Found::default() };
    for name in names {
        let part = name.rsplit('.').next().unwrap_or(name);
        if IDLE.contains(&part) {
            tensors.remove(name);
            continue;
        }
        let (shape, values) = tensors.take_numbers(name)?;
        let number = || match values[..] {
            [one] => Ok(Some(one)),
            _ => Err(format!("tensor {name} has shape {shape:?}, must be one number")),
        };
        match part {
            "zero_point" if values.iter().any(|z| *z != 0.0) => {
                return Err(format!(
                    "tensor {name} is not 0: weights must be quantized symmetrically (torch.per_channel_symmetric)"
                ));
            }
            "zero_point" => {}
            _ if BITS.contains(&part) => found.bits = number()?,
            _ if LEAST.contains(&part) => found.least = number()?,
            _ if MOST.contains(&part) => found.most = number()?,
            _ => found.steps = values,
        }
    }
    Ok(found)
}

/// Quantizers that take a place in a `Sequential`: its path and their number. Those inside of a layer take none.
pub fn slots(found: &[Found], tensors: &Tensors) -> Vec<(String, usize)> {
    let layer = |path: &str| tensors.iter().any(|(name, _)| name.strip_suffix(".weight") == Some(path));
    let slot = |f: &Found| {
        let (parent, last) = f.path.rsplit_once('.').unwrap_or(("", &f.path));
        last.parse().ok().filter(|_| !layer(&f.path)).map(|number| (parent.to_string(), number))
    };
    found.iter().filter_map(slot).collect()
}

/// Gives every quantizer to its layer.
///
/// # Errors
/// A quantizer whose layer is not clear, a step that is none, levels that make no sense.
pub fn give(
    found: &[Found],
    links: &[Link],
    layers: &mut [FloatLayer],
    options: &Options,
    facts: &mut Facts,
) -> Outcome<()> {
    if found.is_empty() {
        return match options.weight_levels {
            Some(_) => Err("--weight-levels: the file has no steps of weights (step_size)".into()),
            None => Ok(()),
        };
    }
    let owners = owners(found, links)?;
    let mut levels_from = Origin::File;
    for (quantizer, &owner) in found.iter().zip(&owners) {
        let (levels, origin) = levels(quantizer, options)?;
        if origin != Origin::File {
            levels_from = origin;
        }
        let co = layers[owner].op.co();
        let step = |&s: &f32| {
            Step::new(s).ok_or_else(|| format!("the step {s} of {} is not a positive number", quantizer.path))
        };
        let steps = quantizer.steps.iter().map(step).collect::<Outcome<Vec<_>>>()?;
        if ![1, co].contains(&steps.len()) {
            return Err(format!("{} has {} steps; 1 or {co} are needed", quantizer.path, steps.len()));
        }
        if layers[owner].quantizer.replace(WeightQuantizer { steps, levels }).is_some() {
            return Err(format!("{} is a second quantizer of {}", quantizer.path, links[owner].layer.path));
        }
    }
    facts.note("weight steps", format!("of {} of {} layers", found.len(), layers.len()), Origin::File);
    let Levels { a, b } = layers[owners[0]].quantizer.as_ref().expect("just given").levels;
    let all = |l: &FloatLayer| l.quantizer.as_ref().is_none_or(|q| q.levels == Levels { a, b });
    let taken = if layers.iter().all(all) {
        format!("{a}..{b}")
    } else {
        format!("{a}..{b} in {}, …", links[owners[0]].layer.path)
    };
    facts.note("weight levels", taken, levels_from);
    Ok(())
}

/// The user's levels, else `a` and `b`, else `bit_width`, else 8 bits.
fn levels(found: &Found, options: &Options) -> Outcome<(Levels, Origin)> {
    let bad = |what: String| format!("{what} of {} make no sense", found.path);
    let whole = |v: f32| v.fract() == 0.0 && v.abs() <= f32::from(u16::MAX);
    let (levels, origin) = match (options.weight_levels, found.least, found.most, found.bits) {
        (Some(levels), ..) => (levels, Origin::Option("--weight-levels")),
        (None, Some(a), Some(b), _) if whole(a) && whole(b) => {
            // LSQ writes the magnitude of the least code.
            (Levels { a: -(a.abs() as i32), b: b as i32 }, Origin::File)
        }
        (None, None, None, Some(bits)) if bits.fract() == 0.0 && WIDTHS.contains(&(bits as u32)) => {
            (Levels::signed(bits as u32), Origin::File)
        }
        (None, None, None, None) => {
            (Levels::signed(8), Origin::Assumed("the file names no bits; --weight-levels".into()))
        }
        _ => return Err(bad(format!("levels {:?} … {:?}, {:?} bits", found.least, found.most, found.bits))),
    };
    match levels.is_valid() && levels.bits() <= *WIDTHS.end() {
        true => Ok((levels, origin)),
        false => Err(bad(format!("levels {} … {}", levels.a, levels.b))),
    }
}

/// The layer of each quantizer: the one it stands in, the one beside it, the next in its `Sequential`, or one after the other.
fn owners(found: &[Found], links: &[Link]) -> Outcome<Vec<usize>> {
    let paths: Vec<&str> = links.iter().map(|l| l.layer.path.as_str()).collect();
    let inside = |outer: &str, inner: &str| inner == outer || inner.starts_with(&format!("{outer}."));
    let parent = |path: &str| path.rsplit_once('.').map_or(String::new(), |(p, _)| p.to_string());
    let only = |wanted: &dyn Fn(&str) -> bool| {
        let mut all = paths.iter().enumerate().filter(|(_, path)| wanted(path));
        let first = all.next().map(|(i, _)| i);
        if all.next().is_some() { None } else { first }
    };
    let place = |path: &str| natural::numbers(path.rsplit('.').next().unwrap_or_default()).last().copied();
    let owner = |f: &Found| {
        let next = |path: &str| {
            parent(path) == parent(&f.path)
                && place(path).zip(place(&f.path)).is_some_and(|(l, q)| l == q + 1)
        };
        only(&|path| !path.is_empty() && inside(path, &f.path))
            .or_else(|| only(&|path| !parent(&f.path).is_empty() && parent(path) == parent(&f.path)))
            .or_else(|| only(&next))
    };
    let by_name: Option<Vec<usize>> = found.iter().map(owner).collect();
    let distinct = |o: &Vec<usize>| o.iter().collect::<std::collections::BTreeSet<_>>().len() == o.len();
    if let Some(owners) = by_name.filter(distinct) {
        return Ok(owners);
    }
    match found.len() == links.len() {
        true => Ok((0..links.len()).collect()),
        false => Err(format!(
            "the steps of {}, … cannot be told to belong to which layer: put each quantizer into its layer's module, or one \
             before every layer",
            found[0].path
        )),
    }
}
