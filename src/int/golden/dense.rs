//! Dense layers on the fast path: bound by memory, so weights stay in bytes where they fit.

use super::Isa;
use super::kernel::{BLOCK, Kernel, LANES, Rows, Weight, Work, dispatch, multiply};
use crate::arith::{Levels, accumulator_bits, requantize};
use crate::int::{IntLayer, Output};
use crate::net::Op;
use ndarray::{Array2, ArrayView4};
use rayon::prelude::*;

/// A dense layer, packed.
pub struct Dense {
    /// Terms of the sum, in pairs.
    pairs: usize,
    panels: Panels,
}

/// Weights `(co / LANES, inputs / 2, LANES, 2)`.
enum Panels {
    Bytes(Vec<i8>),
    Words(Vec<i16>),
}

impl Dense {
    /// Packs `layer` for input codes in `x`; `None` where 16-bit operands or 32-bit sums do not suffice.
    pub fn new(layer: &IntLayer, x: Levels) -> Option<Self> {
        let Op::Dense { co } = layer.op else { return None };
        let narrow = i16::try_from(x.a).is_ok() && i16::try_from(x.b).is_ok();
        if !narrow || accumulator_bits(layer.accumulator_bound(x)) > i32::BITS {
            return None;
        }
        let inputs = layer.weight.len() / co;
        let panels = if layer.weight.iter().all(|&w| i8::try_from(w).is_ok()) {
            Panels::Bytes(pack(layer, inputs, |w| w as i8))
        } else {
            Panels::Words(pack(layer, inputs, |w| w))
        };
        Some(Self { pairs: inputs.div_ceil(2), panels })
    }

    /// Accumulators `(image, channel)` of the flattened codes, bias included.
    pub fn run(&self, isa: Isa, layer: &IntLayer, x: ArrayView4<i32>) -> Array2<i64> {
        let images = x.dim().0;
        // (block, image, BLOCK)
        let mut rows = vec![0i16; (2 * self.pairs).next_multiple_of(BLOCK) * images];
        for (n, x) in x.outer_iter().enumerate() {
            for (k, &x) in x.iter().enumerate() {
                rows[(k / BLOCK * images + n) * BLOCK + k % BLOCK] = x as i16;
            }
        }
        let sums = match &self.panels {
            Panels::Bytes(p) => sums(isa, images, self.pairs, &rows, p),
            Panels::Words(p) => sums(isa, images, self.pairs, &rows, p),
        };
        Array2::from_shape_fn((images, layer.op.co()), |(n, c)| {
            let sum = sums[(c / LANES * images + n) * LANES + c % LANES];
            sum.wrapping_add(layer.bias[c] as i32).into()
        })
    }
}

/// Output codes `(image, channel)` of accumulators.
pub fn requantized(layer: &IntLayer, acc: &Array2<i64>) -> Array2<i32> {
    let Output::Requantized { quantizer, .. } = &layer.output else {
        unreachable!("logits are not requantized")
    };
    let by = |c| layer.multiplier(c).expect("requantized layers have multipliers");
    Array2::from_shape_fn(acc.dim(), |(n, c)| requantize(acc[[n, c]], by(c), quantizer.levels))
}

fn pack<W: Weight + Default>(layer: &IntLayer, inputs: usize, narrow: impl Fn(i16) -> W + Sync) -> Vec<W> {
    let (co, block) = (layer.op.co(), inputs.div_ceil(2) * 2 * LANES);
    let mut panels = vec![W::default(); co.div_ceil(LANES) * block];
    panels.par_chunks_exact_mut(block).enumerate().for_each(|(i, block)| {
        for c in 0..LANES.min(co - i * LANES) {
            let weights = &layer.weight[(i * LANES + c) * inputs..][..inputs];
            for (k, &w) in weights.iter().enumerate() {
                block[(k / 2 * LANES + c) * 2 + k % 2] = narrow(w);
            }
        }
    });
    panels
}

/// Sums `(co / LANES, image, LANES)` modulo 2^32.
fn sums<W: Weight>(isa: Isa, images: usize, pairs: usize, rows: &[i16], panels: &[W]) -> Vec<i32> {
    let blocks = panels.len() / (pairs * 2 * LANES);
    let mut sums = vec![0; blocks * images * LANES];
    let panels = panels.par_chunks_exact(pairs * 2 * LANES);
    sums.par_chunks_exact_mut(images * LANES).zip(panels).for_each(|(sums, panel)| {
        dispatch(isa, Block { images, pairs, rows, panel, sums });
    });
    sums
}

/// One panel times all images.
struct Block<'a, W> {
    images: usize,
    pairs: usize,
    rows: &'a [i16],
    panel: &'a [W],
    sums: &'a mut [i32],
}

impl<W: Weight> Work for Block<'_, W> {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self) {
        let a = Rows { codes: self.rows, stride: self.images * BLOCK };
        multiply::<K, W>(self.images, self.pairs, a, self.panel, self.sums);
    }
}
