// Runs the accelerator in Verilator against a memory image: load, start, wait for the interrupt, dump memory.
//
// The build passes -DTOP=V<top> -DTOP_HEADER="V<top>.h" -DBUS_BITS=<n>. Statistics go to standard output as JSON.
#include "axi_memory.h"
#include "verilated.h"
#include TOP_HEADER
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>

namespace {

constexpr size_t BUS_BYTES = BUS_BITS / 8;
constexpr uint32_t CONTROL = 0x00, STATUS = 0x04;  // registers; rtl/README.md lists them
constexpr uint32_t START = 1;

struct Options {
    std::string image, output, trace;
    uint64_t max_cycles = 0, trace_from = 0, trace_to = UINT64_MAX;
    MemoryOptions memory;
};

[[noreturn]] void fail(const std::string &reason) {
    fprintf(stderr, "error: %s\n", reason.c_str());
    exit(2);
}

uint64_t number(const std::string &text) {
    char *end = nullptr;
    uint64_t value = strtoull(text.c_str(), &end, 0);
    if (text.empty() || *end) fail("not a number: " + text);
    return value;
}

Options parse(int argc, char **argv) {
    Options o;
    for (int i = 1; i < argc; i += 2) {
        std::string name = argv[i];
        if (i + 1 >= argc) fail(name + " needs a value");
        std::string value = argv[i + 1];
        if (name == "--image") o.image = value;
        else if (name == "--output") o.output = value;
        else if (name == "--vcd") o.trace = value;
        else if (name == "--vcd-from") o.trace_from = number(value);
        else if (name == "--vcd-to") o.trace_to = number(value);
        else if (name == "--max-cycles") o.max_cycles = number(value);
        else if (name == "--latency") o.memory.latency = number(value);
        else if (name == "--stall-percent") o.memory.stall_percent = number(value);
        else if (name == "--seed") o.memory.seed = number(value);
        else if (name == "--read-error-at") o.memory.read_error_at = number(value);
        else if (name == "--write-error-at") o.memory.write_error_at = number(value);
        else fail("unknown option " + name);
    }
    if (o.image.empty() || o.output.empty() || !o.max_cycles) fail("--image, --output and --max-cycles are needed");
    return o;
}

std::vector<uint8_t> read_file(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) fail("cannot read " + path);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string &path, const std::vector<uint8_t> &bytes) {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char *>(bytes.data()), bytes.size());
    if (!out.flush()) fail("cannot write " + path);
}

// Verilator gives ports of up to 64 bits as an integer and wider ones as words of 32 bits.
template <class Port> void set_bytes(Port &port, const std::vector<uint8_t> &bytes) {
    memcpy(&port, bytes.data(), BUS_BYTES);
}
template <class Port> std::vector<uint8_t> get_bytes(const Port &port) {
    std::vector<uint8_t> bytes(BUS_BYTES);
    memcpy(bytes.data(), &port, BUS_BYTES);
    return bytes;
}

class Bench {
  public:
    explicit Bench(const Options &options)
        : options_(options), memory_(BUS_BYTES, options.memory), top_(new TOP(&context_)) {
        memory_.bytes = read_file(options.image);
#if VM_TRACE
        if (!options.trace.empty()) {
            context_.traceEverOn(true);
            vcd_.reset(new VerilatedVcdC);
            top_->trace(vcd_.get(), 99);
            vcd_->open(options.trace.c_str());
        }
#endif
    }

    int run() {
        reset();
        axil_write(CONTROL, START);
        while (!top_->irq) cycle();
        uint32_t status = axil_read(STATUS);
        write_file(options_.output, memory_.bytes);
        if (!memory_.violation.empty()) fail("AXI violation: " + memory_.violation);
        printf("{\"status\": %u, \"cycles\": %llu, \"read_beats\": %llu, \"write_beats\": %llu, \"command_cycles\": [",
               status, (unsigned long long)cycle_, (unsigned long long)memory_.read_beats,
               (unsigned long long)memory_.write_beats);
        for (size_t i = 0; i < command_cycles_.size(); i++)
            printf("%s%llu", i ? ", " : "", (unsigned long long)command_cycles_[i]);
        printf("]}\n");
        return 0;
    }

  private:
    Options options_;
    AxiMemory memory_;
    VerilatedContext context_;
    std::unique_ptr<TOP> top_;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> vcd_;
#endif
    AxiPort port_;
    uint64_t cycle_ = 0;
    std::vector<uint64_t> command_cycles_;  // when each command of the program was asked for

    void reset() {
        top_->rst_n = 0;
        top_->s_axil_awvalid = top_->s_axil_wvalid = top_->s_axil_arvalid = 0;
        top_->s_axil_bready = top_->s_axil_rready = 1;
        for (int i = 0; i < 8; i++) cycle();
        top_->rst_n = 1;
        cycle();
    }

    // One clock: the memory drives, combinational outputs settle, then the edge takes everything at once.
    void cycle() {
        if (cycle_ >= options_.max_cycles) {
            fail("no interrupt after " + std::to_string(cycle_) + " cycles: the design hangs");
        }
        memory_.drive(port_);
        top_->m_axi_arready = port_.arready;
        top_->m_axi_rvalid = port_.rvalid;
        top_->m_axi_rlast = port_.rlast;
        top_->m_axi_rresp = port_.rresp;
        if (port_.rvalid) set_bytes(top_->m_axi_rdata, port_.rdata);
        top_->m_axi_awready = port_.awready;
        top_->m_axi_wready = port_.wready;
        top_->m_axi_bvalid = port_.bvalid;
        top_->m_axi_bresp = port_.bresp;
        top_->clk = 0;
        top_->eval();
        dump(2 * cycle_);
        sample();
        top_->clk = 1;
        top_->eval();
        dump(2 * cycle_ + 1);
        if (top_->rst_n) memory_.clock(port_);
        cycle_++;
    }

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
        if (port_.wvalid) {
            port_.wdata = get_bytes(top_->m_axi_wdata);
            port_.wstrb.resize(BUS_BYTES);
            for (size_t i = 0; i < BUS_BYTES; i++) port_.wstrb[i] = (uint64_t)top_->m_axi_wstrb >> i & 1;
        }
        port_.bready = top_->m_axi_bready;
        if (port_.arvalid && port_.arready && port_.araddr == 128 * command_cycles_.size() && top_->rst_n)
            command_cycles_.push_back(cycle_);
    }

    void dump(uint64_t time) {
#if VM_TRACE
        if (vcd_ && cycle_ >= options_.trace_from && cycle_ <= options_.trace_to) vcd_->dump(time);
#else
        (void)time;
#endif
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
};

}  // namespace

int main(int argc, char **argv) {
    return Bench(parse(argc, argv)).run();
}
