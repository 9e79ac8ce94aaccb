//! How a feature map lies in external memory.
//!
//! Channels come in blocks of [`ArrayConfig::block`]; a block's map is stored row by row, a pixel's channels
//! side by side at A bits each, every row padded to a whole word of the bus. So a stripe of rows of a block is
//! one contiguous run of bursts, and half the bits is half the traffic. The input of a folded layer is one block of
//! [`ArrayConfig::fold_channels`] channels.
//!
//! ```text
//! image → block of channels → row (padded to the bus) → pixel → plane → channel of the block
//! ```
//!
//! There is one plane, unless the layer that reads the map takes wider codes than the build's: then plane j holds bits
//! jA … jA+A−1 of every code. The codes of a folded layer's input lie undivided, as wide as all planes of the build together.

use super::bits::{BitWriter, field};
use crate::config::ArrayConfig;
use crate::net::Shape;
use ndarray::{Array3, ArrayView3};

/// Place and pitches of feature maps, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Shape of one map.
    pub shape: Shape,
    /// Channels of a block.
    pub block: usize,
    /// Planes of a code.
    pub planes: usize,
    /// Bits of an element: of a code in one plane.
    pub bits: u32,
    /// From row to row.
    pub row_pitch: usize,
    /// From block to block.
    pub plane_pitch: usize,
    /// From image to image: the planes, rounded up to whole tiles of the array's rows.
    pub image_pitch: usize,
}

impl Layout {
    /// Layout of maps of `shape`, codes in `planes`, for the accelerator `config`.
    pub fn new(shape: Shape, planes: usize, config: &ArrayConfig) -> Self {
        let (block, bits) = (config.block(), config.act_bits);
        let row_bits = shape.w * planes * block * bits as usize;
        let row_pitch = row_bits.div_ceil(config.bus_bits) * config.bus_bytes();
        let plane_pitch = row_pitch * shape.h;
        let blocks = shape.c.div_ceil(config.rows) * (config.rows / block);
        // A map that is written by a narrower array of rows may have more blocks than whole tiles of rows.
        let blocks = blocks.max(shape.c.div_ceil(block));
        Self { shape, block, planes, bits, row_pitch, plane_pitch, image_pitch: blocks * plane_pitch }
    }

    /// Layout of the input maps of a folded layer: one block of `fold_channels` channels.
    pub fn folded(shape: Shape, config: &ArrayConfig) -> Self {
        let one_block = ArrayConfig {
            rows: config.fold_channels,
            cols: config.fold_channels,
            act_bits: config.code_bits(),
            ..config.clone()
        };
        Self::new(shape, 1, &one_block)
    }

    /// Blocks that hold channels of the map.
    pub fn blocks(&self) -> usize {
        self.shape.c.div_ceil(self.block)
    }

    /// Byte offset of row `y` of block `b` in an image.
    pub fn row(&self, b: usize, y: usize) -> usize {
        b * self.plane_pitch + y * self.row_pitch
    }

    /// The bytes of one image `(channel, row, column)`; channels that do not exist are 0.
    pub fn pack(&self, map: ArrayView3<i32>) -> Vec<u8> {
        let mut out = BitWriter::default();
        let Shape { c: channels, h, w } = self.shape;
        for b in 0..self.image_pitch / self.plane_pitch {
            for y in 0..h {
                for (x, plane) in (0..w).flat_map(|x| (0..self.planes).map(move |plane| (x, plane))) {
                    for c in b * self.block..(b + 1) * self.block {
                        let v = if c < channels { map[[c, y, x]] } else { 0 };
                        out.put(i64::from(v) >> (plane as u32 * self.bits), self.bits);
                    }
                }
                out.align(self.row_pitch);
            }
        }
        out.finish()
    }

    /// One image `(channel, row, column)` from its bytes.
    pub fn unpack(&self, bytes: &[u8], signed: bool) -> Array3<i32> {
        let Shape { c, h, w } = self.shape;
        Array3::from_shape_fn((c, h, w), |(c, y, x)| {
            let row = &bytes[self.row(c / self.block, y)..];
            let part = |plane: usize| {
                let element = (x * self.planes + plane) * self.block + c % self.block;
                let signed = signed && plane + 1 == self.planes;
                field(row, element * self.bits as usize, self.bits, signed) << (plane as u32 * self.bits)
            };
            (0..self.planes).map(part).sum::<i64>() as i32
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_start_on_the_bus_and_maps_round_trip() {
        let config = ArrayConfig { rows: 12, cols: 8, act_bits: 5, bus_bits: 64, ..ArrayConfig::default() };
        let shape = Shape { c: 10, h: 3, w: 5 };
        let layout = Layout::new(shape, 1, &config);
        assert_eq!((layout.block, layout.row_pitch), (4, 16)); // 5 pixels · 4 channels · 5 bits = 100 bits
        assert_eq!(layout.image_pitch, 3 * 3 * 16); // ⌈10 / 12⌉ tiles of 3 blocks, 3 rows
        let map = Array3::from_shape_fn((10, 3, 5), |(c, y, x)| (c * 7 + y * 3 + x) as i32 % 32);
        let bytes = layout.pack(map.view());
        assert_eq!(bytes.len(), layout.image_pitch);
        assert_eq!(layout.unpack(&bytes, false), map);
        // Channel 5 of pixel (1, 0): block 1, row 1, second element of the first pixel.
        assert_eq!(field(&bytes, (3 * 16 + 16) * 8 + 5, 5, false), 38 % 32);
    }
}
