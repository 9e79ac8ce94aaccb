//! A functional model of the accelerator: executes a program from memory, byte for byte as the hardware must,
//! without its timing.
//!
//! It reads nothing but the memory image, so it proves program, packing and layout before any cycle is
//! simulated. Loops and names follow the blocks of the hardware (`docs/accelerator.md`).

use super::bits::{BitWriter, field};
use super::memory::param_bytes;
use super::program::{self, Command, Kernel};
use super::{Memory, Schedule};
use crate::arith::{Levels, MULTIPLIER_BITS, Multiplier, SHIFT_BITS, requantize};
use crate::config::ArrayConfig;
use crate::net::KERNEL;
use crate::{Error, Result};
use std::ops::Range;

/// Executes the program at the start of `memory`, whose data begin at `data_at`, on the accelerator `config`.
pub fn run(memory: &mut [u8], data_at: usize, config: &ArrayConfig) -> Result<()> {
    for command in program::decode(memory)? {
        Layer { command, config, memory, data_at }.run()?;
    }
    Ok(())
}

/// Executes a scheduled network on `memory`, a copy of its image with the inputs filled in.
pub fn execute(schedule: &Schedule, memory: &mut Memory) -> Result<()> {
    run(&mut memory.bytes, schedule.data_at(), &schedule.config)
}

/// A stripe: rows of one image, or a group of images (then `image` is 0).
#[derive(Clone, Copy)]
struct Stripe {
    image: usize,
    /// First unit.
    unit: usize,
    /// Number of units.
    units: usize,
}

/// Bias and multiplier of a column.
type Param = (i64, Multiplier);

struct Layer<'a> {
    command: Command,
    config: &'a ArrayConfig,
    memory: &'a mut [u8],
    /// Where the data begin.
    data_at: usize,
}

impl Layer<'_> {
    fn run(&mut self) -> Result<()> {
        let c = self.command;
        for stripe in self.stripes() {
            for t in 0..c.co_tiles as usize {
                let acc = self.accumulate(stripe, t)?;
                self.drain(stripe, t, &acc)?;
            }
        }
        Ok(())
    }

    fn stripes(&self) -> Vec<Stripe> {
        let c = &self.command;
        let (units, step) = (c.units as usize, (c.stripe as usize).max(1));
        let cut = |image| {
            (0..units).step_by(step).map(move |unit| Stripe { image, unit, units: step.min(units - unit) })
        };
        (0..c.outer as usize).flat_map(cut).collect()
    }

    /// Positions of a stripe, in the order of the sweep: `(image, row, column)`.
    fn positions(&self, s: Stripe) -> Vec<(usize, usize, usize)> {
        let units = s.unit..s.unit + s.units;
        match self.command.kernel {
            Kernel::Dense => units.map(|image| (image, 0, 0)).collect(),
            _ => {
                let row = |y| (0..self.command.unit_positions as usize).map(move |x| (s.image, y, x));
                units.flat_map(row).collect()
            }
        }
    }

    /// Accumulators `[position][column]` of output tile `t`, without bias.
    fn accumulate(&self, stripe: Stripe, t: usize) -> Result<Vec<Vec<i64>>> {
        let (c, rows, cols) = (&self.command, self.config.rows, self.config.cols);
        let passes = c.kernel_h as usize * c.kernel_w as usize;
        let steps = (0..passes).flat_map(|pass| (0..c.digits as u32).map(move |digit| (pass, digit)));
        let positions = self.positions(stripe);
        let mut acc = vec![vec![0; cols]; positions.len()];
        let stream =
            self.read(c.weights as usize + t * c.weights_pitch as usize, c.weights_pitch as usize)?;
        let bits = self.config.weight_bits;
        let mut offset = 0;
        for ci in 0..c.ci_tiles as usize {
            for (pass, digit) in steps.clone() {
                let mut weights = vec![vec![0; cols]; rows]; // shifted in from the last row to the first
                for row in weights.iter_mut().rev() {
                    for w in row.iter_mut() {
                        *w = field(stream, offset, bits, true);
                        offset += bits as usize;
                    }
                }
                for plane in 0..c.planes as u32 {
                    let shift = digit * bits + plane * self.config.act_bits;
                    for (acc, &position) in acc.iter_mut().zip(&positions) {
                        for (r, weights) in weights.iter().enumerate() {
                            let x = self.operand(position, ci * rows + r, pass, plane)?;
                            acc.iter_mut().zip(weights).for_each(|(a, w)| *a += (w * x) << shift);
                        }
                    }
                }
            }
        }
        Ok(acc)
    }

    /// Plane `plane` of the operand of reduction lane `lane` in pass `pass` at a position.
    fn operand(
        &self,
        (image, y, x): (usize, usize, usize),
        lane: usize,
        pass: usize,
        plane: u32,
    ) -> Result<i64> {
        let (channel, ky, kx) = match self.command.kernel {
            Kernel::Conv => (lane, pass / KERNEL, pass % KERNEL),
            Kernel::Folded => {
                let (k, channel) = (lane / self.config.fold_channels, lane % self.config.fold_channels);
                if k >= KERNEL * KERNEL {
                    return Ok(0);
                }
                (channel, k / KERNEL, k % KERNEL)
            }
            Kernel::Dense => {
                let w = self.command.kernel_w as usize;
                return self.element(image, lane, (pass / w, pass % w), plane);
            }
        };
        let inside = |p: usize, k: usize, n: u16| (1..=n as usize).contains(&(p + k)).then(|| p + k - 1);
        match (inside(y, ky, self.command.in_h), inside(x, kx, self.command.unit_positions)) {
            (Some(y), Some(x)) => self.element(image, channel, (y, x), plane),
            _ => Ok(0), // zero padding
        }
    }

    fn element(&self, image: usize, channel: usize, (y, x): (usize, usize), plane: u32) -> Result<i64> {
        let (c, bits) = (&self.command, self.config.act_bits);
        let (block, pixel) = match c.kernel {
            Kernel::Folded => (self.config.fold_channels, self.config.code_bits()),
            _ => (self.config.block(), bits * u32::from(c.planes)),
        };
        let at = self.data_at
            + c.x_base as usize
            + image * c.x_image_pitch as usize
            + channel / block * c.x_plane_pitch as usize
            + y * c.x_row_pitch as usize;
        let row = self.read(at, c.x_row_pitch as usize)?;
        // A folded pixel has whole codes side by side, every other one its planes.
        let at = x * block * pixel as usize;
        let offset = match c.kernel {
            Kernel::Folded => channel * pixel as usize + (plane * bits) as usize,
            _ => (plane as usize * block + channel % block) * bits as usize,
        };
        Ok(field(row, at + offset, bits, c.x_signed && plane + 1 == u32::from(c.planes)))
    }

    /// Bias, requantization, pool, packing and writing of a tile's accumulators.
    fn drain(&mut self, stripe: Stripe, t: usize, acc: &[Vec<i64>]) -> Result<()> {
        let (c, block) = (self.command, self.config.block());
        let blocks = self.config.cols / block;
        let params = self.params(t)?;
        for b in 0..blocks.min((c.co_blocks as usize).saturating_sub(t * blocks)) {
            let plane = (t * blocks + b) * c.y_plane_pitch as usize;
            let written = stripe.unit / if c.pool { 2 } else { 1 }; // rows of the map before this stripe
            let base = stripe.image * c.y_image_pitch as usize + plane + written * c.y_row_pitch as usize;
            let columns = b * block..(b + 1) * block;
            for row in 0..stripe.units / if c.pool { 2 } else { 1 } {
                let mut out = BitWriter::default();
                if c.raw {
                    for col in columns.clone() {
                        out.put(acc[row][col] + params[col].0, 64);
                        out.align(self.config.bus_bytes());
                    }
                } else {
                    self.pack_row(row, columns.clone(), acc, &params, &mut out);
                }
                self.write(base + row * c.y_row_pitch as usize, out)?;
            }
        }
        Ok(())
    }

    /// Requantizes, pools and packs a written row of the stripe.
    fn pack_row(
        &self,
        row: usize,
        columns: Range<usize>,
        acc: &[Vec<i64>],
        params: &[Param],
        out: &mut BitWriter,
    ) {
        let c = &self.command;
        let scale = if c.pool { 2 } else { 1 };
        let levels = Levels { a: 0, b: c.clip.into() };
        let planes = u32::from(c.y_planes);
        for (x, plane) in (0..c.out_w as usize).flat_map(|x| (0..planes).map(move |plane| (x, plane))) {
            for col in columns.clone() {
                let (bias, by) = params[col];
                let code = |dy: usize, dx: usize| {
                    let position = (row * scale + dy) * c.unit_positions as usize + x * scale + dx;
                    requantize(acc[position][col] + bias, by, levels)
                };
                let window = (0..scale).flat_map(|dy| (0..scale).map(move |dx| (dy, dx)));
                let y = window.map(|(dy, dx)| code(dy, dx)).max().unwrap_or(0);
                out.put(i64::from(y) >> (plane * self.config.act_bits), self.config.act_bits);
            }
        }
        out.align(c.y_row_beats as usize * self.config.bus_bytes());
    }

    /// Bias and multiplier of each column of output tile `t`.
    fn params(&self, t: usize) -> Result<Vec<Param>> {
        let c = &self.command;
        let bytes = self.read(c.params as usize + t * c.params_pitch as usize, c.params_pitch as usize)?;
        let acc = self.config.acc_bits;
        let record = |col: usize| {
            let at = col * param_bytes(self.config) * 8;
            let m = field(bytes, at + acc as usize, MULTIPLIER_BITS, false) as u16;
            let s = field(bytes, at + (acc + MULTIPLIER_BITS) as usize, SHIFT_BITS, false) as u8;
            (field(bytes, at, acc, true), Multiplier { m, s })
        };
        Ok((0..self.config.cols).map(record).collect())
    }

    fn read(&self, at: usize, bytes: usize) -> Result<&[u8]> {
        let outside =
            || Error::bad_layer("program", format!("reads {bytes} bytes at {at:#x}, outside memory"));
        self.memory.get(at..at + bytes).ok_or_else(outside)
    }

    /// Writes packed bytes at an offset into the output maps.
    fn write(&mut self, offset: usize, out: BitWriter) -> Result<()> {
        let (at, bytes) = (self.data_at + self.command.y_base as usize + offset, out.finish());
        let outside = || {
            Error::bad_layer("program", format!("writes {} bytes at {at:#x}, outside memory", bytes.len()))
        };
        let place = self.memory.get_mut(at..at + bytes.len()).ok_or_else(outside)?;
        place.copy_from_slice(&bytes);
        Ok(())
    }
}
