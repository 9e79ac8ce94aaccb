//! The layer command: 32 words of 32 bits, little-endian. Every product that the hardware would need is computed
//! beforehand, so that the accelerator adds and counts only.

use crate::{Error, Result};

/// Words of a command.
pub const COMMAND_WORDS: usize = 32;
/// Bytes of a command.
pub const COMMAND_BYTES: usize = COMMAND_WORDS * 4;

/// Opcodes.
pub mod opcode {
    /// A layer.
    pub const LAYER: i64 = 0x01;
    /// The end mark.
    pub const END: i64 = 0xff;
}

/// Values of the field `kernel`, for kernels of hw; [`Kernel`] says what they mean.
pub mod kernel {
    use super::Kernel;
    /// See [`Kernel::Conv`].
    pub const CONV: i64 = Kernel::Conv as i64;
    /// See [`Kernel::Folded`].
    pub const FOLDED: i64 = Kernel::Folded as i64;
    /// See [`Kernel::Dense`].
    pub const DENSE: i64 = Kernel::Dense as i64;
}

/// A field of the layer command.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Name, as in [`Command`].
    pub name: &'static str,
    /// Word of the command.
    pub word: usize,
    /// Lowest bit of the word.
    pub low: u32,
    /// Bits.
    pub bits: u32,
    /// What it says.
    pub doc: &'static str,
}

/// How the kernel reaches the array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kernel {
    /// 3×3, padding 1: nine passes over a stripe of rows.
    Conv = 0,
    /// 3×3, padding 1, nine kernel positions side by side in the array's rows: one pass.
    Folded = 1,
    /// Kernel of the map's size, no padding: a dense layer. The positions are the images of a batch.
    Dense = 2,
}

/// The type of a field.
trait FieldType: Sized {
    const BITS: u32;
    fn into_bits(self) -> u32;
    /// Fails where no value has these bits.
    fn from_bits(bits: u32) -> Result<Self>;
}

macro_rules! unsigned_field {
    ($($ty:ty)*) => { $(
        impl FieldType for $ty {
            const BITS: u32 = <$ty>::BITS;
            fn into_bits(self) -> u32 {
                self.into()
            }
            fn from_bits(bits: u32) -> Result<Self> {
                Ok(bits as $ty)
            }
        }
    )* };
}
unsigned_field!(u8 u16 u32);

impl FieldType for bool {
    const BITS: u32 = 1;
    fn into_bits(self) -> u32 {
        self.into()
    }
    fn from_bits(bits: u32) -> Result<Self> {
        Ok(bits != 0)
    }
}

impl FieldType for Kernel {
    const BITS: u32 = 8;
    fn into_bits(self) -> u32 {
        self as u32
    }
    fn from_bits(bits: u32) -> Result<Self> {
        let kernel = [Kernel::Conv, Kernel::Folded, Kernel::Dense].into_iter().find(|k| *k as u32 == bits);
        kernel.ok_or_else(|| Error::bad_layer("program", format!("unknown kernel {bits}")))
    }
}

/// From lines `name: type = (word, lowest bit)`: [`Command`], [`Layer`] and [`FIELDS`].
macro_rules! layer_command {
    ($(#[doc = $opcode:literal])+ opcode; $( $(#[doc = $doc:literal])+ $name:ident: $ty:ty = ($word:literal, $low:literal); )*) => {
        /// One layer, as the accelerator executes it. A *unit* is a row of a convolution's output before pooling, or an
        /// image of a dense layer's batch; stripes are made of units.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct Command {
            $( $(#[doc = $doc])+ pub $name: $ty, )*
        }

        impl Command {
            /// The command's words.
            pub fn encode(&self) -> [u32; COMMAND_WORDS] {
                let mut words = [0; COMMAND_WORDS];
                words[0] = opcode::LAYER as u32;
                $( words[$word] |= self.$name.into_bits() << $low; )*
                words
            }

            /// The command in `words`; `None` for the end mark. What no command can hold is an error.
            pub fn decode(words: &[u32; COMMAND_WORDS]) -> Result<Option<Self>> {
                match i64::from(words[0] & 0xff) {
                    opcode::LAYER => {}
                    opcode::END => return Ok(None),
                    other => return Err(Error::bad_layer("program", format!("unknown opcode {other:#04x}"))),
                }
                let bits = |word: usize, low: u32, bits: u32| words[word] >> low & u32::MAX >> (32 - bits);
                Ok(Some(Self { $( $name: FieldType::from_bits(bits($word, $low, <$ty>::BITS))?, )* }))
            }
        }

        /// Something for each field of a command, the opcode included.
        #[derive(Clone, Debug)]
        pub struct Layer<T> {
            $(#[doc = $opcode])+
            pub opcode: T,
            $( $(#[doc = $doc])+ pub $name: T, )*
        }

        /// The fields of a command, in the order of their bits.
        pub const FIELDS: [Field; Layer::<()>::COUNT] = [
            Field { name: "opcode", word: 0, low: 0, bits: 8, doc: concat!($($opcode),+) },
            $( Field { name: stringify!($name), word: $word, low: $low, bits: <$ty as FieldType>::BITS, doc: concat!($($doc),+) }, )*
        ];

        impl<T> Layer<T> {
            /// Number of fields.
            pub const COUNT: usize = 1 $( + { let _ = stringify!($name); 1 } )*;

            /// A layer of what `make` makes of each field.
            pub fn new(mut make: impl FnMut(&'static Field) -> T) -> Self {
                let mut fields = FIELDS.iter().map(|field| make(field));
                let mut next = || fields.next().expect("one for each field");
                Self { opcode: next(), $( $name: next(), )* }
            }

            /// What each of [`FIELDS`] has.
            pub fn each(&self) -> [&T; Layer::<()>::COUNT] {
                [&self.opcode, $( &self.$name, )*]
            }

            /// As [`Layer::each`], to be changed.
            pub fn each_mut(&mut self) -> [&mut T; Layer::<()>::COUNT] {
                [&mut self.opcode, $( &mut self.$name, )*]
            }
        }
    };
}

layer_command! {
    /// 0x01: a layer; 0xff: the end mark.
    opcode;
    /// How the kernel reaches the array; 0: convolution, 1: convolution with its nine kernel positions folded into the
    /// array's rows, 2: dense.
    kernel: Kernel = (0, 8);
    /// 2×2 max pool of stride 2 after requantization.
    pool: bool = (0, 16);
    /// Input codes are two's complement.
    x_signed: bool = (0, 17);
    /// Accumulators with bias go out as they are: 64 bits, two's complement, in a word of the bus each.
    raw: bool = (0, 18);
    /// All tiles of a stripe stay in the activation buffer while the output tiles change.
    resident: bool = (0, 19);
    /// Every sweep has at most as many positions as the array has rows: all rows swap weights at once.
    aligned: bool = (0, 20);
    /// Address of the first input image, from DATA_BASE.
    x_base: u32 = (1, 0);
    /// Input bytes from row to row.
    x_row_pitch: u32 = (2, 0);
    /// Input bytes from block to block of channels.
    x_plane_pitch: u32 = (3, 0);
    /// Input bytes from image to image.
    x_image_pitch: u32 = (4, 0);
    /// Rows of the input.
    in_h: u16 = (5, 0);
    /// Words of an activation lane in an input row: columns times planes; of a folded layer the columns.
    in_w: u16 = (5, 16);
    /// Address of the first output image, from DATA_BASE.
    y_base: u32 = (6, 0);
    /// Output bytes from one written row to the next: rows of the map, images of a dense layer.
    y_row_pitch: u32 = (7, 0);
    /// Output bytes from block to block of channels.
    y_plane_pitch: u32 = (8, 0);
    /// Output bytes from image to image.
    y_image_pitch: u32 = (9, 0);
    /// Units: rows that are computed (an odd last row is not when pooling), or images of a dense layer.
    units: u16 = (10, 0);
    /// How often the units come: images, or 1 for a dense layer.
    outer: u16 = (10, 16);
    /// Address of the weight stream of output tile 0, from MODEL_BASE.
    weights: u32 = (11, 0);
    /// Bytes of an output tile's weight stream.
    weights_pitch: u32 = (12, 0);
    /// Address of the parameter records (bias, m, s) of output tile 0, from MODEL_BASE.
    params: u32 = (13, 0);
    /// Bytes of an output tile's parameter records.
    params_pitch: u32 = (14, 0);
    /// Tiles of the reduction: the array's rows each.
    ci_tiles: u16 = (15, 0);
    /// Tiles of output channels: the array's columns each.
    co_tiles: u16 = (15, 16);
    /// Blocks of output channels that are written.
    co_blocks: u16 = (16, 0);
    /// Pixels of a written row, after pooling.
    out_w: u16 = (16, 16);
    /// Units of a stripe.
    stripe: u16 = (17, 0);
    /// Words of an activation lane for one tile of a stripe.
    patch: u16 = (17, 16);
    /// Patches that the activation buffer holds.
    slots: u16 = (18, 0);
    /// Greatest output code.
    clip: u16 = (18, 16);
    /// Rows of kernel positions: passes over a stripe are `kernel_h · kernel_w`.
    kernel_h: u16 = (19, 0);
    /// Columns of kernel positions.
    kernel_w: u16 = (19, 16);
    /// Positions of a unit.
    unit_positions: u16 = (20, 0);
    /// Words of a lane from one position of a sweep to the next.
    step: u16 = (20, 16);
    /// Beats of the bus in an input row.
    x_row_beats: u16 = (21, 0);
    /// Beats of the bus in a written row.
    y_row_beats: u16 = (21, 16);
    /// Input bytes from stripe to stripe.
    x_stripe_pitch: u32 = (22, 0);
    /// Output bytes from stripe to stripe.
    y_stripe_pitch: u32 = (23, 0);
    /// Rows of weights of an output tile: a weight for each column of the array.
    weight_rows: u32 = (24, 0);
    /// Digits of a weight: each is a tile of weights of its own, and digit i counts 2^(i·W).
    digits: u8 = (25, 0);
    /// Planes of an input code: each is a word of an activation lane, and plane j counts 2^(j·A).
    planes: u8 = (25, 8);
    /// Planes of an output code, for the layer that reads it.
    y_planes: u8 = (25, 16);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word whose fields all differ, by hand.
    fn words() -> [u32; COMMAND_WORDS] {
        let mut words = [0; COMMAND_WORDS];
        words[0] = 0x0015_0201; // dense; pool, raw, aligned
        words[1] = 0x1000;
        words[5] = 0x0009_0007;
        words[18] = 0x00ff_000b;
        words[23] = 0x6000;
        words[24] = 0xffff_fffe;
        words
    }

    #[test]
    fn fields_stand_where_the_hardware_expects_them() {
        let c = Command::decode(&words()).unwrap().unwrap();
        assert_eq!(c.kernel, Kernel::Dense);
        assert_eq!([c.pool, c.x_signed, c.raw, c.resident, c.aligned], [true, false, true, false, true]);
        assert_eq!((c.x_base, c.y_stripe_pitch, c.weight_rows), (0x1000, 0x6000, 0xffff_fffe));
        assert_eq!([c.in_h, c.in_w, c.slots, c.clip, c.units], [7, 9, 11, 255, 0]);
        assert_eq!(c.encode(), words());
    }

    #[test]
    fn every_bit_belongs_to_one_field() {
        let mut used = [0u32; COMMAND_WORDS];
        for field in &FIELDS {
            let mask = (u32::MAX >> (32 - field.bits)) << field.low;
            assert_eq!(used[field.word] & mask, 0, "{}", field.name);
            used[field.word] |= mask;
        }
        let bits: u32 = used.iter().map(|word| word.count_ones()).sum();
        assert_eq!(bits, FIELDS.iter().map(|f| f.bits).sum::<u32>());
        assert!(FIELDS.is_sorted_by_key(|f| (f.word, f.low)));
    }

    #[test]
    fn what_no_command_holds_is_refused() {
        let with = |word: u32| Command::decode(&std::array::from_fn(|i| if i == 0 { word } else { 1 }));
        assert_eq!(with(0xff).unwrap(), None);
        assert!(with(0x7e).unwrap_err().to_string().contains("unknown opcode 0x7e"));
        assert!(with(0x0901).unwrap_err().to_string().contains("unknown kernel 9"));
    }
}
