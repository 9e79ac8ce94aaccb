//! How a layer is cut into tiles that fit the array and the buffers.
//!
//! The accelerator runs, from the outside in:
//!
//! ```text
//! stripe of output rows (dense: group of images)      as many as fit the accumulators
//!   tile of output channels                           cols
//!     tile of the reduction                           rows
//!       kernel position                               9, 1 when folded, the whole map when dense
//!         digit of the weights, plane of the input    1 of each where the layer is no wider than the build
//!           position of the stripe                    one a cycle
//! ```

use super::Digits;
use super::program::Kernel;
use crate::config::ArrayConfig;
use crate::net::{KERNEL, Op, Shape};
use crate::{Error, Result};

/// The cut of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tiling {
    /// Kernel.
    pub kernel: Kernel,
    /// Units: rows that are computed (an odd last row is not when pooling), or images of a dense layer.
    pub units: usize,
    /// How often the units come: images, or 1 for a dense layer.
    pub outer: usize,
    /// Positions of a unit.
    pub unit_positions: usize,
    /// Units of a stripe.
    pub stripe: usize,
    /// Tiles of the reduction.
    pub ci_tiles: usize,
    /// Tiles of output channels.
    pub co_tiles: usize,
    /// Kernel positions, rows and columns.
    pub window: (usize, usize),
    /// Digits of the weights, planes of the input.
    pub digits: Digits,
    /// Words of an activation lane for one tile of a stripe.
    pub patch: usize,
    /// Patches that the activation buffer holds, at least 2 unless there is one tile.
    pub slots: usize,
    /// All tiles of a stripe stay in the buffer while the output tiles change.
    pub resident: bool,
}

impl Tiling {
    /// Cuts the layer `name` for runs of `images` images; fails when not even the smallest stripe fits.
    pub fn new(
        name: &str,
        op: Op,
        x: Shape,
        (images, digits): (usize, Digits),
        config: &ArrayConfig,
    ) -> Result<Self> {
        let kernel = kernel(op, x, config);
        let lanes = if kernel == Kernel::Folded { KERNEL * KERNEL * config.fold_channels } else { x.c };
        let window = match kernel {
            Kernel::Conv => (KERNEL, KERNEL),
            Kernel::Folded => (1, 1),
            Kernel::Dense => (x.h, x.w),
        };
        let pool = matches!(op, Op::Conv { pool: true, .. });
        let (units, outer, unit_positions) = match kernel {
            Kernel::Dense => (images, 1, 1),
            _ if pool => (x.h / 2 * 2, images, x.w),
            _ => (x.h, images, x.w),
        };
        let quantum = if pool { 2 } else { 1 };
        let cut = Self {
            kernel,
            units,
            outer,
            unit_positions,
            stripe: 0,
            ci_tiles: lanes.div_ceil(config.rows),
            co_tiles: op.co().div_ceil(config.cols),
            window,
            digits,
            patch: 0,
            slots: 0,
            resident: false,
        };
        let fits = |stripe: usize| {
            stripe * unit_positions <= config.acc_depth
                && cut.ci_tiles.min(2) * cut.patch(stripe, x) <= config.act_depth
        };
        let most = (1..=units.div_ceil(quantum)).map(|n| n * quantum).take_while(|&s| fits(s)).last();
        let most = most.ok_or_else(|| cut.refuse(name, quantum, x, config))?;
        let stripe = units.div_ceil(units.div_ceil(most)).next_multiple_of(quantum); // all about equal
        let patch = cut.patch(stripe, x);
        let slots = (config.act_depth / patch).min(u16::MAX as usize);
        let cut = Self { stripe, patch, slots, resident: slots >= cut.ci_tiles, ..cut };
        cut.check_fields(name, x)?;
        Ok(cut)
    }

    /// Words of a lane for one tile of a stripe of `stripe` units.
    fn patch(&self, stripe: usize, x: Shape) -> usize {
        let pixels = match self.kernel {
            Kernel::Conv => (stripe + KERNEL - 1).min(x.h) * x.w,
            Kernel::Folded => stripe * x.w,
            Kernel::Dense => stripe * x.h * x.w,
        };
        pixels * self.digits.acts
    }

    /// Kernel positions.
    pub fn passes(&self) -> usize {
        self.window.0 * self.window.1
    }

    /// Tiles of weights of an output tile, each the array's rows by its columns: for every tile of the reduction, kernel
    /// position and digit.
    pub fn weight_tiles(&self) -> usize {
        self.ci_tiles * self.passes() * self.digits.weights
    }

    /// Number of stripes.
    pub fn stripes(&self) -> usize {
        self.outer * self.units.div_ceil(self.stripe)
    }

    fn refuse(&self, name: &str, quantum: usize, x: Shape, config: &ArrayConfig) -> Error {
        let positions = quantum * self.unit_positions;
        let words = self.ci_tiles.min(2) * self.patch(quantum, x);
        Error::bad_layer(
            name,
            format!(
                "its smallest stripe needs acc_depth ≥ {positions} and act_depth ≥ {words}; the build has {} and {}",
                config.acc_depth, config.act_depth
            ),
        )
    }

    /// Every number must fit its field of the command.
    fn check_fields(&self, name: &str, x: Shape) -> Result<()> {
        let fields =
            [x.h, x.w * self.digits.acts, self.ci_tiles, self.co_tiles, self.stripe, self.patch, self.slots];
        match fields.iter().find(|&&f| f > u16::MAX as usize) {
            Some(f) => Err(Error::bad_layer(name, format!("{f} does not fit a field of 16 bits"))),
            None => Ok(()),
        }
    }
}

/// Folds a shallow first layer: nine kernel positions side by side fill rows that would idle.
fn kernel(op: Op, x: Shape, config: &ArrayConfig) -> Kernel {
    match op {
        Op::Dense { .. } => Kernel::Dense,
        Op::Conv { .. } if x.c <= config.fold_channels && x.w <= config.fold_width => Kernel::Folded,
        Op::Conv { .. } => Kernel::Conv,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{shapes, vgg_convs};

    #[test]
    fn vgg16_fits_the_presets() {
        let convs = vgg_convs(16).unwrap().into_iter().map(|(co, pool)| Op::Conv { co, pool });
        let ops: Vec<Op> = convs.chain([4096, 4096, 1000].map(|co| Op::Dense { co })).collect();
        let x = shapes(Shape { c: 3, h: 224, w: 224 }, ops.iter().copied());
        for preset in ["ecp5-85k", "16x16", "zcu102"] {
            let config = ArrayConfig::preset(preset).unwrap();
            for (op, x) in ops.iter().zip(&x) {
                let t = Tiling::new("layer", *op, *x, (1, Digits::ONE), &config).unwrap();
                assert!(
                    t.stripe * t.unit_positions <= config.acc_depth && t.slots * t.patch <= config.act_depth
                );
                assert!(t.slots >= t.ci_tiles.min(2));
            }
        }
        let config = ArrayConfig::preset("16x16").unwrap();
        let first = Tiling::new("conv1_1", ops[0], x[0], (1, Digits::ONE), &config).unwrap();
        assert_eq!((first.kernel, first.ci_tiles, first.passes(), first.stripe), (Kernel::Folded, 2, 1, 2));
        let fc6 = Tiling::new("fc6", ops[13], x[13], (1, Digits::ONE), &config).unwrap();
        assert_eq!((fc6.ci_tiles, fc6.passes(), fc6.resident), (32, 49, true));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_need_and_have() {
        let config = ArrayConfig { acc_depth: 64, ..ArrayConfig::default() };
        let op = Op::Conv { co: 8, pool: true };
        let error =
            Tiling::new("conv9", op, Shape { c: 16, h: 40, w: 40 }, (1, Digits::ONE), &config).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("conv9") && text.contains("acc_depth ≥ 80") && text.contains("has 64"),
            "{text}"
        );
    }
}
