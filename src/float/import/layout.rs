//! Orders of dimensions, and weights brought into another.

use crate::net::{KERNEL, Shape};

/// Positions of a map's dimensions: 0 the channels, 1 the rows, 2 the columns.
pub type Order = [usize; 3];
/// Row, column, channel.
pub const CHANNELS_LAST: Order = [1, 2, 0];

/// Weights `(co, map in order)` as `(co, channel, row, column)`.
pub fn channels_first(weight: Vec<f32>, map: Shape, order: Order) -> Vec<f32> {
    if order == [0, 1, 2] {
        return weight;
    }
    let sizes = [map.c, map.h, map.w];
    let mut strides = [0; 3];
    let mut stride = 1;
    for &axis in order.iter().rev() {
        strides[axis] = stride;
        stride *= sizes[axis];
    }
    let mut out = Vec::with_capacity(weight.len());
    for row in weight.chunks_exact(map.len().max(1)) {
        for c in 0..map.c {
            for y in 0..map.h {
                let from = c * strides[0] + y * strides[1];
                out.extend((0..map.w).map(|x| row[from + x * strides[2]]));
            }
        }
    }
    out
}

/// A kernel `(rows, columns, inputs, outputs)` as `(outputs, inputs, rows, columns)`, a matrix `(inputs, outputs)` as
/// `(outputs, inputs)`; others as they are.
pub fn outputs_first(shape: Vec<usize>, values: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let order: &[usize] = match shape.len() {
        4 => &[3, 2, 0, 1],
        2 => &[1, 0],
        _ => return (shape, values),
    };
    let array = ndarray::ArrayD::from_shape_vec(shape, values).expect("as many numbers as the shape says");
    let turned = array.permuted_axes(order.to_vec());
    (turned.shape().into(), turned.iter().copied().collect())
}

/// A 1×1 kernel is a 3×3 kernel with zeros around it.
pub fn in_the_centre(weight: &[f32]) -> Vec<f32> {
    let kernel = |w: &f32| {
        (0..KERNEL * KERNEL).map(|i| if i == KERNEL * KERNEL / 2 { *w } else { 0.0 }).collect::<Vec<_>>()
    };
    weight.iter().flat_map(kernel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flatten_in_rows_columns_channels_is_undone() {
        // Two channels of 1×2: (row, column, channel) order is c0x0 c1x0 c0x1 c1x1.
        let map = Shape { c: 2, h: 1, w: 2 };
        assert_eq!(channels_first(vec![1.0, 2.0, 3.0, 4.0], map, CHANNELS_LAST), [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(in_the_centre(&[7.0]), [0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
