//! Rounding of all weights of a sum so that the sum, not each weight, loses least.

use super::cholesky;
use super::moments::Second;
use crate::arith::{self, Levels, Step};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;

/// Outputs that are rounded together.
const LANES: usize = 16;
type Lanes = [f32; LANES];

/// The quadratic form (w − ŵ)ᵀ·(H + λ·1)·(w − ŵ) that weights w of one output lose when they become ŵ, factored for
/// rounding one input after the other: H + λ·1 = uᵀ·diag(pivots)·u with u upper triangular, its diagonal 1.
pub struct Plane {
    /// The input at each place; places are rounded from the last to the first.
    order: Vec<usize>,
    /// How much the squared error at a place costs once the places before it have made up for what they can.
    pivots: Vec<f64>,
    factor: Factor,
}

/// What a weight is rounded from.
#[derive(Clone, Copy)]
pub enum Way<'a> {
    /// What it should be, and what makes up for the errors of those rounded before it.
    Together,
    /// These `(output, input)`, each by itself.
    Alone(ArrayView2<'a, f32>),
}

enum Factor {
    /// u.
    Triangle(Array2<f32>),
    /// For H = Σ x·xᵀ of few rows: x of each place, and (λ·1 + Σ over places up to it x·xᵀ)⁻¹·x, both `(place, row)`.
    Rows { x: Array2<f32>, gain: Array2<f32> },
}

impl Plane {
    /// `damping` is λ as a share of H's mean diagonal. Places are ordered by H's diagonal, largest last.
    pub fn new(second: &Second, damping: f64) -> Self {
        let diagonal: Vec<f64> = match second {
            Second::Products(h) => h.diag().iter().map(|&h| f64::from(h).max(0.0)).collect(),
            Second::Rows(read) => {
                read.columns().into_iter().map(|x| x.iter().map(|&x| f64::from(x).powi(2)).sum()).collect()
            }
        };
        let mean = diagonal.iter().sum::<f64>() / diagonal.len() as f64;
        let lambda = if mean > 0.0 { damping * mean } else { 1.0 }; // nothing but zeros: every weight for itself
        let mut order: Vec<usize> = (0..diagonal.len()).collect();
        order.sort_by(|&a, &b| diagonal[a].total_cmp(&diagonal[b]));
        match second {
            Second::Products(h) => Self::of_products(h, order, lambda),
            Second::Rows(read) => Self::of_rows(read, order, lambda),
        }
    }

    fn of_products(h: &Array2<f32>, order: Vec<usize>, lambda: f64) -> Self {
        let n = order.len();
        let mut lambda = lambda;
        loop {
            let mut t = Array2::zeros((n, n));
            t.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(i, mut row)| {
                for j in i..n {
                    let (a, b) = (order[i].min(order[j]), order[i].max(order[j]));
                    row[j] = f64::from(h[[a, b]]) + if i == j { lambda } else { 0.0 };
                }
            });
            if cholesky::factor(&mut t).is_err() {
                lambda *= 10.0; // f32 sums lost what makes it positive definite
                continue;
            }
            let pivots = t.diag().iter().map(|p| p * p).collect();
            let mut u = Array2::zeros((n, n));
            u.axis_iter_mut(Axis(0)).into_par_iter().zip(t.axis_iter(Axis(0))).enumerate().for_each(
                |(i, (mut u, t))| {
                    (i..n).for_each(|j| u[j] = (t[j] / t[i]) as f32);
                },
            );
            return Self { order, pivots, factor: Factor::Triangle(u) };
        }
    }

    /// By the formula of Sherman and Morrison, one place more at a time.
    fn of_rows(read: &Array2<f32>, order: Vec<usize>, lambda: f64) -> Self {
        let (rows, n) = read.dim();
        let mut inverse = Array2::from_diag(&Array1::from_elem(rows, 1.0 / lambda));
        let (mut x, mut gain) = (Array2::zeros((n, rows)), Array2::zeros((n, rows)));
        let mut pivots = vec![];
        for (place, &input) in order.iter().enumerate() {
            let column = read.column(input).mapv(f64::from);
            let mut v = Array1::zeros(rows);
            let lines = inverse.axis_iter(Axis(0)).into_par_iter().with_min_len(64);
            lines.zip(v.as_slice_mut().expect("a vector")).for_each(|(line, v)| *v = line.dot(&column));
            let scale = 1.0 + column.dot(&v);
            let lines = inverse.axis_iter_mut(Axis(0)).into_par_iter().with_min_len(64);
            let factors = v.as_slice().expect("a vector");
            lines.zip(factors).for_each(|(mut line, &f)| line.scaled_add(-f / scale, &v));
            pivots.push(lambda * scale);
            x.row_mut(place).assign(&read.column(input));
            gain.row_mut(place).assign(&v.mapv(|v| (v / scale) as f32));
        }
        Self { order, pivots, factor: Factor::Rows { x, gain } }
    }

    /// What weights must have more so that their sums regain what `cross` `(output, input)` says that they lose: its product
    /// with (H + λ·1)⁻¹. Nothing where H is kept as rows.
    pub fn regress(&self, cross: &Array2<f32>) -> Array2<f32> {
        let mut weights = Array2::zeros(cross.dim());
        let Factor::Triangle(u) = &self.factor else { return weights };
        let outputs = weights.axis_chunks_iter_mut(Axis(0), LANES).into_par_iter();
        outputs.zip(cross.axis_chunks_iter(Axis(0), LANES)).for_each(|(mut weights, cross)| {
            let lane = |l: usize, input: usize| cross.get([l, input]).map_or(0.0, |&x| f64::from(x));
            let read = |&input: &usize| std::array::from_fn(|l| lane(l, input));
            let mut y: Vec<[f64; LANES]> = self.order.iter().map(read).collect();
            self.solve(u, &mut y);
            for (&input, y) in self.order.iter().zip(&y) {
                weights.column_mut(input).iter_mut().zip(y).for_each(|(w, &y)| *w = y as f32);
            }
        });
        weights
    }

    /// Makes y, by place, the solution x of uᵀ·diag(pivots)·u·x = y.
    fn solve(&self, u: &Array2<f32>, y: &mut [[f64; LANES]]) {
        let behind = |place: usize| &u.row(place).to_slice().expect("row-major")[place + 1..];
        for place in 0..y.len() {
            let (done, rest) = y.split_at_mut(place + 1);
            for (&u, y) in behind(place).iter().zip(rest) {
                (0..LANES).for_each(|l| y[l] -= f64::from(u) * done[place][l]);
            }
        }
        y.iter_mut().zip(&self.pivots).for_each(|(y, pivot)| y.iter_mut().for_each(|y| *y /= pivot));
        for place in (0..y.len()).rev() {
            let (rest, done) = y.split_at_mut(place + 1);
            for (&u, x) in behind(place).iter().zip(done) {
                (0..LANES).for_each(|l| rest[place][l] -= f64::from(u) * x[l]);
            }
        }
    }

    /// Codes of weights `(output, input)` with one step an output, and what each output loses.
    pub fn codes(
        &self,
        weight: ArrayView2<f32>,
        steps: &[Step],
        levels: Levels,
        way: Way,
    ) -> (Array2<i32>, Vec<f64>) {
        let mut codes = Array2::zeros(weight.dim());
        let mut losses = vec![0.0; weight.nrows()];
        let blocks = codes.axis_chunks_iter_mut(Axis(0), LANES).into_par_iter();
        let weights = weight.axis_chunks_iter(Axis(0), LANES).into_par_iter();
        blocks
            .zip(weights)
            .zip(steps.par_chunks(LANES))
            .zip(losses.par_chunks_mut(LANES))
            .enumerate()
            .for_each(|(block, (((mut codes, weight), steps), losses))| {
                let mut state = vec![[0.0; LANES]; self.state_len()];
                for place in (0..self.order.len()).rev() {
                    let input = self.order[place];
                    let made_up = self.made_up(place, &state);
                    let mut errors = [0.0; LANES];
                    for (l, &step) in steps.iter().enumerate() {
                        let weight = weight[[l, input]];
                        let target = weight + made_up[l];
                        let from = match way {
                            Way::Together => target,
                            Way::Alone(weights) => weights[[block * LANES + l, input]],
                        };
                        let code = arith::quantize(from, step, levels);
                        let value = arith::dequantize(code, step);
                        codes[[l, input]] = code;
                        errors[l] = weight - value;
                        losses[l] += self.pivots[place] * f64::from(target - value).powi(2);
                    }
                    self.note(place, &errors, &mut state);
                }
            });
        (codes, losses)
    }

    fn state_len(&self) -> usize {
        match &self.factor {
            Factor::Triangle(u) => u.nrows(),
            Factor::Rows { x, .. } => x.ncols(),
        }
    }

    /// What the weight at `place` has to add for the errors of the places behind it.
    fn made_up(&self, place: usize, state: &[Lanes]) -> Lanes {
        let (factors, state) = match &self.factor {
            Factor::Triangle(u) => {
                (&u.row(place).to_slice().expect("row-major")[place + 1..], &state[place + 1..])
            }
            Factor::Rows { gain, .. } => (gain.row(place).to_slice().expect("row-major"), state),
        };
        let mut sum = [0.0; LANES];
        for (&f, s) in factors.iter().zip(state) {
            for l in 0..LANES {
                sum[l] += f * s[l];
            }
        }
        sum
    }

    /// Takes the errors at `place` into the state: errors by place, or their sums by row.
    fn note(&self, place: usize, errors: &Lanes, state: &mut [Lanes]) {
        match &self.factor {
            Factor::Triangle(_) => state[place] = *errors,
            Factor::Rows { x, .. } => {
                for (&x, s) in x.row(place).to_slice().expect("row-major").iter().zip(state) {
                    for l in 0..LANES {
                        s[l] += x * errors[l];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::Moments;
    use super::*;
    use serde::Deserialize;

    /// What `tests/gptq_numpy.py` wrote.
    #[derive(Deserialize)]
    struct Case {
        a: i32,
        b: i32,
        /// `(position, input)`.
        x: Vec<Vec<f32>>,
        /// `(output, input)`.
        w: Vec<Vec<f32>>,
        steps: Vec<f32>,
        codes: Vec<Vec<f32>>,
    }

    fn cases() -> Vec<Case> {
        serde_json::from_str(include_str!("../../../tests/fixtures/gptq.json")).unwrap()
    }

    fn array(rows: &[Vec<f32>]) -> Array2<f32> {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
    }

    fn moments(case: &Case) -> Moments {
        let x = array(&case.x);
        let mut moments = Moments::new(x.nrows(), x.ncols(), case.w.len());
        moments.add(&x, &Array2::zeros((x.nrows(), case.w.len())));
        moments
    }

    fn rounded(case: &Case, plane: &Plane, way: Way) -> (Array2<i32>, Vec<f64>) {
        let steps: Vec<Step> = case.steps.iter().map(|&s| Step::new(s).unwrap()).collect();
        plane.codes(array(&case.w).view(), &steps, Levels { a: case.a, b: case.b }, way)
    }

    #[test]
    fn codes_are_those_of_the_paper() {
        let few = |case: &Case| matches!(moments(case).second, Second::Rows(_));
        assert_eq!(cases().iter().map(few).collect::<Vec<_>>(), [false, false, false, true, true]);
        for (i, case) in cases().iter().enumerate() {
            let plane = Plane::new(&moments(case).second, 0.01);
            let codes = rounded(case, &plane, Way::Together).0;
            assert_eq!(codes.mapv(|code| code as f32), array(&case.codes), "case {i}");
        }
    }

    /// The loss that the pivots add up to is the quadratic form.
    #[test]
    fn losses_are_the_quadratic_form() {
        for case in cases() {
            let (x, w) = (array(&case.x).mapv(f64::from), array(&case.w).mapv(f64::from));
            let weights = array(&case.w);
            for way in [Way::Together, Way::Alone(weights.view())] {
                let (codes, losses) = rounded(&case, &Plane::new(&moments(&case).second, 0.01), way);
                let h = x.t().dot(&x);
                let h = &h + &(Array2::<f64>::eye(w.ncols()) * 0.01 * h.diag().mean().unwrap());
                for (c, loss) in losses.iter().enumerate() {
                    let error = &w.row(c) - &(codes.row(c).mapv(f64::from) * f64::from(case.steps[c]));
                    let want = error.dot(&h.dot(&error));
                    assert!((loss - want).abs() < 1e-4 * want, "{loss} {want}");
                }
            }
        }
    }

    /// What the inputs lost as a linear function of what is left comes back as weights.
    #[test]
    fn a_linear_loss_is_regained() {
        let x = Array2::from_shape_fn((400, 5), |(p, i)| ((p * 37 + i * 61 + p * i * 13) % 29) as f32 - 14.0);
        let want = Array2::from_shape_fn((20, 5), |(c, i)| (c as f32 - 9.0) * (i as f32 - 2.0) / 16.0);
        let mut moments = Moments::new(400, 5, 20);
        moments.add(&x, &(x.dot(&want.t()) + 3.0)); // 3 is for the bias
        moments.centre();
        let (cross, share) = moments.regression().unwrap();
        assert_eq!(share, 1.0 - 5.0 / 400.0);
        let got = Plane::new(&moments.second, 1e-6).regress(cross);
        assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() < 1e-3), "{got} {want}");
        assert!(Moments::new(5, 5, 20).regression().is_none());
    }

    #[test]
    fn inputs_that_are_always_zero_round_to_nearest() {
        let w = ndarray::arr2(&[[0.3, -0.8, 1.2]]);
        let mut moments = Moments::new(9, 3, 1);
        moments.add(&Array2::zeros((9, 3)), &Array2::zeros((9, 1)));
        let plane = Plane::new(&moments.second, 0.01);
        let codes = plane.codes(w.view(), &[Step::new(0.5).unwrap()], Levels::signed(4), Way::Together).0;
        assert_eq!(codes, ndarray::arr2(&[[1, -2, 2]]));
    }
}
