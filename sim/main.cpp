// Runs the accelerator in Verilator against a memory image: load, start, wait for the interrupt, compare and save.
//
// The build passes -DBUS_BITS=<n>. Statistics go to standard output as JSON, in any case.
// Exit code: 0 the run passed, 1 it did not (error code, hang, breach of AXI, difference), 2 it could not start.
#include "Vaccelerator.h"
#include "axi_memory.h"
#include "isa.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>

namespace {

constexpr unsigned BUS = BUS_BITS / 8;

struct Options {
    std::string image, expected, output, vcd;
    uint64_t max_cycles = 0, vcd_from = 0, vcd_to = UINT64_MAX;
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
        if (name == "--image") o.image = value;             // the model, and behind it the data up to the write window
        else if (name == "--expected") o.expected = value;  // the write window after the run
        else if (name == "--output") o.output = value;      // where the write window goes
        else if (name == "--vcd") o.vcd = value;
        else if (name == "--vcd-from") o.vcd_from = number(value);
        else if (name == "--vcd-to") o.vcd_to = number(value);
        else if (name == "--max-cycles") o.max_cycles = number(value);
        else if (name == "--weights-at") o.memory.weights_at = number(value);
        else if (name == "--model-bytes") o.memory.model_bytes = number(value);
        else if (name == "--model-base") o.memory.model_base = number(value);
        else if (name == "--data-base") o.memory.data_bases.push_back(number(value));  // again: a queued run there
        else if (name == "--write-base") o.memory.write_base = number(value);
        else if (name == "--write-limit") o.memory.write_limit = number(value);
        else if (name == "--latency") o.memory.latency = number(value);
        else if (name == "--stall-percent") o.memory.stall_percent = number(value);
        else if (name == "--seed") o.memory.seed = number(value);
        else if (name == "--read-error-at") o.memory.read_error_at = number(value);
        else if (name == "--write-error-at") o.memory.write_error_at = number(value);
        else fail("unknown option " + name);
    }
    if (o.image.empty() || !o.max_cycles || !o.memory.model_bytes || o.memory.write_limit == UINT64_MAX)
        fail("--image, --max-cycles, --model-bytes, --write-base and --write-limit are needed");
    if (o.memory.data_bases.empty()) o.memory.data_bases.push_back(o.memory.model_base + o.memory.model_bytes);
    return o;
}

// Reads the file `path`, which must have `size` bytes, to the start of `bytes`.
void read_file(const std::string &path, std::vector<uint8_t> &bytes, size_t size) {
    std::ifstream in(path, std::ios::binary | std::ios::ate);
    if (!in) fail("cannot read " + path);
    if (size_t(in.tellg()) != size) fail(path + " must have " + std::to_string(size) + " bytes");
    in.seekg(0);
    if (!in.read(reinterpret_cast<char *>(bytes.data()), size)) fail("cannot read " + path);
}

void write_file(const std::string &path, const uint8_t *bytes, size_t size) {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char *>(bytes), size);
    if (!out.flush()) fail("cannot write " + path);
}

struct Hang {};

class Bench {
  public:
    explicit Bench(const Options &options)
        : options_(options), memory_(options.memory), top_(new Vaccelerator(&context_)) {
        const MemoryOptions &m = options.memory;
        memory_.bytes.resize(m.model_bytes + m.write_limit * m.data_bases.size());
        read_file(options.image, memory_.bytes, m.model_bytes + m.write_base);
        for (size_t i = 1; i < m.data_bases.size(); i++)  // the same input
            memcpy(data(i), data(0), m.write_base);
        if (!options.expected.empty()) {
            memory_.expected.resize(options.memory.write_limit - options.memory.write_base);
            read_file(options.expected, memory_.expected, memory_.expected.size());
        }
#if VM_TRACE
        if (!options.vcd.empty()) {
            context_.traceEverOn(true);
            vcd_.reset(new VerilatedVcdC);
            top_->trace(vcd_.get(), 99);
            vcd_->open(options.vcd.c_str());
        }
#else
        if (!options.vcd.empty()) fail("built without --trace");
#endif
    }

    // Whether the run passed.
    bool run() {
        try {
            reset();
            axil_write(REG_READ_LIMIT, options_.memory.model_bytes);
            axil_write(REG_WRITE_BASE, options_.memory.write_base);
            axil_write(REG_WRITE_LIMIT, options_.memory.write_limit);
            axil_write(REG_MODEL_BASE, options_.memory.model_base);
            axil_write(REG_MODEL_BASE_HI, options_.memory.model_base >> 32);
            for (uint64_t base : options_.memory.data_bases) {
                axil_write(REG_DATA_BASE, base);
                axil_write(REG_DATA_BASE_HI, base >> 32);
                axil_write(REG_CONTROL, CONTROL_START.put(1));
            }
            while (!top_->irq) cycle();
            end_ = first_end_ = cycle_;
            commands_.push_back({cycle_, memory_.traffic});
            while (STATUS_BUSY.of(axil_read(REG_STATUS))) end_ = cycle_;
            options_.max_cycles = cycle_ + 10000;  // for the registers
            for (uint32_t address = 0; address < 0x40; address += 4) registers_[address / 4] = axil_read(address);
        } catch (Hang) {
            hang_ = true;
            end_ = cycle_;
        }
        const uint8_t *window = data(0) + options_.memory.write_base;
        size_t size = options_.memory.write_limit - options_.memory.write_base;
        if (!options_.output.empty()) write_file(options_.output, window, size);
        uint64_t wrong_bytes = 0;
        size_t runs = std::min<size_t>(options_.memory.data_bases.size(), std::max(1u, registers_[REG_RUNS / 4]));
        for (size_t run = 0; run < runs; run++)
            for (size_t i = 0; i < memory_.expected.size(); i++)
                wrong_bytes += data(run)[options_.memory.write_base + i] != memory_.expected[i];
        report(wrong_bytes);
        return !hang_ && !error() && memory_.violation.empty() && !wrong_bytes;
    }

  private:
    struct Command {
        uint64_t cycle;
        Traffic traffic;  // until then
    };
    Options options_;
    AxiMemory<BUS> memory_;
    VerilatedContext context_;
    std::unique_ptr<Vaccelerator> top_;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> vcd_;
#endif
    AxiPort port_;
    uint64_t cycle_ = 0, end_ = 0, first_end_ = 0, between_runs_ = 0;
    bool hang_ = false;
    uint32_t registers_[16] = {};
    std::vector<Command> commands_;  // when each command was asked for, the end mark too, and the interrupt

    uint8_t *data(size_t area) { return &memory_.bytes[options_.memory.model_bytes + area * options_.memory.write_limit]; }

    uint32_t error() const { return STATUS_ERROR.of(registers_[REG_STATUS / 4]); }

    void report(uint64_t wrong_bytes) const {
        auto u = [](uint64_t v) { return (unsigned long long)v; };
        printf("{\"hang\": %s, \"cycles\": %llu, \"error\": %u, \"registers\": [", hang_ ? "true" : "false", u(end_),
               error());
        for (size_t i = 0; i < 16; i++) printf("%s%u", i ? ", " : "", registers_[i]);
        printf("],\n \"violation\": \"%s\", \"wrong_bytes\": %llu,", memory_.violation.c_str(), u(wrong_bytes));
        if (between_runs_) printf(" \"between_runs\": %llu,", u(between_runs_));
        if (memory_.wrong_words)
            printf(" \"wrong_words\": %llu, \"wrong_at\": %llu, \"wrong_cycle\": %llu,", u(memory_.wrong_words),
                   u(memory_.wrong_at), u(memory_.wrong_cycle));
        printf("\n \"commands\": [");
        for (size_t i = 0; i < commands_.size(); i++) {
            const Traffic &t = commands_[i].traffic;
            printf("%s\n  {\"cycle\": %llu, \"weight_beats\": %llu, \"act_beats\": %llu, \"write_beats\": %llu}",
                   i ? "," : "", u(commands_[i].cycle), u(t.weights), u(t.maps), u(t.written));
        }
        printf("]}\n");
    }

    void reset() {
        top_->rst_n = 0;
        top_->s_axil_awvalid = top_->s_axil_wvalid = top_->s_axil_arvalid = 0;
        top_->s_axil_bready = top_->s_axil_rready = 1;
        top_->s_axil_awprot = top_->s_axil_arprot = 0;
        top_->m_axi_bid = top_->m_axi_rid = 0;
        for (int i = 0; i < 8; i++) cycle();
        top_->rst_n = 1;
        cycle();
    }

    // One clock: the memory drives, combinational outputs settle, the memory takes them, then comes the edge.
    void cycle() {
        if (cycle_ >= options_.max_cycles) throw Hang();
        memory_.drive(port_);
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
        dump(2 * cycle_);
        if (top_->rst_n) {
            sample();
            memory_.clock(port_);
        }
        top_->clk = 1;
        top_->eval();
        dump(2 * cycle_ + 1);
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
        port_.wdata = reinterpret_cast<const uint8_t *>(&top_->m_axi_wdata);
        port_.wstrb = top_->m_axi_wstrb;
        port_.bready = top_->m_axi_bready;
        uint64_t asked = port_.araddr - options_.memory.model_base;
        if (port_.arvalid && port_.arready && !first_end_ && asked == COMMAND_BYTES * commands_.size() &&
            asked < options_.memory.weights_at)
            commands_.push_back({cycle_, memory_.traffic});
        if (port_.arvalid && port_.arready && first_end_ && asked == 0) between_runs_ = cycle_ - first_end_;
    }

    void dump(uint64_t time) {
#if VM_TRACE
        if (vcd_ && cycle_ >= options_.vcd_from && cycle_ <= options_.vcd_to) vcd_->dump(time);
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

int main(int argc, char **argv) { return Bench(parse(argc, argv)).run() ? 0 : 1; }
