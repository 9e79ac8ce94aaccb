//! A wrong bit on purpose, for a comparison that must see it: one that is proven to change a golden word.

use crate::arith::requantize;
use crate::int::{IntLayer, IntModel, Output, Trace, reference};
use crate::net::{KERNEL, Op, Shape};
use crate::schedule::{Schedule, weight_digit};
use crate::{Error, Result};
use ndarray::{Array4, ArrayView4};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Output words that a search computes before it gives up: some seconds.
const MOST_WORDS: usize = 1 << 28;
/// Weights of a channel that are tried before the next channel.
const TERMS: usize = 64;

/// A flipped bit of a weight in the memory image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Index of the layer.
    pub layer: usize,
    /// Output channel.
    pub channel: usize,
    /// Index into the channel's weights.
    pub term: usize,
    /// The code, and what it becomes.
    pub codes: (i32, i32),
    bit: u32,
}

/// Flips a bit of a weight of one of `layers` in the memory image of `schedule`, the schedule of `model`, such that a
/// word of that layer's output differs from `trace`, the golden one for the input `codes`.
///
/// # Errors
/// [`Error::BadLayer`] where no such bit is found: inputs of 0, and outputs that are clipped whatever the weights are.
pub fn inject(
    schedule: &mut Schedule,
    model: &IntModel,
    codes: ArrayView4<i32>,
    trace: &Trace,
    layers: Range<usize>,
) -> Result<Fault> {
    let first = layers.start.max(1).min(layers.end - 1); // behind a ReLU if there is one
    let mut search = Search { schedule, model, words: 0, flips: 0, rng: ChaCha8Rng::seed_from_u64(1) };
    for layer in std::iter::once(first).chain(layers.clone().filter(|&l| l != first)) {
        let input = if layer == 0 { codes } else { trace.activations[layer - 1].view() };
        if let Some(fault) = search.layer(layer, input) {
            schedule.flip_weight(layer, model.shapes()[layer], fault.channel, fault.term, fault.bit);
            return Ok(fault);
        }
    }
    let flips = search.flips;
    let names: Vec<&str> = model.layers[layers].iter().map(|l| &l.name[..]).collect();
    let reason = format!(
        "none of {flips} flips of a weight's bit that were tried changes a word for these images: no fault is injected"
    );
    Err(Error::bad_layer(names.join(", "), reason))
}

struct Search<'a> {
    schedule: &'a Schedule,
    model: &'a IntModel,
    /// Output words computed.
    words: usize,
    /// Flips tried.
    flips: usize,
    rng: ChaCha8Rng,
}

impl Search<'_> {
    fn layer(&mut self, index: usize, input: ArrayView4<i32>) -> Option<Fault> {
        let (layer, shape) = (&self.model.layers[index], self.model.shapes()[index]);
        let terms = layer.op.reduction(shape);
        let mut channels: Vec<usize> = (0..layer.op.co()).collect();
        channels.shuffle(&mut self.rng);
        // Some weights of every channel, then all that are left.
        for rest in [false, true] {
            for &channel in &channels {
                let mut places: Vec<usize> = (0..terms).collect();
                places.shuffle(&mut ChaCha8Rng::seed_from_u64(channel as u64));
                let some = TERMS.min(terms);
                let places = if rest { &places[some..] } else { &places[..some] };
                if let Some(fault) = self.channel(index, channel, places, input) {
                    return Some(fault);
                }
                if self.words > MOST_WORDS {
                    return None;
                }
            }
        }
        None
    }

    /// A flip of one of the weights `terms` of a channel that changes a word.
    fn channel(
        &mut self,
        index: usize,
        channel: usize,
        terms: &[usize],
        input: ArrayView4<i32>,
    ) -> Option<Fault> {
        let (layer, shape) = (&self.model.layers[index], self.model.shapes()[index]);
        let one = one_channel(layer, shape, channel);
        let acc = reference::accumulate(&one, shape, input);
        let golden = output(&one, &acc);
        let bits = self.schedule.config.weight_bits;
        let limit = 1i64 << (self.schedule.config.acc_bits - 1);
        for &term in terms {
            let x = operands(layer.op, shape, input, term);
            for bit in (0..bits).rev() {
                (self.words, self.flips) = (self.words + acc.len(), self.flips + 1);
                let code = i32::from(one.weight[term]);
                // The lowest digit of a layer that is wider than the build.
                let digit = weight_digit(code.into(), 0, bits) as i32;
                let flipped = code - digit + flip(digit, bit, bits);
                let wrong = &acc + &x.mapv(|x| i64::from(flipped - code) * i64::from(x));
                // Beyond the accumulator's width the hardware need not compute what these sums say.
                let fits = wrong.iter().all(|sum| (-limit..limit).contains(sum));
                if fits && output(&one, &wrong) != golden {
                    return Some(Fault { layer: index, channel, term, codes: (code, flipped), bit });
                }
            }
        }
        None
    }
}

/// `code` as two's complement of `bits` bits, with one of them flipped.
fn flip(code: i32, bit: u32, bits: u32) -> i32 {
    let wrong = code ^ (1 << bit);
    let unused = 32 - bits;
    wrong << unused >> unused
}

/// Output channel `channel` of `layer` as a layer of its own.
fn one_channel(layer: &IntLayer, shape: Shape, channel: usize) -> IntLayer {
    let terms = layer.op.reduction(shape);
    let op = match layer.op {
        Op::Conv { pool, .. } => Op::Conv { co: 1, pool },
        Op::Dense { .. } => Op::Dense { co: 1 },
    };
    let output = match (&layer.output, layer.multiplier(channel)) {
        (Output::Requantized { quantizer, .. }, Some(by)) => {
            Output::Requantized { quantizer: *quantizer, by: vec![by] }
        }
        _ => Output::Logits,
    };
    IntLayer {
        op,
        weight: layer.weight[channel * terms..][..terms].to_vec(),
        bias: vec![layer.bias[channel]],
        output,
        ..layer.clone()
    }
}

/// What `layer` makes of its accumulators `(image, channel, row, column)`.
fn output(layer: &IntLayer, acc: &Array4<i64>) -> Array4<i64> {
    let Output::Requantized { quantizer, by } = &layer.output else { return acc.clone() };
    let y = acc.mapv(|acc| requantize(acc, by[0], quantizer.levels));
    let pooled = matches!(layer.op, Op::Conv { pool: true, .. });
    if pooled { reference::max_pool(&y).mapv(i64::from) } else { y.mapv(i64::from) }
}

/// What weight `term` of a channel is multiplied with, for every accumulator `(image, 0, row, column)`.
fn operands(op: Op, shape: Shape, input: ArrayView4<i32>, term: usize) -> Array4<i32> {
    let images = input.dim().0;
    match op {
        Op::Dense { .. } => {
            let (c, y, x) = (term / (shape.h * shape.w), term / shape.w % shape.h, term % shape.w);
            Array4::from_shape_fn((images, 1, 1, 1), |(n, ..)| input[[n, c, y, x]])
        }
        Op::Conv { .. } => {
            let (c, dy, dx) = (term / (KERNEL * KERNEL), term / KERNEL % KERNEL, term % KERNEL);
            Array4::from_shape_fn((images, 1, shape.h, shape.w), |(n, _, y, x)| {
                let inside = (1..=shape.h).contains(&(y + dy)) && (1..=shape.w).contains(&(x + dx));
                if inside { input[[n, c, y + dy - 1, x + dx - 1]] } else { 0 }
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_are_of_two_s_complement() {
        assert_eq!([flip(5, 0, 4), flip(5, 3, 4), flip(-1, 3, 4), flip(0, 15, 16)], [4, -3, 7, -32768]);
    }
}
