//! The float network's forward pass: the reference for accuracy, and what calibration observes.

use super::{FloatLayer, FloatModel};
use crate::net::{KERNEL, Op, Shape};
use crate::{Error, Result};
use ndarray::{
    Array1, Array2, Array3, Array4, ArrayView2, ArrayView3, ArrayView4, ArrayViewMut3, Axis, linalg, s,
};
use rayon::prelude::*;

/// Where in a layer a tensor stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// What the layer reads: the image, or the previous layer's output after its pool.
    Input,
    /// After weights and bias (and folded batch norm), before the ReLU; the last layer's are the logits.
    PreActivation,
    /// After the ReLU, before the pool; not seen for the last layer.
    Activation,
}

/// A tensor that the forward pass shows to a visitor.
pub struct Seen<'a> {
    /// Index of the layer.
    pub layer: usize,
    /// Which tensor of the layer.
    pub point: Point,
    /// `(image, channel, row, column)`; dense layers have 1×1 maps, except for their input.
    pub values: ArrayView4<'a, f32>,
}

/// Positions of the output that one im2col block holds: keeps the block near the cache's size.
const BLOCK: usize = 1024;
/// Output channels of a dense layer that one task computes.
const DENSE_BLOCK: usize = 64;

impl FloatModel {
    /// Logits `(image, class)` of images `(image, channel, row, column)`, preprocessed as the header says.
    ///
    /// Fails when the images do not have the input's shape.
    pub fn forward(&self, x: &Array4<f32>) -> Result<Array2<f32>> {
        self.forward_with(x, |_| {})
    }

    /// As [`FloatModel::forward`], and shows every layer's input, pre-activation and activation to `visit`,
    /// in the order of execution. Batch norm that is still present is folded first; weights that were trained for codes
    /// are rounded to these.
    pub fn forward_with(&self, x: &Array4<f32>, mut visit: impl FnMut(Seen)) -> Result<Array2<f32>> {
        if self.layers.iter().any(|l| l.batch_norm.is_some()) {
            let mut folded = self.clone();
            folded.fold_batch_norm();
            return folded.forward_with(x, visit);
        }
        let (_, c, h, w) = x.dim();
        let found = Shape { c, h, w };
        if found != self.header.input {
            let reason = format!("images of {found} where {} is needed", self.header.input);
            return Err(Error::bad_layer("input", reason));
        }
        let mut x = x.to_owned();
        for (i, layer) in self.layers.iter().enumerate() {
            let layer = layer.rounded();
            visit(Seen { layer: i, point: Point::Input, values: x.view() });
            x = layer.accumulate(x.view());
            visit(Seen { layer: i, point: Point::PreActivation, values: x.view() });
            if i + 1 < self.layers.len() {
                layer.activate(&mut x);
                visit(Seen { layer: i, point: Point::Activation, values: x.view() });
            }
            if matches!(layer.op, Op::Conv { pool: true, .. }) {
                x = max_pool(x.view());
            }
        }
        let (n, c, h, w) = x.dim();
        Ok(x.into_shape_with_order((n, c * h * w)).expect("the pass makes contiguous arrays"))
    }
}

impl FloatLayer {
    /// What the next layer reads of `(image, channel, row, column)`: weights, bias, ReLU and pool.
    pub fn hidden(&self, x: ArrayView4<f32>) -> Array4<f32> {
        let mut y = self.accumulate(x);
        self.activate(&mut y);
        if matches!(self.op, Op::Conv { pool: true, .. }) { max_pool(y.view()) } else { y }
    }

    /// The layer's ReLU.
    fn activate(&self, x: &mut Array4<f32>) {
        let most = self.saturation.unwrap_or(f32::INFINITY);
        x.par_mapv_inplace(|v| v.max(0.0).min(most));
    }

    /// Weights and bias applied to `(image, channel, row, column)`.
    fn accumulate(&self, x: ArrayView4<f32>) -> Array4<f32> {
        let (n, c, h, w) = x.dim();
        let co = self.op.co();
        let reduction = self.op.reduction(Shape { c, h, w });
        let weight = ArrayView2::from_shape((co, reduction), &self.weight).expect("validated");
        match self.op {
            Op::Conv { .. } => conv(weight, &self.bias, x),
            Op::Dense { .. } => {
                let flat = x.to_shape((n, reduction)).expect("same length");
                let y = dense(weight, &self.bias, flat.view());
                y.into_shape_with_order((n, co, 1, 1)).expect("same length")
            }
        }
    }
}

/// 3×3 convolution, zero padding 1: blocks of rows of im2col times the weights, in parallel over both.
fn conv(weight: ArrayView2<f32>, bias: &[f32], x: ArrayView4<f32>) -> Array4<f32> {
    let (n, _, h, w) = x.dim();
    let rows = (BLOCK / w).clamp(1, h.div_ceil(2));
    let mut y = Array4::zeros((n, bias.len(), h, w));
    y.axis_iter_mut(Axis(0)).into_par_iter().zip(x.axis_iter(Axis(0))).for_each(|(mut y, x)| {
        let blocks = y.axis_chunks_iter_mut(Axis(1), rows).into_par_iter().enumerate();
        blocks.for_each(|(b, y)| conv_block(weight, bias, x, b * rows, y));
    });
    y
}

/// Rows `first …` of one image's convolution, as many as `y` `(co, rows, w)` has.
fn conv_block(
    weight: ArrayView2<f32>,
    bias: &[f32],
    x: ArrayView3<f32>,
    first: usize,
    mut y: ArrayViewMut3<f32>,
) {
    let (co, rows, w) = y.dim();
    let columns = im2col(x, first, rows);
    let columns = columns.into_shape_with_order((weight.ncols(), rows * w)).expect("same length");
    let mut acc = Array2::from_shape_fn((co, rows * w), |(c, _)| bias[c]);
    linalg::general_mat_mul(1.0, &weight, &columns, 1.0, &mut acc);
    y.assign(&acc.into_shape_with_order((co, rows, w)).expect("same length"));
}

/// `(channel · 9 + ky · 3 + kx, row, column)`: the 3×3 neighbourhoods of rows `first … first + rows`.
fn im2col(x: ArrayView3<f32>, first: usize, rows: usize) -> Array3<f32> {
    let (ci, h, w) = x.dim();
    let mut columns = Array3::zeros((ci * KERNEL * KERNEL, rows, w));
    for (k, mut plane) in columns.outer_iter_mut().enumerate() {
        let (c, ky, kx) = (k / 9, k / 3 % 3, k % 3);
        let (to, from) = match kx {
            0 => (1..w, 0..w - 1),
            1 => (0..w, 0..w),
            _ => (0..w - 1, 1..w),
        };
        for (i, mut row) in plane.outer_iter_mut().enumerate() {
            let y = first + i + ky; // one past the row read
            if (1..=h).contains(&y) {
                row.slice_mut(s![to.clone()]).assign(&x.slice(s![c, y - 1, from.clone()]));
            }
        }
    }
    columns
}

/// `x (image, inputs) · weightᵀ + bias`, in parallel over outputs.
fn dense(weight: ArrayView2<f32>, bias: &[f32], x: ArrayView2<f32>) -> Array2<f32> {
    let mut y = Array2::zeros((bias.len(), x.nrows()));
    let blocks = y.axis_chunks_iter_mut(Axis(0), DENSE_BLOCK).into_par_iter();
    blocks.zip(weight.axis_chunks_iter(Axis(0), DENSE_BLOCK)).for_each(|(mut y, weight)| {
        if x.nrows() == 1 {
            y.column_mut(0).assign(&weight.dot(&x.row(0)));
        } else {
            linalg::general_mat_mul(1.0, &weight, &x.t(), 0.0, &mut y);
        }
    });
    let bias = Array1::from_iter(bias.iter().copied());
    let y = y.reversed_axes() + &bias;
    y.as_standard_layout().into_owned()
}

/// 2×2 max pool, stride 2, floor on odd sizes.
fn max_pool(x: ArrayView4<f32>) -> Array4<f32> {
    let (n, c, h, w) = x.dim();
    let mut y = Array4::zeros((n, c, h / 2, w / 2));
    y.outer_iter_mut().into_par_iter().zip(x.outer_iter()).for_each(|(mut y, x)| {
        y.indexed_iter_mut().for_each(|((c, i, j), y)| {
            let at = |di, dj| x[[c, 2 * i + di, 2 * j + dj]];
            *y = at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1));
        });
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Header, Preprocessing};

    fn layer(name: &str, op: Op, weight: Vec<f32>, bias: Vec<f32>) -> FloatLayer {
        FloatLayer {
            name: name.into(),
            op,
            weight,
            bias,
            batch_norm: None,
            quantizer: None,
            saturation: None,
        }
    }

    fn model(input: Shape, layers: Vec<FloatLayer>) -> FloatModel {
        let preprocessing = Preprocessing::unit(input.c);
        FloatModel { header: Header { name: "test".into(), input, preprocessing, classes: vec![] }, layers }
    }

    /// A kernel that picks the upper left neighbour shifts the image down and right; worked out by hand.
    #[test]
    fn a_shift_a_pool_and_a_sum() {
        let mut kernel = vec![0.0; 9];
        kernel[0] = 1.0;
        let net = model(
            Shape { c: 1, h: 3, w: 2 },
            vec![
                layer("conv", Op::Conv { co: 1, pool: true }, kernel, vec![-1.0]),
                layer("fc", Op::Dense { co: 2 }, vec![2.0, -2.0], vec![0.5, 0.25]),
            ],
        );
        let x = Array4::from_shape_vec((1, 1, 3, 2), vec![5.0, 2.0, 3.0, 4.0, 7.0, 9.0]).unwrap();
        let mut seen = vec![];
        let y = net
            .forward_with(&x, |s| seen.push((s.layer, s.point, s.values.iter().copied().collect::<Vec<_>>())))
            .unwrap();
        assert_eq!(seen[1].2, [-1.0, -1.0, -1.0, 4.0, -1.0, 2.0]);
        assert_eq!(seen[2].2, [0.0, 0.0, 0.0, 4.0, 0.0, 2.0]);
        assert_eq!(seen[3], (1, Point::Input, vec![4.0]));
        assert_eq!(seen.len(), 5);
        assert_eq!(y.as_slice().unwrap(), [8.5, -7.75]);
    }

    /// Blocks of rows and threads do not change the sums: against the definition, term by term.
    #[test]
    fn convolution_is_its_definition() {
        let (ci, co, h, w) = (3, 4, 70, 33);
        let at = |i: usize| ((i * 2_654_435_761) % 1009) as f32 / 64.0 - 8.0;
        let x = Array4::from_shape_fn((2, ci, h, w), |(n, c, i, j)| at(((n * ci + c) * h + i) * w + j));
        let weight: Vec<f32> = (0..co * ci * 9).map(|i| at(i + 77) / 8.0).collect();
        let bias: Vec<f32> = (0..co).map(at).collect();
        let y = conv(ArrayView2::from_shape((co, ci * 9), &weight).unwrap(), &bias, x.view());
        for ((n, o, i, j), &y) in y.indexed_iter() {
            let mut want = bias[o] as f64;
            for (c, ky, kx) in (0..ci * 9).map(|k| (k / 9, k / 3 % 3, k % 3)) {
                let (r, q) = ((i + ky).wrapping_sub(1), (j + kx).wrapping_sub(1));
                if r < h && q < w {
                    want += weight[((o * ci + c) * 3 + ky) * 3 + kx] as f64 * x[[n, c, r, q]] as f64;
                }
            }
            assert!((y as f64 - want).abs() < 1e-3, "{n} {o} {i} {j}: {y} {want}");
        }
    }

    #[test]
    fn images_of_the_wrong_size_are_refused() {
        let net =
            model(Shape { c: 1, h: 1, w: 1 }, vec![layer("fc", Op::Dense { co: 1 }, vec![1.0], vec![0.0])]);
        let error = net.forward(&Array4::zeros((1, 1, 2, 1))).unwrap_err();
        assert_eq!(error.to_string(), "layer input: images of 1×2×1 where 1×1×1 is needed");
        assert_eq!(net.forward(&Array4::zeros((0, 1, 1, 1))).unwrap().dim(), (0, 1));
    }
}
