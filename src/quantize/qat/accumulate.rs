//! The activation quantizer of a quantized layer: item 3 of the arithmetic contract with a gradient.

use super::FakeQuantizer;
use super::layer::Integers;
use super::learn::straight_through;
use crate::arith::{self, Step};
use crate::autograd::{Real, Tape, Var, per_channel_sum};
use ndarray::{ArrayD, IxDyn};
use rayon::prelude::*;

impl FakeQuantizer {
    /// From sums `(…, co)` of products of dequantized codes to dequantized output codes.
    ///
    /// Forward: the integer accumulator behind each sum, plus the integer bias, requantized by the layer's
    /// `m / 2^s`: bit for bit what golden model and hardware compute, as long as the sums are accurate.
    /// Backward: as of `clip(rne((sum + bias) / step), a, b) · step` with `step` that of `parameter`.
    pub(super) fn requantize<T: Real>(
        self,
        tape: &mut Tape<T>,
        sums: Var,
        bias: Var,
        parameter: Var,
        integers: &Integers,
    ) -> Var {
        let channels = integers.bias.len();
        let step = self.learn.step(tape.slice(parameter)[0].narrow());
        let mut y = tape.scratch_like(sums);
        let rows = y.as_slice_mut().expect("row-major").par_chunks_mut(channels);
        let (unit, levels) = (T::of(step.get().into()), self.levels);
        rows.zip(tape.slice(sums).par_chunks(channels)).with_min_len(64).for_each(|(y, x)| {
            for c in 0..channels {
                let code = arith::requantize(integers.accumulator(c, x[c].wide()), integers.by(c), levels);
                y[c] = T::of(code.into()) * unit;
            }
        });
        tape.push(y, &[sums, bias, parameter], move |tape, out, mut g| {
            let image = tape.value(out).len() / tape.shape(out)[0].max(1);
            let totals = self.requantize_backward(tape, [sums, bias, out], step, &mut g);
            let slope = totals.iter().map(|t| t[1]).sum::<f64>() * self.learn.factor(step, image, levels);
            if tape.is_differentiable(parameter) {
                tape.accumulate(parameter, ArrayD::from_elem(IxDyn(&[1]), T::of(slope)));
            }
            let biases = totals.iter().map(|t| T::of(t[0])).collect();
            tape.accumulate(bias, ArrayD::from_shape_vec(IxDyn(&[channels]), biases).expect("one a channel"));
            tape.accumulate(sums, g);
        })
    }

    /// Gates `g` in place; for each channel the sums of the gated gradient and of `g · ∂y/∂step`.
    fn requantize_backward<T: Real>(
        self,
        tape: &Tape<T>,
        [sums, bias, out]: [Var; 3],
        step: Step,
        g: &mut ArrayD<T>,
    ) -> Vec<[f64; 2]> {
        let channels = tape.value(bias).len();
        let inverse = 1.0 / f64::from(step.get());
        let (x, b, y) = (tape.slice(sums), tape.slice(bias), tape.slice(out));
        let at = |c: usize, x: T, y: T| {
            straight_through((x.wide() + b[c].wide()) * inverse, y.wide() * inverse, self.levels)
        };
        let elements = g.as_slice_mut().expect("row-major");
        let totals = per_channel_sum([elements, x, y], channels, |c, [g, x, y]| {
            let ((inside, slope), g) = (at(c, x, y), g.wide());
            [if inside { g } else { 0.0 }, g * slope]
        });
        let rows = elements.par_chunks_mut(channels).zip(x.par_chunks(channels)).zip(y.par_chunks(channels));
        rows.with_min_len(64).for_each(|((g, x), y)| {
            for c in 0..channels {
                g[c] = if at(c, x[c], y[c]).0 { g[c] } else { T::zero() };
            }
        });
        totals
    }
}
