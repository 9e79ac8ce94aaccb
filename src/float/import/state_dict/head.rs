//! What stands between the last feature map and the first dense layer, and how large the input is.

use super::pools::{self, Placed};
use crate::float::import::average::Average;
use crate::float::import::facts::{Facts, Origin};
use crate::float::import::options::{Head, Options};
use crate::float::{FloatLayer, WeightQuantizer};
use crate::net::{Op, Shape, shapes};

/// Side of the map that torchvision's `AdaptiveAvgPool2d` hands to the classifier.
const POOLED: usize = 7;
/// Sides of an input that are taken without asking where they fit: ImageNet's, CIFAR's, MNIST's.
const USUAL_SIDES: [usize; 3] = [224, 32, 28];

/// The input's shape: the user's, or the usual square whose last map the first dense layer reads.
pub fn input(
    channels: usize,
    inputs: usize,
    convs: &[FloatLayer],
    options: &Options,
    facts: &mut Facts,
) -> Result<Shape, String> {
    if let Some(input) = options.input {
        if input.c != channels {
            return Err(format!("--input has {} channels, the first convolution reads {channels}", input.c));
        }
        facts.note("input", input.to_string(), Origin::Option("--input"));
        return Ok(input);
    }
    let last = convs.last().map_or(1, |l| l.op.co());
    let pools = convs.iter().filter(|l| matches!(l.op, Op::Conv { pool: true, .. })).count();
    let side = (1..=64usize).find(|s| s * s * last == inputs).map(|s| s << pools);
    let Some(side) = side.filter(|side| USUAL_SIDES.contains(side)) else {
        let hint = side.map(|s| format!("; {s}×{s} would fit {pools} pools")).unwrap_or_default();
        return Err(format!("the file does not say the input's size: give --input CxHxW{hint}"));
    };
    let input = Shape { c: channels, h: side, w: side };
    let why = format!("the usual size that {pools} pools bring to {inputs} values; --input");
    facts.note("input", input.to_string(), Origin::Assumed(why));
    Ok(input)
}

/// Makes the first dense layer read the feature map of `input`, with an average pool folded into it; a pool behind
/// the last convolution that is only assumed goes where the sizes say so.
pub fn fit(
    layers: &mut [FloatLayer],
    first: usize,
    input: Shape,
    placed: &Placed,
    options: &Options,
    facts: &mut Facts,
) -> Result<(), String> {
    let (convs, dense) = layers.split_at_mut(first);
    let (last, dense) = (convs.len() - 1, &mut dense[0]);
    let inputs = dense.weight.len() / dense.op.co();
    let map =
        |convs: &[FloatLayer]| *shapes(input, convs.iter().map(|l| l.op)).last().expect("at least the input");
    if !placed.last_is_certain && options.head.is_none() && !fits(map(convs), inputs) {
        set_pool(&mut convs[last], false);
        if !fits(map(convs), inputs) {
            set_pool(&mut convs[last], true);
        }
    }
    let found = map(convs);
    if found.is_empty() {
        return Err(format!("the last feature map {found} is empty: the input is too small"));
    }
    let (head, origin) = head(found, inputs, options, &dense.name)?;
    let pool = match head {
        Head::Flat => None,
        Head::Average(side) if (found.h, found.w) == (side, side) => None,
        Head::Average(side) => Some(Average::adaptive(found, side)),
        Head::Max if found.h * found.w == 1 => None,
        Head::Max if (found.h, found.w) == (2, 2) && !placed.after[last] => {
            set_pool(&mut convs[last], true);
            None
        }
        Head::Max => {
            return Err(format!(
                "a global max pool of {found} cannot be held: only 2×2 max pools are, one behind a convolution"
            ));
        }
    };
    if let Some(pool) = pool {
        // Each weight of a global average pool is divided by the map's size, others become sums of weights.
        let global = head == Head::Average(1);
        let divided = |q: &WeightQuantizer| q.divided((found.h * found.w) as f32).filter(|_| global);
        if let Some(quantizer) = &dense.quantizer {
            dense.quantizer = Some(divided(quantizer).ok_or_else(|| {
                format!("{} reads an average pool, which its weights' codes cannot absorb: --head says what else it is", dense.name)
            })?);
        }
        dense.weight =
            pool.unfold(&dense.weight, found).map_err(|reason| format!("{}: {reason}", dense.name))?;
    }
    let after: Vec<bool> = convs.iter().map(|l| matches!(l.op, Op::Conv { pool: true, .. })).collect();
    let by_sizes = after != placed.after && options.head.is_none();
    let why = || Origin::Assumed(format!("none behind the last, from what {} reads; --pools", dense.name));
    facts.note("max pools", pools::text(&after), if by_sizes { why() } else { placed.origin.clone() });
    facts.note("head", text(head, found), origin);
    Ok(())
}

fn set_pool(layer: &mut FloatLayer, to: bool) {
    if let Op::Conv { pool, .. } = &mut layer.op {
        *pool = to;
    }
}

/// Whether a dense layer reads the map as it is, or as torchvision or a global pool hands it on.
fn fits(map: Shape, inputs: usize) -> bool {
    !map.is_empty() && [map.len(), map.c, map.c * POOLED * POOLED].contains(&inputs)
}

fn text(head: Head, map: Shape) -> String {
    match head {
        Head::Flat => format!("{map} flattened"),
        Head::Average(side) if (map.h, map.w) == (side, side) => format!("{map} flattened"),
        Head::Average(1) => format!("global average pool of {map}"),
        Head::Average(side) => format!("average pool of {map} to {side}×{side}"),
        Head::Max => format!("global max pool of {map}"),
    }
}

/// What stands between `map` and a dense layer of `inputs`.
fn head(map: Shape, inputs: usize, options: &Options, name: &str) -> Result<(Head, Origin), String> {
    let after = |head| match head {
        Head::Flat => map.len(),
        Head::Average(side) => map.c * side * side,
        Head::Max => map.c,
    };
    if let Some(head) = options.head {
        return match after(head) == inputs {
            true => Ok((head, Origin::Option("--head"))),
            false => {
                Err(format!("{name} reads {inputs} inputs, --head makes {} of the map {map}", after(head)))
            }
        };
    }
    if inputs == map.len() {
        return Ok((Head::Flat, Origin::File));
    }
    let assumed = |why: &str| Origin::Assumed(format!("{why}; --head"));
    if inputs == map.c * POOLED * POOLED {
        return Ok((Head::Average(POOLED), assumed("torchvision's AdaptiveAvgPool2d")));
    }
    if inputs == map.c {
        return Ok((Head::Average(1), assumed("one value a channel")));
    }
    let pooled = Shape { c: map.c, h: POOLED, w: POOLED };
    Err(format!(
        "{name} reads {inputs} inputs, neither the feature map {map} nor torchvision's pool of it to {pooled}; \
         --input, --pools or --head avg:SIDE say what is between"
    ))
}
