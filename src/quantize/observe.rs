//! What a float network's layers read, over calibration images.

use super::histogram::Histogram;
use crate::float::{FloatModel, Point};
use crate::net::{KERNEL, Op};
use crate::{Error, Result};
use ndarray::{Array4, ArrayView2, ArrayView4, s};

/// Inputs of one layer: the image, or what the layer before passes on after ReLU and pool.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// All values.
    pub values: Histogram,
    /// Mean of each term that a weight multiplies, padding zeros counted, in the order of one output's weights.
    pub means: Vec<f64>,
    /// Sum of the squares of each channel's values.
    pub energy: Vec<f64>,
}

/// Runs `model` over batches of calibration images and gathers what each layer reads.
///
/// # Errors
/// No images at all, and values that are not finite, with the layer's name.
pub fn observe(model: &FloatModel, batches: &[Array4<f32>]) -> Result<Vec<Observed>> {
    let mut observed = vec![Observed::default(); model.layers.len()];
    let mut images = 0;
    for batch in batches {
        let mut broken = None;
        model.forward_with(batch, |seen| {
            if seen.point == Point::Input && broken.is_none() {
                let value = observed[seen.layer].add(model.layers[seen.layer].op, seen.values);
                broken = value.map(|value| (seen.layer, value));
            }
        })?;
        if let Some((layer, value)) = broken {
            let reason = format!("calibration images make it read {value}");
            return Err(Error::bad_layer(&model.layers[layer].name, reason));
        }
        images += batch.len_of(ndarray::Axis(0));
    }
    if images == 0 {
        return Err(Error::usage("--calib", "no calibration images"));
    }
    for mean in observed.iter_mut().flat_map(|o| &mut o.means) {
        *mean /= images as f64;
    }
    Ok(observed)
}

impl Observed {
    /// Adds inputs `(image, channel, row, column)` of a layer; returns a value that is not finite.
    fn add(&mut self, op: Op, x: ArrayView4<f32>) -> Option<f32> {
        let x = x.as_standard_layout();
        let broken = self.values.extend(x.as_slice().expect("standard layout"));
        let energy = |map: ArrayView2<f32>| map.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        self.energy.resize(x.dim().1, 0.0);
        for image in x.outer_iter() {
            self.energy.iter_mut().zip(image.outer_iter()).for_each(|(sum, map)| *sum += energy(map));
            let means: Vec<f64> = match op {
                Op::Conv { .. } => image.outer_iter().flat_map(window_means).collect(),
                Op::Dense { .. } => image.iter().map(|&v| f64::from(v)).collect(),
            };
            self.means.resize(means.len(), 0.0);
            self.means.iter_mut().zip(means).for_each(|(sum, mean)| *sum += mean);
        }
        broken
    }
}

/// Mean of what each of the 3×3 kernel positions reads as it moves over a map with a border of zeros.
fn window_means(map: ArrayView2<f32>) -> Vec<f64> {
    let (h, w) = map.dim();
    let rows: Vec<f64> =
        (0..h * KERNEL).map(|i| f64::from(map.slice(s![i / KERNEL, covered(i % KERNEL, w)]).sum())).collect();
    let sum = |ky: usize, kx: usize| covered(ky, h).map(|y| rows[y * KERNEL + kx]).sum::<f64>();
    let positions = (0..KERNEL * KERNEL).map(|k| (k / KERNEL, k % KERNEL));
    positions.map(|(ky, kx)| sum(ky, kx) / (h * w) as f64).collect()
}

/// Rows (or columns) of `extent` that kernel row `k` reads: all but the last, all, all but the first.
fn covered(k: usize, extent: usize) -> std::ops::Range<usize> {
    let skipped = k.saturating_sub(1);
    skipped..extent - (k == 0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, arr2};

    /// Against the definition: every position of the kernel on the padded map.
    #[test]
    fn window_means_count_the_border() {
        for (h, w) in [(1, 1), (2, 2), (3, 5)] {
            let map = Array2::from_shape_fn((h, w), |(i, j)| (7 * i + 3 * j) as f32 - 2.0);
            let mut padded = Array2::zeros((h + 2, w + 2));
            padded.slice_mut(s![1..=h, 1..=w]).assign(&map);
            let want: Vec<f64> = (0..9)
                .map(|k| {
                    let (ky, kx) = (k / 3, k % 3);
                    f64::from(padded.slice(s![ky..ky + h, kx..kx + w]).sum()) / (h * w) as f64
                })
                .collect();
            let got = window_means(map.view());
            assert!(got.iter().zip(&want).all(|(g, w)| (g - w).abs() < 1e-6), "{got:?} {want:?}");
        }
        let one = window_means(arr2(&[[4.0]]).view());
        assert_eq!(one, [0.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
