//! A buffer whose lanes are read one cycle after each other.

use super::{Lane, address_bits};
use crate::hw::rt::{Lanes, Sig, Template, Ty, text, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Lanes of memory in groups. All lanes of a group are written at once; the read address enters lane 0 and walks to
/// lane r in r cycles, so that the words come out with the skew of a systolic array.
#[derive(LogicBlock)]
pub struct LaneBuffer {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// A lane a group: write `data_i` to this group.
    pub write_i: Lanes<In>,
    /// Word to write.
    pub write_addr_i: Sig<In>,
    /// What to write, a lane a lane of a group; the same for all groups.
    pub data_i: Lanes<In>,
    /// Word to read from lane 0.
    pub addr_i: Sig<In>,
    /// Give 0 instead, in every lane.
    pub zero_i: Signal<In, Bit>,
    /// A mark on this read.
    pub tag_i: Signal<In, Bit>,
    /// Tags come out of all lanes together with lane 0's; stable while tags are under way.
    pub aligned_i: Signal<In, Bit>,
    /// Words: lane r gives the word of `addr_i` r + 1 cycles later.
    pub word_o: Lanes<Out>,
    /// Tags, each beside the word it came with (all beside lane 0's with `aligned_i`).
    pub tag_o: Lanes<Out>,
    // Of lanes read together; the last may be fewer.
    lane: Vec<Template<Lane>>,
    _state: State,
}

impl LaneBuffer {
    /// Cycles from `addr_i` to the word of lane 0.
    pub const LATENCY: usize = timing::LANE_BUFFER;

    /// A buffer of `groups` × `per_group` lanes of `depth` words of type `ty`.
    pub fn new(groups: usize, per_group: usize, depth: usize, ty: Ty) -> Self {
        Self::of(groups, per_group, 1, depth, ty)
    }

    /// A buffer of one group of `lanes` lanes, `together` of which are read in the same cycle: they are one memory and one step
    /// of the address, with one tag.
    pub fn together(lanes: usize, together: usize, depth: usize, ty: Ty) -> Self {
        Self::of(1, lanes, together, depth, ty)
    }

    fn of(groups: usize, per_group: usize, together: usize, depth: usize, ty: Ty) -> Self {
        let (lanes, address) = (groups * per_group, u(address_bits(depth)));
        let memories = [together, lanes % together].into_iter().filter(|&n| n > 0);
        let memory = |n: usize| if n == 1 { ty } else { u(n as u32 * ty.bits) };
        let steps = lanes.div_ceil(together);
        Self {
            clk_i: Default::default(),
            write_i: Lanes::new(groups, u(1)),
            write_addr_i: Sig::new(address),
            data_i: Lanes::new(per_group, ty),
            addr_i: Sig::new(address),
            zero_i: Default::default(),
            tag_i: Default::default(),
            aligned_i: Default::default(),
            word_o: Lanes::new(lanes, ty),
            tag_o: Lanes::new(steps, u(1)),
            lane: memories.map(|n| Template(Lane::new(depth, memory(n)))).collect(),
            _state: State {
                words: vec![vec![0; lanes]; 1 << address.bits],
                reads: vec![Read::default(); steps],
                word: vec![0; lanes],
                together,
            },
        }
    }
}

/// A read on its way through the lanes.
#[derive(Clone, Copy, Default)]
struct Read {
    addr: usize,
    zero: bool,
    tag: bool,
}

struct State {
    /// Lanes of each word.
    words: Vec<Vec<i64>>,
    /// The read that each step of lanes has just done.
    reads: Vec<Read>,
    /// What it gave, lane by lane.
    word: Vec<i64>,
    /// Lanes of a step.
    together: usize,
}

impl State {
    fn read(&mut self, read: Read) {
        let last = self.reads.len() - 1;
        self.reads.copy_within(..last, 1);
        self.reads[0] = read;
        for lane in 0..self.word.len() {
            let read = self.reads[lane / self.together];
            self.word[lane] = if read.zero { 0 } else { self.words[read.addr][lane] };
        }
    }

    fn write(&mut self, groups: &[i64], addr: usize, data: &[i64]) {
        for group in (0..groups.len()).filter(|&g| groups[g] == 1) {
            self.words[addr][group * data.len()..][..data.len()].copy_from_slice(data);
        }
    }
}

impl Logic for LaneBuffer {
    fn update(&mut self) {
        let state = &mut self._state;
        if self.clk_i.pos_edge() {
            let addr = self.addr_i.val() as usize;
            state.read(Read { addr, zero: self.zero_i.val(), tag: self.tag_i.val() });
            state.write(self.write_i.lanes(), self.write_addr_i.val() as usize, self.data_i.lanes());
            self.word_o.drive(|lane| state.word[lane]);
        }
        let aligned = self.aligned_i.val();
        self.tag_o.drive(|step| state.reads[if aligned { 0 } else { step }].tag as i64);
    }
    fn connect(&mut self) {
        self.word_o.connect();
        self.tag_o.connect();
    }
    fn hdl(&self) -> Verilog {
        let (groups, per_group) = (self.write_i.count(), self.data_i.count());
        let (bits, address) = (self.data_i.ty().bits, self.addr_i.ty().bits);
        let lanes = groups * per_group;
        let together = self._state.together;
        if together > 1 {
            return self.memories(lanes, together);
        }
        text(format!(
            "// module lane_buffer: {lanes} lanes of {bits} bits, lane r read r cycles after lane 0
localparam GROUP = {per_group}; // lanes written together
localparam LANES = {lanes};
localparam BITS = {bits};
localparam ADDR = {address};
{LANE_BUFFER}"
        ))
    }
}

impl LaneBuffer {
    /// The text where lanes are read together.
    fn memories(&self, lanes: usize, together: usize) -> Verilog {
        let (bits, address) = (self.data_i.ty().bits, self.addr_i.ty().bits);
        let rest = match lanes % together {
            0 => String::new(),
            n => format!("\nlocalparam REST = {n}; // lanes of the last step\n{REST}"),
        };
        text(format!(
            "// module lane_buffer: {lanes} lanes of {bits} bits, {together} of them read a cycle after those before
localparam STEP = {together}; // lanes read together
localparam FULL = {}; // such steps
localparam STEPS = {}; // and what lanes are left
localparam BITS = {bits};
localparam ADDR = {address};
{STEPS}{rest}",
            lanes / together,
            lanes.div_ceil(together)
        ))
    }
}

const LANE_BUFFER: &str = "
// Address and flags walk through the lanes.
wire [(LANES+1)*ADDR-1:0] addr;
wire [LANES:0]            zero;
wire [LANES:0]            tag;

assign addr[0 +: ADDR] = addr_i;
assign zero[0]         = zero_i;
assign tag[0]          = tag_i;
assign tag_o           = aligned_i ? {LANES{tag[1]}} : tag[1 +: LANES];

wire [ADDR:0] last_unused = {zero[LANES], addr[LANES*ADDR +: ADDR]};

genvar r;
generate
    for (r = 0; r < LANES; r = r + 1) begin : g_lane
        @lane$0@ u_lane (
            .clk_i       (clk_i),
            .write_i     (write_i[r/GROUP]),
            .write_addr_i(write_addr_i),
            .data_i      (data_i[(r%GROUP)*BITS +: BITS]),
            .addr_i      (addr[r*ADDR +: ADDR]),
            .zero_i      (zero[r]),
            .tag_i       (tag[r]),
            .addr_o      (addr[(r+1)*ADDR +: ADDR]),
            .zero_o      (zero[r+1]),
            .tag_o       (tag[r+1]),
            .word_o      (word_o[r*BITS +: BITS])
        );
    end
endgenerate
";

const STEPS: &str = "
// Address and flags walk through the steps.
wire [(STEPS+1)*ADDR-1:0] addr;
wire [STEPS:0]            zero;
wire [STEPS:0]            tag;

assign addr[0 +: ADDR] = addr_i;
assign zero[0]         = zero_i;
assign tag[0]          = tag_i;
assign tag_o           = aligned_i ? {STEPS{tag[1]}} : tag[1 +: STEPS];

wire [ADDR:0] last_unused = {zero[STEPS], addr[STEPS*ADDR +: ADDR]};

genvar r;
generate
    for (r = 0; r < FULL; r = r + 1) begin : g_step
        @lane$0@ u_lane (
            .clk_i       (clk_i),
            .write_i     (write_i),
            .write_addr_i(write_addr_i),
            .data_i      (data_i[r*STEP*BITS +: STEP*BITS]),
            .addr_i      (addr[r*ADDR +: ADDR]),
            .zero_i      (zero[r]),
            .tag_i       (tag[r]),
            .addr_o      (addr[(r+1)*ADDR +: ADDR]),
            .zero_o      (zero[r+1]),
            .tag_o       (tag[r+1]),
            .word_o      (word_o[r*STEP*BITS +: STEP*BITS])
        );
    end
endgenerate
";

const REST: &str = "
@lane$1@ u_rest (
    .clk_i       (clk_i),
    .write_i     (write_i),
    .write_addr_i(write_addr_i),
    .data_i      (data_i[FULL*STEP*BITS +: REST*BITS]),
    .addr_i      (addr[FULL*ADDR +: ADDR]),
    .zero_i      (zero[FULL]),
    .tag_i       (tag[FULL]),
    .addr_o      (addr[STEPS*ADDR +: ADDR]),
    .zero_o      (zero[STEPS]),
    .tag_o       (tag[STEPS]),
    .word_o      (word_o[FULL*STEP*BITS +: REST*BITS])
);
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hw::check::{Bench, random};
    use crate::hw::rt::s;
    use rand::Rng;

    /// What lane `lane` holds at `addr`.
    fn word(ty: Ty, lane: usize, addr: usize) -> i64 {
        ty.wrap((lane * 31 + addr * 17 + 5) as i64)
    }

    fn check(groups: usize, per_group: usize, together: usize, depth: usize, ty: Ty) {
        let buffer = LaneBuffer::of(groups, per_group, together, depth, ty);
        let mut bench = Bench::new(buffer, |b| &mut b.clk_i);
        let mut rng = random(depth as u64);
        let filling = groups * depth;
        let mut reads: Vec<(usize, bool, bool)> = vec![];
        for t in 0..filling + 60 {
            let (group, addr) = (t / depth % groups, t % depth);
            let read =
                (rng.random_range(0..depth), t < filling || rng.random_bool(0.2), rng.random_bool(0.2));
            let x = &mut bench.block;
            x.write_i.drive(|g| (t < filling && g == group) as i64);
            x.write_addr_i.next = addr as i64;
            x.data_i.drive(|k| word(ty, group * per_group + k, addr));
            x.addr_i.next = read.0 as i64;
            (x.zero_i.next, x.tag_i.next, x.aligned_i.next) = (read.1, read.2, t % 20 >= 15);
            reads.push(read);
            bench.cycle();
            for lane in (0..groups * per_group).filter(|&lane| t >= lane / together) {
                let step = lane / together;
                let (addr, zero, tag) = reads[t - step];
                let want = if zero { 0 } else { word(ty, lane, addr) };
                let tag = if t % 20 >= 15 { reads[t].2 } else { tag };
                let got = (bench.block.word_o.val()[lane], bench.block.tag_o.val()[step]);
                assert_eq!(got, (want, tag as i64), "lane {lane} at cycle {t}");
            }
        }
        bench.verilog("lane_buffer", groups * per_group);
    }

    #[test]
    fn lanes_follow_each_other() {
        check(2, 3, 1, 8, u(5));
        check(1, 4, 1, 5, s(8));
        check(4, 1, 1, 16, u(16));
    }

    #[test]
    fn or_several_of_them_together() {
        check(1, 6, 2, 8, s(4));
        check(1, 8, 3, 5, s(3));
        check(1, 5, 4, 16, s(8));
    }
}
