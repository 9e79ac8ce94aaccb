// The accelerator with every port that cocotbext-axi looks for as a signal of its own, since Icarus drops what nobody reads.
`default_nettype none
`ifndef ACCELERATOR
`define ACCELERATOR accelerator
`endif

module cocotb_top #(parameter BUS_BITS = 128, ADDRESS_BITS = 32, ID_BITS = 1) (
    output logic [ID_BITS-1:0] m_axi_awid,
    output logic [ID_BITS-1:0] m_axi_arid,
    input logic [ID_BITS-1:0] m_axi_bid,
    input logic [ID_BITS-1:0] m_axi_rid
);
    logic clk, rst_n, irq;

    logic [7:0] s_axil_awaddr, s_axil_araddr;
    logic [2:0] s_axil_awprot, s_axil_arprot;
    logic [31:0] s_axil_wdata, s_axil_rdata;
    logic [3:0] s_axil_wstrb;
    logic [1:0] s_axil_bresp, s_axil_rresp;
    logic s_axil_awvalid, s_axil_awready, s_axil_wvalid, s_axil_wready, s_axil_bvalid, s_axil_bready;
    logic s_axil_arvalid, s_axil_arready, s_axil_rvalid, s_axil_rready;

    logic [ADDRESS_BITS-1:0] m_axi_awaddr, m_axi_araddr;
    logic [7:0] m_axi_awlen, m_axi_arlen;
    logic [2:0] m_axi_awsize, m_axi_arsize, m_axi_awprot, m_axi_arprot;
    logic [1:0] m_axi_awburst, m_axi_arburst, m_axi_bresp, m_axi_rresp;
    logic [3:0] m_axi_awcache, m_axi_arcache, m_axi_awqos, m_axi_arqos;
    logic [BUS_BITS-1:0] m_axi_wdata, m_axi_rdata;
    logic [BUS_BITS/8-1:0] m_axi_wstrb;
    logic m_axi_awlock, m_axi_arlock;
    logic m_axi_awvalid, m_axi_awready, m_axi_wlast, m_axi_wvalid, m_axi_wready, m_axi_bvalid, m_axi_bready;
    logic m_axi_arvalid, m_axi_arready, m_axi_rlast, m_axi_rvalid, m_axi_rready;

    `ACCELERATOR dut (.*);
endmodule

`default_nettype wire
