//! Steps to start from.

use crate::arith::{self, Levels, Step};

/// Elements that the search looks at.
const SAMPLE: usize = 8192;
/// Candidates: fractions of the step that clips nothing.
const CANDIDATES: usize = 40;

/// The step, of 40 between 1/40 and 1 of the one that clips nothing, with the least mean squared error.
/// Large tensors are searched on a regular sample; a tensor of zeros gives the step 1.
pub fn mse_step(x: &[f32], levels: Levels) -> Step {
    let stride = x.len().div_ceil(SAMPLE).max(1);
    let sample: Vec<f32> = x.iter().copied().step_by(stride).filter(|x| x.is_finite()).collect();
    let reach = |x: &f32| if *x < 0.0 { x / levels.a.min(-1) as f32 } else { x / levels.b.max(1) as f32 };
    let top = x.iter().filter(|x| x.is_finite()).map(reach).fold(0.0, f32::max);
    let candidates = (1..=CANDIDATES).filter_map(|k| Step::new(top * k as f32 / CANDIDATES as f32));
    let error = |step: Step| {
        let e = |&x: &f32| f64::from(arith::dequantize(arith::quantize(x, step, levels), step) - x).powi(2);
        sample.iter().map(e).sum::<f64>()
    };
    candidates
        .map(|step| (error(step), step))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(Step::new(1.0).expect("positive"), |(_, step)| step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_is_clipped() {
        let mut x: Vec<f32> = (0..4000).map(|i| i as f32 / 4000.0).collect();
        let plain = mse_step(&x, Levels::unsigned(4)).get();
        assert!((0.05..0.08).contains(&plain), "{plain}");
        x.push(4.0);
        assert!(mse_step(&x, Levels::unsigned(4)).get() < 0.15);
    }

    #[test]
    fn zeros_give_a_step() {
        assert_eq!(mse_step(&[0.0; 4], Levels::signed(4)).get(), 1.0);
    }
}
