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

/// One layer, as the accelerator executes it.
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
    /// Input maps.
    pub x: Map,
    /// Rows of the input.
    pub in_h: u16,
    /// Columns of the input.
    pub in_w: u16,
    /// Output maps; in raw mode `row_pitch` is the bus word and `plane_pitch` a block of them.
    pub y: Map,
    /// Rows that are computed, before pooling (an odd last row is not when pooling).
    pub rows: u16,
    /// Columns of the output, after pooling.
    pub out_w: u16,
    /// Weight stream of output tile 0.
    pub weights: u32,
    /// Bytes of an output tile's weight stream.
    pub weights_pitch: u32,
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
    /// Images.
    pub images: u16,
    /// Rows of a stripe; for a dense layer, images of a group.
    pub stripe: u16,
    /// Words of an activation lane for one tile of a stripe.
    pub patch: u16,
    /// Patches that the activation buffer holds.
    pub slots: u16,
    /// Greatest output code.
    pub clip: u16,
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
        let flags = [self.pool, self.x_signed, self.raw, self.resident];
        let flags = flags.iter().enumerate().fold(0, |f, (i, &on)| f | (on as u32) << i);
        let mut words = [0; COMMAND_WORDS];
        words[0] = LAYER | kernel << 8 | flags << 16;
        words[1..5].copy_from_slice(&[self.x.base, self.x.row_pitch, self.x.plane_pitch, self.x.image_pitch]);
        words[5] = pair(self.in_h, self.in_w);
        words[6..10].copy_from_slice(&[
            self.y.base,
            self.y.row_pitch,
            self.y.plane_pitch,
            self.y.image_pitch,
        ]);
        words[10] = pair(self.rows, self.out_w);
        words[11..15].copy_from_slice(&[self.weights, self.weights_pitch, self.params, self.params_pitch]);
        words[15] = pair(self.ci_tiles, self.co_tiles);
        words[16] = pair(self.co_blocks, self.images);
        words[17] = pair(self.stripe, self.patch);
        words[18] = pair(self.slots, self.clip);
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
            x: map(1),
            in_h: lo(5),
            in_w: hi(5),
            y: map(6),
            rows: lo(10),
            out_w: hi(10),
            weights: words[11],
            weights_pitch: words[12],
            params: words[13],
            params_pitch: words[14],
            ci_tiles: lo(15),
            co_tiles: hi(15),
            co_blocks: lo(16),
            images: hi(16),
            stripe: lo(17),
            patch: hi(17),
            slots: lo(18),
            clip: hi(18),
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
            x: map(0x1000),
            in_h: 7,
            in_w: 9,
            y: map(0x2000),
            rows: 6,
            out_w: 4,
            weights: 0x3000,
            weights_pitch: 640,
            params: 0x4000,
            params_pitch: 128,
            ci_tiles: 3,
            co_tiles: 4,
            co_blocks: 5,
            images: 2,
            stripe: 8,
            patch: 90,
            slots: 6,
            clip: 255,
        }
    }

    #[test]
    fn hand_encoded_words() {
        let words = command().encode();
        assert_eq!(words[0], 0x000d_0201);
        assert_eq!(words[5], 0x0009_0007);
        assert_eq!(words[18], 0x00ff_0006);
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
