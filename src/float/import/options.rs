//! What a file of weights does not say: input size and preprocessing.

use crate::net::{Filter, Fit, Preprocessing, Shape};

/// What the user says about the network beyond its file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Input shape; needed where the file leaves it open.
    pub input: Option<Shape>,
    /// From pictures to the input; a default by origin and size otherwise.
    pub preprocessing: Option<Preprocessing>,
    /// Class names in the order of the outputs.
    pub classes: Vec<String>,
}

/// Smallest side that counts as a photograph rather than a thumbnail of CIFAR's or MNIST's kind.
const PHOTOGRAPH: usize = 64;

impl Options {
    /// The user's preprocessing or PyTorch's habit: ImageNet's transform scaled from 224 to photographs of any
    /// size, bytes / 255 for thumbnails and grey images.
    pub(super) fn torch_preprocessing(&self, input: Shape) -> Preprocessing {
        let side = input.h.min(input.w);
        self.preprocessing.clone().unwrap_or_else(|| match input.c == 3 && side >= PHOTOGRAPH {
            true => Preprocessing {
                fit: Fit::Crop { shorter: (side * 8).div_ceil(7), filter: Filter::Bilinear },
                ..Preprocessing::imagenet()
            },
            false => Preprocessing::unit(input.c),
        })
    }

    /// The user's preprocessing or Keras's habit: stretched to the input, bytes / 255.
    pub(super) fn keras_preprocessing(&self, input: Shape) -> Preprocessing {
        self.preprocessing.clone().unwrap_or_else(|| Preprocessing {
            fit: Fit::Stretch { filter: Filter::Bicubic },
            ..Preprocessing::unit(input.c)
        })
    }
}
