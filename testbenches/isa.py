"""Registers and sizes of the accelerator. Generated from src/isa; `VGG2RTL_REFRESH=1 cargo test --test rtl` writes it anew."""

COMMAND_BYTES = 128


def part(value, bits):
    """What a register's value holds in bits = (low, count)."""
    return value >> bits[0] & (1 << bits[1]) - 1


REG_CONTROL = 0x00
REG_STATUS = 0x04
REG_READ_LIMIT = 0x08
REG_WRITE_BASE = 0x0C
REG_WRITE_LIMIT = 0x10
REG_IRQ_ENABLE = 0x14
REG_ERROR_COMMAND = 0x18
REG_CYCLES_LO = 0x20
REG_CYCLES_HI = 0x24
REG_WEIGHT_BEATS = 0x28
REG_ACT_BEATS = 0x2C
REG_WRITE_BEATS = 0x30
REG_ARRAY_CYCLES = 0x34
REG_RUNS = 0x38
REG_ID = 0x40
REG_VERSION = 0x44
REG_ARRAY = 0x48
REG_WIDTHS = 0x4C
REG_DEPTHS = 0x50
REG_DRAIN = 0x54
REG_BUS = 0x58
REG_FOLD_WIDTH = 0x5C
REG_MODEL_BASE = 0x60
REG_MODEL_BASE_HI = 0x64
REG_DATA_BASE = 0x68
REG_DATA_BASE_HI = 0x6C
CONTROL_START = (0, 1)
CONTROL_CLEAR = (1, 1)
STATUS_BUSY = (0, 1)
STATUS_DONE = (1, 1)
STATUS_REFUSED = (2, 1)
STATUS_QUEUED = (3, 1)
STATUS_ERROR = (8, 8)
STATUS_COMPLETED = (16, 16)
IRQ_ENABLE_IRQ = (0, 1)
ARRAY_ROWS = (0, 16)
ARRAY_COLS = (16, 16)
WIDTHS_WEIGHT_BITS = (0, 8)
WIDTHS_ACT_BITS = (8, 8)
WIDTHS_ACC_BITS = (16, 16)
DEPTHS_ACT_DEPTH = (0, 16)
DEPTHS_WEIGHT_DEPTH = (16, 16)
DRAIN_ACC_DEPTH = (0, 16)
DRAIN_REQUANTIZERS = (16, 16)
BUS_BUS_BITS = (0, 16)
BUS_FOLD_CHANNELS = (16, 8)
BUS_POW2 = (24, 1)
BUS_ADDRESS_BITS = (25, 7)
ERRORS = {
    1: "unknown opcode",
    2: "a field of the command cannot work",
    3: "memory answered a read with an error",
    4: "memory answered a write with an error",
    5: "a read beyond READ_LIMIT or WRITE_LIMIT",
    6: "a write outside WRITE_BASE … WRITE_LIMIT",
    7: "no progress",
    8: "the program has no end mark",
    9: "a base is not a multiple of 4096",
}
ERROR_UNKNOWN_OPCODE = 1
ERROR_BAD_FIELD = 2
ERROR_READ_RESPONSE = 3
ERROR_WRITE_RESPONSE = 4
ERROR_READ_ADDRESS = 5
ERROR_WRITE_ADDRESS = 6
ERROR_TIMEOUT = 7
ERROR_PROGRAM_TOO_LONG = 8
ERROR_MISALIGNED_BASE = 9

# Answers of the driver.
OUTCOMES = {
    "OK": "all is well",
    "NO_ANSWER": "no accelerator answers on the register port",
    "OTHER_CORE": "something else answers: ID or VERSION is another one",
    "OTHER_CONFIGURATION": "the accelerator is built for another network or array",
    "REGISTERS_LOST": "a register does not hold what is written to it",
    "INTERRUPT_STUCK": "the interrupt comes without a run",
    "NO_MEMORY": "memory answers with an error",
    "WRONG_BASE": "the accelerator reads other memory than the host writes",
    "NOT_FLUSHED": "the accelerator reads what memory held before",
    "WRONG_WIDTH": "words of the bus arrive or leave in part",
    "NOT_INVALIDATED": "the host reads what memory held before",
    "WRONG_NUMBERS": "the result differs from the golden model's",
    "NO_INTERRUPT": "the run has ended, and no interrupt came",
    "NO_END": "the run does not end",
    "MISALIGNED": "an address is not a multiple of 4096",
    "OUT_OF_REACH": "an area ends beyond the addresses of the accelerator",
    "TOO_SMALL": "the memory is too small",
    "BUSY": "one run is under way and another queued",
    "FAILED": "the run ended with an error",
}
