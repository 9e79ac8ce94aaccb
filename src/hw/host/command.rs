//! The command under way: its words, as fields.

use crate::hw::datapath::address_bits;
use crate::hw::rt::{Lanes, Sig, text, u};
use rust_hdl::prelude::*;

/// Bytes of a command in memory.
pub const COMMAND_BYTES: usize = 128;
/// Words of 32 bits that hold fields; the rest of a command is spare.
const WORDS: usize = 25;

/// Words of a bus of `bus_bits` in a command.
pub fn beats(bus_bits: usize) -> usize {
    COMMAND_BYTES * 8 / bus_bits
}

/// Port, word, lowest bit, bits of every field that is a number; little-endian words of 32 bits.
const FIELDS: [(&str, usize, u32, u32); 35] = [
    ("opcode_o", 0, 0, 8),
    ("kernel_o", 0, 8, 8),
    ("x_base_o", 1, 0, 32),
    ("x_row_pitch_o", 2, 0, 32),
    ("x_plane_pitch_o", 3, 0, 32),
    ("x_image_pitch_o", 4, 0, 32),
    ("in_h_o", 5, 0, 16),
    ("in_w_o", 5, 16, 16),
    ("y_base_o", 6, 0, 32),
    ("y_row_pitch_o", 7, 0, 32),
    ("y_plane_pitch_o", 8, 0, 32),
    ("y_image_pitch_o", 9, 0, 32),
    ("units_o", 10, 0, 16),
    ("outer_o", 10, 16, 16),
    ("weights_o", 11, 0, 32),
    ("weights_pitch_o", 12, 0, 32),
    ("params_o", 13, 0, 32),
    ("params_pitch_o", 14, 0, 32),
    ("ci_tiles_o", 15, 0, 16),
    ("co_tiles_o", 15, 16, 16),
    ("co_blocks_o", 16, 0, 16),
    ("out_w_o", 16, 16, 16),
    ("stripe_o", 17, 0, 16),
    ("patch_o", 17, 16, 16),
    ("slots_o", 18, 0, 16),
    ("clip_o", 18, 16, 16),
    ("kernel_h_o", 19, 0, 16),
    ("kernel_w_o", 19, 16, 16),
    ("unit_positions_o", 20, 0, 16),
    ("step_o", 20, 16, 16),
    ("x_row_beats_o", 21, 0, 16),
    ("y_row_beats_o", 21, 16, 16),
    ("x_stripe_pitch_o", 22, 0, 32),
    ("y_stripe_pitch_o", 23, 0, 32),
    ("weight_rows_o", 24, 0, 32),
];

/// Port and bit of every flag of word 0.
const FLAGS: [(&str, u32); 5] =
    [("pool_o", 16), ("x_signed_o", 17), ("raw_o", 18), ("resident_o", 19), ("aligned_o", 20)];

/// Holds a command, written word of the bus by word, until the next one is written. The kernel's decoded forms are
/// right for kernels 0 … 2 only.
#[derive(LogicBlock)]
pub struct Command {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// A word of the bus comes.
    pub write_i: Signal<In, Bit>,
    /// Its number within the command.
    pub number_i: Sig<In>,
    /// The word.
    pub beat_i: Lanes<In>,
    /// What the command is.
    pub opcode_o: Sig<Out>,
    /// 0: conv, 1: folded, 2: dense.
    pub kernel_o: Sig<Out>,
    /// 3×3 kernel with a border of zeros, nine passes.
    pub pad_o: Signal<Out, Bit>,
    /// 3×3 kernel, its positions side by side in the array's rows.
    pub folded_o: Signal<Out, Bit>,
    /// Kernel of the map's size.
    pub dense_o: Signal<Out, Bit>,
    /// 2×2 max pool after requantization.
    pub pool_o: Signal<Out, Bit>,
    /// Input codes are two's complement.
    pub x_signed_o: Signal<Out, Bit>,
    /// Accumulators go out as they are.
    pub raw_o: Signal<Out, Bit>,
    /// All tiles of a stripe stay in the activation buffer.
    pub resident_o: Signal<Out, Bit>,
    /// All rows of the array swap weights at once.
    pub aligned_o: Signal<Out, Bit>,
    /// Address of the first input image.
    pub x_base_o: Sig<Out>,
    /// Bytes from input row to row.
    pub x_row_pitch_o: Sig<Out>,
    /// Bytes from block to block of input channels.
    pub x_plane_pitch_o: Sig<Out>,
    /// Bytes from input image to image.
    pub x_image_pitch_o: Sig<Out>,
    /// Rows of the input.
    pub in_h_o: Sig<Out>,
    /// Columns of the input.
    pub in_w_o: Sig<Out>,
    /// Address of the first output image.
    pub y_base_o: Sig<Out>,
    /// Bytes from written row to row.
    pub y_row_pitch_o: Sig<Out>,
    /// Bytes from block to block of output channels.
    pub y_plane_pitch_o: Sig<Out>,
    /// Bytes from output image to image.
    pub y_image_pitch_o: Sig<Out>,
    /// Units of the layer.
    pub units_o: Sig<Out>,
    /// How often the units come.
    pub outer_o: Sig<Out>,
    /// Weight stream of output tile 0.
    pub weights_o: Sig<Out>,
    /// Bytes of an output tile's weight stream.
    pub weights_pitch_o: Sig<Out>,
    /// Parameter records of output tile 0.
    pub params_o: Sig<Out>,
    /// Bytes of an output tile's parameter records.
    pub params_pitch_o: Sig<Out>,
    /// Tiles of the reduction.
    pub ci_tiles_o: Sig<Out>,
    /// Tiles of output channels.
    pub co_tiles_o: Sig<Out>,
    /// Blocks of output channels that are written.
    pub co_blocks_o: Sig<Out>,
    /// Pixels of a written row.
    pub out_w_o: Sig<Out>,
    /// Units of a stripe.
    pub stripe_o: Sig<Out>,
    /// Words of a patch.
    pub patch_o: Sig<Out>,
    /// Patches that the activation buffer holds.
    pub slots_o: Sig<Out>,
    /// Greatest output code.
    pub clip_o: Sig<Out>,
    /// Kernel rows.
    pub kernel_h_o: Sig<Out>,
    /// Kernel columns.
    pub kernel_w_o: Sig<Out>,
    /// Positions of a unit.
    pub unit_positions_o: Sig<Out>,
    /// Words between positions.
    pub step_o: Sig<Out>,
    /// Words of the bus in an input row.
    pub x_row_beats_o: Sig<Out>,
    /// Words of the bus in a written row.
    pub y_row_beats_o: Sig<Out>,
    /// Input bytes from stripe to stripe.
    pub x_stripe_pitch_o: Sig<Out>,
    /// Output bytes from stripe to stripe.
    pub y_stripe_pitch_o: Sig<Out>,
    /// Rows of weights of an output tile.
    pub weight_rows_o: Sig<Out>,
    _words: [i64; WORDS],
}

impl Command {
    /// A command that comes over a bus of `bus_bits`.
    pub fn new(bus_bits: usize) -> Self {
        Self {
            clk_i: Default::default(),
            write_i: Default::default(),
            number_i: Sig::new(u(address_bits(beats(bus_bits)))),
            beat_i: Lanes::new(bus_bits / 32, u(32)),
            opcode_o: Sig::new(u(8)),
            kernel_o: Sig::new(u(8)),
            pad_o: Default::default(),
            folded_o: Default::default(),
            dense_o: Default::default(),
            pool_o: Default::default(),
            x_signed_o: Default::default(),
            raw_o: Default::default(),
            resident_o: Default::default(),
            aligned_o: Default::default(),
            x_base_o: Sig::new(u(32)),
            x_row_pitch_o: Sig::new(u(32)),
            x_plane_pitch_o: Sig::new(u(32)),
            x_image_pitch_o: Sig::new(u(32)),
            in_h_o: Sig::new(u(16)),
            in_w_o: Sig::new(u(16)),
            y_base_o: Sig::new(u(32)),
            y_row_pitch_o: Sig::new(u(32)),
            y_plane_pitch_o: Sig::new(u(32)),
            y_image_pitch_o: Sig::new(u(32)),
            units_o: Sig::new(u(16)),
            outer_o: Sig::new(u(16)),
            weights_o: Sig::new(u(32)),
            weights_pitch_o: Sig::new(u(32)),
            params_o: Sig::new(u(32)),
            params_pitch_o: Sig::new(u(32)),
            ci_tiles_o: Sig::new(u(16)),
            co_tiles_o: Sig::new(u(16)),
            co_blocks_o: Sig::new(u(16)),
            out_w_o: Sig::new(u(16)),
            stripe_o: Sig::new(u(16)),
            patch_o: Sig::new(u(16)),
            slots_o: Sig::new(u(16)),
            clip_o: Sig::new(u(16)),
            kernel_h_o: Sig::new(u(16)),
            kernel_w_o: Sig::new(u(16)),
            unit_positions_o: Sig::new(u(16)),
            step_o: Sig::new(u(16)),
            x_row_beats_o: Sig::new(u(16)),
            y_row_beats_o: Sig::new(u(16)),
            x_stripe_pitch_o: Sig::new(u(32)),
            y_stripe_pitch_o: Sig::new(u(32)),
            weight_rows_o: Sig::new(u(32)),
            _words: [0; WORDS],
        }
    }

    /// The ports of [`FIELDS`].
    fn numbers(&mut self) -> [&mut Sig<Out>; FIELDS.len()] {
        [
            &mut self.opcode_o,
            &mut self.kernel_o,
            &mut self.x_base_o,
            &mut self.x_row_pitch_o,
            &mut self.x_plane_pitch_o,
            &mut self.x_image_pitch_o,
            &mut self.in_h_o,
            &mut self.in_w_o,
            &mut self.y_base_o,
            &mut self.y_row_pitch_o,
            &mut self.y_plane_pitch_o,
            &mut self.y_image_pitch_o,
            &mut self.units_o,
            &mut self.outer_o,
            &mut self.weights_o,
            &mut self.weights_pitch_o,
            &mut self.params_o,
            &mut self.params_pitch_o,
            &mut self.ci_tiles_o,
            &mut self.co_tiles_o,
            &mut self.co_blocks_o,
            &mut self.out_w_o,
            &mut self.stripe_o,
            &mut self.patch_o,
            &mut self.slots_o,
            &mut self.clip_o,
            &mut self.kernel_h_o,
            &mut self.kernel_w_o,
            &mut self.unit_positions_o,
            &mut self.step_o,
            &mut self.x_row_beats_o,
            &mut self.y_row_beats_o,
            &mut self.x_stripe_pitch_o,
            &mut self.y_stripe_pitch_o,
            &mut self.weight_rows_o,
        ]
    }

    /// The ports of [`FLAGS`].
    fn flags(&mut self) -> [&mut Signal<Out, Bit>; FLAGS.len()] {
        [&mut self.pool_o, &mut self.x_signed_o, &mut self.raw_o, &mut self.resident_o, &mut self.aligned_o]
    }

    /// Takes a word of the bus.
    fn write(&mut self) {
        let beat = self.beat_i.val();
        let first = self.number_i.val() as usize * beat.len();
        for (word, value) in self._words.iter_mut().skip(first).zip(beat.iter()) {
            *word = *value;
        }
    }

    /// Drives every output.
    fn show(&mut self) {
        let words = self._words;
        for (port, (_, word, shift, _)) in self.numbers().into_iter().zip(FIELDS) {
            port.next = words[word] >> shift;
        }
        for (port, (_, bit)) in self.flags().into_iter().zip(FLAGS) {
            port.next = words[0] >> bit & 1 == 1;
        }
        self.pad_o.next = words[0] >> 8 & 3 == 0;
        self.folded_o.next = words[0] >> 8 & 1 == 1;
        self.dense_o.next = words[0] >> 9 & 1 == 1;
    }
}

impl Logic for Command {
    fn update(&mut self) {
        if self.clk_i.pos_edge() && self.write_i.val() {
            self.write();
        }
        self.show();
    }
    fn connect(&mut self) {
        self.numbers().into_iter().for_each(|port| port.connect());
        self.flags().into_iter().for_each(|port| port.connect());
        [&mut self.pad_o, &mut self.folded_o, &mut self.dense_o].into_iter().for_each(|port| port.connect());
    }
    fn hdl(&self) -> Verilog {
        let (lanes, bits) = (self.beat_i.count(), self.number_i.ty().bits);
        let writes = (0..WORDS.div_ceil(lanes)).map(|beat| {
            let (first, end) = (beat * lanes, ((beat + 1) * lanes).min(WORDS));
            let (high, low, most) = (end * 32 - 1, first * 32, (end - first) * 32 - 1);
            format!(
                "    if (write_i && number_i == {bits}'d{beat}) words[{high}:{low}] <= beat_i[{most}:0];\n"
            )
        });
        let numbers = FIELDS.iter().map(|(port, word, shift, bits)| {
            let low = word * 32 + *shift as usize;
            format!("assign {port} = words[{}:{low}];\n", low + *bits as usize - 1)
        });
        let flags = FLAGS.iter().map(|(port, bit)| format!("assign {port} = words[{bit}];\n"));
        let code = format!(
            "// module command: the command under way, as fields
// Little-endian words of 32 bits; the spare ones at the end are not kept.
reg [{}:0] words;

always @(posedge clk_i) begin
{}end

{}{}assign pad_o    = words[9:8] == 2'd0;
assign folded_o = words[8];
assign dense_o  = words[9];

wire [10:0] spare_unused = words[31:21];
",
            WORDS * 32 - 1,
            writes.collect::<String>(),
            flags.collect::<String>(),
            numbers.collect::<String>(),
        );
        text(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    /// The value of the field called `name`.
    fn field(command: &mut Command, name: &str) -> i64 {
        let at = FIELDS.iter().position(|f| f.0 == name).unwrap();
        command.numbers()[at].val()
    }

    fn load(bench: &mut Bench<Command>, words: &[i64; 32]) {
        let lanes = bench.block.beat_i.count();
        for (number, beat) in words.chunks(lanes).enumerate() {
            bench.block.write_i.next = true;
            bench.block.number_i.next = number as i64;
            bench.block.beat_i.drive(|lane| beat[lane]);
            bench.cycle();
        }
        bench.block.write_i.next = false;
    }

    #[test]
    fn fields_stand_where_the_program_puts_them() {
        // Hand-written: positions of the first, the last and some others.
        for bus_bits in [64, 128, 256, 512] {
            let mut bench = Bench::new(Command::new(bus_bits), |c| &mut c.clk_i);
            let mut words: [i64; 32] = std::array::from_fn(|i| 0x0102_0000 * i as i64 + 7 * i as i64);
            words[0] = 0xffe0_0000 | 0b10101 << 16 | 2 << 8 | 1;
            words[5] = 0x0009_0007;
            words[18] = 0x00ff_000b;
            words[24] = 0xffff_fffe;
            load(&mut bench, &words);
            let c = &mut bench.block;
            let get = ["opcode_o", "kernel_o", "in_h_o", "in_w_o", "slots_o", "clip_o", "weight_rows_o"]
                .map(|name| field(c, name));
            assert_eq!(get, [1, 2, 7, 9, 11, 255, 0xffff_fffe]);
            assert_eq!((c.x_base_o.val(), c.y_stripe_pitch_o.val()), (words[1], words[23]));
            assert_eq!((c.x_row_beats_o.val(), c.y_row_beats_o.val()), (7 * 21, words[21] >> 16));
            let flags = [&c.pool_o, &c.x_signed_o, &c.raw_o, &c.resident_o, &c.aligned_o].map(|f| f.val());
            assert_eq!(flags, [true, false, true, false, true]);
            let kernel = [&c.pad_o, &c.folded_o, &c.dense_o].map(|f| f.val());
            assert_eq!(kernel, [false, false, true]);
        }
    }

    #[test]
    fn every_bit_belongs_to_one_field() {
        let mut used = [0u32; 32];
        let flags = FLAGS.iter().map(|&(_, bit)| (0, bit, 1));
        for (word, shift, bits) in FIELDS.iter().map(|&(_, w, s, b)| (w, s, b)).chain(flags) {
            let mask = (u32::MAX >> (32 - bits)) << shift;
            assert_eq!(used[word] & mask, 0);
            used[word] |= mask;
        }
        assert_eq!(used[0], 0x001f_ffff);
        assert!(used[1..WORDS].iter().all(|&w| w == u32::MAX));
    }

    #[test]
    fn verilog_does_the_same() {
        for bus_bits in [64, 128, 256, 512] {
            let mut rng = random(bus_bits as u64);
            let mut bench = Bench::new(Command::new(bus_bits), |c| &mut c.clk_i);
            let settle = beats(bus_bits);
            for _ in 0..20 {
                let words: [i64; 32] = std::array::from_fn(|_| rng.random_range(0..1 << 32));
                load(&mut bench, &words);
                bench.block.beat_i.drive(|_| 0);
                bench.cycle();
            }
            bench.verilog("command", settle);
        }
    }
}
