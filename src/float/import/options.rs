//! What a file of weights does not say, and the user may: pools, epsilon, input size, preprocessing.

use super::affine::Affine;
use super::facts::{Facts, Origin};
use crate::arith::Levels;
use crate::net::{Colour, Filter, Fit, Preprocessing, Shape};

/// What the user says about the network beyond its file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Input shape; needed where the file leaves it open.
    pub input: Option<Shape>,
    /// From pictures to the input; a default by origin and size for what is not said.
    pub pictures: Pictures,
    /// Class names in the order of the outputs.
    pub classes: Vec<String>,
    /// Which of a checkpoint's state dicts, or which part of one.
    pub key: Option<String>,
    /// ε of every batch norm.
    pub bn_eps: Option<f32>,
    /// What stands behind every layer but the last.
    pub activation: Option<Activation>,
    /// Where the max pools are.
    pub pools: Option<Pools>,
    /// What stands between the last feature map and the first dense layer.
    pub head: Option<Head>,
    /// Order in which the last feature map is flattened.
    pub flatten: Option<Flatten>,
    /// Number of outputs: confirms a last layer that looks like a hidden one.
    pub outputs: Option<usize>,
    /// Codes of weights whose steps stand in a state dict.
    pub weight_levels: Option<Levels>,
    /// A quantized last layer with a step a channel gets 16-bit weights of one step, near its own.
    pub common_step: bool,
}

/// What the user says about pictures.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    /// How a picture is brought to the input's size.
    pub fit: Option<Fit>,
    /// Interpolation of it.
    pub filter: Option<Filter>,
    /// Channel order.
    pub colour: Option<Colour>,
    /// Factor on the bytes.
    pub scale: Option<f32>,
    /// Subtracted: one for all channels, one a channel, or none said.
    pub mean: Vec<f32>,
    /// Divisor: one for all channels, one a channel, or none said.
    pub std: Vec<f32>,
}

/// What stands behind a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// The positive part.
    Relu,
    /// That, and at most 6.
    Relu6,
}

impl Activation {
    /// Where it saturates.
    pub fn saturation(self) -> Option<f32> {
        match self {
            Self::Relu => None,
            Self::Relu6 => Some(6.0),
        }
    }
}

/// Where the max pools are.
#[derive(Clone, Debug, PartialEq)]
pub enum Pools {
    /// Convolutions a stage, each stage ending in a pool; convolutions beyond the last stage have none behind them.
    Stages(Vec<usize>),
    /// Output channels of each convolution, `None` for a pool: torchvision's `cfgs`.
    Configuration(Vec<Option<usize>>),
}

/// What stands between the last feature map and the first dense layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Head {
    /// Nothing: the map is flattened.
    Flat,
    /// `AdaptiveAvgPool2d` to a square of this side.
    Average(usize),
    /// The maximum of each channel.
    Max,
}

/// Order in which a feature map is flattened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Flatten {
    /// Channel, row, column: PyTorch.
    ChannelsFirst,
    /// Row, column, channel: TensorFlow.
    ChannelsLast,
}

/// What becomes of pictures where neither file nor user says it: the habit of a framework's users.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Habit {
    /// ImageNet's transform of torchvision for photographs, bytes / 255 for thumbnails.
    Torch,
    /// Stretched to the input, bytes / 255.
    Keras,
    /// Stretched to the input, ImageNet's mean subtracted from the bytes in this order of colours: the first VGGs.
    Bytes(Colour),
}

/// What a framework does where neither file nor user says it.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Whose they are, in a table.
    pub owner: &'static str,
    /// ε of batch norm.
    pub eps: f32,
    /// Order in which the last feature map is flattened.
    pub flatten: Flatten,
    /// From pictures to the input.
    pub pictures: Habit,
}

impl Habits {
    /// PyTorch's.
    pub const TORCH: Self =
        Self { owner: "PyTorch's", eps: 1e-5, flatten: Flatten::ChannelsFirst, pictures: Habit::Torch };
    /// Keras's.
    pub const KERAS: Self =
        Self { owner: "Keras's", eps: 1e-3, flatten: Flatten::ChannelsLast, pictures: Habit::Keras };
}

/// Smallest side that counts as a photograph rather than a thumbnail of CIFAR's or MNIST's kind.
const PHOTOGRAPH: usize = 64;
/// ImageNet's mean colour, which VGG16's authors subtracted (arXiv 1409.1556; their Caffe model's page has the numbers).
const BLUE_GREEN_RED_MEAN: [f32; 3] = [103.939, 116.779, 123.68];

impl Options {
    /// A file with a network in it says itself what these options say of weights.
    pub(super) fn refuse_what_the_file_says(&self) -> Result<(), String> {
        let table = [
            ("--bn-eps", self.bn_eps.is_some()),
            ("--pools, --cfg", self.pools.is_some()),
            ("--head", self.head.is_some()),
            ("--flatten", self.flatten.is_some()),
            ("--key", self.key.is_some()),
            ("--activation", self.activation.is_some()),
            ("--outputs", self.outputs.is_some()),
            ("--weight-levels", self.weight_levels.is_some()),
        ];
        match table.iter().find(|(_, given)| *given) {
            Some((option, _)) => {
                Err(format!("{option} is for files of weights alone; this one says it itself"))
            }
            None => Ok(()),
        }
    }

    /// What the user says about pictures, and the habit where he says nothing.
    pub(super) fn preprocessing(&self, habit: Habit, input: Shape, facts: &mut Facts) -> Preprocessing {
        match habit {
            Habit::Torch => self.torch_preprocessing(input, facts),
            Habit::Bytes(colour) if input.c == 3 => self.bytes_preprocessing(colour, facts),
            Habit::Keras | Habit::Bytes(_) => self.keras_preprocessing(input, facts),
        }
    }

    /// As Simonyan and Zisserman trained VGG16: `byte − mean`.
    fn bytes_preprocessing(&self, colour: Colour, facts: &mut Facts) -> Preprocessing {
        let mut mean = BLUE_GREEN_RED_MEAN.to_vec();
        if colour == Colour::Rgb {
            mean.reverse();
        }
        let fit = Fit::Stretch { filter: Filter::Bilinear };
        let default = Preprocessing { fit, colour, scale: 1.0, mean, ..Preprocessing::unit(3) };
        self.pictures.over(default, "bytes less ImageNet's mean, as the first VGGs were trained", facts)
    }

    /// PyTorch's habit where the user says nothing: ImageNet's transform scaled from 224 to photographs of any size,
    /// bytes / 255 for thumbnails and grey images.
    fn torch_preprocessing(&self, input: Shape, facts: &mut Facts) -> Preprocessing {
        let side = input.h.min(input.w);
        let (default, why) = match input.c == 3 && side >= PHOTOGRAPH {
            true => {
                let fit = Fit::Crop { shorter: (side * 8).div_ceil(7), filter: Filter::Bilinear };
                (Preprocessing { fit, ..Preprocessing::imagenet() }, "ImageNet's in torchvision")
            }
            false => (Preprocessing::unit(input.c), "bytes / 255, as for thumbnails"),
        };
        self.pictures.over(default, why, facts)
    }

    /// For a graph that scales the image itself: what stands before it (nothing where the factors are those of bytes,
    /// else bytes / 255), and `scaling` as part of mean and deviation.
    pub(super) fn scaled_preprocessing(
        &self,
        input: Shape,
        scaling: &Affine,
        facts: &mut Facts,
    ) -> Preprocessing {
        const LARGEST_OF_BYTES: f64 = 1.0 / 32.0;
        let bytes = scaling.k.iter().all(|k| *k <= LARGEST_OF_BYTES);
        let scale = if bytes { 1.0 } else { 1.0 / 255.0 };
        let fit = Fit::Stretch { filter: Filter::Bilinear };
        let default = Preprocessing { fit, scale, ..Preprocessing::unit(input.c) };
        let why =
            if bytes { "the graph scales bytes itself" } else { "bytes / 255, then the graph's own scaling" };
        let mut p = self.pictures.over(default, why, facts);
        let channels = scaling.k.iter().zip(&scaling.t);
        for ((k, t), (mean, std)) in channels.zip(p.mean.iter_mut().zip(&mut p.std)) {
            // ((b·s − m)/d)·k + t = (b·s − (m − t·d/k)) / (d/k)
            let d = f64::from(*std) / k;
            *mean = (f64::from(*mean) - t * d) as f32;
            *std = d as f32;
        }
        facts.note("scaling", format!("in the graph: mean {:?}, std {:?}", p.mean, p.std), Origin::File);
        p
    }

    /// What the file says, with what the user says.
    pub(super) fn stored_preprocessing(&self, stored: &Preprocessing, facts: &mut Facts) -> Preprocessing {
        let mut parts = Facts::default();
        let p = self.pictures.over(stored.clone(), "", &mut parts);
        facts.note("preprocessing", "as the file's metadata say", Origin::File);
        facts.0.extend(parts.0.into_iter().filter(|f| matches!(f.from, Origin::Option(_))));
        p
    }

    /// Keras's habit where the user says nothing: stretched to the input, bytes / 255.
    fn keras_preprocessing(&self, input: Shape, facts: &mut Facts) -> Preprocessing {
        let fit = Fit::Stretch { filter: Filter::Bicubic };
        self.pictures.over(
            Preprocessing { fit, ..Preprocessing::unit(input.c) },
            "bytes / 255, Keras's habit",
            facts,
        )
    }
}

impl Pictures {
    /// `default` with what the user says, and a fact for each part.
    fn over(&self, default: Preprocessing, why: &str, facts: &mut Facts) -> Preprocessing {
        let mut p = default;
        p.fit = self.fit.unwrap_or(p.fit);
        if let (Some(to), Fit::Stretch { filter } | Fit::Crop { filter, .. }) = (self.filter, &mut p.fit) {
            *filter = to;
        }
        p.colour = self.colour.unwrap_or(p.colour);
        p.scale = self.scale.unwrap_or(p.scale);
        let channels = p.mean.len();
        let replace = |to: &mut Vec<f32>, from: &[f32]| match from {
            [] => {}
            [one] => *to = vec![*one; channels],
            all => *to = all.into(),
        };
        replace(&mut p.mean, &self.mean);
        replace(&mut p.std, &self.std);
        let size = match p.fit {
            Fit::Pad => "as it is, smaller ones on black".into(),
            Fit::Stretch { filter } => format!("stretched, {filter:?}").to_lowercase(),
            Fit::Crop { shorter, filter } => {
                format!("shorter side to {shorter}, centre, {filter:?}").to_lowercase()
            }
        };
        let list = |v: &[f32]| v.iter().map(f32::to_string).collect::<Vec<_>>().join(", ");
        let colour = format!("{:?}", p.colour).to_lowercase();
        facts.choose("picture's size", size, self.fit.is_some(), "--fit", why);
        facts.choose("colour", colour, self.colour.is_some(), "--colour", why);
        facts.choose("scale", scale(p.scale), self.scale.is_some(), "--scale", why);
        facts.choose("mean", list(&p.mean), !self.mean.is_empty(), "--mean", why);
        facts.choose("std", list(&p.std), !self.std.is_empty(), "--std", why);
        p
    }
}

/// The factor as people write it.
fn scale(scale: f32) -> String {
    if scale == 1.0 / 255.0 { "1/255".into() } else { scale.to_string() }
}
