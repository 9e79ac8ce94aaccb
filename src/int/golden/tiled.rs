//! Feature maps as the fast convolution wants them.

use crate::net::Shape;
use ndarray::{Array4, ArrayView4, s};
use rayon::prelude::*;

/// Channels are padded to a multiple of this.
pub const CHANNELS: usize = super::kernel::LANES;

/// Codes `(image, row, column, channel)` of a batch in i16, channels padded with zeros, in a frame of zeros.
///
/// Rows and columns are those of the 4×4 windows, at stride 2, that cover the map: one before the map, and one
/// or two (even or odd extent) after it.
pub struct Tiled {
    /// Without padding and frame.
    pub shape: Shape,
    images: usize,
    data: Vec<i16>,
}

impl Tiled {
    /// All zeros.
    pub fn zeros(images: usize, shape: Shape) -> Self {
        let mut this = Self { shape, images, data: vec![] };
        this.data = vec![0; images * this.image_len()];
        this
    }

    /// 2×2 tiles in a column of tiles and in a row of tiles.
    pub fn tiles(&self) -> (usize, usize) {
        (self.shape.h.div_ceil(2), self.shape.w.div_ceil(2))
    }

    /// Elements from one column to the next.
    pub fn column(&self) -> usize {
        self.shape.c.next_multiple_of(CHANNELS)
    }

    /// Elements from one row to the next.
    pub fn row(&self) -> usize {
        (2 * self.tiles().1 + 2) * self.column()
    }

    fn image_len(&self) -> usize {
        (2 * self.tiles().0 + 2) * self.row()
    }

    /// Image by image, frame included.
    pub fn images(&self) -> impl IndexedParallelIterator<Item = &[i16]> {
        self.data.par_chunks_exact(self.image_len())
    }

    /// Image by image, frame included.
    pub fn images_mut(&mut self) -> impl IndexedParallelIterator<Item = &mut [i16]> {
        let length = self.image_len();
        self.data.par_chunks_exact_mut(length)
    }

    /// From codes `(image, channel, row, column)` that fit i16.
    pub fn from_plain(x: ArrayView4<i32>) -> Self {
        let (images, c, h, w) = x.dim();
        let mut this = Self::zeros(images, Shape { c, h, w });
        let (row, column) = (this.row(), this.column());
        this.images_mut().enumerate().for_each(|(n, out)| {
            for ((c, i, j), &code) in x.slice(s![n, .., .., ..]).indexed_iter() {
                out[(i + 1) * row + (j + 1) * column + c] = code as i16;
            }
        });
        this
    }

    /// Codes `(image, channel, row, column)`.
    pub fn to_plain(&self) -> Array4<i32> {
        let Shape { c, h, w } = self.shape;
        let mut out = Array4::zeros((self.images, c, h, w));
        out.outer_iter_mut().into_par_iter().zip(self.images()).for_each(|(mut out, x)| {
            for ((c, i, j), code) in out.indexed_iter_mut() {
                *code = x[(i + 1) * self.row() + (j + 1) * self.column() + c].into();
            }
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for (h, w) in [(1, 1), (4, 6), (5, 2), (3, 7)] {
            let x =
                Array4::from_shape_fn((2, 19, h, w), |(n, c, i, j)| (n + 2 * c + 40 * i + 300 * j) as i32);
            assert_eq!(Tiled::from_plain(x.view()).to_plain(), x);
        }
    }
}
