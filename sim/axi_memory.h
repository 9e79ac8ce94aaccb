// External memory behind an AXI4 port: latency, random stalls, error responses; reads and writes in order.
// One word of the bus a cycle in each direction at the most. Everything is seeded, so a run can be repeated.
#pragma once
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

struct MemoryOptions {
    unsigned latency = 20;                 // cycles from an accepted address to its first data or response
    unsigned stall_percent = 10;           // share of cycles in which a channel refuses or withholds
    uint64_t seed = 1;
    uint64_t read_error_at = UINT64_MAX;   // byte of the memory whose read answers SLVERR
    uint64_t write_error_at = UINT64_MAX;  // byte of the memory whose write answers SLVERR
    uint64_t model_base = 0;               // where the model lies,
    std::vector<uint64_t> data_bases;      // and each data area
    uint64_t model_bytes = 0;              // of the model: program, from weights_at weights and parameters
    uint64_t weights_at = 0;
    uint64_t write_base = 0;               // bytes of a data area that the device may write: [write_base, write_limit)
    uint64_t write_limit = UINT64_MAX;     // its end
};

// What the memory drives and what it sees on the device's AXI4 port.
struct AxiPort {
    bool arvalid = false, arready = false;
    uint64_t araddr = 0;
    uint32_t arlen = 0;
    bool rvalid = false, rready = false, rlast = false;
    uint32_t rresp = 0;
    const uint8_t *rdata = nullptr;
    bool awvalid = false, awready = false;
    uint64_t awaddr = 0;
    uint32_t awlen = 0;
    bool wvalid = false, wready = false, wlast = false;
    const uint8_t *wdata = nullptr;
    uint64_t wstrb = 0;
    bool bvalid = false, bready = false;
    uint32_t bresp = 0;
};

// Words of the bus that crossed the port.
struct Traffic {
    uint64_t weights = 0, maps = 0, written = 0;
};

// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016).
class Random {
  public:
    explicit Random(uint64_t seed) : state_((seed + 1) * 0x9e3779b97f4a7c15u | 1) {}
    uint64_t next() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return state_ * 0x2545f4914f6cdd1du;
    }

  private:
    uint64_t state_;
};

template <unsigned BUS> class AxiMemory { // BUS: bytes of a word
  public:
    static constexpr uint32_t OKAY = 0, SLVERR = 2, DECERR = 3;
    std::vector<uint8_t> bytes;     // the model, and behind it the data areas
    std::vector<uint8_t> expected;  // of a write window after its run; empty: not known
    Traffic traffic;
    std::string violation;          // first breach of the AXI rules by the device, empty if none
    uint64_t wrong_words = 0, wrong_at = 0, wrong_cycle = 0;  // written words that differ, and the first of them

    explicit AxiMemory(const MemoryOptions &options)
        : options_(options), random_(options.seed), stall_(options.stall_percent * 4096 / 100) {}

    // Chooses what the memory drives in this cycle; call before the clock edge, device inputs follow.
    void drive(AxiPort &port) {
        uint64_t draw = random_.next() >> 4;  // five draws of 12 bits
        auto stall = [&](int channel) { return (draw >> 12 * channel & 4095) < stall_; };
        port.arready = !stall(0);
        port.awready = !stall(1);
        port.wready = !writes_.empty() && !stall(2);
        if (!port.rvalid && !reads_.empty() && reads_.front().ready <= cycle_ && !stall(3)) offer_read(port);
        if (!port.bvalid && !responses_.empty() && responses_.front().ready <= cycle_ && !stall(4)) {
            port.bvalid = true;
            port.bresp = responses_.front().response;
        }
    }

    // Takes what is handed over at the clock edge; call just before it.
    void clock(AxiPort &port) {
        check_held(port);
        if (port.arvalid && port.arready) accept(reads_, port.araddr, port.arlen);
        if (port.rvalid && port.rready) end_read(port);
        if (port.wvalid && port.wready) write(port);
        if (port.awvalid && port.awready) accept_write(port);
        if (port.bvalid && port.bready) {
            port.bvalid = false;
            responses_.pop_front();
        }
        cycle_++;
    }

  private:
    struct Burst {
        uint64_t address, ready;
        uint32_t beats, response;
    };
    MemoryOptions options_;
    Random random_;
    uint32_t stall_;  // of 4096
    uint64_t cycle_ = 0;
    std::deque<Burst> reads_, writes_, responses_;
    AxiPort before_;  // as shown and not taken in the cycle before
    uint8_t before_data_[BUS];
    uint8_t nothing_[BUS] = {};

    void breach(const char *rule) {
        if (violation.empty()) violation = std::string(rule) + " (cycle " + std::to_string(cycle_) + ")";
    }

    void offer_read(AxiPort &port) {
        const Burst &burst = reads_.front();
        port.rvalid = true;
        port.rlast = burst.beats == 1;
        port.rresp = response(burst.address, options_.read_error_at);
        port.rdata = burst.address + BUS <= bytes.size() ? &bytes[burst.address] : nothing_;
    }

    void end_read(AxiPort &port) {
        Burst &burst = reads_.front();
        port.rvalid = false;
        if (burst.address >= options_.model_bytes) traffic.maps++;
        else if (burst.address >= options_.weights_at) traffic.weights++;
        burst.address += BUS;
        if (--burst.beats == 0) reads_.pop_front();
    }

    // Where in the memory an address lies; behind its end for what lies in no area.
    uint64_t find(uint64_t address) const {
        if (address - options_.model_base < options_.model_bytes) return address - options_.model_base;
        uint64_t at = options_.model_bytes;
        for (uint64_t base : options_.data_bases) {
            if (address - base < options_.write_limit) return at + (address - base);
            at += options_.write_limit;
        }
        return bytes.size();
    }

    uint32_t response(uint64_t address, uint64_t error_at) const {
        if (error_at >= address && error_at - address < BUS) return SLVERR;
        return address + BUS <= bytes.size() ? OKAY : DECERR;
    }

    void accept(std::deque<Burst> &queue, uint64_t address, uint32_t len) {
        uint64_t last = address + ((uint64_t)(len + 1) * BUS - 1);
        if (address % BUS) breach("a burst's address is not aligned to the bus");
        if (address / 4096 != last / 4096) breach("a burst crosses 4 KiB");
        queue.push_back({find(address), cycle_ + 1 + options_.latency, len + 1, OKAY});
    }

    void accept_write(const AxiPort &port) {
        uint64_t first = find(port.awaddr);
        uint64_t at = (first - options_.model_bytes) % options_.write_limit;
        if (first < options_.model_bytes || first >= bytes.size() || at < options_.write_base ||
            at + (uint64_t)(port.awlen + 1) * BUS > options_.write_limit)
            breach("a write outside its window");
        accept(writes_, port.awaddr, port.awlen);
    }

    void write(const AxiPort &port) {
        Burst &burst = writes_.front();
        uint32_t answer = response(burst.address, options_.write_error_at);
        if (answer == OKAY) store(burst.address, port);
        else burst.response = answer;
        traffic.written++;
        burst.address += BUS;
        burst.beats--;
        if (port.wlast != (burst.beats == 0)) breach("WLAST is not at the end of the burst");
        if (burst.beats == 0) {
            responses_.push_back({0, cycle_ + 1 + options_.latency, 0, burst.response});
            writes_.pop_front();
        }
    }

    void store(uint64_t address, const AxiPort &port) {
        uint8_t *word = &bytes[address];
        if (port.wstrb == ~0ull >> (64 - BUS)) memcpy(word, port.wdata, BUS);
        else
            for (unsigned i = 0; i < BUS; i++)
                if (port.wstrb >> i & 1) word[i] = port.wdata[i];
        uint64_t at = (address - options_.model_bytes) % options_.write_limit - options_.write_base;
        if (at < expected.size() && memcmp(word, &expected[at], BUS) && wrong_words++ == 0) {
            wrong_at = address;
            wrong_cycle = cycle_;
        }
    }

    // What is shown and not taken must stay.
    void check_held(const AxiPort &port) {
        const AxiPort &b = before_;
        if (b.arvalid && !(port.arvalid && port.araddr == b.araddr && port.arlen == b.arlen)) breach("AR changed before ARREADY");
        if (b.awvalid && !(port.awvalid && port.awaddr == b.awaddr && port.awlen == b.awlen)) breach("AW changed before AWREADY");
        if (b.wvalid && !(port.wvalid && port.wlast == b.wlast && !memcmp(port.wdata, before_data_, BUS)))
            breach("W changed before WREADY");
        before_.arvalid = port.arvalid && !port.arready;
        before_.awvalid = port.awvalid && !port.awready;
        before_.wvalid = port.wvalid && !port.wready;
        before_.araddr = port.araddr, before_.arlen = port.arlen;
        before_.awaddr = port.awaddr, before_.awlen = port.awlen;
        if (before_.wvalid) {
            before_.wlast = port.wlast;
            memcpy(before_data_, port.wdata, BUS);
        }
    }
};
