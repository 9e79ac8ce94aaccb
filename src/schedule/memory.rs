//! The memory image: the model's regions, behind them those of the data, and the streams of weights and parameters in the order of their use.

use super::Tiling;
use super::bits::BitWriter;
use super::digits::weight_digit;
use super::program::Kernel;
use crate::arith::{MULTIPLIER_BITS, Multiplier, SHIFT_BITS};
use crate::config::ArrayConfig;
use crate::int::IntLayer;
use crate::net::{KERNEL, Op, Shape};
use crate::{Error, Result};

/// A named piece of external memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// What it holds, for example `conv1_1.weights`.
    pub name: String,
    /// First byte in the image; a multiple of 4096.
    pub base: u32,
    /// Bytes.
    pub bytes: usize,
}

/// The model and, where it ends, the data: an image of external memory in which both areas lie in one piece.
#[derive(Clone, Debug)]
pub struct Memory {
    config: ArrayConfig,
    /// Regions in the order of their addresses.
    pub regions: Vec<Region>,
    /// All bytes.
    pub bytes: Vec<u8>,
}

impl Memory {
    /// Empty memory of the accelerator `config`.
    pub fn new(config: &ArrayConfig) -> Self {
        Self::of(config, vec![])
    }

    /// Memory of the accelerator `config` that holds `regions`, all 0.
    pub(super) fn of(config: &ArrayConfig, regions: Vec<Region>) -> Self {
        Self { config: config.clone(), bytes: vec![0; end(&regions)], regions }
    }

    /// The design point it is laid out for.
    pub fn config(&self) -> &ArrayConfig {
        &self.config
    }

    /// A new region of zeros; its place in the image. Fails past 4 GiB.
    pub fn reserve(&mut self, name: &str, bytes: usize) -> Result<u32> {
        let base = reserve(&mut self.regions, name, bytes)?;
        self.bytes.resize(end(&self.regions), 0);
        Ok(base)
    }

    /// Fills region `name` from its start.
    ///
    /// # Panics
    /// When there is no such region or it is too small: a mistake of the caller.
    pub fn write(&mut self, name: &str, bytes: &[u8]) {
        let region = self.region(name).clone();
        assert!(bytes.len() <= region.bytes, "{name}: {} bytes into {}", bytes.len(), region.bytes);
        self.bytes[region.base as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Region `name`.
    ///
    /// # Panics
    /// When there is none.
    pub fn region(&self, name: &str) -> &Region {
        self.regions.iter().find(|r| r.name == name).unwrap_or_else(|| panic!("no region {name}"))
    }
}

/// The regions of the model, and behind them those of the data. Fails past 4 GiB.
pub(super) fn join(mut model: Vec<Region>, data: Vec<Region>) -> Result<Vec<Region>> {
    for region in data {
        reserve(&mut model, &region.name, region.bytes)?;
    }
    Ok(model)
}

/// Adds a region behind `regions`; its address. Fails past 4 GiB.
pub(super) fn reserve(regions: &mut Vec<Region>, name: &str, bytes: usize) -> Result<u32> {
    let base = end(regions);
    let address = u32::try_from((base + bytes).next_multiple_of(4096)).map(|_| base as u32);
    let base = address.map_err(|_| Error::bad_layer(name, "the memory image exceeds 4 GiB"))?;
    regions.push(Region { name: name.into(), base, bytes });
    Ok(base)
}

/// The first byte behind `regions`; a multiple of 4096.
fn end(regions: &[Region]) -> usize {
    regions.last().map_or(0, |r| (r.base as usize + r.bytes).next_multiple_of(4096))
}

/// Bytes of a parameter record (bias, m, s): whole 64-bit words.
pub fn param_bytes(config: &ArrayConfig) -> usize {
    (config.acc_bits + MULTIPLIER_BITS + SHIFT_BITS).div_ceil(64) as usize * 8
}

/// Bytes of each of [`weight_tiles`].
pub fn weight_pitch(tiling: &Tiling, config: &ArrayConfig) -> usize {
    let codes = tiling.weight_tiles() * config.rows * config.cols;
    (codes * config.weight_bits as usize).div_ceil(8).next_multiple_of(config.bus_bytes())
}

/// Bytes of each of [`param_tiles`].
pub fn param_pitch(config: &ArrayConfig) -> usize {
    (config.cols * param_bytes(config)).next_multiple_of(config.bus_bytes())
}

/// For each output tile, the weights in the order in which the array takes them: tile of the reduction, kernel
/// position, digit, array row from the last to the first, column; W bits each, zeros where there is no weight.
pub fn weight_tiles(layer: &IntLayer, x: Shape, tiling: &Tiling, config: &ArrayConfig) -> Vec<Vec<u8>> {
    let digits = tiling.digits.weights;
    let tile = |t: usize| {
        let mut out = BitWriter::default();
        for ci in 0..tiling.ci_tiles {
            for (pass, digit) in (0..tiling.passes()).flat_map(|p| (0..digits).map(move |d| (p, d))) {
                for lane in (0..config.rows).rev().map(|r| ci * config.rows + r) {
                    let index = term(layer.op, x, tiling.kernel, config, lane, pass);
                    for co in t * config.cols..(t + 1) * config.cols {
                        let exists = index.filter(|_| co < layer.op.co());
                        let at = |k: usize| layer.weight[co * layer.op.reduction(x) + k];
                        let weight = exists.map_or(0, at).into();
                        out.put(weight_digit(weight, digit, config.weight_bits), config.weight_bits);
                    }
                }
            }
        }
        out.align(config.bus_bytes());
        out.finish()
    };
    (0..tiling.co_tiles).map(tile).collect()
}

/// Index into an output channel's weights of the term that lane `lane` of the reduction sums in pass `pass`.
fn term(op: Op, x: Shape, kernel: Kernel, config: &ArrayConfig, lane: usize, pass: usize) -> Option<usize> {
    let (channel, position) = match kernel {
        Kernel::Folded => (lane % config.fold_channels, lane / config.fold_channels),
        _ => (lane, pass),
    };
    let positions = op.reduction(x) / x.c;
    debug_assert!(kernel == Kernel::Dense || positions == KERNEL * KERNEL);
    (channel < x.c && position < positions).then_some(channel * positions + position)
}

/// For each output tile, one record a column: bias (acc_bits), m (16 bits), s (6 bits), padded to
/// [`param_bytes`]. Columns without a channel, and logits, have m = 1, s = 0.
pub fn param_tiles(layer: &IntLayer, tiling: &Tiling, config: &ArrayConfig) -> Vec<Vec<u8>> {
    let tile = |t: usize| {
        let mut out = BitWriter::default();
        for co in t * config.cols..(t + 1) * config.cols {
            let exists = co < layer.op.co();
            let by = layer.multiplier(co.min(layer.op.co() - 1)).filter(|_| exists);
            let by = by.unwrap_or(Multiplier { m: 1, s: 0 });
            out.put(if exists { layer.bias[co] } else { 0 }, config.acc_bits);
            out.put(by.m.into(), MULTIPLIER_BITS);
            out.put(by.s.into(), SHIFT_BITS);
            out.align(param_bytes(config));
        }
        out.align(config.bus_bytes());
        out.finish()
    };
    (0..tiling.co_tiles).map(tile).collect()
}
