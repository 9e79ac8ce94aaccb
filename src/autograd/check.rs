//! Analytic gradients against central differences.

use super::{Tape, Var};
use ndarray::{ArrayD, IxDyn};

/// The worst relative error, over all elements of all `inputs`, of the tape's gradients of `build`'s output
/// against central differences in `f64`.
///
/// The output is weighted with fixed numbers of mixed sign. Errors are relative to the larger of the two
/// gradients, or to 1e-3 where both are smaller.
pub fn worst_gradient_error(inputs: &[ArrayD<f64>], build: impl Fn(&mut Tape<f64>, &[Var]) -> Var) -> f64 {
    let run = |inputs: &[ArrayD<f64>]| {
        let mut tape = Tape::default();
        let vars: Vec<Var> = inputs.iter().map(|x| tape.parameter(x.clone().into_shared())).collect();
        let out = build(&mut tape, &vars);
        (tape, vars, out)
    };
    let weighted = |inputs: &[ArrayD<f64>]| {
        let (tape, _, out) = run(inputs);
        (tape.value(out) * &weights(tape.shape(out))).sum()
    };
    let (mut tape, vars, out) = run(inputs);
    let seed = weights(tape.shape(out));
    tape.backward_from(out, seed);
    let mut worst = 0.0f64;
    for (i, var) in vars.into_iter().enumerate() {
        let zeros = ArrayD::zeros(inputs[i].raw_dim());
        let analytic = tape.gradient(var).map_or(zeros, |g| g.to_owned());
        for (j, &analytic) in analytic.iter().enumerate() {
            let at = |h: f64| {
                let mut moved = inputs.to_vec();
                moved[i].as_slice_mut().expect("row-major")[j] += h;
                weighted(&moved)
            };
            let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let scale = analytic.abs().max(numeric.abs()).max(1e-3);
            worst = worst.max((analytic - numeric).abs() / scale);
        }
    }
    worst
}

const STEP: f64 = 1e-5;

fn weights(shape: &[usize]) -> ArrayD<f64> {
    let mut i = 0.0;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1.0;
        (i * 1.7f64).sin() + 0.3
    })
}

/// Numbers between −1 and 1, none 0, that follow from `seed`; no two closer than the differences' step.
#[cfg(test)]
pub(crate) fn sample(shape: &[usize], seed: u64) -> ArrayD<f64> {
    use rand::{SeedableRng, seq::SliceRandom};
    let count: usize = shape.iter().product();
    let mut values: Vec<f64> = (0..count).map(|i| (2.0 * i as f64 + 0.7) / count as f64 - 1.0).collect();
    values.shuffle(&mut rand_chacha::ChaCha8Rng::seed_from_u64(seed));
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many as the shape holds")
}
