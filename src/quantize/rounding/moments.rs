//! Moments of what a layer reads, from which its weights are rounded.

use ndarray::{Array2, ArrayView2, Axis, linalg::general_mat_mul, s};
use rayon::prelude::*;

/// Inputs that a matrix of all their products is made of at the most; 0.5 GB in f64.
const MOST_PRODUCTS: usize = 8192;
/// Positions that are kept one by one where there are more inputs.
const MOST_ROWS: usize = 2048;
/// Positions that suffice for sums of few terms.
const LEAST: usize = 1 << 15;
/// Positions for each term that suffice for sums of many.
const PER_INPUT: usize = 8;
/// Rows of the products that one task sums up.
const BLOCK: usize = 64;

/// Moments over positions of x̂, what a layer reads behind quantized layers, and of what its sums lose by that:
/// w·(x − x̂), with the terms x that the float network multiplies.
pub struct Moments {
    count: usize,
    /// Mean of x̂.
    pub read: Vec<f64>,
    /// Mean of what each output's sums lose.
    pub lost: Vec<f64>,
    /// Second moments of x̂.
    pub second: Second,
    /// Σ w·(x − x̂)·x̂ᵀ, `(output, input)`; without outputs where positions are too few for a regression.
    cross: Array2<f32>,
}

/// How second moments are kept.
pub enum Second {
    /// The upper triangle of Σ x̂·x̂ᵀ.
    Products(Array2<f32>),
    /// Where positions are few, x̂ `(position, input)` itself.
    Rows(Array2<f32>),
}

impl Moments {
    /// Positions that suffice for sums of `inputs` terms.
    pub fn enough(inputs: usize) -> usize {
        if inputs > MOST_PRODUCTS { MOST_ROWS } else { LEAST.max(PER_INPUT * inputs) }
    }

    /// For `positions` of sums of `inputs` terms, one sum an output.
    pub fn new(positions: usize, inputs: usize, outputs: usize) -> Self {
        let few = 4 * positions <= inputs || inputs > MOST_PRODUCTS;
        let second = match few {
            true => Second::Rows(Array2::zeros((positions, inputs))),
            false => Second::Products(Array2::zeros((inputs, inputs))),
        };
        let regressed = if few || positions <= inputs { 0 } else { outputs };
        let cross = Array2::zeros((regressed, inputs));
        Self { count: 0, read: vec![0.0; inputs], lost: vec![0.0; outputs], second, cross }
    }

    /// Adds x̂ `(position, input)` and what sums lose `(position, output)`.
    pub fn add(&mut self, read: &Array2<f32>, lost: &Array2<f32>) {
        let first = self.count;
        self.count += read.nrows();
        let share = read.nrows() as f64 / self.count.max(1) as f64;
        for (means, rows) in [(&mut self.read, read), (&mut self.lost, lost)] {
            let mut sums = vec![0.0; means.len()];
            rows.outer_iter()
                .for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x)));
            let towards =
                |(mean, sum): (&mut f64, f64)| *mean += sum / self.count.max(1) as f64 - share * *mean;
            means.iter_mut().zip(sums).for_each(towards);
        }
        match &mut self.second {
            Second::Rows(rows) => rows.slice_mut(s![first..self.count, ..]).assign(read),
            Second::Products(products) => add_products(products, read.view()),
        }
        if self.cross.nrows() > 0 {
            add_cross(&mut self.cross, lost.view(), read.view());
        }
    }

    /// What makes up for the sums' losses as a linear function of x̂, as Σ of products with x̂ᵀ `(output, input)`, and how much
    /// of it to take: regression on as many terms as there are positions would learn their noise. `None` where positions are
    /// too few.
    pub fn regression(&self) -> Option<(&Array2<f32>, f64)> {
        let share = 1.0 - self.cross.ncols() as f64 / self.count.max(1) as f64;
        (self.cross.nrows() > 0).then_some((&self.cross, share))
    }

    /// Makes second moments those about the mean, for a layer whose bias takes the mean error.
    pub fn centre(&mut self) {
        let (mean, count) = (&self.read, self.count as f64);
        for (row, lost) in self.cross.outer_iter_mut().zip(&self.lost) {
            row.into_iter().zip(mean).for_each(|(x, m)| *x = (f64::from(*x) - count * lost * m) as f32);
        }
        match &mut self.second {
            Second::Rows(rows) => rows
                .outer_iter_mut()
                .for_each(|row| row.into_iter().zip(mean).for_each(|(x, m)| *x = (f64::from(*x) - m) as f32)),
            Second::Products(products) => {
                products.axis_iter_mut(Axis(0)).into_par_iter().zip(mean).for_each(|(row, left)| {
                    let products = row.into_iter().zip(mean);
                    products.for_each(|(x, right)| *x = (f64::from(*x) - count * left * right) as f32);
                });
            }
        }
    }
}

/// Adds the upper triangle of `readᵀ · read`.
fn add_products(products: &mut Array2<f32>, read: ArrayView2<f32>) {
    let blocks = products.axis_chunks_iter_mut(Axis(0), BLOCK).into_par_iter().enumerate();
    blocks.for_each(|(b, mut block)| {
        let first = b * BLOCK;
        let left = read.slice(s![.., first..first + block.nrows()]);
        let mut upper = block.slice_mut(s![.., first..]);
        general_mat_mul(1.0, &left.t(), &read.slice(s![.., first..]), 1.0, &mut upper);
    });
}

/// Adds `lostᵀ · read`.
fn add_cross(cross: &mut Array2<f32>, lost: ArrayView2<f32>, read: ArrayView2<f32>) {
    let blocks = cross.axis_chunks_iter_mut(Axis(1), BLOCK).into_par_iter();
    blocks.zip(read.axis_chunks_iter(Axis(1), BLOCK)).for_each(|(mut block, read)| {
        general_mat_mul(1.0, &lost.t(), &read, 1.0, &mut block);
    });
}
