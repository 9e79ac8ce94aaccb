//! The program: one command of 32 words a layer, and an end mark.
//!
//! A word is 32 bits, little-endian. Every product that the hardware would need is precomputed, so that the
//! accelerator adds and counts only. `docs/accelerator.md` gives the fields word by word; [`Command::encode`]
//! is the truth of it.

use crate::{Error, Result};

/// Words of a command.
pub const COMMAND_WORDS: usize = 32;
/// Bytes of a command.
pub const COMMAND_BYTES: usize = COMMAND_WORDS * 4;

/// First word of the layer command, in its low byte.
const LAYER: u32 = 0x01;
/// First word of the end mark.
const END: u32 = 0xff;

/// How the kernel reaches the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// 3×3, padding 1: nine passes over a stripe of rows.
    Conv,
    /// 3×3, padding 1, nine kernel positions side by side in the array's rows: one pass.
    Folded,
    /// Kernel of the map's size, no padding: a dense layer. The positions are the images of a batch.
    Dense,
}

/// Feature maps in memory, as a command names them; bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Map {
    /// Address of the first image.
    pub base: u32,
    /// From row to row.
    pub row_pitch: u32,
    /// From block to block of channels.
    pub plane_pitch: u32,
    /// From image to image.
    pub image_pitch: u32,
}

/// One layer, as the accelerator executes it. A *unit* is a row of a convolution's output before pooling, or an
/// image of a dense layer's batch; stripes are made of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// Kernel.
    pub kernel: Kernel,
    /// 2×2 max pool of stride 2 after requantization.
    pub pool: bool,
    /// Input codes are two's complement.
    pub x_signed: bool,
    /// Accumulators with bias go out as they are: 64 bits, two's complement, in a word of the bus each.
    pub raw: bool,
    /// All tiles of a stripe stay in the activation buffer while the output tiles change.
    pub resident: bool,
    /// Every sweep has at most as many positions as the array has rows: all rows swap weights at once.
    pub aligned: bool,
    /// Input maps.
    pub x: Map,
    /// Rows of the input.
    pub in_h: u16,
    /// Columns of the input.
    pub in_w: u16,
    /// Output maps. `row_pitch` leads from one written row to the next: rows of the map, images of a dense layer.
    pub y: Map,
    /// Units: rows that are computed (an odd last row is not when pooling), or images of a dense layer.
    pub units: u16,
    /// How often the units come: images, or 1 for a dense layer.
    pub outer: u16,
    /// Weight stream of output tile 0.
    pub weights: u32,
    /// Bytes of an output tile's weight stream.
    pub weights_pitch: u32,
    /// Rows of weights of an output tile: words of the array's columns.
    pub weight_rows: u32,
    /// Parameter records (bias, m, s) of output tile 0.
    pub params: u32,
    /// Bytes of an output tile's parameter records.
    pub params_pitch: u32,
    /// Tiles of the reduction: the array's rows each.
    pub ci_tiles: u16,
    /// Tiles of output channels: the array's columns each.
    pub co_tiles: u16,
    /// Blocks of output channels that are written.
    pub co_blocks: u16,
    /// Pixels of a written row, after pooling.
    pub out_w: u16,
    /// Units of a stripe.
    pub stripe: u16,
    /// Words of an activation lane for one tile of a stripe.
    pub patch: u16,
    /// Patches that the activation buffer holds.
    pub slots: u16,
    /// Greatest output code.
    pub clip: u16,
    /// Rows of kernel positions: passes over a stripe are `kernel_h · kernel_w`.
    pub kernel_h: u16,
    /// Columns of kernel positions.
    pub kernel_w: u16,
    /// Positions of a unit.
    pub unit_positions: u16,
    /// Words from one position of a sweep to the next.
    pub step: u16,
    /// Words of the bus in an input row.
    pub x_row_beats: u16,
    /// Words of the bus in a written row.
    pub y_row_beats: u16,
    /// Input bytes from stripe to stripe.
    pub x_stripe_pitch: u32,
    /// Output bytes from stripe to stripe.
    pub y_stripe_pitch: u32,
}

impl Command {
    /// The command's words.
    pub fn encode(&self) -> [u32; COMMAND_WORDS] {
        let pair = |lo: u16, hi: u16| lo as u32 | (hi as u32) << 16;
        let kernel = match self.kernel {
            Kernel::Conv => 0,
            Kernel::Folded => 1,
            Kernel::Dense => 2,
        };
        let flags = [self.pool, self.x_signed, self.raw, self.resident, self.aligned];
        let flags = flags.iter().enumerate().fold(0, |f, (i, &on)| f | (on as u32) << i);
        let map = |m: Map| [m.base, m.row_pitch, m.plane_pitch, m.image_pitch];
        let mut words = [0; COMMAND_WORDS];
        words[0] = LAYER | kernel << 8 | flags << 16;
        words[1..5].copy_from_slice(&map(self.x));
        words[5] = pair(self.in_h, self.in_w);
        words[6..10].copy_from_slice(&map(self.y));
        words[10] = pair(self.units, self.outer);
        words[11..15].copy_from_slice(&[self.weights, self.weights_pitch, self.params, self.params_pitch]);
        words[15] = pair(self.ci_tiles, self.co_tiles);
        words[16] = pair(self.co_blocks, self.out_w);
        words[17] = pair(self.stripe, self.patch);
        words[18] = pair(self.slots, self.clip);
        words[19] = pair(self.kernel_h, self.kernel_w);
        words[20] = pair(self.unit_positions, self.step);
        words[21] = pair(self.x_row_beats, self.y_row_beats);
        words[22] = self.x_stripe_pitch;
        words[23] = self.y_stripe_pitch;
        words[24] = self.weight_rows;
        words
    }

    /// The command in `words`; `None` for the end mark. What no command can hold is an error.
    pub fn decode(words: &[u32; COMMAND_WORDS]) -> Result<Option<Self>> {
        let bad = |reason: String| Error::bad_layer("program", reason);
        let lo = |i: usize| words[i] as u16;
        let hi = |i: usize| (words[i] >> 16) as u16;
        let map = |i: usize| Map {
            base: words[i],
            row_pitch: words[i + 1],
            plane_pitch: words[i + 2],
            image_pitch: words[i + 3],
        };
        let kernel = match (words[0] & 0xff, words[0] >> 8 & 0xff) {
            (END, _) => return Ok(None),
            (LAYER, 0) => Kernel::Conv,
            (LAYER, 1) => Kernel::Folded,
            (LAYER, 2) => Kernel::Dense,
            (LAYER, kernel) => return Err(bad(format!("unknown kernel {kernel}"))),
            (opcode, _) => return Err(bad(format!("unknown opcode {opcode:#04x}"))),
        };
        let flag = |i: u32| words[0] >> (16 + i) & 1 == 1;
        Ok(Some(Self {
            kernel,
            pool: flag(0),
            x_signed: flag(1),
            raw: flag(2),
            resident: flag(3),
            aligned: flag(4),
            x: map(1),
            in_h: lo(5),
            in_w: hi(5),
            y: map(6),
            units: lo(10),
            outer: hi(10),
            weights: words[11],
            weights_pitch: words[12],
            params: words[13],
            params_pitch: words[14],
            ci_tiles: lo(15),
            co_tiles: hi(15),
            co_blocks: lo(16),
            out_w: hi(16),
            stripe: lo(17),
            patch: hi(17),
            slots: lo(18),
            clip: hi(18),
            kernel_h: lo(19),
            kernel_w: hi(19),
            unit_positions: lo(20),
            step: hi(20),
            x_row_beats: lo(21),
            y_row_beats: hi(21),
            x_stripe_pitch: words[22],
            y_stripe_pitch: words[23],
            weight_rows: words[24],
        }))
    }
}

/// The bytes of a whole program, end mark included.
pub fn encode(commands: &[Command]) -> Vec<u8> {
    let mut end = [0; COMMAND_WORDS];
    end[0] = END;
    let words = commands.iter().map(Command::encode).chain([end]);
    words.flatten().flat_map(u32::to_le_bytes).collect()
}

/// The commands up to the end mark; an error when there is none.
pub fn decode(bytes: &[u8]) -> Result<Vec<Command>> {
    let mut commands = vec![];
    for chunk in bytes.chunks_exact(COMMAND_BYTES) {
        let word = |i: usize| u32::from_le_bytes(chunk[4 * i..4 * i + 4].try_into().expect("four bytes"));
        match Command::decode(&std::array::from_fn(word))? {
            Some(command) => commands.push(command),
            None => return Ok(commands),
        }
    }
    Err(Error::bad_layer("program", "ends without an end mark"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        let map = |k: u32| Map { base: k, row_pitch: k + 1, plane_pitch: k + 2, image_pitch: k + 3 };
        Command {
            kernel: Kernel::Dense,
            pool: true,
            x_signed: false,
            raw: true,
            resident: true,
            aligned: false,
            x: map(0x1000),
            in_h: 7,
            in_w: 9,
            y: map(0x2000),
            units: 6,
            outer: 2,
            weights: 0x3000,
            weights_pitch: 640,
            weight_rows: 77,
            params: 0x4000,
            params_pitch: 128,
            ci_tiles: 3,
            co_tiles: 4,
            co_blocks: 5,
            out_w: 10,
            stripe: 8,
            patch: 90,
            slots: 11,
            clip: 255,
            kernel_h: 12,
            kernel_w: 13,
            unit_positions: 14,
            step: 15,
            x_row_beats: 16,
            y_row_beats: 17,
            x_stripe_pitch: 0x5000,
            y_stripe_pitch: 0x6000,
        }
    }

    #[test]
    fn hand_encoded_words() {
        let words = command().encode();
        assert_eq!(words[0], 0x000d_0201);
        assert_eq!(words[5], 0x0009_0007);
        assert_eq!(words[18], 0x00ff_000b);
        assert_eq!(words[23..25], [0x6000, 77]);
    }

    #[test]
    fn programs_round_trip_and_bad_ones_are_refused() {
        let bytes = encode(&[command(), command()]);
        assert_eq!(decode(&bytes).unwrap(), vec![command(); 2]);
        let truncated = &bytes[..2 * COMMAND_BYTES];
        assert!(decode(truncated).unwrap_err().to_string().contains("without an end mark"));
        let mut unknown = bytes.clone();
        unknown[0] = 0x7e;
        assert!(decode(&unknown).unwrap_err().to_string().contains("unknown opcode 0x7e"));
        unknown[0..2].copy_from_slice(&[1, 9]);
        assert!(decode(&unknown).unwrap_err().to_string().contains("unknown kernel 9"));
    }
}
