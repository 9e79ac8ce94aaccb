// The accelerator in Verilator, its memory, and a host that reads and writes registers.
//
// The build passes -DBUS_BITS=<n>, and -DVERILATED_TOP=V<name> where the top is not called accelerator.
#pragma once
#ifndef VERILATED_TOP
#define VERILATED_TOP Vaccelerator
#endif
#define QUOTED_(text) #text
#define QUOTED(text) QUOTED_(text)
#include QUOTED(VERILATED_TOP.h)
#include "axi_memory.h"
#include "isa.h"
#include "verilated.h"
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

constexpr unsigned BUS = BUS_BITS / 8;

[[noreturn]] inline void fail(const std::string &reason) {
    fprintf(stderr, "error: %s\n", reason.c_str());
    exit(2);
}

// Reads the file `path`, which must have `size` bytes, to the start of `bytes`.
inline void read_file(const std::string &path, std::vector<uint8_t> &bytes, size_t size) {
    std::ifstream in(path, std::ios::binary | std::ios::ate);
    if (!in) fail("cannot read " + path);
    if (size_t(in.tellg()) != size) fail(path + " must have " + std::to_string(size) + " bytes");
    in.seekg(0);
    if (!in.read(reinterpret_cast<char *>(bytes.data()), size)) fail("cannot read " + path);
}

struct Hang {};

class Device {
  public:
    // A memory of the model and all data areas.
    explicit Device(const MemoryOptions &options)
        : memory_(options), top_(new VERILATED_TOP(&context_)), options_(options) {
        memory_.bytes.resize(options.model_bytes + options.write_limit * options.data_bases.size());
    }
    virtual ~Device() = default;

    // Puts the model to memory.
    void load(const uint8_t *model, size_t bytes) { memcpy(memory_.bytes.data(), model, bytes); }

    bool irq() const { return top_->irq; }

    // The first byte of a data area.
    uint8_t *data(size_t area) { return &memory_.bytes[options_.model_bytes + area * options_.write_limit]; }

    void reset() {
        top_->rst_n = 0;
        top_->s_axil_awvalid = top_->s_axil_wvalid = top_->s_axil_arvalid = 0;
        top_->s_axil_bready = top_->s_axil_rready = 1;
        top_->s_axil_awprot = top_->s_axil_arprot = 0;
        top_->m_axi_bid = top_->m_axi_rid = 0;
        for (int i = 0; i < 8; i++) cycle();
        top_->rst_n = 1;
    }

    // One clock: the memory drives, combinational outputs settle, the memory takes them, then comes the edge.
    void cycle() {
        if (cycle_ >= max_cycles_) throw Hang();
        if (top_->rst_n) {
            memory_.drive(port_);
            driven();
        }
        top_->m_axi_arready = port_.arready;
        top_->m_axi_rvalid = port_.rvalid;
        if (port_.rvalid) {
            top_->m_axi_rlast = port_.rlast;
            top_->m_axi_rresp = port_.rresp;
            memcpy(&top_->m_axi_rdata, port_.rdata, BUS);
        }
        top_->m_axi_awready = port_.awready;
        top_->m_axi_wready = port_.wready;
        top_->m_axi_bvalid = port_.bvalid;
        top_->m_axi_bresp = port_.bresp;
        top_->clk = 0;
        top_->eval();
        dump(time_++);
        if (top_->rst_n) {
            sample();
            memory_.clock(port_);
        }
        top_->clk = 1;
        top_->eval();
        dump(time_++);
        if (top_->rst_n) cycle_++;
    }

    void axil_write(uint32_t address, uint32_t value) {
        top_->s_axil_awaddr = address;
        top_->s_axil_wdata = value;
        top_->s_axil_wstrb = 15;
        top_->s_axil_awvalid = top_->s_axil_wvalid = 1;
        while (top_->s_axil_awvalid || top_->s_axil_wvalid) {
            top_->eval();
            bool aw = top_->s_axil_awready, w = top_->s_axil_wready;
            cycle();
            if (aw) top_->s_axil_awvalid = 0;
            if (w) top_->s_axil_wvalid = 0;
        }
    }

    uint32_t axil_read(uint32_t address) {
        top_->s_axil_araddr = address;
        top_->s_axil_arvalid = 1;
        for (bool accepted = false; !accepted;) {
            top_->eval();
            accepted = top_->s_axil_arready;
            cycle();
        }
        top_->s_axil_arvalid = 0;
        top_->eval();
        while (!top_->s_axil_rvalid) cycle();
        return top_->s_axil_rdata;
    }

  protected:
    AxiMemory<BUS> memory_;
    VerilatedContext context_;
    std::unique_ptr<VERILATED_TOP> top_;
    AxiPort port_;
    uint64_t cycle_ = 0, max_cycles_ = UINT64_MAX;  // cycles since the reset

    // The memory has driven the port; the port has been sampled; a time of the waveform has come.
    virtual void driven() {}
    virtual void sampled() {}
    virtual void dump(uint64_t) {}

  private:
    MemoryOptions options_;
    uint64_t time_ = 0;  // clock levels, those of the reset too

    void sample() {
        port_.arvalid = top_->m_axi_arvalid;
        port_.araddr = top_->m_axi_araddr;
        port_.arlen = top_->m_axi_arlen;
        port_.rready = top_->m_axi_rready;
        port_.awvalid = top_->m_axi_awvalid;
        port_.awaddr = top_->m_axi_awaddr;
        port_.awlen = top_->m_axi_awlen;
        port_.wvalid = top_->m_axi_wvalid;
        port_.wlast = top_->m_axi_wlast;
        port_.wdata = reinterpret_cast<const uint8_t *>(&top_->m_axi_wdata);
        port_.wstrb = top_->m_axi_wstrb;
        port_.bready = top_->m_axi_bready;
        sampled();
    }
};
