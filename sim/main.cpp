// Runs the accelerator in Verilator against a memory image: load, start, wait for the interrupt, compare and save.
//
// The build passes -DBUS_BITS=<n>. Statistics go to standard output as JSON, in any case. With --words, the integers that a run
// writes, a line behind them is the verdict: "PASS words=N cycles=N" or "FAIL reason".
// Exit code: 0 the run passed, 1 it did not (error code, hang, breach of AXI, difference), 2 it could not start.
#include "device.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif
#include <algorithm>

namespace {

struct Options {
    std::string image, expected, output, vcd;
    uint64_t words = 0, max_cycles = 0, vcd_from = 0, vcd_to = UINT64_MAX;
    MemoryOptions memory;
};

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
        else if (name == "--words") o.words = number(value);
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

void write_file(const std::string &path, const uint8_t *bytes, size_t size) {
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char *>(bytes), size);
    if (!out.flush()) fail("cannot write " + path);
}

class Bench : Device {
  public:
    explicit Bench(const Options &options)
        : Device(options.memory), options_(options) {
        const MemoryOptions &m = options.memory;
        max_cycles_ = options.max_cycles;
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
            max_cycles_ = cycle_ + 10000;  // for the registers
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
        std::string why = failure(wrong_bytes);
        if (options_.words && why.empty())
            printf("PASS words=%llu cycles=%u\n", (unsigned long long)options_.words, registers_[REG_CYCLES_LO / 4]);
        else if (options_.words)
            printf("FAIL %s\n", why.c_str());
        return why.empty();
    }

  private:
    struct Command {
        uint64_t cycle;
        Traffic traffic;  // until then
    };
    Options options_;
#if VM_TRACE
    std::unique_ptr<VerilatedVcdC> vcd_;
#endif
    uint64_t end_ = 0, first_end_ = 0, between_runs_ = 0;
    bool hang_ = false;
    uint32_t registers_[16] = {};
    std::vector<Command> commands_;  // when each command was asked for, the end mark too, and the interrupt

    // Why the run has not passed; empty if it has.
    std::string failure(uint64_t wrong_bytes) const {
        if (hang_) return "no interrupt: the design hangs";
        if (!memory_.violation.empty()) return memory_.violation;
        if (error()) return "the accelerator reports error " + std::to_string(error());
        if (wrong_bytes) return std::to_string(wrong_bytes) + " bytes differ from the golden model's";
        return "";
    }

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

    void sampled() override {
        uint64_t asked = port_.araddr - options_.memory.model_base;
        if (port_.arvalid && port_.arready && !first_end_ && asked == COMMAND_BYTES * commands_.size() &&
            asked < options_.memory.weights_at)
            commands_.push_back({cycle_, memory_.traffic});
        if (port_.arvalid && port_.arready && first_end_ && asked == 0) between_runs_ = cycle_ - first_end_;
    }

    void dump(uint64_t time) override {
#if VM_TRACE
        if (vcd_ && cycle_ >= options_.vcd_from && cycle_ <= options_.vcd_to) vcd_->dump(time);
#else
        (void)time;
#endif
    }

};

}  // namespace

int main(int argc, char **argv) { return Bench(parse(argc, argv)).run() ? 0 : 1; }
