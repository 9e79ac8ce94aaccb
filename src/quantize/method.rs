//! Choosing a step for a distribution of values.

use super::Mode;
use super::histogram::{Distribution, Point};
use crate::arith::{self, Levels, Step};
use serde::Serialize;

/// How much of the range the codes cover.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// All of it: nothing is clipped.
    MinMax,
    /// This percentage of the values, largest magnitudes clipped.
    Percentile(f64),
    /// As much as gives the least mean squared error.
    Mse,
}

/// Free steps tried by [`Method::Mse`], from the whole range downwards.
const CANDIDATES: u32 = 64;
/// The narrowest range tried, as a share of the whole.
const NARROWEST: f64 = 1.0 / 16.0;

impl Method {
    /// The step for values `of` as codes in `levels`; `None` when there is no value but 0.
    pub fn step(self, of: &Distribution, levels: Levels, mode: Mode) -> Option<Step> {
        let whole = covering(of.min, of.max, levels)?;
        match (self, mode) {
            (Method::MinMax, Mode::Free) => Some(whole),
            (Method::MinMax, Mode::Pow2) => Some(power_of_two_above(whole)),
            (Method::Percentile(p), mode) => {
                let (min, max) = central(&of.points, p);
                let step = covering(min, max, levels).unwrap_or(whole);
                Some(if mode == Mode::Pow2 { power_of_two_above(step) } else { step })
            }
            (Method::Mse, mode) => Some(least_error(&of.points, levels, candidates(whole, mode))),
        }
    }
}

/// The least step with which no value in `min … max` is clipped. Levels without a sign cannot hold negative
/// values: these are not looked at.
fn covering(min: f32, max: f32, levels: Levels) -> Option<Step> {
    let up = if levels.b > 0 { f64::from(max) / f64::from(levels.b) } else { 0.0 };
    let down = if levels.a < 0 { f64::from(min) / f64::from(levels.a) } else { 0.0 };
    Step::new(up.max(down) as f32)
}

/// The least power of two that is not below `step`.
pub fn power_of_two_above(step: Step) -> Step {
    let near = step.nearest_power_of_two();
    if near.get() >= step.get() { near } else { Step::new(near.get() * 2.0).unwrap_or(near) }
}

/// Least and greatest value when the share `100 − percent` of largest magnitudes is left out.
fn central(points: &[Point], percent: f64) -> (f32, f32) {
    let mut by_magnitude: Vec<_> = points.to_vec();
    by_magnitude.sort_by(|p, q| p.value.abs().total_cmp(&q.value.abs()));
    let total: u64 = points.iter().map(|p| p.count).sum();
    let mut left = total as f64 * percent / 100.0;
    let kept = by_magnitude.into_iter().take_while(|p| {
        let keep = left > 0.0;
        left -= p.count as f64;
        keep
    });
    kept.fold((0.0, 0.0), |(min, max): (f32, f32), p| (min.min(p.value), max.max(p.value)))
}

fn candidates(whole: Step, mode: Mode) -> Vec<Step> {
    let of = |share: f64| Step::new((f64::from(whole.get()) * share) as f32);
    match mode {
        Mode::Free => {
            let share = |i| 1.0 - (1.0 - NARROWEST) * f64::from(i) / f64::from(CANDIDATES);
            (0..=CANDIDATES).filter_map(|i| of(share(i))).collect()
        }
        Mode::Pow2 => {
            let top = f64::from(power_of_two_above(whole).get());
            (0..6).filter_map(|i| Step::new((top / f64::from(1 << i)) as f32)).collect()
        }
    }
}

/// Of equally good steps the first.
fn least_error(points: &[Point], levels: Levels, candidates: Vec<Step>) -> Step {
    let scored = candidates.into_iter().map(|step| (squared_error(points, step, levels), step));
    scored.min_by(|a, b| a.0.total_cmp(&b.0)).expect("the whole range is a candidate").1
}

/// Σ (x − q(x)·step)² over the values.
fn squared_error(points: &[Point], step: Step, levels: Levels) -> f64 {
    let error = |p: &Point| {
        let back = arith::dequantize(arith::quantize(p.value, step, levels), step);
        p.count as f64 * (f64::from(p.value) - f64::from(back)).powi(2)
    };
    points.iter().map(error).sum()
}

/// What a quantizer does to values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Loss {
    /// Share of values beyond the outermost codes.
    pub clipped: f64,
    /// Signal to quantization noise, `10·log10(Σx² / Σ(x − q·step)²)` in dB; `None` when there is no noise.
    pub sqnr_db: Option<f64>,
}

/// Signal, noise and clipped values, summed up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    signal: f64,
    noise: f64,
    clipped: u64,
    count: u64,
}

impl Tally {
    /// Adds values quantized by `step` and `levels`.
    pub fn add(&mut self, points: &[Point], step: Step, levels: Levels) {
        let (low, high) = (levels.a as f32 - 0.5, levels.b as f32 + 0.5);
        for p in points {
            let code = p.value / step.get();
            self.count += p.count;
            self.clipped += if code < low || code > high { p.count } else { 0 };
            self.signal += p.count as f64 * f64::from(p.value).powi(2);
        }
        self.noise += squared_error(points, step, levels);
    }

    /// The sums as shares.
    pub fn loss(&self) -> Loss {
        let sqnr_db = (self.noise > 0.0).then(|| 10.0 * (self.signal / self.noise).log10());
        Loss { clipped: self.clipped as f64 / self.count.max(1) as f64, sqnr_db }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S4: Levels = Levels::signed(4);

    fn step(method: Method, values: &[f32], levels: Levels, mode: Mode) -> f32 {
        method.step(&Distribution::of(values).unwrap(), levels, mode).unwrap().get()
    }

    /// The values 0.00 … 0.99 and one outlier.
    fn outlier() -> Vec<f32> {
        (0..1000).map(|i| (i % 100) as f32 / 100.0).chain([10.0]).collect()
    }

    #[test]
    fn min_max_covers_everything() {
        assert_eq!(step(Method::MinMax, &[-4.0, 3.5], S4, Mode::Free), 0.5);
        assert_eq!(step(Method::MinMax, &[-4.0, 7.0], S4, Mode::Free), 1.0);
        assert_eq!(step(Method::MinMax, &[-4.0, 3.6], S4, Mode::Pow2), 1.0);
        assert_eq!(step(Method::MinMax, &[0.0, 7.5], Levels::unsigned(4), Mode::Free), 0.5);
    }

    #[test]
    fn percentile_leaves_outliers_out() {
        let got = step(Method::Percentile(99.5), &outlier(), Levels::unsigned(4), Mode::Free);
        assert!((got - 0.99 / 15.0).abs() < 1e-4, "{got}");
        let got = step(Method::Percentile(99.5), &outlier(), Levels::unsigned(4), Mode::Pow2);
        assert_eq!(got, 0.125);
        assert_eq!(step(Method::Percentile(100.0), &outlier(), Levels::unsigned(4), Mode::Free), 10.0 / 15.0);
    }

    /// For a uniform density on 0 … 1 with 2 bits, the best of the rounded levels 0 s 2s 3s is s = 2/7: cells of
    /// width s reach 3.5 s = 1.
    #[test]
    fn mse_finds_the_known_optimum() {
        let uniform: Vec<f32> = (0..=10_000).map(|i| i as f32 / 10_000.0).collect();
        let got = step(Method::Mse, &uniform, Levels::unsigned(2), Mode::Free);
        assert!((got - 2.0 / 7.0).abs() < 0.006, "{got}");
        assert_eq!(step(Method::Mse, &uniform, Levels::unsigned(2), Mode::Pow2), 0.25);
    }

    #[test]
    fn nothing_but_zero_has_no_step() {
        for method in [Method::MinMax, Method::Percentile(99.0), Method::Mse] {
            assert_eq!(method.step(&Distribution::of(&[0.0]).unwrap(), S4, Mode::Free), None);
        }
    }

    /// Signal 0.25 + 4 + 100, noise 0.25 (0.5 goes to even) + 0 + 9 (10 is clipped to 7).
    #[test]
    fn losses_by_hand() {
        let points = Distribution::of(&[0.5, 2.0, 10.0]).unwrap().points;
        let mut tally = Tally::default();
        tally.add(&points, Step::new(1.0).unwrap(), S4);
        let loss = tally.loss();
        assert_eq!(loss.clipped, 1.0 / 3.0);
        let want = 10.0 * (104.25f64 / 9.25).log10();
        assert!((loss.sqnr_db.unwrap() - want).abs() < 1e-9, "{loss:?}");
    }
}
