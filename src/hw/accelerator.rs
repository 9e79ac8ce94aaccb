//! The accelerator: a whole network from external memory.

use super::ComputeCore;
use super::drain::Drain;
use super::host::Host;
use super::load::{ActLoader, WeightLoader};
use super::memory::{ReadPort, Strobe, WritePort};
use super::rt::{K, Lanes, Sig, u};
use crate::config::ArrayConfig;
use rust_hdl::prelude::*;

/// The top: AXI4-Lite for the host, AXI4 to external memory, an interrupt. The host writes a model and an input, their bases
/// and the limits of what may be read and written, starts, and waits; `docs/accelerator.md` describes program, memory and registers.
#[derive(LogicBlock)]
pub struct Accelerator {
    /// Clock.
    pub clk: Signal<In, Clock>,
    /// Synchronous reset, active low.
    pub rst_n: Signal<In, Bit>,
    /// AXI4-Lite: AWVALID.
    pub s_axil_awvalid: Signal<In, Bit>,
    /// AXI4-Lite: AWADDR.
    pub s_axil_awaddr: Sig<In>,
    /// AXI4-Lite: AWPROT, without a meaning.
    pub s_axil_awprot: Sig<In>,
    /// AXI4-Lite: AWREADY.
    pub s_axil_awready: Signal<Out, Bit>,
    /// AXI4-Lite: WVALID.
    pub s_axil_wvalid: Signal<In, Bit>,
    /// AXI4-Lite: WDATA.
    pub s_axil_wdata: Sig<In>,
    /// AXI4-Lite: WSTRB.
    pub s_axil_wstrb: Sig<In>,
    /// AXI4-Lite: WREADY.
    pub s_axil_wready: Signal<Out, Bit>,
    /// AXI4-Lite: BVALID.
    pub s_axil_bvalid: Signal<Out, Bit>,
    /// AXI4-Lite: BRESP.
    pub s_axil_bresp: Sig<Out>,
    /// AXI4-Lite: BREADY.
    pub s_axil_bready: Signal<In, Bit>,
    /// AXI4-Lite: ARVALID.
    pub s_axil_arvalid: Signal<In, Bit>,
    /// AXI4-Lite: ARADDR.
    pub s_axil_araddr: Sig<In>,
    /// AXI4-Lite: ARPROT, without a meaning.
    pub s_axil_arprot: Sig<In>,
    /// AXI4-Lite: ARREADY.
    pub s_axil_arready: Signal<Out, Bit>,
    /// AXI4-Lite: RVALID.
    pub s_axil_rvalid: Signal<Out, Bit>,
    /// AXI4-Lite: RDATA.
    pub s_axil_rdata: Sig<Out>,
    /// AXI4-Lite: RRESP.
    pub s_axil_rresp: Sig<Out>,
    /// AXI4-Lite: RREADY.
    pub s_axil_rready: Signal<In, Bit>,
    /// AXI4: AWVALID.
    pub m_axi_awvalid: Signal<Out, Bit>,
    /// AXI4: AWID, always 0.
    pub m_axi_awid: Sig<Out>,
    /// AXI4: AWADDR.
    pub m_axi_awaddr: Sig<Out>,
    /// AXI4: AWLEN.
    pub m_axi_awlen: Sig<Out>,
    /// AXI4: AWSIZE.
    pub m_axi_awsize: Sig<Out>,
    /// AXI4: AWBURST.
    pub m_axi_awburst: Sig<Out>,
    /// AXI4: AWLOCK.
    pub m_axi_awlock: Sig<Out>,
    /// AXI4: AWCACHE.
    pub m_axi_awcache: Sig<Out>,
    /// AXI4: AWPROT.
    pub m_axi_awprot: Sig<Out>,
    /// AXI4: AWQOS.
    pub m_axi_awqos: Sig<Out>,
    /// AXI4: AWREADY.
    pub m_axi_awready: Signal<In, Bit>,
    /// AXI4: WVALID.
    pub m_axi_wvalid: Signal<Out, Bit>,
    /// AXI4: WDATA.
    pub m_axi_wdata: Lanes<Out>,
    /// AXI4: WSTRB.
    pub m_axi_wstrb: Lanes<Out>,
    /// AXI4: WLAST.
    pub m_axi_wlast: Signal<Out, Bit>,
    /// AXI4: WREADY.
    pub m_axi_wready: Signal<In, Bit>,
    /// AXI4: BVALID.
    pub m_axi_bvalid: Signal<In, Bit>,
    /// AXI4: BID, without a meaning where all are 0.
    pub m_axi_bid: Sig<In>,
    /// AXI4: BRESP.
    pub m_axi_bresp: Sig<In>,
    /// AXI4: BREADY.
    pub m_axi_bready: Signal<Out, Bit>,
    /// AXI4: ARVALID.
    pub m_axi_arvalid: Signal<Out, Bit>,
    /// AXI4: ARID, always 0.
    pub m_axi_arid: Sig<Out>,
    /// AXI4: ARADDR.
    pub m_axi_araddr: Sig<Out>,
    /// AXI4: ARLEN.
    pub m_axi_arlen: Sig<Out>,
    /// AXI4: ARSIZE.
    pub m_axi_arsize: Sig<Out>,
    /// AXI4: ARBURST.
    pub m_axi_arburst: Sig<Out>,
    /// AXI4: ARLOCK.
    pub m_axi_arlock: Sig<Out>,
    /// AXI4: ARCACHE.
    pub m_axi_arcache: Sig<Out>,
    /// AXI4: ARPROT.
    pub m_axi_arprot: Sig<Out>,
    /// AXI4: ARQOS.
    pub m_axi_arqos: Sig<Out>,
    /// AXI4: ARREADY.
    pub m_axi_arready: Signal<In, Bit>,
    /// AXI4: RVALID.
    pub m_axi_rvalid: Signal<In, Bit>,
    /// AXI4: RID, without a meaning where all are 0.
    pub m_axi_rid: Sig<In>,
    /// AXI4: RDATA.
    pub m_axi_rdata: Lanes<In>,
    /// AXI4: RRESP.
    pub m_axi_rresp: Sig<In>,
    /// AXI4: RLAST.
    pub m_axi_rlast: Signal<In, Bit>,
    /// AXI4: RREADY.
    pub m_axi_rready: Signal<Out, Bit>,
    /// A run has ended: level, until the host clears it or starts the next run.
    pub irq: Signal<Out, Bit>,
    host: Host,
    acts: ActLoader,
    weights: WeightLoader,
    core: ComputeCore,
    drain: Drain,
    read: ReadPort,
    write: WritePort,
    strobe: Strobe,
    size: K,
    incrementing: K,
    cache: K,
    protection: K,
    id: K,
    lock: K,
    quality: K,
    ids_unused: Sig<Local>,
    protection_unused: Sig<Local>,
    /// Fields of a command in their full width, of which a build may need the low bits only.
    fields_unused: Sig<Local>,
}

impl Accelerator {
    /// The accelerator of the design point `config`, which is valid.
    pub fn new(config: &ArrayConfig) -> Self {
        let bounds = config.bounds();
        Self {
            clk: Default::default(),
            rst_n: Default::default(),
            s_axil_awvalid: Default::default(),
            s_axil_awaddr: Sig::new(u(8)),
            s_axil_awprot: Sig::new(u(3)),
            s_axil_awready: Default::default(),
            s_axil_wvalid: Default::default(),
            s_axil_wdata: Sig::new(u(32)),
            s_axil_wstrb: Sig::new(u(4)),
            s_axil_wready: Default::default(),
            s_axil_bvalid: Default::default(),
            s_axil_bresp: Sig::new(u(2)),
            s_axil_bready: Default::default(),
            s_axil_arvalid: Default::default(),
            s_axil_araddr: Sig::new(u(8)),
            s_axil_arprot: Sig::new(u(3)),
            s_axil_arready: Default::default(),
            s_axil_rvalid: Default::default(),
            s_axil_rdata: Sig::new(u(32)),
            s_axil_rresp: Sig::new(u(2)),
            s_axil_rready: Default::default(),
            m_axi_awvalid: Default::default(),
            m_axi_awid: Sig::new(u(config.id_bits)),
            m_axi_awaddr: Sig::new(u(config.address_bits)),
            m_axi_awlen: Sig::new(u(8)),
            m_axi_awsize: Sig::new(u(3)),
            m_axi_awburst: Sig::new(u(2)),
            m_axi_awlock: Sig::new(u(1)),
            m_axi_awcache: Sig::new(u(4)),
            m_axi_awprot: Sig::new(u(3)),
            m_axi_awqos: Sig::new(u(4)),
            m_axi_awready: Default::default(),
            m_axi_wvalid: Default::default(),
            m_axi_wdata: Lanes::new(config.bus_bits / 32, u(32)),
            m_axi_wstrb: Lanes::new(config.bus_bytes(), u(1)),
            m_axi_wlast: Default::default(),
            m_axi_wready: Default::default(),
            m_axi_bvalid: Default::default(),
            m_axi_bid: Sig::new(u(config.id_bits)),
            m_axi_bresp: Sig::new(u(2)),
            m_axi_bready: Default::default(),
            m_axi_arvalid: Default::default(),
            m_axi_arid: Sig::new(u(config.id_bits)),
            m_axi_araddr: Sig::new(u(config.address_bits)),
            m_axi_arlen: Sig::new(u(8)),
            m_axi_arsize: Sig::new(u(3)),
            m_axi_arburst: Sig::new(u(2)),
            m_axi_arlock: Sig::new(u(1)),
            m_axi_arcache: Sig::new(u(4)),
            m_axi_arprot: Sig::new(u(3)),
            m_axi_arqos: Sig::new(u(4)),
            m_axi_arready: Default::default(),
            m_axi_rvalid: Default::default(),
            m_axi_rid: Sig::new(u(config.id_bits)),
            m_axi_rdata: Lanes::new(config.bus_bits / 32, u(32)),
            m_axi_rresp: Sig::new(u(2)),
            m_axi_rlast: Default::default(),
            m_axi_rready: Default::default(),
            irq: Default::default(),
            host: Host::new(config),
            acts: ActLoader::new(config),
            weights: WeightLoader::new(config),
            core: ComputeCore::new(config),
            drain: Drain::new(config),
            read: ReadPort::new(config.bus_bits, config.address_bits, bounds.offset),
            write: WritePort::new(config.bus_bits, config.address_bits, bounds.offset, bounds.y_row_beats),
            strobe: Strobe::new(config.bus_bytes()),
            size: K::new(u(3), config.bus_bytes().ilog2().into()),
            incrementing: K::new(u(2), 1),
            cache: K::new(u(4), config.axi_cache.into()),
            protection: K::new(u(3), 0),
            id: K::new(u(config.id_bits), 0),
            lock: K::new(u(1), 0),
            quality: K::new(u(4), 0),
            ids_unused: Sig::new(u(config.id_bits)),
            protection_unused: Sig::new(u(3)),
            fields_unused: Sig::new(u(16)),
        }
    }
}

impl Logic for Accelerator {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module accelerator: runs a quantized VGG from external memory");
        self.host.clk_i.next = self.clk.val();
        self.acts.clk_i.next = self.clk.val();
        self.weights.clk_i.next = self.clk.val();
        self.core.clk_i.next = self.clk.val();
        self.drain.clk_i.next = self.clk.val();
        self.read.clk_i.next = self.clk.val();
        self.write.clk_i.next = self.clk.val();
        self.host.rst_ni.next = self.rst_n.val();
        self.acts.rst_ni.next = self.host.flush_no.val();
        self.weights.rst_ni.next = self.host.flush_no.val();
        self.core.rst_ni.next = self.host.flush_no.val();
        self.drain.rst_ni.next = self.host.flush_no.val();
        self.read.rst_ni.next = self.host.flush_no.val();
        self.write.rst_ni.next = self.host.flush_no.val();
        self.acts.start_i.next = self.host.start_o.val();
        self.weights.start_i.next = self.host.start_o.val();
        self.core.start_i.next = self.host.start_o.val();
        self.drain.start_i.next = self.host.start_o.val();

        self.host.s_axil_awvalid_i.next = self.s_axil_awvalid.val();
        self.host.s_axil_awaddr_i.next = self.s_axil_awaddr.val();
        self.s_axil_awready.next = self.host.s_axil_awready_o.val();
        self.host.s_axil_wvalid_i.next = self.s_axil_wvalid.val();
        self.host.s_axil_wdata_i.next = self.s_axil_wdata.val();
        self.host.s_axil_wstrb_i.next = self.s_axil_wstrb.val();
        self.s_axil_wready.next = self.host.s_axil_wready_o.val();
        self.s_axil_bvalid.next = self.host.s_axil_bvalid_o.val();
        self.s_axil_bresp.next = self.host.s_axil_bresp_o.val();
        self.host.s_axil_bready_i.next = self.s_axil_bready.val();
        self.host.s_axil_arvalid_i.next = self.s_axil_arvalid.val();
        self.host.s_axil_araddr_i.next = self.s_axil_araddr.val();
        self.s_axil_arready.next = self.host.s_axil_arready_o.val();
        self.s_axil_rvalid.next = self.host.s_axil_rvalid_o.val();
        self.s_axil_rdata.next = self.host.s_axil_rdata_o.val();
        self.s_axil_rresp.next = self.host.s_axil_rresp_o.val();
        self.host.s_axil_rready_i.next = self.s_axil_rready.val();
        self.irq.next = self.host.irq_o.val();

        comment!("The layer, to every block.");
        self.acts.layer_i.next = self.host.layer_o.val();
        self.fields_unused.next = self.host.layer_o.patch.val()
            | self.host.layer_o.step.val()
            | self.host.layer_o.clip.val()
            | self.host.layer_o.digits.val()
            | self.host.layer_o.planes.val()
            | self.host.layer_o.y_planes.val();
        self.weights.layer_i.next = self.host.layer_o.val();
        self.core.layer_i.next = self.host.layer_o.val();
        self.drain.layer_i.next = self.host.layer_o.val();

        comment!("Buffers, accumulators, parameters.");
        self.core.act_write_i.next = self.acts.act_write_o.val();
        self.core.act_addr_i.next = self.acts.act_addr_o.val();
        self.core.act_data_i.next = self.acts.act_data_o.val();
        self.core.patch_done_i.next = self.acts.patch_done_o.val();
        self.acts.patch_free_i.next = self.core.patch_free_o.val();
        self.core.weight_write_i.next = self.weights.weight_write_o.val();
        self.core.weight_done_i.next = self.weights.weight_done_o.val();
        self.core.weight_addr_i.next = self.weights.weight_addr_o.val();
        self.core.weight_data_i.next = self.weights.weight_data_o.val();
        self.weights.weight_room_i.next = self.core.weight_room_o.val();
        self.drain.tile_done_i.next = self.core.tile_done_o.val();
        self.core.bank_free_i.next = self.drain.bank_free_o.val();
        self.core.drain_bank_i.next = self.drain.drain_bank_o.val();
        self.core.drain_addr_i.next = self.drain.drain_addr_o.val();
        self.drain.drain_i.next = self.core.drain_o.val();
        self.drain.record_valid_i.next = self.weights.record_valid_o.val();
        self.drain.bias_i.next = self.weights.bias_o.val();
        self.drain.multiplier_i.next = self.weights.multiplier_o.val();
        self.drain.shift_i.next = self.weights.shift_o.val();
        self.weights.params_room_i.next = self.drain.params_room_o.val();

        comment!("Reading.");
        self.read.weights_ar_valid_i.next = self.weights.ar_valid_o.val();
        self.read.weights_ar_addr_i.next = self.weights.ar_addr_o.val();
        self.read.weights_ar_len_i.next = self.weights.ar_len_o.val();
        self.weights.ar_ready_i.next = self.read.weights_ar_ready_o.val();
        self.weights.push_i.next = self.read.weights_push_o.val();
        self.weights.beat_i.next = self.read.beat_o.val();
        self.read.acts_ar_valid_i.next = self.acts.ar_valid_o.val();
        self.read.acts_ar_addr_i.next = self.acts.ar_addr_o.val();
        self.read.acts_ar_len_i.next = self.acts.ar_len_o.val();
        self.acts.ar_ready_i.next = self.read.acts_ar_ready_o.val();
        self.acts.push_i.next = self.read.acts_push_o.val();
        self.acts.beat_i.next = self.read.beat_o.val();
        self.read.command_ar_valid_i.next = self.host.ar_valid_o.val();
        self.read.command_ar_addr_i.next = self.host.ar_addr_o.val();
        self.read.command_ar_len_i.next = self.host.ar_len_o.val();
        self.host.ar_ready_i.next = self.read.command_ar_ready_o.val();
        self.host.command_beat_i.next = self.read.command_push_o.val();
        self.host.beat_i.next = self.read.beat_o.val();
        self.read.model_base_i.next = self.host.model_base_o.val();
        self.read.model_limit_i.next = self.host.read_limit_o.val();
        self.read.data_base_i.next = self.host.data_base_o.val();
        self.read.data_limit_i.next = self.host.write_limit_o.val();
        self.read.stop_i.next = self.host.stop_o.val();
        self.m_axi_arvalid.next = self.read.m_axi_arvalid_o.val();
        self.m_axi_araddr.next = self.read.m_axi_araddr_o.val();
        self.m_axi_arlen.next = self.read.m_axi_arlen_o.val();
        self.m_axi_rready.next = self.read.m_axi_rready_o.val();
        self.read.m_axi_arready_i.next = self.m_axi_arready.val();
        self.read.m_axi_rvalid_i.next = self.m_axi_rvalid.val();
        self.read.m_axi_rdata_i.next = self.m_axi_rdata.val();
        self.read.m_axi_rresp_i.next = self.m_axi_rresp.val();
        self.read.m_axi_rlast_i.next = self.m_axi_rlast.val();
        self.m_axi_arsize.next = self.size.val();
        self.m_axi_arburst.next = self.incrementing.val();
        self.m_axi_arcache.next = self.cache.val();
        self.m_axi_arprot.next = self.protection.val();
        self.m_axi_awsize.next = self.size.val();
        self.m_axi_awburst.next = self.incrementing.val();
        self.m_axi_awcache.next = self.cache.val();
        self.m_axi_awprot.next = self.protection.val();
        self.m_axi_arid.next = self.id.val();
        self.m_axi_arlock.next = self.lock.val();
        self.m_axi_arqos.next = self.quality.val();
        self.m_axi_awid.next = self.id.val();
        self.m_axi_awlock.next = self.lock.val();
        self.m_axi_awqos.next = self.quality.val();
        self.ids_unused.next = self.m_axi_rid.val() | self.m_axi_bid.val();
        self.protection_unused.next = self.s_axil_arprot.val() | self.s_axil_awprot.val();

        comment!("Writing.");
        self.write.run_valid_i.next = self.drain.run_valid_o.val();
        self.write.run_addr_i.next = self.drain.run_addr_o.val();
        self.write.run_beats_i.next = self.drain.run_beats_o.val();
        self.drain.run_ready_i.next = self.write.run_ready_o.val();
        self.write.beat_valid_i.next = self.drain.beat_valid_o.val();
        self.write.beat_i.next = self.drain.beat_o.val();
        self.drain.room_i.next = self.write.room_o.val();
        self.write.data_base_i.next = self.host.data_base_o.val();
        self.write.base_i.next = self.host.write_base_o.val();
        self.write.limit_i.next = self.host.write_limit_o.val();
        self.write.stop_i.next = self.host.stop_o.val();
        self.m_axi_awvalid.next = self.write.m_axi_awvalid_o.val();
        self.m_axi_awaddr.next = self.write.m_axi_awaddr_o.val();
        self.m_axi_awlen.next = self.write.m_axi_awlen_o.val();
        self.m_axi_wvalid.next = self.write.m_axi_wvalid_o.val();
        self.m_axi_wdata.next = self.write.m_axi_wdata_o.val();
        self.m_axi_wlast.next = self.write.m_axi_wlast_o.val();
        self.m_axi_bready.next = self.write.m_axi_bready_o.val();
        self.write.m_axi_awready_i.next = self.m_axi_awready.val();
        self.write.m_axi_wready_i.next = self.m_axi_wready.val();
        self.write.m_axi_bvalid_i.next = self.m_axi_bvalid.val();
        self.write.m_axi_bresp_i.next = self.m_axi_bresp.val();
        self.m_axi_wstrb.next = self.strobe.strobe_o.val();

        comment!("Progress and faults.");
        self.host.layer_done_i.next = self.drain.done_o.val() && self.write.idle_o.val();
        self.host.write_idle_i.next = self.write.idle_o.val();
        self.host.read_idle_i.next = self.read.idle_o.val();
        self.host.write_quiet_i.next = self.write.quiet_o.val();
        self.host.read_response_i.next = self.read.bad_response_o.val();
        self.host.read_address_i.next = self.read.bad_address_o.val();
        self.host.write_response_i.next = self.write.bad_response_o.val();
        self.host.write_address_i.next = self.write.bad_address_o.val();
        self.host.weight_beat_i.next = self.read.weights_push_o.val();
        self.host.act_beat_i.next = self.read.acts_push_o.val();
        self.host.write_beat_i.next = self.write.write_beat_o.val();
        self.host.array_active_i.next = self.core.active_o.val();
    }
}
