//! What float and integer networks share: the input, its preprocessing, and the geometry of VGG's layers.
//!
//! A network is a chain: convolutions 3×3 (stride 1, zero padding 1), each with ReLU and an optional 2×2 max
//! pool of stride 2, then dense layers. The first dense layer reads the last feature map flattened in
//! channel, row, column order.

use serde::{Deserialize, Serialize};

mod check;

pub use check::{LONGEST, MOST_ELEMENTS, check_chain};

/// Kernel height and width of every convolution.
pub const KERNEL: usize = 3;

/// Shape of a feature map: channels, rows, columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Channels.
    pub c: usize,
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
}

impl Shape {
    /// Number of elements.
    pub fn len(self) -> usize {
        self.c * self.h * self.w
    }

    /// Whether any extent is 0.
    pub fn is_empty(self) -> bool {
        [self.c, self.h, self.w].contains(&0)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}×{}×{}", self.c, self.h, self.w)
    }
}

/// What a layer computes, without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Op {
    /// 3×3 convolution, stride 1, padding 1.
    Conv {
        /// Output channels.
        co: usize,
        /// Whether a 2×2 max pool of stride 2 follows (floor on odd sizes).
        pool: bool,
    },
    /// Fully connected layer over the flattened input.
    Dense {
        /// Outputs.
        co: usize,
    },
}

impl Op {
    /// Output channels.
    pub fn co(self) -> usize {
        match self {
            Op::Conv { co, .. } | Op::Dense { co } => co,
        }
    }

    /// Terms of one output's sum.
    pub fn reduction(self, input: Shape) -> usize {
        match self {
            Op::Conv { .. } => input.c * KERNEL * KERNEL,
            Op::Dense { .. } => input.len(),
        }
    }

    /// Shape of the layer's output, after pooling; dense outputs are `co×1×1`.
    pub fn output(self, input: Shape) -> Shape {
        match self {
            Op::Conv { co, pool: true } => Shape { c: co, h: input.h / 2, w: input.w / 2 },
            Op::Conv { co, pool: false } => Shape { c: co, ..input },
            Op::Dense { co } => Shape { c: co, h: 1, w: 1 },
        }
    }

    /// Multiply-accumulate operations for one image, zero-padding terms counted.
    pub fn macs(self, input: Shape) -> u64 {
        let positions = match self {
            Op::Conv { .. } => input.h * input.w,
            Op::Dense { .. } => 1,
        };
        (positions * self.reduction(input) * self.co()) as u64
    }

    /// Shape of the weight tensor: `(co, ci, 3, 3)` or `(co, inputs)`.
    pub fn weight_shape(self, input: Shape) -> Vec<usize> {
        match self {
            Op::Conv { co, .. } => vec![co, input.c, KERNEL, KERNEL],
            Op::Dense { co } => vec![co, input.len()],
        }
    }
}

/// Order of the colour channels that the network expects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One luminance channel.
    Grey,
}

/// How a picture is brought to the input's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "fit")]
pub enum Fit {
    /// The picture must have the input's size, or be smaller: it is then centred on a border of `pad_value` zeros.
    #[default]
    Pad,
    /// Resize to exactly the input's size.
    Stretch {
        /// Interpolation.
        filter: Filter,
    },
    /// Resize the shorter side to `shorter` pixels, then crop the centre.
    Crop {
        /// Pixels of the shorter side after resizing.
        shorter: usize,
        /// Interpolation.
        filter: Filter,
    },
}

/// Interpolation of a resize.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Triangle filter, as torchvision's default.
    #[default]
    Bilinear,
    /// Catmull-Rom.
    Bicubic,
}

/// From a picture's bytes to the network's input: `x = (byte · scale − mean) / std`, channel by channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// Size.
    #[serde(flatten)]
    pub fit: Fit,
    /// Channel order.
    pub colour: Colour,
    /// Factor on the byte 0 … 255, usually 1/255.
    pub scale: f32,
    /// Subtracted after scaling, one a channel in the network's order.
    pub mean: Vec<f32>,
    /// Divisor, one a channel in the network's order.
    pub std: Vec<f32>,
}

impl Preprocessing {
    /// Bytes divided by 255, nothing subtracted.
    pub fn unit(channels: usize) -> Self {
        let colour = if channels == 1 { Colour::Grey } else { Colour::Rgb };
        Self {
            fit: Fit::Pad,
            colour,
            scale: 1.0 / 255.0,
            mean: vec![0.0; channels],
            std: vec![1.0; channels],
        }
    }

    /// torchvision's ImageNet transform: shorter side 256, centre crop, mean and deviation of ImageNet.
    pub fn imagenet() -> Self {
        Self {
            fit: Fit::Crop { shorter: 256, filter: Filter::Bilinear },
            colour: Colour::Rgb,
            scale: 1.0 / 255.0,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }
    }
}

/// The head of every network description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Name of the network, for people.
    pub name: String,
    /// Shape of the input.
    pub input: Shape,
    /// From pictures to the input.
    pub preprocessing: Preprocessing,
    /// Class names in the order of the logits; empty when unknown.
    #[serde(default)]
    pub classes: Vec<String>,
}

impl Header {
    /// The input and what makes it from a picture, in one line.
    pub fn described(&self) -> String {
        let Preprocessing { fit, colour, scale, mean, std } = &self.preprocessing;
        let colour = format!("{colour:?}").to_lowercase();
        let filter = |filter: &Filter| format!("{filter:?}").to_lowercase();
        let fit = match fit {
            Fit::Pad => "padded with black to the input's size".into(),
            Fit::Stretch { filter: f } => format!("stretched to the input's size ({})", filter(f)),
            Fit::Crop { shorter, filter: f } => {
                format!("shorter side resized to {shorter} ({}), centre cropped", filter(f))
            }
        };
        let bytes = match *scale {
            1.0 => "byte".to_string(),
            scale if scale == 1.0 / 255.0 => "byte / 255".into(),
            scale => format!("byte · {scale}"),
        };
        format!("{} {colour}, {fit}, ({bytes} − {mean:?}) / {std:?}, as the model file says", self.input)
    }
}

/// Input shape of each layer of the chain `ops`, and after them the network's output.
pub fn shapes(input: Shape, ops: impl IntoIterator<Item = Op>) -> Vec<Shape> {
    let mut shapes = vec![input];
    shapes.extend(ops.into_iter().scan(input, |x, op| {
        *x = op.output(*x);
        Some(*x)
    }));
    shapes
}

/// Channels and pools of the VGG family's convolutions: `(channels, pool after it)`.
///
/// Simonyan and Zisserman 2015, table 1: configurations A (11), B (13), D (16) and E (19).
pub fn vgg_convs(depth: usize) -> Option<Vec<(usize, bool)>> {
    let per_stage: [usize; 5] = match depth {
        11 => [1, 1, 2, 2, 2],
        13 => [2, 2, 2, 2, 2],
        16 => [2, 2, 3, 3, 3],
        19 => [2, 2, 4, 4, 4],
        _ => return None,
    };
    let stages = per_stage.into_iter().zip([64, 128, 256, 512, 512]);
    Some(stages.flat_map(|(n, c)| (0..n).map(move |i| (c, i + 1 == n))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vgg16_has_the_published_macs() {
        let convs = vgg_convs(16).unwrap().into_iter().map(|(co, pool)| Op::Conv { co, pool });
        let dense = [4096, 4096, 1000].into_iter().map(|co| Op::Dense { co });
        let ops: Vec<Op> = convs.chain(dense).collect();
        let x = shapes(Shape { c: 3, h: 224, w: 224 }, ops.iter().copied());
        let macs = |r: std::ops::Range<usize>| r.map(|i| ops[i].macs(x[i])).sum::<u64>();
        assert_eq!(macs(0..13), 15_346_630_656);
        assert_eq!(macs(13..16), 123_633_664);
        assert_eq!(x[13], Shape { c: 512, h: 7, w: 7 });
    }
}
