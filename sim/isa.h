// Registers and sizes of the accelerator. Generated from src/isa; `VGG2RTL_REFRESH=1 cargo test --test rtl` writes it anew.
#pragma once
#include <cstdint>

constexpr uint32_t COMMAND_BYTES = 128;

// A part of a register.
struct Bits {
    unsigned low, count;
    constexpr uint32_t of(uint32_t value) const { return value >> low & ((1u << count) - 1); }
    constexpr uint32_t put(uint32_t value) const { return value << low; }
};

constexpr uint32_t REG_CONTROL = 0x00;
constexpr uint32_t REG_STATUS = 0x04;
constexpr uint32_t REG_READ_LIMIT = 0x08;
constexpr uint32_t REG_WRITE_BASE = 0x0c;
constexpr uint32_t REG_WRITE_LIMIT = 0x10;
constexpr uint32_t REG_IRQ_ENABLE = 0x14;
constexpr uint32_t REG_ERROR_COMMAND = 0x18;
constexpr uint32_t REG_CYCLES_LO = 0x20;
constexpr uint32_t REG_CYCLES_HI = 0x24;
constexpr uint32_t REG_WEIGHT_BEATS = 0x28;
constexpr uint32_t REG_ACT_BEATS = 0x2c;
constexpr uint32_t REG_WRITE_BEATS = 0x30;
constexpr uint32_t REG_ARRAY_CYCLES = 0x34;
constexpr uint32_t REG_RUNS = 0x38;
constexpr uint32_t REG_ID = 0x40;
constexpr uint32_t REG_VERSION = 0x44;
constexpr uint32_t REG_ARRAY = 0x48;
constexpr uint32_t REG_WIDTHS = 0x4c;
constexpr uint32_t REG_DEPTHS = 0x50;
constexpr uint32_t REG_DRAIN = 0x54;
constexpr uint32_t REG_BUS = 0x58;
constexpr uint32_t REG_FOLD_WIDTH = 0x5c;
constexpr uint32_t REG_MODEL_BASE = 0x60;
constexpr uint32_t REG_MODEL_BASE_HI = 0x64;
constexpr uint32_t REG_DATA_BASE = 0x68;
constexpr uint32_t REG_DATA_BASE_HI = 0x6c;
constexpr Bits CONTROL_START = {0, 1};
constexpr Bits CONTROL_CLEAR = {1, 1};
constexpr Bits STATUS_BUSY = {0, 1};
constexpr Bits STATUS_DONE = {1, 1};
constexpr Bits STATUS_REFUSED = {2, 1};
constexpr Bits STATUS_QUEUED = {3, 1};
constexpr Bits STATUS_ERROR = {8, 8};
constexpr Bits STATUS_COMPLETED = {16, 16};
constexpr Bits IRQ_ENABLE_IRQ = {0, 1};
constexpr Bits ARRAY_ROWS = {0, 16};
constexpr Bits ARRAY_COLS = {16, 16};
constexpr Bits WIDTHS_WEIGHT_BITS = {0, 8};
constexpr Bits WIDTHS_ACT_BITS = {8, 8};
constexpr Bits WIDTHS_ACC_BITS = {16, 16};
constexpr Bits DEPTHS_ACT_DEPTH = {0, 16};
constexpr Bits DEPTHS_WEIGHT_DEPTH = {16, 16};
constexpr Bits DRAIN_ACC_DEPTH = {0, 16};
constexpr Bits DRAIN_REQUANTIZERS = {16, 16};
constexpr Bits BUS_BUS_BITS = {0, 16};
constexpr Bits BUS_FOLD_CHANNELS = {16, 8};
constexpr Bits BUS_POW2 = {24, 1};
constexpr Bits BUS_ADDRESS_BITS = {25, 7};
