//! From a picture to the network's input, as the model file's [`Preprocessing`] says.

use super::picture::Picture;
use crate::arith::rne_shift;
use crate::net::{Colour, Fit, Header, LONGEST, Preprocessing, Shape};
use ndarray::Array3;

/// The input `(channel, row, column)` for `picture`; the error says why the picture does not fit the network.
pub fn preprocess(picture: &Picture, header: &Header) -> Result<Array3<f32>, String> {
    Ok(normalise(&fitted(picture, header)?, &header.preprocessing, header.input))
}

/// `picture` with the size and the channels of the network's input; the error says why it does not fit.
pub fn fitted(picture: &Picture, header: &Header) -> Result<Picture, String> {
    let (p, input) = (&header.preprocessing, header.input);
    p.check(input)?;
    Ok(fit(picture, p.fit, input)?.with_channels(input.c))
}

/// What each byte of a picture becomes: `(channel, 1, byte)`, in the network's channel order.
pub fn byte_inputs(header: &Header) -> Array3<f32> {
    let channels = header.input.c;
    let bytes = (0..=255).flat_map(|byte| std::iter::repeat_n(byte, channels)).collect();
    let row = Picture { height: 1, width: 256, channels, bytes };
    normalise(&row, &header.preprocessing, Shape { c: channels, h: 1, w: 256 })
}

/// `picture` at the input's size.
fn fit(picture: &Picture, fit: Fit, input: Shape) -> Result<Picture, String> {
    let (h, w) = (picture.height, picture.width);
    let misfit =
        |what: &str| format!("a picture of {h}×{w} {what} {}×{} that the network reads", input.h, input.w);
    match fit {
        Fit::Stretch { filter } => Ok(picture.resized(input.h, input.w, filter)),
        Fit::Pad if h <= input.h && w <= input.w => Ok(window(picture, input)),
        Fit::Pad => Err(misfit("does not fit into the")),
        Fit::Crop { shorter, filter } => {
            let (rows, columns) = if h < w { (shorter, shorter * w / h) } else { (shorter * h / w, shorter) };
            if rows.max(columns) > LONGEST {
                return Err(misfit(&format!("resized to {rows}×{columns} is too large for the")));
            }
            if rows < input.h || columns < input.w {
                return Err(misfit(&format!("resized to {rows}×{columns} is smaller than the")));
            }
            Ok(window(&picture.resized(rows, columns, filter), input))
        }
    }
}

/// The centre of `picture`, or `picture` in the centre of black, an axis each.
fn window(picture: &Picture, input: Shape) -> Picture {
    let channels = picture.channels;
    let mut bytes = vec![0; input.h * input.w * channels];
    let (top, left) = (offset(picture.height, input.h), offset(picture.width, input.w));
    for i in 0..input.h {
        for j in 0..input.w {
            let (y, x) = (i as i64 + top, j as i64 + left);
            if (0..picture.height as i64).contains(&y) && (0..picture.width as i64).contains(&x) {
                let from = (y as usize * picture.width + x as usize) * channels;
                let to = (i * input.w + j) * channels;
                bytes[to..to + channels].copy_from_slice(&picture.bytes[from..from + channels]);
            }
        }
    }
    Picture { height: input.h, width: input.w, channels, bytes }
}

/// First position of the centred window of `to` in `from`, rounded as torchvision's CenterCrop; negative where
/// `from` is smaller.
fn offset(from: usize, to: usize) -> i64 {
    rne_shift(from as i64 - to as i64, 1)
}

/// `(byte · scale − mean) / std` in the network's channel order.
fn normalise(picture: &Picture, p: &Preprocessing, input: Shape) -> Array3<f32> {
    Array3::from_shape_fn((input.c, input.h, input.w), |(c, i, j)| {
        let at = if p.colour == Colour::Bgr { input.c - 1 - c } else { c };
        let byte = picture.bytes[(i * input.w + j) * input.c + at];
        (f32::from(byte) * p.scale - p.mean[c]) / p.std[c]
    })
}
