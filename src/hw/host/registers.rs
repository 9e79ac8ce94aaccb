//! The registers: an AXI4-Lite slave.

use super::BaseRegister;
use crate::config::{ArrayConfig, PAGE_BITS};
use crate::hw::rt::{Flop, K, Reg, Sig, u};
use crate::isa::{address, bit, identity, word};
use rust_hdl::prelude::*;

/// 32 words of 32 bits at byte addresses; the low two bits of an address do not matter. AW and W may come in any
/// order. [`REGISTERS`](crate::isa::REGISTERS) lists them; what it does not list reads 0 and is written without effect;
/// every response is OKAY.
///
/// READ_LIMIT … IRQ_ENABLE and the bases read back; a write needs all four bytes. Limits should stand while busy; bases are
/// taken at a start and may change after it.
#[derive(LogicBlock)]
pub struct Registers {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// AXI4-Lite.
    pub s_axil_awvalid_i: Signal<In, Bit>,
    /// AXI4-Lite.
    pub s_axil_awaddr_i: Sig<In>,
    /// AXI4-Lite.
    pub s_axil_awready_o: Signal<Out, Bit>,
    /// AXI4-Lite.
    pub s_axil_wvalid_i: Signal<In, Bit>,
    /// AXI4-Lite.
    pub s_axil_wdata_i: Sig<In>,
    /// AXI4-Lite.
    pub s_axil_wstrb_i: Sig<In>,
    /// AXI4-Lite.
    pub s_axil_wready_o: Signal<Out, Bit>,
    /// AXI4-Lite.
    pub s_axil_bvalid_o: Signal<Out, Bit>,
    /// AXI4-Lite.
    pub s_axil_bresp_o: Sig<Out>,
    /// AXI4-Lite.
    pub s_axil_bready_i: Signal<In, Bit>,
    /// AXI4-Lite.
    pub s_axil_arvalid_i: Signal<In, Bit>,
    /// AXI4-Lite.
    pub s_axil_araddr_i: Sig<In>,
    /// AXI4-Lite.
    pub s_axil_arready_o: Signal<Out, Bit>,
    /// AXI4-Lite.
    pub s_axil_rvalid_o: Signal<Out, Bit>,
    /// AXI4-Lite.
    pub s_axil_rdata_o: Sig<Out>,
    /// AXI4-Lite.
    pub s_axil_rresp_o: Sig<Out>,
    /// AXI4-Lite.
    pub s_axil_rready_i: Signal<In, Bit>,
    /// Interrupt: level.
    pub irq_o: Signal<Out, Bit>,
    /// One cycle: a start was written.
    pub start_o: Signal<Out, Bit>,
    /// One cycle: a clear was written.
    pub clear_o: Signal<Out, Bit>,
    /// READ_LIMIT.
    pub read_limit_o: Sig<Out>,
    /// WRITE_BASE.
    pub write_base_o: Sig<Out>,
    /// WRITE_LIMIT.
    pub write_limit_o: Sig<Out>,
    /// MODEL_BASE, in pages.
    pub model_base_o: Sig<Out>,
    /// DATA_BASE, in pages.
    pub data_base_o: Sig<Out>,
    /// One of the bases is no multiple of a page.
    pub misaligned_o: Signal<Out, Bit>,
    /// For STATUS.
    pub busy_i: Signal<In, Bit>,
    /// For STATUS, and the interrupt.
    pub done_i: Signal<In, Bit>,
    /// For STATUS.
    pub refused_i: Signal<In, Bit>,
    /// For STATUS.
    pub queued_i: Signal<In, Bit>,
    /// For STATUS.
    pub error_i: Sig<In>,
    /// Commands completed, which is the index of the one under way.
    pub index_i: Sig<In>,
    /// Runs that have ended.
    pub runs_i: Sig<In>,
    /// Counter.
    pub cycles_lo_i: Sig<In>,
    /// Counter.
    pub cycles_hi_i: Sig<In>,
    /// Counter.
    pub weight_beats_i: Sig<In>,
    /// Counter.
    pub act_beats_i: Sig<In>,
    /// Counter.
    pub write_beats_i: Sig<In>,
    /// Counter.
    pub array_cycles_i: Sig<In>,
    aw_full: Flop<Bit>,
    aw_word: Reg,
    w_full: Flop<Bit>,
    w_data: Reg,
    w_strobe: Reg,
    b_full: Flop<Bit>,
    ar_full: Flop<Bit>,
    ar_word: Reg,
    r_full: Flop<Bit>,
    r_data: Reg,
    start: Flop<Bit>,
    clear: Flop<Bit>,
    read_limit: Reg,
    write_base: Reg,
    write_limit: Reg,
    irq_enable: Reg,
    model_base: BaseRegister,
    data_base: BaseRegister,
    write: Signal<Local, Bit>,
    whole: Signal<Local, Bit>,
    status: Sig<Local>,
    address_unused: Sig<Local>,
    id: K,
    version: K,
    array: K,
    widths: K,
    depths: K,
    drain: K,
    bus: K,
    fold_width: K,
}

impl Registers {
    /// The registers of the design point `config`.
    pub fn new(config: &ArrayConfig) -> Self {
        let (data, page) = (u(32), u(config.address_bits - PAGE_BITS));
        let values = identity(config);
        let constant = |register: usize| {
            let value = values.iter().find(|v| v.0 == register).map_or(0, |v| v.1);
            K::new(data, value.into())
        };
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            s_axil_awvalid_i: Default::default(),
            s_axil_awaddr_i: Sig::new(u(8)),
            s_axil_awready_o: Default::default(),
            s_axil_wvalid_i: Default::default(),
            s_axil_wdata_i: Sig::new(data),
            s_axil_wstrb_i: Sig::new(u(4)),
            s_axil_wready_o: Default::default(),
            s_axil_bvalid_o: Default::default(),
            s_axil_bresp_o: Sig::new(u(2)),
            s_axil_bready_i: Default::default(),
            s_axil_arvalid_i: Default::default(),
            s_axil_araddr_i: Sig::new(u(8)),
            s_axil_arready_o: Default::default(),
            s_axil_rvalid_o: Default::default(),
            s_axil_rdata_o: Sig::new(data),
            s_axil_rresp_o: Sig::new(u(2)),
            s_axil_rready_i: Default::default(),
            irq_o: Default::default(),
            start_o: Default::default(),
            clear_o: Default::default(),
            read_limit_o: Sig::new(data),
            write_base_o: Sig::new(data),
            write_limit_o: Sig::new(data),
            model_base_o: Sig::new(page),
            data_base_o: Sig::new(page),
            misaligned_o: Default::default(),
            busy_i: Default::default(),
            done_i: Default::default(),
            refused_i: Default::default(),
            queued_i: Default::default(),
            error_i: Sig::new(u(4)),
            index_i: Sig::new(u(12)),
            runs_i: Sig::new(u(16)),
            cycles_lo_i: Sig::new(data),
            cycles_hi_i: Sig::new(data),
            weight_beats_i: Sig::new(data),
            act_beats_i: Sig::new(data),
            write_beats_i: Sig::new(data),
            array_cycles_i: Sig::new(data),
            aw_full: Default::default(),
            aw_word: Reg::new(u(6)),
            w_full: Default::default(),
            w_data: Reg::new(data),
            w_strobe: Reg::new(u(4)),
            b_full: Default::default(),
            ar_full: Default::default(),
            ar_word: Reg::new(u(6)),
            r_full: Default::default(),
            r_data: Reg::new(data),
            start: Default::default(),
            clear: Default::default(),
            read_limit: Reg::new(data),
            write_base: Reg::new(data),
            write_limit: Reg::new(data),
            irq_enable: Reg::new(u(1)),
            model_base: BaseRegister::new(config.address_bits),
            data_base: BaseRegister::new(config.address_bits),
            write: Default::default(),
            whole: Default::default(),
            status: Sig::new(data),
            address_unused: Sig::new(u(4)),
            id: constant(address::ID),
            version: constant(address::VERSION),
            array: constant(address::ARRAY),
            widths: constant(address::WIDTHS),
            depths: constant(address::DEPTHS),
            drain: constant(address::DRAIN),
            bus: constant(address::BUS),
            fold_width: constant(address::FOLD_WIDTH),
        }
    }
}

impl Logic for Registers {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module registers: AXI4-Lite slave");
        dff_setup!(
            self,
            clk_i,
            aw_full,
            aw_word,
            w_full,
            w_data,
            w_strobe,
            b_full,
            ar_full,
            ar_word,
            r_full,
            r_data,
            start,
            clear,
            read_limit,
            write_base,
            write_limit,
            irq_enable
        );
        self.model_base.clk_i.next = self.clk_i.val();
        self.data_base.clk_i.next = self.clk_i.val();
        self.model_base.rst_ni.next = self.rst_ni.val();
        self.data_base.rst_ni.next = self.rst_ni.val();
        self.s_axil_awready_o.next = !self.aw_full.q.val();
        self.s_axil_wready_o.next = !self.w_full.q.val();
        self.s_axil_bvalid_o.next = self.b_full.q.val();
        self.s_axil_bresp_o.next = 0;
        self.s_axil_arready_o.next = !self.ar_full.q.val();
        self.s_axil_rvalid_o.next = self.r_full.q.val();
        self.s_axil_rdata_o.next = self.r_data.q.val();
        self.s_axil_rresp_o.next = 0;
        self.start_o.next = self.start.q.val();
        self.clear_o.next = self.clear.q.val();
        self.read_limit_o.next = self.read_limit.q.val();
        self.write_base_o.next = self.write_base.q.val();
        self.write_limit_o.next = self.write_limit.q.val();
        self.model_base_o.next = self.model_base.page_o.val();
        self.data_base_o.next = self.data_base.page_o.val();
        self.misaligned_o.next = self.model_base.misaligned_o.val() || self.data_base.misaligned_o.val();
        self.irq_o.next = self.done_i.val() && (self.irq_enable.q.val() == 1);
        self.address_unused.next = (self.s_axil_awaddr_i.val() & 3) | ((self.s_axil_araddr_i.val() & 3) << 2);

        comment!("Writes.");
        self.write.next = self.aw_full.q.val()
            && self.w_full.q.val()
            && (!self.b_full.q.val() || self.s_axil_bready_i.val());
        self.whole.next = self.write.val() && (self.w_strobe.q.val() == 15);
        if !self.aw_full.q.val() {
            self.aw_full.d.next = self.s_axil_awvalid_i.val();
            self.aw_word.d.next = self.s_axil_awaddr_i.val() >> 2;
        }
        if !self.w_full.q.val() {
            self.w_full.d.next = self.s_axil_wvalid_i.val();
            self.w_data.d.next = self.s_axil_wdata_i.val();
            self.w_strobe.d.next = self.s_axil_wstrb_i.val();
        }
        if self.s_axil_bready_i.val() {
            self.b_full.d.next = false;
        }
        if self.write.val() {
            self.aw_full.d.next = false;
            self.w_full.d.next = false;
            self.b_full.d.next = true;
        }
        self.start.d.next = false;
        self.clear.d.next = false;
        if self.write.val() && (self.aw_word.q.val() == word::CONTROL) && ((self.w_strobe.q.val() & 1) == 1) {
            self.start.d.next = ((self.w_data.q.val() >> bit::START.low) & 1) == 1;
            self.clear.d.next = ((self.w_data.q.val() >> bit::CLEAR.low) & 1) == 1;
        }
        if self.whole.val() && (self.aw_word.q.val() == word::READ_LIMIT) {
            self.read_limit.d.next = self.w_data.q.val();
        }
        if self.whole.val() && (self.aw_word.q.val() == word::WRITE_BASE) {
            self.write_base.d.next = self.w_data.q.val();
        }
        if self.whole.val() && (self.aw_word.q.val() == word::WRITE_LIMIT) {
            self.write_limit.d.next = self.w_data.q.val();
        }
        if self.whole.val() && (self.aw_word.q.val() == word::IRQ_ENABLE) {
            self.irq_enable.d.next = self.w_data.q.val() >> bit::IRQ.low;
        }

        self.model_base.data_i.next = self.w_data.q.val();
        self.data_base.data_i.next = self.w_data.q.val();
        self.model_base.write_lo_i.next = self.whole.val() && (self.aw_word.q.val() == word::MODEL_BASE);
        self.model_base.write_hi_i.next = self.whole.val() && (self.aw_word.q.val() == word::MODEL_BASE_HI);
        self.data_base.write_lo_i.next = self.whole.val() && (self.aw_word.q.val() == word::DATA_BASE);
        self.data_base.write_hi_i.next = self.whole.val() && (self.aw_word.q.val() == word::DATA_BASE_HI);

        comment!("Reads.");
        self.status.next =
            (self.index_i.val() << bit::COMPLETED.low) | (self.error_i.val() << bit::ERROR.low);
        if self.busy_i.val() {
            self.status.next = self.status.val() | (1 << bit::BUSY.low);
        }
        if self.done_i.val() {
            self.status.next = self.status.val() | (1 << bit::DONE.low);
        }
        if self.refused_i.val() {
            self.status.next = self.status.val() | (1 << bit::REFUSED.low);
        }
        if self.queued_i.val() {
            self.status.next = self.status.val() | (1 << bit::QUEUED.low);
        }
        if !self.ar_full.q.val() {
            self.ar_full.d.next = self.s_axil_arvalid_i.val();
            self.ar_word.d.next = self.s_axil_araddr_i.val() >> 2;
        }
        if self.s_axil_rready_i.val() {
            self.r_full.d.next = false;
        }
        if self.ar_full.q.val() && (!self.r_full.q.val() || self.s_axil_rready_i.val()) {
            self.ar_full.d.next = false;
            self.r_full.d.next = true;
            match self.ar_word.q.val() {
                word::STATUS => self.r_data.d.next = self.status.val(),
                word::READ_LIMIT => self.r_data.d.next = self.read_limit.q.val(),
                word::WRITE_BASE => self.r_data.d.next = self.write_base.q.val(),
                word::WRITE_LIMIT => self.r_data.d.next = self.write_limit.q.val(),
                word::IRQ_ENABLE => self.r_data.d.next = self.irq_enable.q.val(),
                word::ERROR_COMMAND => self.r_data.d.next = self.index_i.val(),
                word::CYCLES_LO => self.r_data.d.next = self.cycles_lo_i.val(),
                word::CYCLES_HI => self.r_data.d.next = self.cycles_hi_i.val(),
                word::WEIGHT_BEATS => self.r_data.d.next = self.weight_beats_i.val(),
                word::ACT_BEATS => self.r_data.d.next = self.act_beats_i.val(),
                word::WRITE_BEATS => self.r_data.d.next = self.write_beats_i.val(),
                word::ARRAY_CYCLES => self.r_data.d.next = self.array_cycles_i.val(),
                word::RUNS => self.r_data.d.next = self.runs_i.val(),
                word::ID => self.r_data.d.next = self.id.val(),
                word::VERSION => self.r_data.d.next = self.version.val(),
                word::ARRAY => self.r_data.d.next = self.array.val(),
                word::WIDTHS => self.r_data.d.next = self.widths.val(),
                word::DEPTHS => self.r_data.d.next = self.depths.val(),
                word::DRAIN => self.r_data.d.next = self.drain.val(),
                word::BUS => self.r_data.d.next = self.bus.val(),
                word::FOLD_WIDTH => self.r_data.d.next = self.fold_width.val(),
                word::MODEL_BASE => self.r_data.d.next = self.model_base.lo_o.val(),
                word::MODEL_BASE_HI => self.r_data.d.next = self.model_base.hi_o.val(),
                word::DATA_BASE => self.r_data.d.next = self.data_base.lo_o.val(),
                word::DATA_BASE_HI => self.r_data.d.next = self.data_base.hi_o.val(),
                _ => self.r_data.d.next = 0,
            }
        }
        if !self.rst_ni.val() {
            self.aw_full.d.next = false;
            self.w_full.d.next = false;
            self.b_full.d.next = false;
            self.ar_full.d.next = false;
            self.r_full.d.next = false;
            self.start.d.next = false;
            self.clear.d.next = false;
            self.read_limit.d.next = 0;
            self.write_base.d.next = 0;
            self.write_limit.d.next = 0;
            self.irq_enable.d.next = 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::master::{Master, Op};
    use super::*;
    use crate::config::{Multipliers, Requantize};
    use crate::hw::check::{Bench, random};
    use rand::Rng;

    /// What the registers hold and have done, in plain integers.
    struct Model {
        /// READ_LIMIT, WRITE_BASE, WRITE_LIMIT, IRQ_ENABLE.
        held: [i64; 4],
        /// MODEL_BASE and DATA_BASE, of 40 bits, in two words each.
        bases: [i64; 4],
        starts: usize,
        clears: usize,
    }

    impl Model {
        fn write(&mut self, address: i64, data: i64, strobe: i64) {
            match address / 4 {
                0 if strobe & 1 == 1 => {
                    self.starts += (data & 1) as usize;
                    self.clears += (data >> 1 & 1) as usize;
                }
                word @ 2..=4 if strobe == 15 => self.held[word as usize - 2] = data,
                5 if strobe == 15 => self.held[3] = data & 1,
                word @ (24 | 26) if strobe == 15 => self.bases[word as usize - 24] = data,
                word @ (25 | 27) if strobe == 15 => self.bases[word as usize - 24] = data & 0xff,
                _ => {}
            }
        }

        /// With counters 0x1001, 0x2002, … and the design point of the test.
        fn read(&self, address: i64, status: i64) -> i64 {
            match address / 4 {
                1 => status,
                word @ 2..=5 => self.held[word as usize - 2],
                6 => status >> 16,
                word @ 8..=13 => (word - 7) * 0x1001,
                14 => 0x7007,
                16 => 0x5647_5232,
                17 => 2,
                18 => 6 | 4 << 16,
                19 => 5 | 7 << 8 | 20 << 16,
                20 => 99 | 31 << 16,
                21 => 24 | 2 << 16,
                22 => 256 | 1 << 16 | 1 << 24 | 40 << 25,
                23 => 40,
                word @ 24..=27 => self.bases[word as usize - 24],
                _ => 0,
            }
        }
    }

    fn config() -> ArrayConfig {
        ArrayConfig {
            rows: 6,
            cols: 4,
            weight_bits: 5,
            act_bits: 7,
            acc_bits: 20,
            act_depth: 100,
            weight_depth: 32,
            acc_depth: 25,
            requantizers: 2,
            requantize: Requantize::Pow2,
            multipliers: Multipliers::Dsp,
            bus_bits: 256,
            fold_channels: 1,
            fold_width: 40,
            address_bits: 40,
            ..ArrayConfig::default()
        }
    }

    #[test]
    fn every_access_in_every_order_under_back_pressure() {
        for stall in [0, 30, 80] {
            let mut rng = random(stall.into());
            let mut bench = Bench::new(Registers::new(&config()), |r| &mut r.clk_i);
            let mut master = Master::new(stall);
            let mut model = Model { held: [0, 0, 0, 1], bases: [0; 4], starts: 0, clears: 0 };
            let (mut starts, mut clears) = (0, 0);
            bench.cycle();
            bench.block.rst_ni.next = true;
            for round in 0..60 {
                let r = &mut bench.block;
                let (error, index) = (rng.random_range(0..9), rng.random_range(0..4096));
                let flags: [bool; 4] = rng.random();
                (r.busy_i.next, r.done_i.next, r.refused_i.next, r.queued_i.next) = flags.into();
                r.runs_i.next = 0x7007;
                (r.error_i.next, r.index_i.next) = (error, index);
                r.cycles_lo_i.next = 0x1001;
                r.cycles_hi_i.next = 0x2002;
                r.weight_beats_i.next = 0x3003;
                r.act_beats_i.next = 0x4004;
                r.write_beats_i.next = 0x5005;
                r.array_cycles_i.next = 0x6006;
                let bits = flags.iter().rev().fold(0, |b, &f| b << 1 | f as i64);
                let status = bits | error << 8 | index << 16;
                let mut want = vec![];
                for _ in 0..rng.random_range(1..6) {
                    let end = if rng.random_bool(0.8) { 0x70 } else { 256 };
                    let address = rng.random_range(0..end);
                    if round % 2 == 0 {
                        let data = rng.random_range(0..1 << 32);
                        let strobe = if rng.random_bool(0.6) { 15 } else { rng.random_range(0..16) };
                        master.push(Op::Write(address, data, strobe));
                        model.write(address, data, strobe);
                    } else {
                        master.push(Op::Read(address));
                        want.push(model.read(address, status));
                    }
                }
                let deadline = bench.vectors() + 400;
                while !master.is_idle() {
                    assert!(bench.vectors() < deadline, "the registers hang");
                    master.drive(&mut bench.block, &mut rng);
                    bench.cycle();
                    starts += bench.block.start_o.val() as usize;
                    clears += bench.block.clear_o.val() as usize;
                    let irq = flags[1] && model.held[3] == 1;
                    assert!(bench.block.irq_o.val() == irq || round % 2 == 0);
                }
                assert_eq!(master.take_reads(), want);
                assert_eq!((starts, clears), (model.starts, model.clears));
                let r = &bench.block;
                let outputs = [&r.read_limit_o, &r.write_base_o, &r.write_limit_o].map(|o| o.val());
                assert_eq!(outputs[..], model.held[..3]);
                let [model_lo, model_hi, data_lo, data_hi] = model.bases;
                let (model_base, data_base) = (model_hi << 32 | model_lo, data_hi << 32 | data_lo);
                assert_eq!((r.model_base_o.val(), r.data_base_o.val()), (model_base >> 12, data_base >> 12));
                assert_eq!(r.misaligned_o.val(), (model_base | data_base) & 0xfff != 0);
            }
            bench.verilog("registers", 1 << 20); // read data has no value before the first read
        }
    }
}
