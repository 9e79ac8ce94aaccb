"""Holds a bundle's self-test in Python to a stand-in for a board with each fault: selftest_python.py BUNDLE."""

import json
import sys
from pathlib import Path

import numpy as np

BUNDLE = Path(sys.argv[1])
sys.path.insert(0, str(BUNDLE / "driver"))
import selftest  # noqa: E402
from vgg2rtl import Error, isa  # noqa: E402

DESIGN = json.loads((BUNDLE / "design.json").read_text())
TEST = DESIGN["selftest"]
HALF = DESIGN["configuration"]["bus_bits"] // 16


class Buffer:
    """Host memory whose lines go to the board's, and come back, when they are told to."""

    def __init__(self, board, size):
        self.board, self.array = board, np.arange(size).astype(np.uint8)
        self.clean, self.seen, self.late = (self.array.copy() for _ in range(3))
        self.address = 0x10000000 + (64 if board.fault == "misaligned" else 0)

    def flush(self):
        if self.board.fault != "no flush":
            dirty = self.array != self.clean
            self.seen[dirty] = self.clean[dirty] = self.array[dirty]

    def invalidate(self):
        if self.board.fault != "no invalidate":
            self.take()

    def take(self):
        self.array[:] = self.clean[:] = self.seen


class Board:
    """Registers and memory; a run ends with its start. What is read in part is not a program that the accelerator knows."""

    def __init__(self, fault=None):
        self.fault, self.registers, self.runs, self.error, self.irq = fault, dict(DESIGN["identity"]), 0xFFFF, 0, False

    def buffer(self, size):
        self.memory = Buffer(self, size)
        return self.memory

    def read32(self, address):
        if self.fault in ("silent", "floating"):
            return 0 if self.fault == "silent" else 0xFFFFFFFF
        if (self.fault, address) in [("other core", isa.REG_VERSION), ("other configuration", isa.REG_WIDTHS)]:
            return self.registers[address] + 1
        if address == isa.REG_STATUS:
            return self.error << isa.STATUS_ERROR[0]
        return self.runs if address == isa.REG_RUNS else self.registers.get(address, 0)

    def write32(self, address, value):
        if self.fault == "writes lost":
            return
        self.registers[address] = value
        if address == isa.REG_CONTROL and isa.part(value, isa.CONTROL_CLEAR):
            self.irq = False
        if address == isa.REG_CONTROL and isa.part(value, isa.CONTROL_START) and self.fault != "hangs":
            self.run()

    def wait(self):
        return {"stuck": True, "open": False, "polled": None}.get(self.fault, self.irq)

    def run(self):
        memory = self.memory
        if self.fault == "no flush":  # what was written before the start before
            memory.seen[:], memory.late = memory.late, memory.array.copy()
        if self.fault == "no invalidate":
            memory.take()
        self.runs, self.irq, self.error = self.runs + 1 & 0xFFFF, True, self.end(memory.seen)

    def end(self, seen):
        """Executes the program; its error."""
        if self.fault in ("no memory", "no progress"):
            return isa.ERROR_READ_RESPONSE if self.fault == "no memory" else isa.ERROR_TIMEOUT
        opcode = 0x33 if self.fault == "base" else seen[0]
        if opcode == 0xFF:
            return 0
        stored = np.fromfile(BUNDLE / "data/selftest.bin", np.uint8)
        if opcode != 1 or self.registers[isa.REG_WRITE_BASE] == TEST["write_limit"]:
            return isa.ERROR_UNKNOWN_OPCODE
        at = TEST["read_limit"] + TEST["write_base"]
        if self.fault == "read half" or (seen[:at] != stored[:at]).any():
            return isa.ERROR_BAD_FIELD
        for address, count in TEST["written"]:
            self.write(seen, address, stored[at : at + count])
            at += count
        return 0

    def write(self, seen, address, codes):
        words = codes.reshape(-1, 2, HALF)
        if self.fault == "write half":
            seen[address : address + len(codes)].reshape(words.shape)[:, 0] = words[:, 0]
        elif self.fault == "write packed":
            seen[address : address + len(codes) // 2] = words[:, 0].reshape(-1)
        else:
            seen[address : address + len(codes)] = codes ^ (self.fault == "numbers")


FAULTS = {
    "silent": "NO_ANSWER",
    "floating": "NO_ANSWER",
    "other core": "OTHER_CORE",
    "other configuration": "OTHER_CONFIGURATION",
    "writes lost": "REGISTERS_LOST",
    "stuck": "INTERRUPT_STUCK",
    "misaligned": "MISALIGNED",
    "no memory": "NO_MEMORY",
    "base": "WRONG_BASE",
    "no flush": "NOT_FLUSHED",
    "read half": "WRONG_WIDTH",
    "write half": "WRONG_WIDTH",
    "write packed": "WRONG_WIDTH",
    "no invalidate": "NOT_INVALIDATED",
    "numbers": "WRONG_NUMBERS",
    "open": "NO_INTERRUPT",
    "hangs": "NO_END",
    "no progress": "NO_END",
}

for fault, code in FAULTS.items():
    try:
        selftest.selftest(BUNDLE, Board(fault), seconds=0.05, caches=1 << 10)
    except Error as error:
        assert error.code == code and isa.OUTCOMES[code] in str(error), f"{fault}: {error}"
    else:
        raise AssertionError(f"{fault} is not found")
for quiet in (None, "polled"):
    selftest.selftest(BUNDLE, Board(quiet), seconds=1.0, caches=1 << 10)
