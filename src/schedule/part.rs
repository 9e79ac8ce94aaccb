//! A layer of a scheduled network, or some of its output tiles, as a network of its own: what is simulated alone.

use super::program::{self, Kernel};
use super::{LayerSchedule, Layout, Memory, Schedule};
use crate::Result;
use crate::config::ArrayConfig;
use crate::int::Trace;
use crate::net::{KERNEL, Shape};
use ndarray::s;
use std::ops::Range;

impl Schedule {
    /// Layout of the input of layer `layer`.
    fn input_of(&self, layer: usize) -> Layout {
        let before = layer.checked_sub(1).and_then(|before| self.layers[before].output);
        before.unwrap_or(self.input)
    }

    /// Output channels of tiles `tiles` of layer `layer`.
    pub fn channels(&self, layer: usize, tiles: &Range<usize>) -> Range<usize> {
        tiles.start * self.config.cols..(tiles.end * self.config.cols).min(self.layers[layer].co)
    }

    /// The network that computes output tiles `tiles` of layer `layer`, and nothing else, from the layer's input.
    /// Weights and parameters are as `self` has them in memory.
    pub fn part(&self, layer: usize, tiles: Range<usize>) -> Result<Self> {
        let (whole, input) = (&self.layers[layer], self.input_of(layer));
        let name = &whole.name;
        let mut part = narrowed(whole, tiles.len(), self.channels(layer, &tiles).len(), &self.config);
        let mut memory = Memory::new(&self.config);
        memory.reserve("program", 2 * program::COMMAND_BYTES)?;
        let command = &mut part.command;
        let mut copy = |part: &str, base: u32, pitch: u32| {
            let region = format!("{name}.{part}");
            let bytes =
                base as usize + tiles.start * pitch as usize..base as usize + tiles.end * pitch as usize;
            let base = memory.reserve(&region, bytes.len())?;
            memory.write(&region, &self.memory.bytes[bytes]);
            Ok(base)
        };
        command.weights = copy("weights", command.weights, command.weights_pitch)?;
        command.params = copy("params", command.params, command.params_pitch)?;
        let data = memory.reserve("input", self.images * input.image_pitch)?;
        command.x_base = 0;
        command.y_base = memory.reserve(name, self.images * command.y_image_pitch as usize)? - data;
        memory.write("program", &program::encode(&[*command]));
        let layers = vec![part];
        Ok(Self { config: self.config.clone(), images: self.images, input, layers, memory })
    }

    /// What of the network's `trace` belongs to a part: tiles `tiles` of layer `layer`.
    pub fn part_of(&self, trace: &Trace, layer: usize, tiles: &Range<usize>) -> Trace {
        let channels = self.channels(layer, tiles);
        let codes = trace.activations.get(layer);
        let logits = if codes.is_none() { channels.clone() } else { 0..0 };
        Trace {
            activations: codes.map(|c| c.slice(s![.., channels, .., ..]).to_owned()).into_iter().collect(),
            logits: trace.logits.slice(s![.., logits]).to_owned(),
        }
    }

    /// First bit in the memory image of weight `term` of output channel `channel` of layer `layer`, whose input has
    /// shape `x`: of its lowest digit.
    fn weight_at(&self, layer: usize, x: Shape, channel: usize, term: usize) -> usize {
        let (config, LayerSchedule { tiling, command, .. }) = (&self.config, &self.layers[layer]);
        let positions = if tiling.kernel == Kernel::Dense { x.h * x.w } else { KERNEL * KERNEL };
        let (c, position) = (term / positions, term % positions);
        let (lane, pass) = match tiling.kernel {
            Kernel::Folded => (position * config.fold_channels + c, 0),
            _ => (c, position),
        };
        let row = config.rows - 1 - lane % config.rows; // a tile starts with the last row of the array
        let tile = (lane / config.rows * tiling.passes() + pass) * tiling.digits.weights;
        let row = tile * config.rows + row;
        let code = row * config.cols + channel % config.cols;
        let start = command.weights as usize + channel / config.cols * command.weights_pitch as usize;
        8 * start + code * config.weight_bits as usize
    }

    /// Flips bit `bit` of a weight's lowest digit in the memory image; the others as in `Schedule::weight_at`.
    pub fn flip_weight(&mut self, layer: usize, x: Shape, channel: usize, term: usize, bit: u32) {
        let at = self.weight_at(layer, x, channel, term) + bit as usize;
        self.memory.bytes[at / 8] ^= 1 << (at % 8);
    }

    /// The bytes of [`Schedule::write_window`] after a run that gives `trace`.
    pub fn expected(&self, trace: &Trace) -> Vec<u8> {
        let window = self.write_window();
        let mut bytes = vec![0; window.len()];
        let region = |layer: &LayerSchedule| self.memory.region(&layer.name).base as usize - window.start;
        for (layer, codes) in self.layers.iter().zip(&trace.activations) {
            let Some(layout) = layer.output else { continue };
            for (i, map) in codes.outer_iter().enumerate() {
                let packed = layout.pack(map);
                bytes[region(layer) + i * layout.image_pitch..][..packed.len()].copy_from_slice(&packed);
            }
        }
        for layer in self.layers.last().iter().filter(|l| l.output.is_none()) {
            for ((i, c), logit) in trace.logits.indexed_iter() {
                let at =
                    region(layer) + i * layer.command.y_image_pitch as usize + c * self.config.bus_bytes();
                bytes[at..at + 8].copy_from_slice(&logit.to_le_bytes());
            }
        }
        bytes
    }
}

/// Layer `whole` on `config` with `tiles` of its output tiles, `co` channels, in a map of their own. Where everything lies is for
/// the caller to say.
pub(super) fn narrowed(
    whole: &LayerSchedule,
    tiles: usize,
    co: usize,
    config: &ArrayConfig,
) -> LayerSchedule {
    let output = whole.output.map(|l| Layout::new(Shape { c: co, ..l.shape }, l.planes, config));
    let mut command = whole.command;
    command.co_tiles = tiles as u16;
    command.co_blocks = co.div_ceil(config.block()) as u16;
    let logits = command.y_plane_pitch as usize * command.co_blocks as usize;
    command.y_image_pitch = output.map_or(logits, |l| l.image_pitch) as u32;
    if command.kernel == Kernel::Dense {
        command.y_row_pitch = command.y_image_pitch; // from image to image
        command.y_stripe_pitch = whole.tiling.stripe as u32 * command.y_row_pitch;
    }
    let macs = whole.macs / whole.co as u64 * co as u64;
    LayerSchedule { command, macs, output, co, ..whole.clone() }
}

#[cfg(test)]
mod tests {
    use crate::config::ArrayConfig;
    use crate::int::{Golden, random};
    use crate::net::{Op, Shape};
    use crate::schedule::bits::field;
    use crate::schedule::{interpret, schedule};

    #[test]
    fn parts_compute_what_the_whole_does() {
        let recipe = random::Recipe {
            input: Shape { c: 3, h: 9, w: 8 },
            ops: vec![
                Op::Conv { co: 13, pool: true },
                Op::Conv { co: 9, pool: false },
                Op::Dense { co: 10 },
                Op::Dense { co: 11 },
            ],
            w: 5,
            a: 6,
            power_of_two: false,
            per_channel: true,
            seed: 2,
        };
        let model = random::model(&recipe);
        for fold_channels in [0, 3] {
            let config = ArrayConfig { rows: 6, cols: 4, fold_channels, ..ArrayConfig::default() };
            let whole = schedule(&model, &config, 2).unwrap();
            let codes = random::images(&model, 2, 1);
            let trace = Golden::new(&model).unwrap().trace(codes.view()).unwrap();
            for layer in 0..model.layers.len() {
                let input = if layer == 0 { &codes } else { &trace.activations[layer - 1] };
                let tiles = whole.layers[layer].command.co_tiles as usize;
                for tiles in [0..tiles, 0..1, 1..tiles] {
                    let part = whole.part(layer, tiles.clone()).unwrap();
                    let mut memory = part.memory.clone();
                    part.put_images(&mut memory, input.view());
                    interpret::execute(&part, &mut memory).unwrap();
                    let golden = whole.part_of(&trace, layer, &tiles);
                    assert_eq!(part.trace(&memory), golden, "layer {layer}, tiles {tiles:?}");
                    assert_eq!(memory.bytes[part.write_window()], part.expected(&golden));
                }
            }
            for (l, (layer, x)) in model.layers.iter().zip(model.shapes()).enumerate() {
                for (i, &weight) in layer.weight.iter().enumerate() {
                    let (channel, term) = (i / layer.op.reduction(x), i % layer.op.reduction(x));
                    let at = whole.weight_at(l, x, channel, term);
                    assert_eq!(field(&whole.memory.bytes, at, config.weight_bits, true), i64::from(weight));
                }
            }
            let mut memory = whole.memory.clone();
            whole.put_images(&mut memory, codes.view());
            interpret::execute(&whole, &mut memory).unwrap();
            assert_eq!(memory.bytes[whole.write_window()], whole.expected(&trace));
        }
    }
}
