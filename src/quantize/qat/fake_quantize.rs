//! The quantization layer: real numbers to the real numbers that codes stand for.

use super::learn::{Learn, straight_through};
use crate::arith::{self, Levels, Step};
use crate::autograd::{Real, Tape, Var};
use ndarray::{ArrayD, IxDyn};
use rayon::prelude::*;

/// `x ↦ clip(rne(x / step), a, b) · step` with a straight-through gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FakeQuantizer {
    /// Least and greatest code.
    pub levels: Levels,
    /// Where the step comes from.
    pub learn: Learn,
}

/// Elements that one task handles.
const BLOCK: usize = 1 << 14;

impl FakeQuantizer {
    /// Quantizes `x` with the step, or one step for each index of the first axis, that `parameter` holds.
    ///
    /// `count` is the N in LSQ's gradient scale 1/√(N·b): the weights that share a step, or an image's
    /// activations. Forward: [`arith::quantize`], the same function that makes the integer model's codes.
    pub fn apply<T: Real>(self, tape: &mut Tape<T>, x: Var, parameter: Var, count: usize) -> Var {
        let steps: Vec<Step> = tape.slice(parameter).iter().map(|p| self.learn.step(p.narrow())).collect();
        let len = tape.value(x).len();
        assert!(len.is_multiple_of(steps.len()), "{} steps for {len} elements", steps.len());
        let group = (len / steps.len()).max(1);
        let mut y = tape.scratch_like(x);
        let groups = y.as_slice_mut().expect("row-major").par_chunks_mut(group);
        groups.zip(tape.slice(x).par_chunks(group)).zip(&steps).for_each(|((y, x), &step)| {
            y.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).for_each(|(y, x)| self.quantize(y, x, step));
        });
        tape.push(y, &[x, parameter], move |tape, out, mut g| {
            let (values, codes) = (tape.slice(x), tape.slice(out));
            let groups = g.as_slice_mut().expect("row-major").par_chunks_mut(group);
            let sources = values.par_chunks(group).zip(codes.par_chunks(group)).zip(&steps);
            let sums = groups.zip(sources).map(|(g, ((x, y), &step))| {
                let sum = self.backward(g, x, y, step);
                T::of(sum * self.learn.factor(step, count, self.levels))
            });
            let sums = sums.collect();
            if tape.is_differentiable(parameter) {
                let shape = IxDyn(tape.shape(parameter));
                tape.accumulate(parameter, ArrayD::from_shape_vec(shape, sums).expect("one a step"));
            }
            tape.accumulate(x, g);
        })
    }

    fn quantize<T: Real>(self, y: &mut [T], x: &[T], step: Step) {
        let unit = T::of(step.get().into());
        for (y, x) in y.iter_mut().zip(x) {
            *y = T::of(arith::quantize(x.narrow(), step, self.levels).into()) * unit;
        }
    }

    /// Turns the output's gradient `g` into the input's; returns `Σ g · ∂y/∂step`.
    fn backward<T: Real>(self, g: &mut [T], x: &[T], y: &[T], step: Step) -> f64 {
        let inverse = 1.0 / f64::from(step.get());
        let block = |g: &mut [T], x: &[T], y: &[T]| {
            let mut sum = 0.0;
            for ((g, x), y) in g.iter_mut().zip(x).zip(y) {
                let (inside, slope) = straight_through(x.wide() * inverse, y.wide() * inverse, self.levels);
                sum += g.wide() * slope;
                *g = if inside { *g } else { T::zero() };
            }
            sum
        };
        let blocks = g.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK)).zip(y.par_chunks(BLOCK));
        blocks.map(|((g, x), y)| block(g, x, y)).collect::<Vec<f64>>().into_iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    /// What `tests/pytorch_quantizers.py` wrote: PyTorch's own outputs and gradients.
    #[derive(Deserialize)]
    struct Case {
        learn: Learn,
        a: i32,
        b: i32,
        shape: Vec<usize>,
        count: usize,
        x: Vec<f32>,
        parameter: Vec<f32>,
        gradient: Vec<f32>,
        y: Vec<f32>,
        x_gradient: Vec<f32>,
        parameter_gradient: Vec<f32>,
    }

    fn close(found: &[f32], want: &[f32]) -> bool {
        let near = |(f, w): (&f32, &f32)| (f - w).abs() <= 1e-5 * w.abs().max(1.0);
        found.len() == want.len() && found.iter().zip(want).all(near)
    }

    #[test]
    fn agrees_with_pytorch() {
        let text = include_str!("../../../tests/fixtures/quantizers.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() >= 12);
        for (i, case) in cases.into_iter().enumerate() {
            let tensor =
                |shape: &[usize], v: Vec<f32>| ArrayD::from_shape_vec(IxDyn(shape), v).unwrap().into_shared();
            let mut tape = Tape::<f32>::default();
            let x = tape.parameter(tensor(&case.shape, case.x));
            let p = tape.parameter(tensor(&[case.parameter.len()], case.parameter));
            let quantizer = FakeQuantizer { levels: Levels { a: case.a, b: case.b }, learn: case.learn };
            let y = quantizer.apply(&mut tape, x, p, case.count);
            assert!(close(tape.slice(y), &case.y), "case {i}: forward");
            tape.backward_from(y, tensor(&case.shape, case.gradient).into_owned());
            let of = |v| tape.gradient(v).unwrap().iter().copied().collect::<Vec<f32>>();
            assert!(close(&of(x), &case.x_gradient), "case {i}: gradient of x");
            assert!(close(&of(p), &case.parameter_gradient), "case {i}: {:?}", of(p));
        }
    }

    #[test]
    fn learned_steps_follow_their_differences_between_ties() {
        // q is constant between ties, so y = q · step is smooth in the step: the estimator's extra term
        // −x/step inside the range is what LSQ adds; outside the range it is the plain derivative.
        let x = ndarray::arr1(&[9.0f64, -9.0, 30.0]).into_dyn();
        let quantizer = FakeQuantizer { levels: Levels::signed(3), learn: Learn::Lsq };
        let error = crate::autograd::worst_gradient_error(&[ndarray::arr1(&[0.5]).into_dyn()], |t, p| {
            let x = t.constant(x.clone().into_shared());
            quantizer.apply(t, x, p[0], 1)
        });
        // The scale 1/√(1·3) is part of the gradient and not of the function.
        assert!((error - (1.0 - 1.0 / 3f64.sqrt())).abs() < 1e-3, "{error}");
    }
}
