//! Whole networks rounded by GPTQ.

use super::*;
use crate::float::{Point, Seen};
use crate::int::Quantizer;
use crate::net::{KERNEL, Op};
use crate::quantize::tests::network;
use crate::quantize::{Method, Mode, Recipe, Widths, fake, input_codes, quantize};
use ndarray::ArrayView3;

const INPUT: Shape = Shape { c: 3, h: 8, w: 6 };

fn model() -> FloatModel {
    let conv = |co, pool| Op::Conv { co, pool };
    let mut model =
        network(INPUT, &[conv(8, true), conv(9, false), Op::Dense { co: 8 }, Op::Dense { co: 5 }]);
    model.layers[0].weight[..27].fill(0.0); // a channel that is always 0
    model.layers[0].bias[0] = -1.0;
    model
}

fn images() -> Array4<f32> {
    Array4::from_shape_fn((18, 3, 8, 6), |(n, c, i, j)| {
        ((n * 31 + c * 17 + i * 7 + j * n) % 23) as f32 / 11.0 - 1.0
    })
}

fn recipes() -> impl Iterator<Item = Recipe> {
    let kinds = [(Mode::Free, true), (Mode::Free, false), (Mode::Pow2, true), (Mode::Pow2, false)];
    kinds.into_iter().flat_map(|(mode, per_channel)| {
        [(2, 2), (3, 8), (8, 4), (16, 16)].into_iter().map(move |(weights, acts)| Recipe {
            mode,
            per_channel,
            method: Method::Mse,
            widths: Widths { ends: 2, ..Widths::bits(weights, acts) },
            equalise: weights == 3,
            rounding: Rounding::Gptq,
            correct_biases: weights != 8,
        })
    })
}

/// Rounding chooses codes and no arithmetic: the training graph computes the golden model's integers.
#[test]
fn fake_is_golden() {
    for recipe in recipes() {
        let int = quantize(&model(), &recipe, [Ok(images())]).unwrap().int;
        let codes = input_codes(&int, &images());
        let golden = Golden::new(&int).unwrap().trace(codes.view()).unwrap();
        assert_eq!(fake::trace(&int, codes.view()).unwrap(), golden, "{recipe:?}");
    }
}

/// Few bits get another step than the weights alone, one a channel or one for all; more bits and powers of two keep theirs.
#[test]
fn few_bits_choose_their_steps_by_the_sums() {
    for recipe in recipes().filter(|r| !r.equalise) {
        let observed = super::super::observe(&model(), &[images()]).unwrap();
        let before = super::super::calibrate(&model(), &recipe, &observed).unwrap();
        let after = quantize(&model(), &recipe, [Ok(images())]).unwrap().plan;
        assert!((0..4).all(|i| before.layers[i].weight_steps.len() == after.layers[i].weight_steps.len()));
        let chooses = recipe.mode == Mode::Free && recipe.widths.weights.bits() == 2;
        assert_eq!(before != after, chooses, "{recipe:?}");
    }
}

/// What is lowered is what was rounded, whatever the parts in which images come and the threads that work.
#[test]
fn codes_are_carried_and_repeat() {
    for recipe in recipes() {
        let quantized = quantize(&model(), &recipe, [Ok(images())]).unwrap();
        for ((float, int), plan) in
            quantized.float.layers.iter().zip(&quantized.int.layers).zip(&quantized.plan.layers)
        {
            let row = float.weight.len() / float.op.co();
            let code = |k: usize| arith::dequantize(int.weight[k].into(), plan.weight_step(k / row));
            assert!((0..float.weight.len()).all(|k| float.weight[k] == code(k)), "{}", float.name);
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let again = pool.install(|| quantize(&model(), &recipe, [Ok(images())]).unwrap());
        assert_eq!(again.int, quantized.int);
    }
}

/// Sums of each output of the first layer, which reads the same codes either way, are no further from those that the float
/// network makes of the images themselves.
#[test]
fn sums_lose_no_more_than_by_nearest() {
    for recipe in recipes().filter(|r| !r.equalise) {
        let lost = |rounding| {
            let quantized =
                quantize(&model(), &Recipe { rounding, ..recipe.clone() }, [Ok(images())]).unwrap();
            let Quantizer { step, levels } = quantized.plan.input;
            let read = images().mapv(|x| arith::dequantize(arith::quantize(x, step, levels), step));
            let mut coded = quantized.float.clone();
            let (first, row) = (&mut coded.layers[0].weight, INPUT.c * KERNEL * KERNEL);
            for (k, (w, &code)) in first.iter_mut().zip(&quantized.int.layers[0].weight).enumerate() {
                *w = arith::dequantize(code.into(), quantized.plan.layers[0].weight_step(k / row));
            }
            let error = sums(&model(), &images()) - sums(&coded, &read);
            let of_output = |e: ArrayView3<f32>| match recipe.correct_biases {
                true => e.var(0.0), // the bias takes the mean
                false => e.map(|e| e * e).mean().unwrap(),
            };
            error.axis_iter(Axis(1)).map(of_output).collect::<Vec<f32>>()
        };
        let (gptq, nearest) = (lost(Rounding::Gptq), lost(Rounding::Nearest));
        let no_more = |(g, n): (&f32, &f32)| *g <= n * 1.01 + 1e-10; // but for damping
        assert!(gptq.iter().zip(&nearest).all(no_more), "{recipe:?}: {gptq:?} {nearest:?}");
        let (gptq, nearest) = (gptq.iter().sum::<f32>(), nearest.iter().sum::<f32>());
        assert!(recipe.widths.weights.bits() > 3 || gptq < nearest, "{recipe:?}: {gptq} {nearest}");
    }
}

/// `(image, channel, row, column)` of the first layer before its ReLU.
fn sums(model: &FloatModel, x: &Array4<f32>) -> Array4<f32> {
    let mut sums = Array4::zeros((0, 0, 0, 0));
    let see = |seen: Seen| {
        if (seen.layer, seen.point) == (0, Point::PreActivation) {
            sums = seen.values.to_owned();
        }
    };
    model.forward_with(x, see).unwrap();
    sums
}

#[test]
fn one_image_is_enough_to_round() {
    let recipe = recipes().next().unwrap();
    let one = images().slice(ndarray::s![..1, .., .., ..]).to_owned();
    quantize(&model(), &recipe, [Ok(one)]).unwrap();
}
