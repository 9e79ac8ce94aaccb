//! Random crops of the padded image, and mirror images.

use crate::net::Preprocessing;
use ndarray::{Array4, ArrayView3, ArrayViewMut3, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// What may happen to a training image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Augment {
    /// Pixels of black border on each side, from which a crop of the image's size is taken.
    pub pad: usize,
    /// Left and right swapped for half of the images.
    pub flip: bool,
}

impl Default for Augment {
    fn default() -> Self {
        Self { pad: 2, flip: true }
    }
}

impl Augment {
    /// Changes each image of `(image, channel, row, column)` as `seed` says; the border is what
    /// `preprocessing` makes of a black pixel.
    pub fn apply(self, images: &mut Array4<f32>, preprocessing: &Preprocessing, seed: u64) {
        if self.pad == 0 && !self.flip {
            return;
        }
        let p = preprocessing;
        let black: Vec<f32> = p.mean.iter().zip(&p.std).map(|(m, s)| -m / s).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for mut image in images.axis_iter_mut(Axis(0)) {
            let (down, right) = (rng.random_range(0..=2 * self.pad), rng.random_range(0..=2 * self.pad));
            let flip = rng.random::<bool>() && self.flip;
            let original = image.to_owned();
            self.crop(original.view(), &mut image, (down, right), flip, &black);
        }
    }

    fn crop(
        self,
        from: ArrayView3<f32>,
        to: &mut ArrayViewMut3<f32>,
        (down, right): (usize, usize),
        flip: bool,
        black: &[f32],
    ) {
        let (_, h, w) = from.dim();
        for ((c, i, j), to) in to.indexed_iter_mut() {
            let j = if flip { w - 1 - j } else { j };
            let (y, x) = (i + down, j + right); // in the padded image
            let inside = (self.pad..h + self.pad).contains(&y) && (self.pad..w + self.pad).contains(&x);
            *to = if inside { from[[c, y - self.pad, x - self.pad]] } else { black[c] };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_and_mirrors_by_hand() {
        let image = ndarray::arr3(&[[[1.0, 2.0], [3.0, 4.0]]]);
        let augment = Augment { pad: 1, flip: true };
        let cropped = |at, flip| {
            let mut to = image.clone();
            augment.crop(image.view(), &mut to.view_mut(), at, flip, &[9.0]);
            to.into_raw_vec_and_offset().0
        };
        assert_eq!(cropped((1, 1), false), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(cropped((1, 1), true), [2.0, 1.0, 4.0, 3.0]);
        assert_eq!(cropped((0, 2), false), [9.0, 9.0, 2.0, 9.0]);
    }

    #[test]
    fn the_seed_decides() {
        let images = Array4::from_shape_fn((8, 1, 6, 6), |(n, _, i, j)| (n * 36 + i * 6 + j) as f32);
        let with = |seed| {
            let mut images = images.clone();
            Augment::default().apply(&mut images, &Preprocessing::unit(1), seed);
            images
        };
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
    }
}
