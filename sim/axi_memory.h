// External memory behind an AXI4 port: latency, random stalls, error responses; reads and writes in order.
// One word of the bus a cycle in each direction at the most. Everything is seeded, so a run can be repeated.
#pragma once
#include <cstdint>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <vector>

struct MemoryOptions {
    unsigned latency = 20;        // cycles from an accepted address to its first data or response
    unsigned stall_percent = 10;  // share of cycles in which a channel refuses or withholds
    uint64_t seed = 1;
    uint64_t read_error_at = UINT64_MAX;   // byte address whose read answers SLVERR
    uint64_t write_error_at = UINT64_MAX;  // byte address whose write answers SLVERR
};

// What the device drives (in) and sees (out) on its AXI4 master port; data as bytes.
struct AxiPort {
    bool arvalid = false, arready = false;
    uint64_t araddr = 0;
    unsigned arlen = 0;
    bool rvalid = false, rready = false, rlast = false;
    unsigned rresp = 0;
    std::vector<uint8_t> rdata;
    bool awvalid = false, awready = false;
    uint64_t awaddr = 0;
    unsigned awlen = 0;
    bool wvalid = false, wready = false, wlast = false;
    std::vector<uint8_t> wdata;
    std::vector<bool> wstrb;
    bool bvalid = false, bready = false;
    unsigned bresp = 0;
};

class AxiMemory {
  public:
    static constexpr unsigned OKAY = 0, SLVERR = 2, DECERR = 3;
    std::vector<uint8_t> bytes;
    uint64_t read_beats = 0, write_beats = 0;
    std::string violation;  // first breach of the AXI rules by the device, empty if none

    AxiMemory(size_t bus_bytes, const MemoryOptions &options)
        : bus_(bus_bytes), options_(options), random_(options.seed) {}

    // Chooses what the memory drives in this cycle; call before the clock edge, device inputs follow.
    void drive(AxiPort &port) {
        port.arready = !stall();
        port.awready = !stall();
        port.wready = !writes_.empty() && !stall();
        if (!r_offered_) r_offered_ = !reads_.empty() && reads_.front().ready <= cycle_ && !stall();
        port.rvalid = r_offered_;
        if (r_offered_) {
            const Burst &burst = reads_.front();
            port.rlast = burst.beats == 1;
            port.rresp = response(burst.address, options_.read_error_at);
            port.rdata.assign(bus_, 0);
            if (burst.address + bus_ <= bytes.size()) memcpy(port.rdata.data(), &bytes[burst.address], bus_);
        }
        if (!b_offered_) b_offered_ = !responses_.empty() && responses_.front().ready <= cycle_ && !stall();
        port.bvalid = b_offered_;
        if (b_offered_) port.bresp = responses_.front().response;
    }

    // Takes what was handed over at the clock edge; `port` holds the values just before it.
    void clock(const AxiPort &port) {
        cycle_++;
        if (port.arvalid && port.arready) accept(reads_, port.araddr, port.arlen);
        if (port.rvalid && port.rready) {
            Burst &burst = reads_.front();
            r_offered_ = false;
            read_beats++;
            burst.address += bus_;
            if (--burst.beats == 0) reads_.pop_front();
        }
        if (port.wvalid && port.wready) write(port);
        if (port.awvalid && port.awready) accept(writes_, port.awaddr, port.awlen);
        if (port.bvalid && port.bready) {
            b_offered_ = false;
            responses_.pop_front();
        }
    }

  private:
    struct Burst {
        uint64_t address, ready;
        unsigned beats, response;
    };
    size_t bus_;
    MemoryOptions options_;
    std::mt19937_64 random_;
    uint64_t cycle_ = 0;
    std::deque<Burst> reads_, writes_, responses_;
    bool r_offered_ = false, b_offered_ = false;

    bool stall() { return random_() % 100 < options_.stall_percent; }

    unsigned response(uint64_t address, uint64_t error_at) const {
        if (error_at - address < bus_ && error_at >= address) return SLVERR;
        return address + bus_ <= bytes.size() ? OKAY : DECERR;
    }

    void accept(std::deque<Burst> &queue, uint64_t address, unsigned len) {
        uint64_t last = address + (uint64_t)(len + 1) * bus_ - 1;
        if (address % bus_) violation = "burst address is not aligned to the bus";
        if (address / 4096 != last / 4096) violation = "burst crosses 4 KiB";
        queue.push_back({address, cycle_ + options_.latency, len + 1, OKAY});
    }

    void write(const AxiPort &port) {
        Burst &burst = writes_.front();
        unsigned answer = response(burst.address, options_.write_error_at);
        if (answer == OKAY) {
            for (size_t i = 0; i < bus_; i++)
                if (port.wstrb[i]) bytes[burst.address + i] = port.wdata[i];
        } else {
            burst.response = answer;
        }
        write_beats++;
        burst.address += bus_;
        burst.beats--;
        if (port.wlast != (burst.beats == 0)) violation = "WLAST is not at the end of the burst";
        if (burst.beats == 0) {
            responses_.push_back({0, cycle_ + options_.latency, 0, burst.response});
            writes_.pop_front();
        }
    }
};
