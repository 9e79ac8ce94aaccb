//! Distributions of values: exact for a few, a histogram in constant memory for any amount.

/// Bins on either side of zero.
const HALF: usize = 1 << 13;

/// Values sorted into bins of equal width around zero; the width doubles when a value falls outside.
///
/// Each bin keeps count and sum, so that a value alone in its bin is kept exactly.
#[derive(Clone, Debug)]
pub struct Histogram {
    width: f64,
    bins: Vec<Bin>, // bin HALF starts at 0
    min: f32,
    max: f32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    count: u64,
    sum: f64,
}

/// `count` values near `value`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Mean of the values.
    pub value: f32,
    /// Number of values.
    pub count: u64,
}

/// What choosing a step needs to know about values.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Least value.
    pub min: f32,
    /// Greatest value.
    pub max: f32,
    /// All values, none twice.
    pub points: Vec<Point>,
}

impl Distribution {
    /// Of a few values, exactly; `None` when there are none.
    pub fn of(values: &[f32]) -> Option<Self> {
        let (min, max) = (values.iter().copied().reduce(f32::min)?, values.iter().copied().reduce(f32::max)?);
        Some(Self { min, max, points: values.iter().map(|&value| Point { value, count: 1 }).collect() })
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { width: 0.0, bins: vec![Bin::default(); 2 * HALF], min: f32::INFINITY, max: f32::NEG_INFINITY }
    }
}

impl Histogram {
    /// The histogram of `values`.
    pub fn of(values: &[f32]) -> Self {
        let mut histogram = Self::default();
        histogram.extend(values);
        histogram
    }

    /// Adds finite values; returns the first NaN or infinity instead, if there is one.
    pub fn extend<'a>(&mut self, values: impl IntoIterator<Item = &'a f32> + Clone) -> Option<f32> {
        let (mut min, mut max) = (self.min, self.max);
        for &v in values.clone() {
            if !v.is_finite() {
                return Some(v);
            }
            min = min.min(v);
            max = max.max(v);
        }
        (self.min, self.max) = (min, max);
        self.reach(f64::from(max.max(-min)));
        let scale = if self.width > 0.0 { 1.0 / self.width } else { 0.0 };
        for &v in values {
            let bin = &mut self.bins[index(f64::from(v) * scale)];
            bin.count += 1;
            bin.sum += f64::from(v);
        }
        None
    }

    /// The values as one point a bin in use, in ascending order; `None` when there are no values.
    pub fn distribution(&self) -> Option<Distribution> {
        let used = self.bins.iter().filter(|b| b.count > 0);
        let points = used.map(|b| Point { value: (b.sum / b.count as f64) as f32, count: b.count }).collect();
        (self.min <= self.max).then_some(Distribution { min: self.min, max: self.max, points })
    }

    /// Widens the bins until `magnitude` falls into one.
    fn reach(&mut self, magnitude: f64) {
        if self.width == 0.0 {
            self.width = magnitude * (1.0 + 1e-6) / HALF as f64;
        }
        while self.width > 0.0 && magnitude >= self.width * HALF as f64 {
            self.width *= 2.0;
            self.halve();
        }
    }

    /// Joins pairs of bins: index `i` counted from the middle moves to `i / 2`.
    fn halve(&mut self) {
        let mut bins = vec![Bin::default(); 2 * HALF];
        for (i, bin) in self.bins.iter().enumerate() {
            let to = &mut bins[HALF / 2 + i / 2];
            to.count += bin.count;
            to.sum += bin.sum;
        }
        self.bins = bins;
    }
}

/// Bin of a value in units of the width: −1.2 lies in bin HALF − 2.
fn index(v: f64) -> usize {
    ((v + HALF as f64).max(0.0) as usize).min(2 * HALF - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_kept_exactly() {
        let values = [-3.5f32, -0.25, 0.0, 0.1, 7.25];
        assert_eq!(Histogram::of(&values).distribution(), Distribution::of(&values));
        assert_eq!(Distribution::of(&values).map(|d| (d.min, d.max)), Some((-3.5, 7.25)));
        assert_eq!(Histogram::default().distribution(), None);
        assert_eq!(Distribution::of(&[]), None);
    }

    #[test]
    fn growing_loses_no_value_and_no_sum() {
        let mut h = Histogram::default();
        let values: Vec<f32> = (0..50_000).map(|i| (i as f32 - 20_000.0) * 0.37).collect();
        for part in values.chunks(77) {
            assert_eq!(h.extend(part), None);
        }
        let points = h.distribution().unwrap().points;
        assert_eq!(points.iter().map(|p| p.count).sum::<u64>(), 50_000);
        let sum: f64 = points.iter().map(|p| f64::from(p.value) * p.count as f64).sum();
        let want: f64 = values.iter().map(|&v| f64::from(v)).sum();
        assert!((sum / want - 1.0).abs() < 1e-6, "{sum} {want}");
        assert!(points.is_sorted_by(|a, b| a.value < b.value));
        // A point stands for values within one bin of it: 2 · 11,100 / 2^14 at worst twice that.
        assert!(points.windows(2).all(|p| p[1].value - p[0].value < 3.0));
    }

    #[test]
    fn what_is_not_finite_is_returned() {
        assert!(Histogram::default().extend(&[1.0, f32::NAN]).unwrap().is_nan());
        assert_eq!(Histogram::default().extend(&[f32::INFINITY]), Some(f32::INFINITY));
    }

    #[test]
    fn zeros_alone_are_fine() {
        let mut h = Histogram::of(&[0.0, 0.0]);
        assert_eq!(h.distribution().unwrap().points, [Point { value: 0.0, count: 2 }]);
        h.extend(&[1.0]);
        assert_eq!(h.distribution().unwrap().points.len(), 2);
    }
}
