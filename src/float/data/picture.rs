//! A picture in memory.

use crate::net::LONGEST;
use crate::{Error, Result};
use image::{DynamicImage, ImageReader, Limits};
use std::path::Path;

/// Most bytes that decoding one image may take.
const MOST_BYTES: u64 = 1 << 30;

/// A picture of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// `(row, column, channel)`, row-major.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Reads a PNG or JPEG file, whatever its name says. Transparency is dropped, 16 bits become 8.
    pub fn read(path: &Path) -> Result<Self> {
        let mut reader =
            ImageReader::open(path).and_then(|r| r.with_guessed_format()).map_err(Error::io(path))?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(LONGEST as u32);
        limits.max_image_height = Some(LONGEST as u32);
        limits.max_alloc = Some(MOST_BYTES);
        reader.limits(limits);
        let image = reader.decode().map_err(|e| Error::bad_file(path, format!("cannot be decoded: {e}")))?;
        Ok(match image.color().has_color() {
            true => Self::of(3, image.width(), image.height(), image.into_rgb8().into_raw()),
            false => Self::of(1, image.width(), image.height(), image.into_luma8().into_raw()),
        })
    }

    fn of(channels: usize, width: u32, height: u32, bytes: Vec<u8>) -> Self {
        Self { height: height as usize, width: width as usize, channels, bytes }
    }

    /// The picture with `filter`, resized to `height × width`.
    pub(super) fn resized(&self, height: usize, width: usize, filter: image::imageops::FilterType) -> Self {
        if (height, width) == (self.height, self.width) {
            return self.clone();
        }
        let (w, h) = (self.width as u32, self.height as u32);
        let bytes = self.bytes.clone();
        let image = match self.channels {
            1 => image::GrayImage::from_raw(w, h, bytes).map(DynamicImage::from),
            _ => image::RgbImage::from_raw(w, h, bytes).map(DynamicImage::from),
        };
        let image =
            image.expect("a picture has all its bytes").resize_exact(width as u32, height as u32, filter);
        Self::of(self.channels, image.width(), image.height(), image.into_bytes())
    }

    /// The picture in one channel of luminance (ITU-R BT.601, as Pillow's `convert("L")`) or in three.
    pub(super) fn with_channels(self, channels: usize) -> Self {
        let bytes = match (self.channels, channels) {
            (1, 3) => self.bytes.iter().flat_map(|&v| [v; 3]).collect(),
            (3, 1) => self.bytes.chunks_exact(3).map(|p| luminance(p[0], p[1], p[2])).collect(),
            _ => return self,
        };
        Self { channels, bytes, ..self }
    }
}

/// 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point.
fn luminance(r: u8, g: u8, b: u8) -> u8 {
    ((19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b) + (1 << 15)) >> 16) as u8
}
