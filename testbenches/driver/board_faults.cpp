// The self-test of the C driver on the accelerator in Verilator: it passes, and finds each fault of a board that is put in.
#include "selftest.h"

#include "device.h"
#include "selftest_data.h"

namespace {

constexpr uint64_t ADDRESS = 0x40000000;
const vgg2rtl_network &NETWORK = VGG2RTL_SELFTEST.network;

enum class Fault {
    NONE, SILENT, FLOATING, OTHER_CORE, OTHER_CONFIGURATION, WRITES_LOST, INTERRUPT_STUCK, NO_MEMORY, BASE, NO_FLUSH,
    READ_HALF, READ_TWICE, READ_PACKED, WRITE_HALF, WRITE_PACKED, NO_INVALIDATE, NUMBERS, INTERRUPT_OPEN, NO_READY,
};

MemoryOptions options() {
    MemoryOptions options;
    options.model_base = ADDRESS;
    options.model_bytes = NETWORK.model_bytes;
    options.write_base = NETWORK.write_base;
    options.write_limit = NETWORK.data_bytes;
    options.data_bases = {ADDRESS + NETWORK.model_bytes, ADDRESS + 0x1000000};
    return options;
}

// A board with a fault: a host with a cache, and what is wrong with its wires.
class Board : public Device {
  public:
    explicit Board(Fault fault) : Device(options()), fault_(fault), host(size()), clean_(size()), late_(size()) {
        device.context = this;
        device.read32 = [](void *board, uint32_t address) { return static_cast<Board *>(board)->read(address); };
        device.write32 = [](void *board, uint32_t address, uint32_t value) { static_cast<Board *>(board)->write(address, value); };
        device.sleep = [](void *board) { return static_cast<Board *>(board)->sleep(); };
        device.flush = [](void *board, const void *from, size_t bytes) { static_cast<Board *>(board)->flush(from, bytes); };
        device.invalidate = [](void *board, const void *from, size_t bytes) {
            static_cast<Board *>(board)->invalidate(from, bytes);
        };
        for (size_t at = 0; at < host.size(); at++) host[at] = clean_[at] = late_[at] = memory_.bytes[at] = 0x77 * at;
        reset();
    }

    vgg2rtl_result test(vgg2rtl_difference &difference) {
        vgg2rtl_memory memory = {host.data(), ADDRESS + (fault_ == Fault::NO_MEMORY ? 0x10000000 : 0), host.size()};
        return vgg2rtl_selftest(&device, &VGG2RTL_SELFTEST, &memory, 50, &difference);
    }

    vgg2rtl_device device = {};

  protected:
    // What comes to the accelerator.
    void driven() override {
        if (fault_ == Fault::NO_READY) port_.arready = false;
        if (!port_.rvalid || (fault_ != Fault::READ_HALF && fault_ != Fault::READ_TWICE && fault_ != Fault::READ_PACKED)) return;
        const uint8_t *from = port_.rdata;
        if (fault_ == Fault::READ_PACKED) from = at(reads_.front()) + read_beats_ * BUS / 2;
        memcpy(word_, from, BUS / 2);
        if (fault_ == Fault::READ_TWICE) memcpy(word_ + BUS / 2, word_, BUS / 2);
        port_.rdata = word_;
    }

    // What comes from it.
    void sampled() override {
        if (fault_ == Fault::BASE && port_.arvalid) port_.araddr += options().data_bases[1] - ADDRESS;
        if (fault_ == Fault::WRITE_HALF) port_.wstrb &= (1ull << BUS / 2) - 1;
        if (port_.arvalid && port_.arready) reads_.push_back(port_.araddr);
        if (port_.awvalid && port_.awready) writes_.push_back(port_.awaddr);
        if (port_.rvalid && port_.rready) next(reads_, read_beats_, port_.rlast);
        if (!port_.wvalid || !port_.wready) return;
        if (fault_ == Fault::WRITE_PACKED) {
            memcpy(at(writes_.front()) + write_beats_ * BUS / 2, port_.wdata, BUS / 2);
            port_.wstrb = 0;
        }
        next(writes_, write_beats_, port_.wlast);
    }

  private:
    Fault fault_;

  public:
    std::vector<uint8_t> host;  // memory as the host sees it,

  private:
    std::vector<uint8_t> clean_, late_;  // what it has in common with memory, what reaches it at the next start
    std::deque<uint64_t> reads_, writes_;
    unsigned read_beats_ = 0, write_beats_ = 0;
    uint8_t word_[BUS] = {};

    static size_t size() { return NETWORK.model_bytes + NETWORK.data_bytes; }
    uint8_t *at(uint64_t address) { return &memory_.bytes[address - ADDRESS]; }

    static void next(std::deque<uint64_t> &bursts, unsigned &beats, bool last) {
        beats = last ? 0 : beats + 1;
        if (last) bursts.pop_front();
    }

    uint32_t read(uint32_t address) {
        if (fault_ == Fault::SILENT) return 0;
        if (fault_ == Fault::FLOATING) return 0xffffffff;
        bool other = (fault_ == Fault::OTHER_CORE && address == REG_VERSION) ||
                     (fault_ == Fault::OTHER_CONFIGURATION && address == REG_WIDTHS);
        return axil_read(address) + other;
    }

    void write(uint32_t address, uint32_t value) {
        if (fault_ == Fault::WRITES_LOST) return;
        if (address == REG_CONTROL && value & CONTROL_START.put(1)) started();
        axil_write(address, value);
    }

    // A cache without care for it: what the host wrote arrives a run late, and so does what it reads.
    void started() {
        if (fault_ == Fault::NO_FLUSH) {
            std::copy(late_.begin(), late_.end(), memory_.bytes.begin());
            late_ = host;
        }
        if (fault_ == Fault::NO_INVALIDATE) take(0, size());
        for (size_t i = NETWORK.model_bytes; fault_ == Fault::NUMBERS && i < NETWORK.model_bytes + BUS; i++)
            memory_.bytes[i] = ~host[i];  // many bits: few may change nothing
    }

    int sleep() {
        if (fault_ == Fault::INTERRUPT_STUCK) return 1;
        for (int i = 0; i < 2000; i++) {
            if (irq() && fault_ != Fault::INTERRUPT_OPEN) return 1;
            cycle();
        }
        return 0;
    }

    void flush(const void *from, size_t bytes) {
        size_t first = static_cast<const uint8_t *>(from) - host.data();
        if (fault_ == Fault::NO_FLUSH) return;
        for (size_t i = first; i < first + bytes; i++)
            if (host[i] != clean_[i]) memory_.bytes[i] = clean_[i] = host[i];
    }

    void invalidate(const void *from, size_t bytes) {
        if (fault_ != Fault::NO_INVALIDATE) take(static_cast<const uint8_t *>(from) - host.data(), bytes);
    }

    void take(size_t first, size_t bytes) {
        for (size_t i = first; i < first + bytes; i++) host[i] = clean_[i] = memory_.bytes[i];
    }
};

const struct {
    const char *name;
    Fault fault;
    vgg2rtl_result result;
} CASES[] = {
    {"no fault", Fault::NONE, VGG2RTL_OK},
    {"registers read 0", Fault::SILENT, VGG2RTL_NO_ANSWER},
    {"registers read ones", Fault::FLOATING, VGG2RTL_NO_ANSWER},
    {"another version", Fault::OTHER_CORE, VGG2RTL_OTHER_CORE},
    {"other widths", Fault::OTHER_CONFIGURATION, VGG2RTL_OTHER_CONFIGURATION},
    {"register writes lost", Fault::WRITES_LOST, VGG2RTL_REGISTERS_LOST},
    {"interrupt always there", Fault::INTERRUPT_STUCK, VGG2RTL_INTERRUPT_STUCK},
    {"no memory at the address", Fault::NO_MEMORY, VGG2RTL_NO_MEMORY},
    {"other memory at the address", Fault::BASE, VGG2RTL_WRONG_BASE},
    {"no flush", Fault::NO_FLUSH, VGG2RTL_NOT_FLUSHED},
    {"half of a word read", Fault::READ_HALF, VGG2RTL_WRONG_WIDTH},
    {"half of a word read twice", Fault::READ_TWICE, VGG2RTL_WRONG_WIDTH},
    {"halves of words read in order", Fault::READ_PACKED, VGG2RTL_WRONG_WIDTH},
    {"half of a word written", Fault::WRITE_HALF, VGG2RTL_WRONG_WIDTH},
    {"halves of words written in order", Fault::WRITE_PACKED, VGG2RTL_WRONG_WIDTH},
    {"no invalidate", Fault::NO_INVALIDATE, VGG2RTL_NOT_INVALIDATED},
    {"bits flip in memory", Fault::NUMBERS, VGG2RTL_WRONG_NUMBERS},
    {"interrupt not connected", Fault::INTERRUPT_OPEN, VGG2RTL_NO_INTERRUPT},
    {"memory takes no address", Fault::NO_READY, VGG2RTL_NO_END},
};

}  // namespace

// Cases whose answer is another than it should be, each printed.
unsigned selftest_failures() {
    unsigned failures = 0;
    for (const auto &c : CASES) {
        vgg2rtl_difference difference = {};
        vgg2rtl_result result = Board(c.fault).test(difference);
        if (result == c.result) continue;
        failures++;
        fprintf(stderr, "self-test, %s: \"%s\" (at 0x%x %x, not %x)\n", c.name, vgg2rtl_result_text(result),
                difference.address, difference.found, difference.expected);
    }
    return failures;
}
