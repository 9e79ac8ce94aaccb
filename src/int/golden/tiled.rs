//! Feature maps as the fast convolution wants them.

use crate::net::Shape;
use ndarray::{Array4, ArrayView4, s};
use rayon::prelude::*;

/// Channels of a plane.
pub const CHANNELS: usize = super::kernel::BLOCK;
/// The largest tiles of sums that windows are made for, rows and columns.
const TILE: usize = 4;

/// Codes `(image, plane, row, column, CHANNELS)` of a batch in i16; a plane holds some of the channels, the last one
/// filled up with zeros, in a frame of zeros.
///
/// Rows and columns are those of the windows that cover the map: one before it, and after it one more than fills
/// the last tile.
pub struct Tiled {
    /// Without padding and frame.
    pub shape: Shape,
    /// Number of images.
    pub images: usize,
    data: Vec<i16>,
}

impl Tiled {
    /// In the memory of `buffer`: a frame of zeros around any codes.
    pub fn framed(images: usize, shape: Shape, buffer: Vec<i16>) -> Self {
        let mut this = Self { shape, images, data: buffer };
        let (len, row, plane) = (images * this.image_len(), this.row(), this.plane());
        this.data.resize(len, 0);
        this.data.par_chunks_exact_mut(plane).for_each(|plane| {
            plane[..row].fill(0);
            plane[(shape.h + 1) * row..].fill(0);
            for line in plane[row..].chunks_exact_mut(row).take(shape.h) {
                line[..CHANNELS].fill(0);
                line[(shape.w + 1) * CHANNELS..].fill(0);
            }
        });
        this
    }

    /// The memory.
    pub fn into_buffer(self) -> Vec<i16> {
        self.data
    }

    /// Elements from one row to the next.
    pub fn row(&self) -> usize {
        (self.shape.w.next_multiple_of(TILE) + 2) * CHANNELS
    }

    /// Elements of a plane.
    pub fn plane(&self) -> usize {
        (self.shape.h.next_multiple_of(TILE) + 2) * self.row()
    }

    fn image_len(&self) -> usize {
        self.shape.c.div_ceil(CHANNELS) * self.plane()
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

    /// Where the code of a channel, row and column is in an image.
    fn index(&self, (c, i, j): (usize, usize, usize)) -> usize {
        c / CHANNELS * self.plane() + (i + 1) * self.row() + (j + 1) * CHANNELS + c % CHANNELS
    }

    /// From codes `(image, channel, row, column)` that fit i16, in the memory of `buffer`.
    pub fn from_plain(x: ArrayView4<i32>, mut buffer: Vec<i16>) -> Self {
        let (images, c, h, w) = x.dim();
        buffer.clear();
        let mut this = Self { shape: Shape { c, h, w }, images, data: buffer };
        this.data.resize(images * this.image_len(), 0);
        let map = Self { shape: this.shape, images: 0, data: vec![] };
        this.images_mut().enumerate().for_each(|(n, out)| {
            for (line, codes) in x.slice(s![n, .., .., ..]).rows().into_iter().enumerate() {
                let out = out[map.index((line / h, line % h, 0))..].iter_mut().step_by(CHANNELS);
                out.zip(codes).for_each(|(out, &code)| *out = code as i16);
            }
        });
        this
    }

    /// Codes `(image, channel, row, column)`.
    pub fn to_plain(&self) -> Array4<i32> {
        let Shape { c, h, w } = self.shape;
        let mut out = Array4::zeros((self.images, c, h, w));
        out.outer_iter_mut().into_par_iter().zip(self.images()).for_each(|(mut out, x)| {
            out.indexed_iter_mut().for_each(|(at, code)| *code = x[self.index(at)].into());
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
                Array4::from_shape_fn((2, 39, h, w), |(n, c, i, j)| (n + 2 * c + 80 * i + 600 * j) as i32);
            assert_eq!(Tiled::from_plain(x.view(), vec![7; 9999]).to_plain(), x);
        }
    }
}
