//! The host's side of the accelerator: registers, commands, errors.

use super::{Command, Controller, Counters, Fetch, FieldCheck, Registers};
use crate::config::ArrayConfig;
use crate::hw::ComputeCore;
use crate::hw::rt::{Flop, Lanes, Sig, u};
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
    /// Read port: first byte that may not be read.
    pub read_limit_o: Sig<Out>,
    /// Write port: first byte that may be written.
    pub write_base_o: Sig<Out>,
    /// Write port: first byte after it that may not.
    pub write_limit_o: Sig<Out>,
    /// Read port, one cycle: RRESP was not OKAY.
    pub read_response_i: Signal<In, Bit>,
    /// Read port, one cycle: a burst beyond `read_limit_o` was not issued.
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
    /// Command stream: a run of words is asked for.
    pub run_valid_o: Signal<Out, Bit>,
    /// Its address.
    pub run_addr_o: Sig<Out>,
    /// Its words.
    pub run_beats_o: Sig<Out>,
    /// It is taken.
    pub run_ready_i: Signal<In, Bit>,
    /// Command stream: a word is there.
    pub beat_valid_i: Signal<In, Bit>,
    /// The word.
    pub beat_i: Lanes<In>,
    /// It is taken.
    pub beat_take_o: Signal<Out, Bit>,
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
    registers: Registers,
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
        let fold_width = if config.fold_channels == 0 { 0 } else { config.fold_width };
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
            run_valid_o: Default::default(),
            run_addr_o: Sig::new(u(32)),
            run_beats_o: Sig::new(u(24)),
            run_ready_i: Default::default(),
            beat_valid_i: Default::default(),
            beat_i: Lanes::new(config.bus_bits / 32, u(32)),
            beat_take_o: Default::default(),
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
            registers: Registers::new(config),
            weight_beat: Default::default(),
            act_beat: Default::default(),
            command_beat: Default::default(),
            write_beat: Default::default(),
            array_active: Default::default(),
            counters: Counters::new(),
            controller: Controller::new(Self::flush_cycles(config), patience),
            fetch: Fetch::new(config.bus_bits),
            fields: Command::new(config.bus_bits),
            check: FieldCheck::new(fold_width),
        }
    }

    /// Cycles of `flush_no`: more than any flag is under way in the datapath.
    fn flush_cycles(config: &ArrayConfig) -> usize {
        ComputeCore::latency(config.rows, config.cols) + 16
    }
}

impl Logic for Host {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module host: registers, commands, errors");
        dff_setup!(self, clk_i, weight_beat, act_beat, command_beat, write_beat, array_active);
        self.registers.clk_i.next = self.clk_i.val();
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
        self.registers.error_i.next = self.controller.error_o.val();
        self.registers.index_i.next = self.controller.index_o.val();
        self.registers.cycles_lo_i.next = self.counters.cycles_lo_o.val();
        self.registers.cycles_hi_i.next = self.counters.cycles_hi_o.val();
        self.registers.weight_beats_i.next = self.counters.weight_beats_o.val();
        self.registers.act_beats_i.next = self.counters.act_beats_o.val();
        self.registers.write_beats_i.next = self.counters.write_beats_o.val();
        self.registers.array_cycles_i.next = self.counters.array_cycles_o.val();

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
        self.run_valid_o.next = self.fetch.run_valid_o.val();
        self.run_addr_o.next = self.fetch.run_addr_o.val();
        self.run_beats_o.next = self.fetch.run_beats_o.val();
        self.fetch.run_ready_i.next = self.run_ready_i.val();
        self.fetch.beat_valid_i.next = self.beat_valid_i.val();
        self.beat_take_o.next = self.fetch.beat_take_o.val();
        self.fields.write_i.next = self.fetch.beat_take_o.val();
        self.fields.number_i.next = self.fetch.number_o.val();
        self.fields.beat_i.next = self.beat_i.val();

        self.check.opcode_i.next = self.fields.opcode_o.val();
        self.check.kernel_i.next = self.fields.kernel_o.val();
        self.check.pool_i.next = self.fields.pool_o.val();
        self.check.raw_i.next = self.fields.raw_o.val();
        self.check.in_h_i.next = self.fields.in_h_o.val();
        self.check.in_w_i.next = self.fields.in_w_o.val();
        self.check.units_i.next = self.fields.units_o.val();
        self.check.outer_i.next = self.fields.outer_o.val();
        self.check.stripe_i.next = self.fields.stripe_o.val();
        self.check.patch_i.next = self.fields.patch_o.val();
        self.check.slots_i.next = self.fields.slots_o.val();
        self.check.kernel_h_i.next = self.fields.kernel_h_o.val();
        self.check.kernel_w_i.next = self.fields.kernel_w_o.val();
        self.check.unit_positions_i.next = self.fields.unit_positions_o.val();
        self.check.ci_tiles_i.next = self.fields.ci_tiles_o.val();
        self.check.co_tiles_i.next = self.fields.co_tiles_o.val();
        self.check.co_blocks_i.next = self.fields.co_blocks_o.val();
        self.check.out_w_i.next = self.fields.out_w_o.val();
        self.check.x_row_beats_i.next = self.fields.x_row_beats_o.val();
        self.check.y_row_beats_i.next = self.fields.y_row_beats_o.val();
        self.check.weight_rows_i.next = self.fields.weight_rows_o.val();
        self.pad_o.next = self.fields.pad_o.val();
        self.folded_o.next = self.fields.folded_o.val();
        self.dense_o.next = self.fields.dense_o.val();
        self.pool_o.next = self.fields.pool_o.val();
        self.x_signed_o.next = self.fields.x_signed_o.val();
        self.raw_o.next = self.fields.raw_o.val();
        self.resident_o.next = self.fields.resident_o.val();
        self.aligned_o.next = self.fields.aligned_o.val();
        self.x_base_o.next = self.fields.x_base_o.val();
        self.x_row_pitch_o.next = self.fields.x_row_pitch_o.val();
        self.x_plane_pitch_o.next = self.fields.x_plane_pitch_o.val();
        self.x_image_pitch_o.next = self.fields.x_image_pitch_o.val();
        self.in_h_o.next = self.fields.in_h_o.val();
        self.in_w_o.next = self.fields.in_w_o.val();
        self.y_base_o.next = self.fields.y_base_o.val();
        self.y_row_pitch_o.next = self.fields.y_row_pitch_o.val();
        self.y_plane_pitch_o.next = self.fields.y_plane_pitch_o.val();
        self.y_image_pitch_o.next = self.fields.y_image_pitch_o.val();
        self.units_o.next = self.fields.units_o.val();
        self.outer_o.next = self.fields.outer_o.val();
        self.weights_o.next = self.fields.weights_o.val();
        self.weights_pitch_o.next = self.fields.weights_pitch_o.val();
        self.params_o.next = self.fields.params_o.val();
        self.params_pitch_o.next = self.fields.params_pitch_o.val();
        self.ci_tiles_o.next = self.fields.ci_tiles_o.val();
        self.co_tiles_o.next = self.fields.co_tiles_o.val();
        self.co_blocks_o.next = self.fields.co_blocks_o.val();
        self.out_w_o.next = self.fields.out_w_o.val();
        self.stripe_o.next = self.fields.stripe_o.val();
        self.patch_o.next = self.fields.patch_o.val();
        self.slots_o.next = self.fields.slots_o.val();
        self.clip_o.next = self.fields.clip_o.val();
        self.kernel_h_o.next = self.fields.kernel_h_o.val();
        self.kernel_w_o.next = self.fields.kernel_w_o.val();
        self.unit_positions_o.next = self.fields.unit_positions_o.val();
        self.step_o.next = self.fields.step_o.val();
        self.x_row_beats_o.next = self.fields.x_row_beats_o.val();
        self.y_row_beats_o.next = self.fields.y_row_beats_o.val();
        self.x_stripe_pitch_o.next = self.fields.x_stripe_pitch_o.val();
        self.y_stripe_pitch_o.next = self.fields.y_stripe_pitch_o.val();
        self.weight_rows_o.next = self.fields.weight_rows_o.val();
    }
}

#[cfg(test)]
mod tests {
    use super::super::ErrorCode;
    use super::super::master::{Master, Op};
    use super::*;
    use crate::hw::check::{Bench, random};
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::VecDeque;

    const PATIENCE: usize = 300;
    const CONTROL: i64 = 0x00;
    const STATUS: i64 = 0x04;
    const READ_LIMIT: i64 = 0x08;
    const WRITE_BASE: i64 = 0x0c;
    const WRITE_LIMIT: i64 = 0x10;
    const IRQ_ENABLE: i64 = 0x14;
    const ERROR_COMMAND: i64 = 0x18;
    /// Low and high word, then the counters of [`World::counts`].
    const CYCLES: i64 = 0x20;

    type Words = [i64; 32];

    /// A layer that can be executed: every field random.
    fn layer(rng: &mut ChaCha8Rng, fold_width: i64) -> Words {
        let mut half = || rng.random_range(1..1i64 << 16);
        let mut words: Words = std::array::from_fn(|_| half() << 16 | half());
        let kernel = rng.random_range(0..3);
        if kernel == 1 {
            words[5] = words[5] & 0xffff | fold_width << 16;
        }
        let (pool, raw) = (1, 4);
        let mut flags: i64 = rng.random_range(0..32);
        if flags & pool != 0 {
            flags &= !raw;
            for word in [10, 17] {
                words[word] = words[word] & !1 | 2; // units, stripe: even
            }
        }
        words[0] = 1 | kernel << 8 | flags << 16;
        words
    }

    /// A program of three layers and the end mark.
    fn program(rng: &mut ChaCha8Rng, config: &ArrayConfig) -> Vec<Words> {
        let mut words: Vec<Words> = (0..3).map(|_| layer(rng, config.fold_width as i64)).collect();
        words.push(std::array::from_fn(|i| if i == 0 { 0xff } else { 0 }));
        words
    }

    /// What goes wrong outside.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Trouble {
        None,
        /// In layer 1.
        Pulse(ErrorCode),
        /// Layer 1 does not end.
        Hang,
        /// The fetch of command 1 is not answered.
        Dead,
    }

    /// Command stream, ports and datapath around the host.
    struct World {
        program: Vec<Words>,
        trouble: Trouble,
        /// Words of the bus on their way.
        beats: VecDeque<Vec<i64>>,
        /// A fetch that is not answered.
        unanswered: bool,
        /// Cycles that the layer takes yet.
        left: i64,
        /// Layers started.
        layers: usize,
        /// While busy: cycles, words of weights, of activations, written ones, positions.
        counts: [i64; 5],
    }

    impl World {
        fn new(program: Vec<Words>, trouble: Trouble) -> Self {
            let beats = VecDeque::new();
            Self { program, trouble, beats, unanswered: false, left: 0, layers: 0, counts: [0; 5] }
        }

        /// One cycle of everything around the registers' pins.
        fn cycle(&mut self, bench: &mut Bench<Host>, rng: &mut ChaCha8Rng) {
            let h = &mut bench.block;
            let stuck = self.unanswered || self.trouble == Trouble::Hang && self.layers > 1;
            let asked = h.run_valid_o.val() && rng.random_bool(0.5);
            let index = h.run_addr_o.val() as usize / 128;
            h.run_ready_i.next = asked;
            // The host takes every word of a run that it has asked for.
            let beat = if rng.random_bool(0.7) { self.beats.pop_front() } else { None };
            (h.beat_valid_i.next, h.command_beat_i.next) = (beat.is_some(), beat.is_some());
            h.beat_i.drive(|lane| beat.as_ref().map_or(0xdead_beef, |b| b[lane]));
            self.ports(h, rng);
            let events: [bool; 4] = std::array::from_fn(|_| !stuck && self.left > 0 && rng.random());
            (h.weight_beat_i.next, h.act_beat_i.next) = (events[0], events[1]);
            (h.write_beat_i.next, h.array_active_i.next) = (events[2], events[3]);
            self.left -= (!stuck && self.left > 0) as i64;
            h.layer_done_i.next = self.left == 0;
            if h.controller.busy_o.val() {
                self.counts[0] += 1;
                (0..4).for_each(|i| self.counts[i + 1] += events[i] as i64);
            }
            bench.cycle();
            if asked {
                self.unanswered |= self.trouble == Trouble::Dead && index == 1;
                self.answer(index, bench.block.beat_i.count());
            }
            self.after(&bench.block, rng);
        }

        fn ports(&self, h: &mut Host, rng: &mut ChaCha8Rng) {
            h.read_idle_i.next = !self.unanswered && rng.random_bool(0.95);
            h.write_quiet_i.next = rng.random_bool(0.95);
            h.write_idle_i.next = rng.random_bool(0.95);
            let now = self.layers == 2 && self.left == 10;
            let pulse = |code| now && self.trouble == Trouble::Pulse(code);
            h.read_response_i.next = pulse(ErrorCode::ReadResponse);
            h.write_response_i.next = pulse(ErrorCode::WriteResponse);
            h.read_address_i.next = pulse(ErrorCode::ReadAddress);
            h.write_address_i.next = pulse(ErrorCode::WriteAddress);
        }

        fn answer(&mut self, index: usize, lanes: usize) {
            if !self.unanswered {
                self.beats.extend(self.program[index].chunks(lanes).map(<[i64]>::to_vec));
            }
        }

        fn after(&mut self, h: &Host, rng: &mut ChaCha8Rng) {
            if !h.flush_no.val() {
                self.beats.clear();
                self.left = 0;
                assert!(!h.run_valid_o.val() && !h.start_o.val());
            }
            if h.start_o.val() {
                check_fields(h, &self.program[self.layers]);
                self.layers += 1;
                self.left = rng.random_range(20..60);
            }
            if self.left == 1 {
                check_fields(h, &self.program[self.layers - 1]);
            }
        }
    }

    fn check_fields(h: &Host, w: &Words) {
        let flags = [&h.pool_o, &h.x_signed_o, &h.raw_o, &h.resident_o, &h.aligned_o];
        let flags = flags.iter().rev().fold(0, |bits, f| bits << 1 | f.val() as i64);
        let kernel = [&h.pad_o, &h.folded_o, &h.dense_o].map(|k| k.val());
        assert_eq!(flags, w[0] >> 16);
        assert_eq!(kernel, [0, 1, 2].map(|k| w[0] >> 8 & 0xff == k));
        let fields = [
            (h.x_base_o.val(), w[1]),
            (h.x_row_pitch_o.val(), w[2]),
            (h.x_plane_pitch_o.val(), w[3]),
            (h.x_image_pitch_o.val(), w[4]),
            (h.in_h_o.val(), w[5] & 0xffff),
            (h.in_w_o.val(), w[5] >> 16),
            (h.y_base_o.val(), w[6]),
            (h.y_row_pitch_o.val(), w[7]),
            (h.y_plane_pitch_o.val(), w[8]),
            (h.y_image_pitch_o.val(), w[9]),
            (h.units_o.val(), w[10] & 0xffff),
            (h.outer_o.val(), w[10] >> 16),
            (h.weights_o.val(), w[11]),
            (h.weights_pitch_o.val(), w[12]),
            (h.params_o.val(), w[13]),
            (h.params_pitch_o.val(), w[14]),
            (h.ci_tiles_o.val(), w[15] & 0xffff),
            (h.co_tiles_o.val(), w[15] >> 16),
            (h.co_blocks_o.val(), w[16] & 0xffff),
            (h.out_w_o.val(), w[16] >> 16),
            (h.stripe_o.val(), w[17] & 0xffff),
            (h.patch_o.val(), w[17] >> 16),
            (h.slots_o.val(), w[18] & 0xffff),
            (h.clip_o.val(), w[18] >> 16),
            (h.kernel_h_o.val(), w[19] & 0xffff),
            (h.kernel_w_o.val(), w[19] >> 16),
            (h.unit_positions_o.val(), w[20] & 0xffff),
            (h.step_o.val(), w[20] >> 16),
            (h.x_row_beats_o.val(), w[21] & 0xffff),
            (h.y_row_beats_o.val(), w[21] >> 16),
            (h.x_stripe_pitch_o.val(), w[22]),
            (h.y_stripe_pitch_o.val(), w[23]),
            (h.weight_rows_o.val(), w[24]),
        ];
        for (i, (got, want)) in fields.iter().enumerate() {
            assert_eq!(got, want, "field {i}");
        }
    }

    /// A host, what is around it, and its master.
    struct Setup {
        bench: Bench<Host>,
        master: Master,
        rng: ChaCha8Rng,
        config: ArrayConfig,
    }

    impl Setup {
        fn new(config: ArrayConfig, stall: u32) -> Self {
            let bench = Bench::new(Host::with_patience(&config, PATIENCE), |h| &mut h.clk_i);
            let rng = random(config.bus_bits as u64 + u64::from(stall));
            let mut setup = Self { bench, master: Master::new(stall), rng, config };
            setup.reset();
            setup
        }

        fn reset(&mut self) {
            self.master.reset(&mut self.bench.block);
            self.bench.block.rst_ni.next = false;
            (0..2).for_each(|_| self.bench.cycle());
            self.bench.block.rst_ni.next = true;
            let h = &self.bench.block;
            assert!(
                !h.irq_o.val() && !h.flush_no.val() && !h.s_axil_bvalid_o.val() && !h.s_axil_rvalid_o.val()
            );
            assert_eq!((h.read_limit_o.val(), h.write_base_o.val(), h.write_limit_o.val()), (0, 0, 0));
        }

        fn cycle(&mut self, world: &mut World) {
            self.master.drive(&mut self.bench.block, &mut self.rng);
            world.cycle(&mut self.bench, &mut self.rng);
        }

        /// Does `ops`; the data of the reads.
        fn access(&mut self, world: &mut World, ops: &[Op]) -> Vec<i64> {
            ops.iter().for_each(|&op| self.master.push(op));
            let deadline = self.bench.vectors() + 1000;
            while !self.master.is_idle() {
                assert!(self.bench.vectors() < deadline, "the registers hang");
                self.cycle(world);
            }
            self.master.take_reads()
        }

        fn write(&mut self, world: &mut World, address: i64, data: i64) {
            self.access(world, &[Op::Write(address, data, 15)]);
        }

        fn read(&mut self, world: &mut World, address: i64) -> i64 {
            self.access(world, &[Op::Read(address)])[0]
        }

        /// A run from start to interrupt, which must end with error `code` after `completed` commands.
        fn run(&mut self, world: &mut World, code: i64, completed: i64) {
            let limits =
                [READ_LIMIT, WRITE_BASE, WRITE_LIMIT].map(|r| (r, self.rng.random_range(0..1 << 32)));
            limits.iter().for_each(|&(register, value)| self.write(world, register, value));
            let twice = self.rng.random_bool(0.5);
            let start = [Op::Write(CONTROL, 1, 1); 2];
            self.access(world, &start[..1 + twice as usize]);
            let refused = (twice as i64) << 2;
            let deadline = self.bench.vectors() + 3000;
            while !self.bench.block.irq_o.val() {
                assert!(self.bench.vectors() < deadline, "no interrupt");
                let status = self.read(world, STATUS);
                assert!(status & 3 == 1 || status & 3 == 2, "status {status:#x}");
                assert_eq!(status & 4, refused);
            }
            let h = &self.bench.block;
            let pins = [&h.read_limit_o, &h.write_base_o, &h.write_limit_o].map(|p| p.val());
            assert_eq!(pins, limits.map(|(_, value)| value));
            assert_eq!(self.read(world, STATUS), 2 | refused | code << 8 | completed << 16);
            assert_eq!(self.read(world, ERROR_COMMAND), completed);
            let [cycles, counts @ ..] = world.counts;
            let want = [&[cycles, 0], &counts[..]].concat();
            let counters: Vec<Op> = (0..6).map(|i| Op::Read(CYCLES + 4 * i)).collect();
            assert_eq!(self.access(world, &counters), want);
            self.write(world, IRQ_ENABLE, 0);
            assert!(!self.bench.block.irq_o.val());
            self.write(world, IRQ_ENABLE, 1);
            assert!(self.bench.block.irq_o.val());
            self.write(world, CONTROL, 2);
            assert!(!self.bench.block.irq_o.val());
            assert_eq!(self.read(world, STATUS), code << 8 | completed << 16);
        }

        /// A run without trouble.
        fn clean_run(&mut self) {
            let program = program(&mut self.rng, &self.config);
            let mut world = World::new(program, Trouble::None);
            self.run(&mut world, 0, 3);
            assert_eq!(world.layers, 3);
        }

        /// Every error that the program or the memory can cause, and a clean run after each.
        fn errors(&mut self) {
            let codes = [
                ErrorCode::ReadResponse,
                ErrorCode::WriteResponse,
                ErrorCode::ReadAddress,
                ErrorCode::WriteAddress,
            ];
            for (trouble, code) in codes
                .map(|c| (Trouble::Pulse(c), c))
                .into_iter()
                .chain([(Trouble::Hang, ErrorCode::Timeout), (Trouble::Dead, ErrorCode::Timeout)])
            {
                let mut world = World::new(program(&mut self.rng, &self.config), trouble);
                self.run(&mut world, code as i64, 1);
                if trouble == Trouble::Dead {
                    assert!(self.bench.block.stop_o.val() && self.bench.block.flush_no.val());
                    world.unanswered = false;
                    (0..40).for_each(|_| self.cycle(&mut world));
                }
                self.clean_run();
            }
            for (word, mask, bits, code) in [
                (0, !0xff, 0x7e, ErrorCode::UnknownOpcode),
                (0, !0xff00, 0x300, ErrorCode::BadField),
                (5, 0xffff, 0, ErrorCode::BadField),
                (20, !0xffff, 0, ErrorCode::BadField),
                (24, 0, 0, ErrorCode::BadField),
            ] {
                let mut program = program(&mut self.rng, &self.config);
                program[2][word] = program[2][word] & mask | bits;
                self.run(&mut World::new(program, Trouble::None), code as i64, 2);
                self.clean_run();
            }
        }

        fn resets(&mut self) {
            for cycles in [3, 40, 90, 150] {
                let mut world = World::new(program(&mut self.rng, &self.config), Trouble::None);
                self.write(&mut world, CONTROL, 1);
                (0..cycles).for_each(|_| self.cycle(&mut world));
                self.master.push(Op::Write(READ_LIMIT, 1, 15)); // in the middle of an access, too
                self.master.push(Op::Read(STATUS));
                self.cycle(&mut world);
                self.reset();
                self.clean_run();
            }
        }
    }

    fn check(config: ArrayConfig, stall: u32) {
        let mut setup = Setup::new(config, stall);
        setup.clean_run();
        let settle = setup.bench.vectors(); // fields have no value before the first command
        setup.errors();
        setup.resets();
        setup.bench.verilog("host", settle);
    }

    #[test]
    fn every_run_ends_and_the_next_is_clean_on_64_bits() {
        check(ArrayConfig::preset("tiny").unwrap(), 20);
    }

    #[test]
    fn every_run_ends_and_the_next_is_clean_on_128_bits() {
        check(ArrayConfig { rows: 6, cols: 4, ..ArrayConfig::default() }, 0);
    }

    #[test]
    fn every_run_ends_and_the_next_is_clean_on_256_and_512_bits() {
        check(ArrayConfig { bus_bits: 256, ..ArrayConfig::default() }, 60);
        check(ArrayConfig { bus_bits: 512, rows: 4, ..ArrayConfig::default() }, 30);
    }

    #[test]
    fn no_folding_block_no_folded_layer() {
        let config = ArrayConfig { fold_channels: 0, ..ArrayConfig::default() };
        let mut setup = Setup::new(config, 10);
        let mut program = program(&mut setup.rng, &setup.config);
        program[0][0] = 1 | 1 << 8;
        program[0][5] = 1 << 16 | 1;
        setup.run(&mut World::new(program, Trouble::None), ErrorCode::BadField as i64, 0);
    }
}
