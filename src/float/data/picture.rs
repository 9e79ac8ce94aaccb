//! A picture in memory.

use crate::net::{Filter, LONGEST};
use crate::{Error, Result, store};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image};
use image::{ImageDecoder, ImageFormat, ImageReader, Limits, metadata::Orientation};
use std::io::Cursor;
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
    /// Reads a picture file, whatever its name says: PNG, JPEG, WebP, BMP, TIFF, GIF (the first frame) or PNM. Transparency is
    /// dropped, 16 bits become 8. With `turned`, as its EXIF orientation says; Pillow and torchvision do not turn by
    /// themselves.
    ///
    /// # Errors
    /// A file that cannot be decoded, a JPEG that ends before its image does, or sides above [`LONGEST`].
    pub fn read(path: &Path, turned: bool) -> Result<Self> {
        let bad = |reason: String| Error::bad_file(path, reason);
        let bytes = store::read_file(path)?;
        let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(Error::io(path))?;
        let format = reader.format();
        if format == Some(ImageFormat::Jpeg) && !is_whole_jpeg(&bytes) {
            return Err(bad("is a JPEG that is cut short: its end marker is missing".into()));
        }
        let failed = |e: image::ImageError| Error::bad_file(path, format!("cannot be decoded: {e}"));
        let mut decoder = reader.into_decoder().map_err(failed)?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(LONGEST as u32);
        limits.max_image_height = Some(LONGEST as u32);
        limits.max_alloc = Some(MOST_BYTES);
        decoder.set_limits(limits).map_err(failed)?;
        let orientation =
            if turned { decoder.orientation().map_err(failed)? } else { Orientation::NoTransforms };
        let mut image = image::DynamicImage::from_decoder(decoder).map_err(failed)?;
        image.apply_orientation(orientation);
        Ok(match image.color().has_color() {
            true => Self::of(3, image.width(), image.height(), image.into_rgb8().into_raw()),
            false => Self::of(1, image.width(), image.height(), image.into_luma8().into_raw()),
        })
    }

    fn of(channels: usize, width: u32, height: u32, bytes: Vec<u8>) -> Self {
        Self { height: height as usize, width: width as usize, channels, bytes }
    }

    /// The picture with `filter`, resized to `height × width` as torchvision does with antialiasing, and Pillow below 13: where the
    /// picture shrinks, the filter is as wide as the pixels that become one.
    pub(super) fn resized(&self, height: usize, width: usize, filter: Filter) -> Self {
        let filter = match filter {
            Filter::Bilinear => FilterType::Bilinear,
            Filter::Bicubic => FilterType::CatmullRom,
        };
        let pixel = if self.channels == 1 { PixelType::U8 } else { PixelType::U8x3 };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
        let (w, h) = (self.width as u32, self.height as u32);
        let mut image =
            Image::from_vec_u8(w, h, self.bytes.clone(), pixel).expect("a picture has all its bytes");
        // Rows first, and bytes again before the columns: bicubic overshoots and is clipped twice.
        for (w, h) in [(width as u32, h), (width as u32, height as u32)] {
            if (w, h) != (image.width(), image.height()) {
                let mut to = Image::new(w, h, pixel);
                Resizer::new().resize(&image, &mut to, &options).expect("both have the same pixels");
                image = to;
            }
        }
        Self::of(self.channels, image.width(), image.height(), image.into_vec())
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

/// Whether a JPEG goes on to its end marker; decoders make grey of what is missing. Segments are skipped by their lengths (a
/// thumbnail in one has an end of its own); in the image's data a marker is `FF` before anything but `00` and `D0` … `D7`.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut at = 2; // behind the start of the image
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        match (first, marker) {
            (0xff, END) => return true,
            (0xff, 0xff) | (0..=0xfe, _) => at += 1,
            (0xff, 0 | 1 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        }
    }
    false
}
