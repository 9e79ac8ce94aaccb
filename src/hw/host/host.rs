//! The host's side of the accelerator: registers, commands, errors.

use super::{Bases, Command, Controller, Counters, Fetch, FieldCheck, Registers};
use crate::config::{ArrayConfig, PAGE_BITS};
use crate::hw::rt::{Flop, Lanes, LayerPort, Sig, u};
use crate::isa::timing;
use rust_hdl::prelude::*;

/// Registers, controller, counters and the command under way. Everything that it does not hold itself is reset by
/// `flush_no`: the datapath, the loaders, the streams, both ports.
#[derive(LogicBlock)]
pub struct Host {
    /// Clock.
    pub clk_i: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_ni: Signal<In, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_awvalid_i: Signal<In, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_awaddr_i: Sig<In>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_awready_o: Signal<Out, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_wvalid_i: Signal<In, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_wdata_i: Sig<In>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_wstrb_i: Sig<In>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_wready_o: Signal<Out, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_bvalid_o: Signal<Out, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_bresp_o: Sig<Out>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_bready_i: Signal<In, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_arvalid_i: Signal<In, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_araddr_i: Sig<In>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_arready_o: Signal<Out, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_rvalid_o: Signal<Out, Bit>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_rdata_o: Sig<Out>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_rresp_o: Sig<Out>,
    /// AXI4-Lite, see [`Registers`].
    pub s_axil_rready_i: Signal<In, Bit>,
    /// Interrupt: level, a run has ended.
    pub irq_o: Signal<Out, Bit>,
    /// One cycle: a layer begins; its fields are stable until `layer_done_i`.
    pub start_o: Signal<Out, Bit>,
    /// The layer is complete, up to its last word being handed to the write port; a level that falls with `start_o`.
    pub layer_done_i: Signal<In, Bit>,
    /// Write port: nothing is queued, held or unanswered.
    pub write_idle_i: Signal<In, Bit>,
    /// Read port: no burst is shown or unanswered.
    pub read_idle_i: Signal<In, Bit>,
    /// Write port: no burst is shown, under way or unanswered.
    pub write_quiet_i: Signal<In, Bit>,
    /// Both ports: start no new burst.
    pub stop_o: Signal<Out, Bit>,
    /// Reset, active low, of every other block; only when no burst is under way.
    pub flush_no: Signal<Out, Bit>,
    /// Both ports: the page of the model, for the run under way.
    pub model_base_o: Sig<Out>,
    /// Both ports: the page of the data.
    pub data_base_o: Sig<Out>,
    /// Read port: first byte of the model that may not be read.
    pub read_limit_o: Sig<Out>,
    /// Write port: first byte of the data that may be written.
    pub write_base_o: Sig<Out>,
    /// Both ports: first byte of the data that may neither be read nor written.
    pub write_limit_o: Sig<Out>,
    /// Read port, one cycle: RRESP was not OKAY.
    pub read_response_i: Signal<In, Bit>,
    /// Read port, one cycle: a burst beyond its limit was not issued.
    pub read_address_i: Signal<In, Bit>,
    /// Write port, one cycle: BRESP was not OKAY.
    pub write_response_i: Signal<In, Bit>,
    /// Write port, one cycle: a burst outside its limits was not issued.
    pub write_address_i: Signal<In, Bit>,
    /// A word of weights or parameters was read.
    pub weight_beat_i: Signal<In, Bit>,
    /// A word of activations was read.
    pub act_beat_i: Signal<In, Bit>,
    /// A word of a command was read.
    pub command_beat_i: Signal<In, Bit>,
    /// A word was written.
    pub write_beat_i: Signal<In, Bit>,
    /// A position enters the array.
    pub array_active_i: Signal<In, Bit>,
    /// The burst of a command is requested; stays until `ar_ready_i`.
    pub ar_valid_o: Signal<Out, Bit>,
    /// Its first byte.
    pub ar_addr_o: Sig<Out>,
    /// Its beats minus one.
    pub ar_len_o: Sig<Out>,
    /// The request is taken.
    pub ar_ready_i: Signal<In, Bit>,
    /// A beat of a command, with `command_beat_i`.
    pub beat_i: Lanes<In>,
    /// The layer, stable from `start_o` to the next one.
    pub layer_o: LayerPort<Out>,
    registers: Registers,
    bases: Bases,
    // What is counted, a cycle late to keep its paths short.
    weight_beat: Flop<Bit>,
    act_beat: Flop<Bit>,
    command_beat: Flop<Bit>,
    write_beat: Flop<Bit>,
    array_active: Flop<Bit>,
    counters: Counters,
    controller: Controller,
    fetch: Fetch,
    fields: Command,
    check: FieldCheck,
}

impl Host {
    /// Cycles without a word of the bus or a position of the array after which a run is given up.
    pub const PATIENCE: usize = 1 << 20;

    /// The host's side of the design point `config`, which is valid.
    pub fn new(config: &ArrayConfig) -> Self {
        Self::with_patience(config, Self::PATIENCE)
    }

    /// The same, with another patience.
    pub fn with_patience(config: &ArrayConfig, patience: usize) -> Self {
        let page = u(config.address_bits - PAGE_BITS);
        let fold_width = if config.fold_channels == 0 { 0 } else { config.fold_width };
        let (bounds, fetch) = (config.bounds(), Fetch::new(config.bus_bits));
        Self {
            clk_i: Default::default(),
            rst_ni: Default::default(),
            s_axil_awvalid_i: Default::default(),
            s_axil_awaddr_i: Sig::new(u(8)),
            s_axil_awready_o: Default::default(),
            s_axil_wvalid_i: Default::default(),
            s_axil_wdata_i: Sig::new(u(32)),
            s_axil_wstrb_i: Sig::new(u(4)),
            s_axil_wready_o: Default::default(),
            s_axil_bvalid_o: Default::default(),
            s_axil_bresp_o: Sig::new(u(2)),
            s_axil_bready_i: Default::default(),
            s_axil_arvalid_i: Default::default(),
            s_axil_araddr_i: Sig::new(u(8)),
            s_axil_arready_o: Default::default(),
            s_axil_rvalid_o: Default::default(),
            s_axil_rdata_o: Sig::new(u(32)),
            s_axil_rresp_o: Sig::new(u(2)),
            s_axil_rready_i: Default::default(),
            irq_o: Default::default(),
            start_o: Default::default(),
            layer_done_i: Default::default(),
            write_idle_i: Default::default(),
            read_idle_i: Default::default(),
            write_quiet_i: Default::default(),
            stop_o: Default::default(),
            flush_no: Default::default(),
            model_base_o: Sig::new(page),
            data_base_o: Sig::new(page),
            read_limit_o: Sig::new(u(32)),
            write_base_o: Sig::new(u(32)),
            write_limit_o: Sig::new(u(32)),
            read_response_i: Default::default(),
            read_address_i: Default::default(),
            write_response_i: Default::default(),
            write_address_i: Default::default(),
            weight_beat_i: Default::default(),
            act_beat_i: Default::default(),
            command_beat_i: Default::default(),
            write_beat_i: Default::default(),
            array_active_i: Default::default(),
            ar_valid_o: Default::default(),
            ar_addr_o: Sig::new(fetch.ar_addr_o.ty()),
            ar_len_o: Sig::new(fetch.ar_len_o.ty()),
            ar_ready_i: Default::default(),
            beat_i: Lanes::new(config.bus_bits / 32, u(32)),
            layer_o: LayerPort::of(&bounds),
            registers: Registers::new(config),
            bases: Bases::new(config.address_bits),
            weight_beat: Default::default(),
            act_beat: Default::default(),
            command_beat: Default::default(),
            write_beat: Default::default(),
            array_active: Default::default(),
            counters: Counters::new(),
            controller: Controller::new(Self::flush_cycles(config), patience),
            fetch,
            fields: Command::new(config.bus_bits),
            check: FieldCheck::new(fold_width, &bounds),
        }
    }

    /// Cycles of `flush_no`: more than any flag is under way in the datapath.
    fn flush_cycles(config: &ArrayConfig) -> usize {
        timing::core(config.rows, config.groups()) + timing::FLUSH_MARGIN
    }
}

impl Logic for Host {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module host: registers, commands, errors");
        dff_setup!(self, clk_i, weight_beat, act_beat, command_beat, write_beat, array_active);
        self.registers.clk_i.next = self.clk_i.val();
        self.bases.clk_i.next = self.clk_i.val();
        self.counters.clk_i.next = self.clk_i.val();
        self.controller.clk_i.next = self.clk_i.val();
        self.fetch.clk_i.next = self.clk_i.val();
        self.fields.clk_i.next = self.clk_i.val();
        self.check.clk_i.next = self.clk_i.val();
        self.registers.rst_ni.next = self.rst_ni.val();
        self.counters.rst_ni.next = self.rst_ni.val();
        self.controller.rst_ni.next = self.rst_ni.val();
        self.fetch.rst_ni.next = self.controller.flush_no.val();

        self.registers.s_axil_awvalid_i.next = self.s_axil_awvalid_i.val();
        self.registers.s_axil_awaddr_i.next = self.s_axil_awaddr_i.val();
        self.s_axil_awready_o.next = self.registers.s_axil_awready_o.val();
        self.registers.s_axil_wvalid_i.next = self.s_axil_wvalid_i.val();
        self.registers.s_axil_wdata_i.next = self.s_axil_wdata_i.val();
        self.registers.s_axil_wstrb_i.next = self.s_axil_wstrb_i.val();
        self.s_axil_wready_o.next = self.registers.s_axil_wready_o.val();
        self.s_axil_bvalid_o.next = self.registers.s_axil_bvalid_o.val();
        self.s_axil_bresp_o.next = self.registers.s_axil_bresp_o.val();
        self.registers.s_axil_bready_i.next = self.s_axil_bready_i.val();
        self.registers.s_axil_arvalid_i.next = self.s_axil_arvalid_i.val();
        self.registers.s_axil_araddr_i.next = self.s_axil_araddr_i.val();
        self.s_axil_arready_o.next = self.registers.s_axil_arready_o.val();
        self.s_axil_rvalid_o.next = self.registers.s_axil_rvalid_o.val();
        self.s_axil_rdata_o.next = self.registers.s_axil_rdata_o.val();
        self.s_axil_rresp_o.next = self.registers.s_axil_rresp_o.val();
        self.registers.s_axil_rready_i.next = self.s_axil_rready_i.val();
        self.irq_o.next = self.registers.irq_o.val();
        self.read_limit_o.next = self.registers.read_limit_o.val();
        self.write_base_o.next = self.registers.write_base_o.val();
        self.write_limit_o.next = self.registers.write_limit_o.val();
        self.registers.busy_i.next = self.controller.busy_o.val();
        self.registers.done_i.next = self.controller.done_o.val();
        self.registers.refused_i.next = self.controller.refused_o.val();
        self.registers.queued_i.next = self.controller.queued_o.val();
        self.registers.runs_i.next = self.controller.runs_o.val();
        self.registers.error_i.next = self.controller.error_o.val();
        self.registers.index_i.next = self.controller.index_o.val();
        self.registers.cycles_lo_i.next = self.counters.cycles_lo_o.val();
        self.registers.cycles_hi_i.next = self.counters.cycles_hi_o.val();
        self.registers.weight_beats_i.next = self.counters.weight_beats_o.val();
        self.registers.act_beats_i.next = self.counters.act_beats_o.val();
        self.registers.write_beats_i.next = self.counters.write_beats_o.val();
        self.registers.array_cycles_i.next = self.counters.array_cycles_o.val();

        self.bases.model_i.next = self.registers.model_base_o.val();
        self.bases.data_i.next = self.registers.data_base_o.val();
        self.bases.misaligned_i.next = self.registers.misaligned_o.val();
        self.bases.queue_i.next = self.controller.queue_o.val();
        self.bases.begin_i.next = self.controller.begin_o.val();
        self.bases.queued_i.next = self.controller.queued_o.val();
        self.model_base_o.next = self.bases.model_o.val();
        self.data_base_o.next = self.bases.data_o.val();

        self.counters.clear_i.next = self.controller.begin_o.val();
        self.counters.busy_i.next = self.controller.busy_o.val();
        self.weight_beat.d.next = self.weight_beat_i.val();
        self.act_beat.d.next = self.act_beat_i.val();
        self.command_beat.d.next = self.command_beat_i.val();
        self.write_beat.d.next = self.write_beat_i.val();
        self.array_active.d.next = self.array_active_i.val();
        self.counters.weight_beat_i.next = self.weight_beat.q.val();
        self.counters.act_beat_i.next = self.act_beat.q.val();
        self.counters.write_beat_i.next = self.write_beat.q.val();
        self.counters.array_active_i.next = self.array_active.q.val();

        self.controller.start_i.next = self.registers.start_o.val();
        self.controller.clear_i.next = self.registers.clear_o.val();
        self.controller.misaligned_i.next = self.bases.misaligned_o.val();
        self.controller.layer_done_i.next = self.layer_done_i.val();
        self.controller.write_idle_i.next = self.write_idle_i.val();
        self.controller.read_idle_i.next = self.read_idle_i.val();
        self.controller.write_quiet_i.next = self.write_quiet_i.val();
        self.controller.read_response_i.next = self.read_response_i.val();
        self.controller.write_response_i.next = self.write_response_i.val();
        self.controller.read_address_i.next = self.read_address_i.val();
        self.controller.write_address_i.next = self.write_address_i.val();
        self.controller.active_i.next = self.weight_beat.q.val()
            || self.act_beat.q.val()
            || self.command_beat.q.val()
            || self.write_beat.q.val()
            || self.array_active.q.val();
        self.controller.fetched_i.next = self.fetch.done_o.val();
        self.controller.end_i.next = self.check.end_o.val();
        self.controller.unknown_i.next = self.check.unknown_o.val();
        self.controller.bad_i.next = self.check.bad_o.val();
        self.start_o.next = self.controller.start_o.val();
        self.stop_o.next = self.controller.stop_o.val();
        self.flush_no.next = self.controller.flush_no.val();

        self.fetch.fetch_i.next = self.controller.fetch_o.val();
        self.fetch.index_i.next = self.controller.index_o.val();
        self.ar_valid_o.next = self.fetch.ar_valid_o.val();
        self.ar_addr_o.next = self.fetch.ar_addr_o.val();
        self.ar_len_o.next = self.fetch.ar_len_o.val();
        self.fetch.ar_ready_i.next = self.ar_ready_i.val();
        self.fetch.push_i.next = self.command_beat_i.val();
        self.fields.write_i.next = self.fetch.take_o.val();
        self.fields.number_i.next = self.fetch.number_o.val();
        self.fields.beat_i.next = self.beat_i.val();

        self.check.layer_i.next = self.fields.layer_o.val();
        self.layer_o.next = self.fields.layer_o.val();
    }
}

#[cfg(test)]
mod tests;
