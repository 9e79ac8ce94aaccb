//! How far the counters and addresses of a build reach.

use super::{ArrayConfig, PAGE_BITS};
use std::ops::RangeInclusive;

/// Rows and columns of a map.
pub const MAPS: RangeInclusive<usize> = 4..=1 << 12;
/// Channels of a map.
pub const CHANNELS: RangeInclusive<usize> = 16..=1 << 15;
/// Images of a run.
pub const IMAGES: RangeInclusive<usize> = 1..=1 << 12;
/// Bits of an address relative to one of the bases.
pub const OFFSET_BITS: RangeInclusive<usize> = 20..=32;

/// Bits of the fields of a layer's command that a build keeps: as many as its bounds need, so that the counters that are
/// compared to them are no wider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Rows and columns of a map or a kernel.
    pub map: u32,
    /// Words of a lane in a row of a map, one for each plane of a pixel.
    pub row: u32,
    /// Units of a layer: rows of a map, or images of a dense layer.
    pub units: u32,
    /// Images.
    pub images: u32,
    /// Tiles of the reduction.
    pub ci_tiles: u32,
    /// Tiles of output channels.
    pub co_tiles: u32,
    /// Blocks of output channels.
    pub co_blocks: u32,
    /// Patches in the activation buffer.
    pub slots: u32,
    /// Words of the bus in a row that is read.
    pub x_row_beats: u32,
    /// Words of the bus in a row that is written.
    pub y_row_beats: u32,
    /// Rows of weights of an output tile.
    pub weight_rows: u32,
    /// Words of the bus in an output tile's weights.
    pub weight_beats: u32,
    /// Bytes of an output tile's parameters.
    pub params_pitch: u32,
    /// Bytes of memory from one of the bases on.
    pub offset: u32,
}

impl Bounds {
    /// Whole fields.
    pub const WIDEST: Self = Self {
        map: 16,
        row: 16,
        units: 16,
        images: 16,
        ci_tiles: 16,
        co_tiles: 16,
        co_blocks: 16,
        slots: 16,
        x_row_beats: 16,
        y_row_beats: 16,
        weight_rows: 32,
        weight_beats: 24,
        params_pitch: 32,
        offset: 32,
    };

    /// Bits of the field `name` of a command; `None` where it has all that its word has.
    pub fn bits(&self, name: &str) -> Option<u32> {
        Some(match name {
            "in_h" | "out_w" | "kernel_h" | "kernel_w" | "unit_positions" => self.map,
            "in_w" => self.row,
            "units" | "stripe" => self.units,
            "outer" => self.images,
            "ci_tiles" => self.ci_tiles,
            "co_tiles" => self.co_tiles,
            "co_blocks" => self.co_blocks,
            "slots" => self.slots,
            "x_row_beats" => self.x_row_beats,
            "y_row_beats" => self.y_row_beats,
            "weight_rows" => self.weight_rows,
            "params_pitch" => self.params_pitch,
            "x_base" | "x_row_pitch" | "x_plane_pitch" | "x_image_pitch" | "x_stripe_pitch" => self.offset,
            "y_base" | "y_row_pitch" | "y_plane_pitch" | "y_image_pitch" | "y_stripe_pitch" => self.offset,
            "weights" | "weights_pitch" | "params" => self.offset,
            _ => return None,
        })
    }
}

/// Bytes of a column's parameters, at most.
const RECORD_BYTES: usize = 16;

/// Bits of a number up to `most`.
const fn bits(most: usize) -> u32 {
    usize::BITS - most.leading_zeros()
}

impl ArrayConfig {
    /// Bits of the fields of a command that this build keeps.
    pub fn bounds(&self) -> Bounds {
        let row = self.max_map * self.act_digits;
        let row_beats = |channels: usize| (row * channels * self.act_bits as usize).div_ceil(self.bus_bits);
        let (ci_tiles, co_tiles) =
            (self.max_channels.div_ceil(self.rows), self.max_channels.div_ceil(self.cols));
        let weight_rows =
            ci_tiles * self.rows * (self.max_map * self.max_map).min(self.act_depth) * self.weight_digits;
        let tile_bits = weight_rows * self.cols * self.weight_bits as usize;
        let field = |most: usize| bits(most).min(16);
        Bounds {
            map: field(self.max_map),
            row: field(row),
            units: field(self.max_map.max(self.max_images)),
            images: field(self.max_images),
            ci_tiles: field(ci_tiles.max((9 * self.fold_channels).div_ceil(self.rows))),
            co_tiles: field(co_tiles),
            co_blocks: field(self.max_channels.div_ceil(self.block())),
            slots: field(self.act_depth),
            x_row_beats: field(row_beats(self.block().max(self.fold_channels))),
            y_row_beats: field(row_beats(self.block()).max(self.block())),
            weight_rows: bits(weight_rows).min(32),
            weight_beats: bits(tile_bits.div_ceil(self.bus_bits)).min(24),
            params_pitch: bits(RECORD_BYTES * self.cols + self.bus_bytes()),
            offset: self.offset_bits,
        }
    }

    /// Bytes that the program, or a run's data, may take.
    pub const fn reach(&self) -> usize {
        1 << self.offset_bits
    }
}

const _: () = assert!(*OFFSET_BITS.start() > PAGE_BITS as usize);
