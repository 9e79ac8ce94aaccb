//! The registers, AXI4-Lite, 32 bits each, and the error codes that STATUS shows.

/// Who may use a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The host reads it.
    R,
    /// The host writes it, and reads 0.
    W,
    /// The host writes it and reads it back.
    RW,
}

/// A register.
#[derive(Debug)]
pub struct Register {
    /// Name.
    pub name: &'static str,
    /// Byte address.
    pub address: usize,
    /// Who may use it.
    pub access: Access,
    /// What it holds.
    pub doc: &'static str,
    /// Its parts, where it has any.
    pub bits: &'static [Bits],
}

/// A part of a register.
#[derive(Clone, Copy, Debug)]
pub struct Bits {
    /// Name.
    pub name: &'static str,
    /// Lowest bit.
    pub low: u32,
    /// Number of bits.
    pub count: u32,
    /// What it says.
    pub doc: &'static str,
}

impl Bits {
    /// The part in the register's `value`.
    pub const fn of(self, value: u32) -> u32 {
        value >> self.low & u32::MAX >> (32 - self.count)
    }

    /// The register with `value` in this part and 0 elsewhere.
    pub const fn put(self, value: u32) -> u32 {
        value << self.low
    }
}

/// From `NAME = address, access { PART: (lowest bit, bits); … }`: [`REGISTERS`], [`address`], [`word`] and [`bit`].
macro_rules! registers {
    ($( $(#[doc = $doc:literal])+ $name:ident = $address:literal, $access:ident
        $({ $( $(#[doc = $bit_doc:literal])+ $bit:ident: ($low:literal, $count:literal); )+ })?
    )+) => {
        /// The registers in the order of their addresses.
        pub const REGISTERS: &[Register] = &[$( Register {
            name: stringify!($name),
            address: $address,
            access: Access::$access,
            doc: concat!($($doc),+),
            bits: &[$( $( bit::$bit, )+ )?],
        }, )+];

        /// Byte addresses of the registers.
        pub mod address {
            $( $(#[doc = $doc])+ pub const $name: usize = $address; )+
        }

        /// Numbers of the registers, for kernels: their addresses in words.
        pub mod word {
            $( $(#[doc = $doc])+ pub const $name: i64 = $address / 4; )+
        }

        /// Parts of the registers.
        pub mod bit {
            use super::Bits;
            $($($( $(#[doc = $bit_doc])+
                pub const $bit: Bits = Bits { name: stringify!($bit), low: $low, count: $count, doc: concat!($($bit_doc),+) };
            )+)?)+
        }
    };
}

registers! {
    /// Starts and acknowledges.
    CONTROL = 0x00, W {
        /// Start a run with the bases as they stand; while one is under way it is queued, while one is queued refused.
        START: (0, 1);
        /// Clear the interrupt, DONE and REFUSED.
        CLEAR: (1, 1);
    }
    /// State of the run.
    STATUS = 0x04, R {
        /// A run is under way, or queued.
        BUSY: (0, 1);
        /// A run has ended.
        DONE: (1, 1);
        /// A start came while another was queued, or was queued behind a run that failed.
        REFUSED: (2, 1);
        /// A start is queued.
        QUEUED: (3, 1);
        /// Error code, 0 for none.
        ERROR: (8, 8);
        /// Commands completed.
        COMPLETED: (16, 16);
    }
    /// From MODEL_BASE, the first byte that may not be read; 0 after reset.
    READ_LIMIT = 0x08, RW
    /// From DATA_BASE, the first byte that may be written.
    WRITE_BASE = 0x0c, RW
    /// From DATA_BASE, the first byte that may neither be read nor written.
    WRITE_LIMIT = 0x10, RW
    /// Interrupts.
    IRQ_ENABLE = 0x14, RW {
        /// `irq` follows DONE; 1 after reset.
        IRQ: (0, 1);
    }
    /// Index of the command under way, or that failed.
    ERROR_COMMAND = 0x18, R
    /// Cycles of the run, low half.
    CYCLES_LO = 0x20, R
    /// Cycles of the run, high half.
    CYCLES_HI = 0x24, R
    /// Beats of the bus read for weights and parameters.
    WEIGHT_BEATS = 0x28, R
    /// Beats of the bus read for activations.
    ACT_BEATS = 0x2c, R
    /// Beats of the bus written.
    WRITE_BEATS = 0x30, R
    /// Cycles in which a position enters the array.
    ARRAY_CYCLES = 0x34, R
    /// Runs that have ended since reset, modulo 2¹⁶.
    RUNS = 0x38, R
    /// 0x56475232, "VGR2".
    ID = 0x40, R
    /// Version of commands and registers: 2.
    VERSION = 0x44, R
    /// Size of the array.
    ARRAY = 0x48, R {
        /// Rows.
        ROWS: (0, 16);
        /// Columns.
        COLS: (16, 16);
    }
    /// Bits of numbers.
    WIDTHS = 0x4c, R {
        /// Of a weight.
        WEIGHT_BITS: (0, 8);
        /// Of an activation.
        ACT_BITS: (8, 8);
        /// Of an accumulator.
        ACC_BITS: (16, 16);
    }
    /// Sizes of the buffers.
    DEPTHS = 0x50, R {
        /// Words of an activation lane, less one.
        ACT_DEPTH: (0, 16);
        /// Words of a weight lane, less one.
        WEIGHT_DEPTH: (16, 16);
    }
    /// Behind the array.
    DRAIN = 0x54, R {
        /// Positions of a bank of accumulators, less one.
        ACC_DEPTH: (0, 16);
        /// Requantizers.
        REQUANTIZERS: (16, 16);
    }
    /// The bus, and what else was chosen.
    BUS = 0x58, R {
        /// Bits of the bus.
        BUS_BITS: (0, 16);
        /// Channels that fold, 0 if none do.
        FOLD_CHANNELS: (16, 8);
        /// Requantization by powers of two.
        POW2: (24, 1);
        /// Bits of an address of external memory.
        ADDRESS_BITS: (25, 7);
    }
    /// Pixels of the longest row that folds.
    FOLD_WIDTH = 0x5c, R
    /// Address of program, weights and parameters, a multiple of 4096; low word.
    MODEL_BASE = 0x60, RW
    /// High word of MODEL_BASE; bits that an address does not have read 0.
    MODEL_BASE_HI = 0x64, RW
    /// Address of input, feature maps and logits, a multiple of 4096; low word.
    DATA_BASE = 0x68, RW
    /// High word of DATA_BASE.
    DATA_BASE_HI = 0x6c, RW
}

/// From `Variant = code, "name"`, documented by the cause: [`ErrorCode`] and [`ERRORS`].
macro_rules! errors {
    ($( $(#[doc = $cause:literal])+ $variant:ident = $code:literal, $name:literal; )+) => {
        /// Why a run ended before the end mark.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ErrorCode {
            $( $(#[doc = $cause])+ $variant = $code, )+
        }

        /// The errors: code, name, cause.
        pub const ERRORS: &[(ErrorCode, &str, &str)] = &[
            $( (ErrorCode::$variant, $name, concat!($($cause),+)), )+
        ];
    };
}

errors! {
    /// The opcode is neither a layer nor the end mark; also what follows a program without an end mark.
    UnknownOpcode = 1, "unknown opcode";
    /// A field that cannot work: a zero count, an unknown kernel, a number beyond the build's bounds, a row too long to fold,
    /// `pool` with `raw` or with an odd number of units (of the layer or of a stripe).
    BadField = 2, "a field of the command cannot work";
    /// RRESP was not OKAY.
    ReadResponse = 3, "memory answered a read with an error";
    /// BRESP was not OKAY.
    WriteResponse = 4, "memory answered a write with an error";
    /// A read would reach READ_LIMIT of the model or WRITE_LIMIT of the data; the burst is not issued.
    ReadAddress = 5, "a read beyond READ_LIMIT or WRITE_LIMIT";
    /// A write would leave WRITE_BASE … WRITE_LIMIT; the burst is not issued.
    WriteAddress = 6, "a write outside WRITE_BASE … WRITE_LIMIT";
    /// 2²⁰ cycles without a beat on the bus or a position in the array.
    Timeout = 7, "no progress";
    /// 4095 commands without an end mark.
    ProgramTooLong = 8, "the program has no end mark";
    /// MODEL_BASE or DATA_BASE is no multiple of 4096; nothing is read.
    MisalignedBase = 9, "a base is not a multiple of 4096";
}

impl ErrorCode {
    /// The error with `code`.
    pub fn new(code: u32) -> Option<Self> {
        ERRORS.iter().map(|e| e.0).find(|e| *e as u32 == code)
    }

    /// What it is called in messages.
    pub fn name(self) -> &'static str {
        ERRORS.iter().find(|e| e.0 == self).map_or("unknown", |e| e.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_words_and_their_parts_do_not_overlap() {
        let addresses: Vec<usize> = REGISTERS.iter().map(|r| r.address).collect();
        assert!(addresses.is_sorted_by(|a, b| a < b) && addresses.iter().all(|a| a % 4 == 0 && *a < 0x100));
        for register in REGISTERS {
            let masks = register.bits.iter().map(|b| u64::from(b.of(u32::MAX)) << b.low);
            let all = masks.clone().fold(0, |all, mask| all | mask);
            assert_eq!(all, masks.sum::<u64>(), "{}", register.name);
            assert!(all <= u64::from(u32::MAX), "{}", register.name);
        }
    }

    #[test]
    fn hand_written_addresses_and_parts() {
        assert_eq!(
            [address::CONTROL, address::STATUS, address::WRITE_BEATS, address::DATA_BASE_HI],
            [0, 4, 0x30, 0x6c]
        );
        assert_eq!((word::ID, bit::ERROR.of(0xabcd_0700), bit::COMPLETED.put(3)), (16, 7, 0x3_0000));
        assert_eq!((ErrorCode::new(7), ErrorCode::new(10)), (Some(ErrorCode::Timeout), None));
        assert_eq!(ErrorCode::ReadAddress.name(), "a read beyond READ_LIMIT or WRITE_LIMIT");
    }
}
