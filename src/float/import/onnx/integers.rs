//! From a followed chain to the integers of each layer.

use super::constants::{Constants, LONGEST};
use super::own::Own;
use super::quantizers::{Layer, Track};
use crate::arith::{self, Levels, Step};
use crate::float::FloatLayer;
use crate::float::import::facts::{Facts, Origin};
use crate::float::import::quantized::{Quantized, QuantizedLayer};

/// Largest relative difference between the scale of a bias and `scale_w · scale_x` that is float rounding.
const SAME: f64 = 1e-6;
/// Levels of a last layer's weights that get a common step.
const COMMON: Levels = Levels::signed(16);

/// What became of the integers on the way, for the facts.
#[derive(Default)]
struct Changes {
    /// Largest difference of a rounded bias, in units of its step, and its layer.
    bias: Option<(f64, String)>,
    /// Whether the last layer's weights got another step, and how far a weight is from its own at most, in the new step.
    common: Option<(Step, f64)>,
}

/// The integers of the layers of `track`. `layers` hold codes in place of weights, and get weights and biases.
///
/// # Errors
/// The node whose integers no integer model can hold.
pub fn integers(
    track: &Track,
    constants: &Constants,
    layers: &mut [FloatLayer],
    own: Option<&Own>,
    common_step: bool,
    facts: &mut Facts,
) -> Result<Quantized, String> {
    if layers.len() != track.layers.len() {
        return Err(format!("{} layers of {} nodes", layers.len(), track.layers.len()));
    }
    let mut changes = Changes::default();
    let mut all = vec![];
    for (i, (said, layer)) in track.layers.iter().zip(layers.iter_mut()).enumerate() {
        let bad = |reason: String| said.node.fault(&reason);
        let last = i + 1 == track.layers.len();
        let mut own_layer = one(said, layer).map_err(bad)?;
        if last {
            let found = common(&mut own_layer, said, constants, common_step).map_err(bad)?;
            changes.common = found;
        }
        own_layer.bias = biases(said, constants, layer.op.co(), &own_layer, &mut changes).map_err(bad)?;
        own_layer.output = track.layers.get(i + 1).map(|next| (next.input, vec![]));
        own_layer.give_reals(layer, said.input.step);
        all.push(own_layer);
    }
    let mut quantized = Quantized { input: track.layers[0].input, layers: all };
    let name = |i: usize| track.layers[i].node.label();
    let worst = quantized.requantize().map_err(|(i, reason)| format!("node {}: {reason}", name(i)))?;
    if let Some(own) = own {
        take_own(&mut quantized, own, layers)?;
    }
    if own.is_some_and(|own| own.layers.iter().any(|l| l.bias.is_some())) {
        changes.bias = None; // the metadata have the integers
    }
    note(&quantized, worst, &changes, track, facts);
    Ok(quantized)
}

/// Codes, levels and steps of the weights.
fn one(said: &Layer, layer: &FloatLayer) -> Result<QuantizedLayer, String> {
    let levels = said
        .weight
        .levels()
        .ok_or("the codes of its weights, zero points subtracted, need more than 16 bits")?;
    // A float holds every code of 16 bits.
    let code = |&w: &f32| w as i16;
    Ok(QuantizedLayer {
        weight: layer.weight.iter().map(code).collect(),
        weight_levels: levels,
        weight_steps: said.weight.steps.clone(),
        bias: vec![],
        output: None,
    })
}

/// Gives the last layer one step: logits are compared with one another. Exact where the steps are whole multiples of
/// the least; else only if the user asks for it.
fn common(
    layer: &mut QuantizedLayer,
    said: &Layer,
    constants: &Constants,
    allowed: bool,
) -> Result<Option<(Step, f64)>, String> {
    let steps = layer.weight_steps.clone();
    let least = steps.iter().copied().fold(steps[0], |m, s| if s < m { s } else { m });
    if steps.iter().all(|&s| s == least) {
        return Ok(None);
    }
    let row = layer.weight.len() / steps.len();
    let rows = || layer.weight.chunks_exact(row).zip(&steps);
    let times = |s: Step| f64::from(s.get()) / f64::from(least.get());
    let exact = |(codes, &s): (&[i16], &Step)| {
        let most = codes.iter().map(|c| c.unsigned_abs()).max().unwrap_or(0);
        times(s).fract() == 0.0 && f64::from(most) * times(s) <= f64::from(COMMON.b)
    };
    let step = match (rows().all(exact), allowed) {
        (true, _) => least,
        (false, true) => {
            let most = rows().flat_map(|(codes, s)| codes.iter().map(|&c| f32::from(c).abs() * s.get()));
            let most = most.fold(0f32, f32::max) / COMMON.b as f32;
            Step::new(most).ok_or("all weights are 0")?
        }
        (false, false) => {
            return Err(format!(
                "its weights have a scale a channel, the logits need one: quantize this layer per tensor (ONNX Runtime: \
                 extra_options={{\"TensorQuantOverrides\": {{\"{}\": [{{\"quant_type\": QuantType.QInt8, \"symmetric\": True}}]}}}}), \
                 or say --common-step, which gives its weights 16 bits and one step, near but not bit by bit",
                stored_name(said, constants)
            ));
        }
    };
    let mut off = 0f64;
    let code = |&c: &i16, s: Step| {
        let real = f64::from(c) * f64::from(s.get()) / f64::from(step.get());
        let code = arith::quantize(real as f32, Step::UNIT, COMMON);
        ((real - f64::from(code)).abs(), code as i16)
    };
    let new: Vec<(f64, i16)> = rows().flat_map(|(codes, &s)| codes.iter().map(move |c| code(c, s))).collect();
    layer.weight = new
        .into_iter()
        .map(|(d, code)| {
            off = off.max(d);
            code
        })
        .collect();
    let most = layer.weight.iter().map(|w| i32::from(w.unsigned_abs())).max().unwrap_or(1).max(1);
    let bits = 33 - most.leading_zeros();
    layer.weight_levels = Levels::signed(bits.clamp(2, 16));
    layer.weight_steps = vec![step];
    Ok(Some((step, off)))
}

/// The float weights' name, as far as the file keeps it.
fn stored_name<'a>(said: &'a Layer, constants: &'a Constants) -> &'a str {
    let name = said.node.operand(1).unwrap_or_default();
    let codes = constants.maker(name).and_then(|dequantize| dequantize.operand(0)).unwrap_or(name);
    codes.trim_end_matches("_quantized")
}

/// The sum of what is added to the layer's sums, in units of `step_w · step_x`.
fn biases(
    said: &Layer,
    constants: &Constants,
    co: usize,
    layer: &QuantizedLayer,
    changes: &mut Changes,
) -> Result<Vec<i64>, String> {
    let mut sum = vec![0i64; co];
    for name in &said.biases {
        let unit = |c: usize| f64::from(layer.step(c).get()) * f64::from(said.input.step.get());
        let (real, codes) = bias(constants, name)?;
        if ![1, co].contains(&real.len()) {
            return Err(format!("has {} biases for {co} outputs", real.len()));
        }
        let at = |c: usize| if real.len() == 1 { 0 } else { c };
        for (c, sum) in sum.iter_mut().enumerate() {
            let exact = codes
                .as_ref()
                .map(|(codes, steps)| (codes[at(c)], steps[if steps.len() == 1 { 0 } else { at(c) }]));
            let exact = exact.filter(|(_, step)| (f64::from(step.get()) / unit(c) - 1.0).abs() < SAME);
            *sum += match exact {
                Some((code, _)) => i64::from(code),
                None => {
                    let code = arith::quantize_bias(real[at(c)], layer.step(c), said.input.step);
                    let code = code
                        .ok_or_else(|| format!("bias {} of channel {c} needs over 48 bits", real[at(c)]))?;
                    let off = (f64::from(real[at(c)]) / unit(c) - code as f64).abs();
                    if changes.bias.as_ref().is_none_or(|(most, _)| off > *most) {
                        changes.bias = Some((off, said.node.label().into()));
                    }
                    code
                }
            };
        }
    }
    Ok(sum)
}

/// A constant as real numbers, and as 32-bit codes with their steps where it is quantized.
#[expect(clippy::type_complexity, reason = "said once")]
fn bias(constants: &Constants, name: &str) -> Result<(Vec<f32>, Option<(Vec<i32>, Vec<Step>)>), String> {
    let node = constants.maker(name).filter(|n| n.op_type == "DequantizeLinear");
    let Some(node) = node else { return Ok((constants.floats(name)?.data, None)) };
    let scale = constants.scale_of(name)?;
    let integers = constants.integers(node.operand(0).ok_or("has no input")?, LONGEST)?;
    let step = |c: usize| scale.steps[if scale.steps.len() == 1 { 0 } else { c }];
    let codes: Vec<i32> =
        integers.values.iter().enumerate().map(|(c, &v)| v.saturating_sub(scale.zero(c))).collect();
    if integers.dims.len() > 1 || scale.steps.len() > codes.len().max(1) {
        return Err(format!("its quantized bias has sizes {:?}", integers.dims));
    }
    let real = codes.iter().enumerate().map(|(c, &v)| (f64::from(v) * f64::from(step(c).get())) as f32);
    Ok((real.collect(), Some((codes, scale.steps))))
}

/// What only this program's own description says.
fn take_own(quantized: &mut Quantized, own: &Own, layers: &mut [FloatLayer]) -> Result<(), String> {
    if own.layers.len() != layers.len() {
        return Err(format!(
            "metadata {}: describes {} layers where the graph has {}",
            super::own::KEY,
            own.layers.len(),
            layers.len()
        ));
    }
    for ((to, layer), said) in quantized.layers.iter_mut().zip(layers).zip(&own.layers) {
        layer.name.clone_from(&said.name);
        to.weight_levels = said.weight_levels;
        if let Some((_, by)) = &mut to.output {
            by.clone_from(&said.multipliers);
        }
        if let Some(bias) = &said.bias {
            // The graph holds the same numbers, as exactly as a float can.
            let near = |(a, b): (&i64, &i64)| a.abs_diff(*b) <= (a.unsigned_abs() >> 22) + 1;
            if bias.len() != to.bias.len() || !bias.iter().zip(&to.bias).all(near) {
                return Err(format!(
                    "metadata {}: its biases of {} are not the graph's",
                    super::own::KEY,
                    said.name
                ));
            }
            to.bias.clone_from(bias);
        }
    }
    Ok(())
}

fn note(quantized: &Quantized, worst: f64, changes: &Changes, track: &Track, facts: &mut Facts) {
    let range = |l: Levels| format!("{}..{}", l.a, l.b);
    let input = format!("step {:e}, codes {}", quantized.input.step.get(), range(quantized.input.levels));
    facts.note("input quantizer", input, Origin::File);
    let steps: usize = quantized.layers.iter().map(|l| l.weight_steps.len()).sum();
    facts.note("integers", format!("{} layers, {steps} weight steps", quantized.layers.len()), Origin::File);
    let taken = if worst == 0.0 {
        "exactly the scales' products".into()
    } else {
        format!("nearest m/2^s, {worst:.1e} off at most")
    };
    facts.note("requantization", taken, Origin::File);
    if let Some((off, node)) = &changes.bias {
        facts.note(
            "biases",
            format!("rounded to scale_w · scale_x, {off:.2} of it off at most ({node})"),
            Origin::File,
        );
    }
    match &changes.common {
        Some((step, 0.0)) => {
            facts.note("last layer", format!("one step {step} for all channels, exactly"), Origin::File)
        }
        Some((step, off)) => {
            let taken = format!("one step {step} for all channels, weights {off:.2} of it off at most");
            facts.note("last layer", taken, Origin::Option("--common-step"));
        }
        None => {}
    }
    if let Some(q) = track.end {
        facts.note(
            "end",
            format!("codes of the logits (step {:e}) dropped: the sums are the logits", q.step.get()),
            Origin::File,
        );
    }
}
