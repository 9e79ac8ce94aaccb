//! Networks to train from scratch.

use crate::float::{BatchNorm, FloatLayer, FloatModel};
use crate::net::{Header, Op, Shape, shapes, vgg_convs};
use crate::{Error, Result};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A VGG of `depth` 11, 13, 16 or 19 with batch norm, the convolutions' channels times `width`, dense layers of `hidden`
/// outputs and one to `classes`; weights as He et al. 2015 (normal, variance 2 / inputs), from `seed`.
///
/// # Errors
/// Another depth, a width that leaves no channels, or an input that the pools shrink to nothing.
pub fn vgg(
    depth: usize,
    width: f64,
    hidden: &[usize],
    header: Header,
    classes: usize,
    seed: u64,
) -> Result<FloatModel> {
    let convs = vgg_convs(depth)
        .ok_or_else(|| Error::usage("--model", format!("no vgg{depth}; there are vgg11, 13, 16, 19")))?;
    let scaled = |co: usize| (co as f64 * width) as usize;
    if !(width > 0.0 && scaled(64) > 0 && width <= 4.0) {
        return Err(Error::usage("--width", format!("{width} leaves {} channels of 64", scaled(64))));
    }
    let convs = convs.into_iter().map(|(co, pool)| Op::Conv { co: scaled(co), pool });
    let layers = layers(convs.collect(), hidden, header.input, classes, seed)?;
    checked(FloatModel { layers, header })
}

/// The convolutions of `trunk` with their weights, and new dense layers as [`vgg`] makes them, for the input and the
/// classes of `header`.
///
/// # Errors
/// A trunk that takes another number of channels, or an input that its pools shrink to nothing.
pub fn with_new_head(
    trunk: FloatModel,
    hidden: &[usize],
    header: Header,
    classes: usize,
    seed: u64,
) -> Result<FloatModel> {
    let (has, needs) = (header.input.c, trunk.header.input.c);
    if has != needs {
        let reason =
            format!("the images have {has} channels, the convolutions of {} take {needs}", trunk.header.name);
        return Err(Error::usage("--new-head", reason));
    }
    let mut kept = trunk.layers;
    kept.retain(|l| matches!(l.op, Op::Conv { .. }));
    let convs = kept.iter().map(|l| l.op).collect();
    let head = layers(convs, hidden, header.input, classes, seed)?.split_off(kept.len());
    kept.extend(head);
    checked(FloatModel { layers: kept, header })
}

fn checked(model: FloatModel) -> Result<FloatModel> {
    model.validate()?;
    Ok(model)
}

/// `convs`, dense layers of `hidden` outputs and one to `classes`, with new weights.
fn layers(
    convs: Vec<Op>,
    hidden: &[usize],
    input: Shape,
    classes: usize,
    seed: u64,
) -> Result<Vec<FloatLayer>> {
    if hidden.contains(&0) {
        return Err(Error::usage("--hidden", "a layer needs outputs"));
    }
    let mut ops = convs;
    ops.extend(hidden.iter().chain([&classes]).map(|&co| Op::Dense { co }));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let inputs = shapes(input, ops.iter().copied());
    let last = ops.len() - 1;
    let layers = names(&ops).into_iter().zip(ops).zip(inputs).enumerate().map(|(index, ((name, op), x))| {
        let deviation = (2.0 / op.reduction(x) as f64).sqrt();
        let count = op.weight_shape(x).iter().product();
        let weight = (0..count).map(|_| (deviation * normal(&mut rng)) as f32).collect();
        let norm = index < last;
        FloatLayer {
            name,
            op,
            weight,
            bias: vec![0.0; op.co()],
            batch_norm: norm.then(|| unit(op.co())),
            quantizer: None,
            saturation: None,
        }
    });
    Ok(layers.collect())
}

/// `conv1_1` … by stages, then `fc`, or `fc6` … where there are several.
fn names(ops: &[Op]) -> Vec<String> {
    let (mut stage, mut place) = (1, 0);
    let convs = ops.iter().filter(|op| matches!(op, Op::Conv { .. })).count();
    let name = |(i, op): (usize, &Op)| match *op {
        Op::Dense { .. } if convs + 1 == ops.len() => "fc".to_string(),
        Op::Dense { .. } => format!("fc{}", 6 + i - convs),
        Op::Conv { pool, .. } => {
            place += 1;
            let name = format!("conv{stage}_{place}");
            if pool {
                (stage, place) = (stage + 1, 0);
            }
            name
        }
    };
    ops.iter().enumerate().map(name).collect()
}

fn unit(co: usize) -> BatchNorm {
    BatchNorm {
        gamma: vec![1.0; co],
        beta: vec![0.0; co],
        mean: vec![0.0; co],
        var: vec![1.0; co],
        eps: 1e-5,
    }
}

/// A standard normal number (Box and Muller 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Preprocessing;

    fn header(side: usize) -> Header {
        let input = Shape { c: 1, h: side, w: side };
        Header { name: "vgg16".into(), input, preprocessing: Preprocessing::unit(1), classes: vec![] }
    }

    #[test]
    fn an_eighth_of_vgg16() {
        let model = vgg(16, 0.125, &[], header(32), 10, 1).unwrap();
        assert_eq!(model.layers.len(), 14);
        assert_eq!(model.layers[12].op.co(), 64);
        let names: Vec<&str> = model.layers.iter().map(|l| &l.name[..]).collect();
        assert_eq!([names[0], names[4], names[12], names[13]], ["conv1_1", "conv3_1", "conv5_3", "fc"]);
        let model = vgg(16, 0.125, &[64, 32], header(32), 10, 1).unwrap();
        let dense: Vec<_> = model.layers[13..].iter().map(|l| (&l.name[..], l.op.co())).collect();
        assert_eq!(dense, [("fc6", 64), ("fc7", 32), ("fc8", 10)]);
    }

    #[test]
    fn a_new_head_leaves_the_convolutions() {
        let trunk = vgg(11, 0.25, &[64, 32], header(64), 10, 1).unwrap();
        let model = with_new_head(trunk.clone(), &[24], header(32), 3, 2).unwrap();
        assert_eq!(model.layers[..8], trunk.layers[..8]);
        let dense: Vec<_> =
            model.layers[8..].iter().map(|l| (&l.name[..], l.op.co(), l.weight.len())).collect();
        assert_eq!(dense, [("fc6", 24, 24 * 128), ("fc7", 3, 3 * 24)]);
        let mut colour = header(32);
        colour.input.c = 3;
        colour.preprocessing = Preprocessing::unit(3);
        assert!(with_new_head(trunk, &[], colour, 3, 2).unwrap_err().to_string().contains("3 channels"));
    }

    #[test]
    fn what_cannot_be_built_is_refused() {
        assert!(vgg(12, 1.0, &[], header(32), 10, 1).is_err());
        assert!(vgg(16, 0.01, &[], header(32), 10, 1).is_err());
        assert!(vgg(16, 0.125, &[], header(28), 10, 1).unwrap_err().to_string().contains("conv5_3"));
    }
}
