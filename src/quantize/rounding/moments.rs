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

/// Moments over positions of x, the terms that a layer of the float network multiplies, and of x̂, what it reads in their
/// place behind quantized layers.
pub struct Moments {
    count: usize,
    /// Mean of x̂.
    pub read: Vec<f64>,
    /// Mean of x.
    pub float: Vec<f64>,
    /// Second moments of x̂.
    pub second: Second,
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

    /// For `positions` of sums of `inputs` terms.
    pub fn new(positions: usize, inputs: usize) -> Self {
        let few = 4 * positions <= inputs || inputs > MOST_PRODUCTS;
        let second = match few {
            true => Second::Rows(Array2::zeros((positions, inputs))),
            false => Second::Products(Array2::zeros((inputs, inputs))),
        };
        Self { count: 0, read: vec![0.0; inputs], float: vec![0.0; inputs], second }
    }

    /// Adds x̂ and x `(position, input)`.
    pub fn add(&mut self, read: &Array2<f32>, float: &Array2<f32>) {
        let first = self.count;
        self.count += read.nrows();
        self.mean(read, float);
        match &mut self.second {
            Second::Rows(rows) => rows.slice_mut(s![first..self.count, ..]).assign(read),
            Second::Products(products) => add_products(products, read.view()),
        }
    }

    /// Means of what is there and of more rows.
    fn mean(&mut self, read: &Array2<f32>, float: &Array2<f32>) {
        let share = read.nrows() as f64 / self.count.max(1) as f64;
        for (means, rows) in [(&mut self.read, read), (&mut self.float, float)] {
            let mut sums = vec![0.0; means.len()];
            rows.outer_iter()
                .for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x)));
            let towards =
                |(mean, sum): (&mut f64, f64)| *mean += sum / self.count.max(1) as f64 - share * *mean;
            means.iter_mut().zip(sums).for_each(towards);
        }
    }

    /// Makes second moments those about the mean, for a layer whose bias takes the mean error.
    pub fn centre(&mut self) {
        let (mean, count) = (&self.read, self.count as f64);
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
