//! The command under way: its words, as fields.

use crate::hw::datapath::address_bits;
use crate::hw::rt::{Fields, Lanes, LayerPort, Sig, text, u};
use crate::isa::{COMMAND_BYTES, COMMAND_WORDS, FIELDS, Field, Layer};
use rust_hdl::prelude::*;

/// Beats of a bus of `bus_bits` in a command.
pub fn beats(bus_bits: usize) -> usize {
    COMMAND_BYTES * 8 / bus_bits
}

/// Words that hold fields; the rest of a command is spare.
fn used_words() -> usize {
    FIELDS.iter().map(|field| field.word + 1).max().unwrap_or(0)
}

/// Holds a command, written beat by beat, until the next one is written.
#[derive(LogicBlock)]
pub struct Command {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// A beat comes.
    pub write_i: Signal<In, Bit>,
    /// Its number within the command.
    pub number_i: Sig<In>,
    /// The beat.
    pub beat_i: Lanes<In>,
    /// The fields.
    pub layer_o: LayerPort<Out>,
    _words: [i64; COMMAND_WORDS],
}

impl Command {
    /// A command that comes over a bus of `bus_bits`.
    pub fn new(bus_bits: usize) -> Self {
        Self {
            clk_i: Default::default(),
            write_i: Default::default(),
            number_i: Sig::new(u(address_bits(beats(bus_bits)))),
            beat_i: Lanes::new(bus_bits / 32, u(32)),
            layer_o: LayerPort::raw(),
            _words: [0; COMMAND_WORDS],
        }
    }

    /// Takes a beat.
    fn write(&mut self) {
        let beat = self.beat_i.val();
        let first = self.number_i.val() as usize * beat.len();
        for (word, value) in self._words.iter_mut().skip(first).zip(beat.iter()) {
            *word = *value;
        }
        let field = |f: &Field| u(f.bits).wrap(self._words[f.word] >> f.low);
        self.layer_o.next = Fields::new(Layer::new(field));
    }
}

impl Logic for Command {
    fn update(&mut self) {
        if self.clk_i.pos_edge() && self.write_i.val() {
            self.write();
        }
    }
    fn connect(&mut self) {
        self.layer_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (lanes, bits, used) = (self.beat_i.count(), self.number_i.ty().bits, used_words());
        let writes = (0..used.div_ceil(lanes)).map(|beat| {
            let (first, end) = (beat * lanes, ((beat + 1) * lanes).min(used));
            let (high, low, most) = (end * 32 - 1, first * 32, (end - first) * 32 - 1);
            format!(
                "    if (write_i && number_i == {bits}'d{beat}) words[{high}:{low}] <= beat_i[{most}:0];\n"
            )
        });
        let fields = FIELDS.iter().map(|field| {
            let low = field.word * 32 + field.low as usize;
            let range = match field.bits {
                1 => low.to_string(),
                bits => format!("{}:{low}", low + bits as usize - 1),
            };
            format!("assign layer_{}_o = words[{range}];\n", field.name)
        });
        let spare = spare(used).into_iter().map(|bit| format!("words[{bit}]")).collect::<Vec<_>>().join(", ");
        let unused = if spare.is_empty() {
            String::new()
        } else {
            format!("\nwire spare_unused = &{{1'b0, {spare}}};\n")
        };
        let code = format!(
            "// module command: the command under way, as fields
// Little-endian words of 32 bits; the spare ones at the end are not kept.
reg [{}:0] words;

always @(posedge clk_i) begin
{}end

{}{unused}",
            used * 32 - 1,
            writes.collect::<String>(),
            fields.collect::<String>(),
        );
        text(code)
    }
}

/// Bits of the first `words` words that belong to no field.
fn spare(words: usize) -> Vec<usize> {
    let fields = |bit: usize| {
        FIELDS.iter().any(|f| {
            let low = f.word * 32 + f.low as usize;
            (low..low + f.bits as usize).contains(&bit)
        })
    };
    (0..words * 32).filter(|bit| !fields(*bit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;

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
            let l = &bench.block.layer_o;
            let get =
                [&l.opcode, &l.kernel, &l.in_h, &l.in_w, &l.slots, &l.clip, &l.weight_rows].map(|f| f.val());
            assert_eq!(get, [1, 2, 7, 9, 11, 255, 0xffff_fffe]);
            assert_eq!((l.x_base.val(), l.y_stripe_pitch.val()), (words[1], words[23]));
            assert_eq!((l.x_row_beats.val(), l.y_row_beats.val()), (7 * 21, words[21] >> 16));
            let flags = [&l.pool, &l.x_signed, &l.raw, &l.resident, &l.aligned].map(|f| f.val());
            assert_eq!(flags, [1, 0, 1, 0, 1]);
        }
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
