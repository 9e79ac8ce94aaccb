"""Self-test of the accelerator on a board, without a network of the user's; selftest.h is the same in C.

    selftest("bundle", Pynq(0x43C00000))  # raises vgg2rtl.Error: the first thing that is wrong, its `code` one of isa.OUTCOMES
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parent))
import vgg2rtl  # noqa: E402
from vgg2rtl import Error, isa  # noqa: E402

# First bytes of programs, and the error that each gives: does the accelerator read what the host writes?
PROBES = [(0x55, isa.ERROR_UNKNOWN_OPCODE), (0xFF, 0), (0xAA, isa.ERROR_UNKNOWN_OPCODE)]
POISON = 0xA5  # where the run has not written


def selftest(bundle, device, seconds=2.0, caches=1 << 24):
    """Runs the bundle's self-test; a run may take that many seconds, caches have fewer bytes than `caches`."""
    _Trial(bundle, device, seconds, caches).check()


class _Trial:
    def __init__(self, bundle, device, seconds, caches):
        self.device, self.seconds, self.caches = device, seconds, caches
        design = json.loads((Path(bundle) / "design.json").read_text())
        self.identity, self.bits, self.test = design["identity"], design["address_bits"], design["selftest"]
        self.bus = design["configuration"]["bus_bits"] // 8
        stored = np.fromfile(Path(bundle) / "data/selftest.bin", np.uint8)
        self.image, self.expected, at = stored[: len(stored) - sum(n for _, n in self.test["written"])], [], 0
        for address, count in self.test["written"]:
            first = len(self.image) + at
            self.expected.append((address, stored[first : first + count]))
            at += count
        self.interrupts = set()

    def check(self):
        vgg2rtl.probe(self.device, self.identity)
        self.check_registers()
        self.check_quiet()
        self.memory = vgg2rtl.area(self.device, self.test["read_limit"] + self.test["write_limit"], self.bits)
        try:
            self.check_fetch(late=False)
        except Error as error:
            if error.code == "WRONG_BASE":
                self.check_fetch(late=True)
                raise Error("NOT_FLUSHED") from error
            raise
        self.check_run()
        if False in self.interrupts and True not in self.interrupts:
            raise Error("NO_INTERRUPT")

    def check_registers(self):
        for pattern in [0xA55A3CC3, 0x5AA5C33C, 0]:
            self.device.write32(isa.REG_READ_LIMIT, pattern)
            found = self.device.read32(isa.REG_READ_LIMIT)
            if found != pattern:
                raise Error("REGISTERS_LOST", f"{found:#x} instead of {pattern:#x}")

    def check_quiet(self):
        """The first look takes what came before."""
        self.device.write32(isa.REG_CONTROL, 1 << isa.CONTROL_CLEAR[0])
        self.device.wait()
        if self.device.wait():
            raise Error("INTERRUPT_STUCK")

    def check_fetch(self, late):
        """Programs of one byte, judged at the first run or, `late`, at the second. What runs if it is another one must not
        write."""
        limits = dict(self.test, write_base=self.test["write_limit"])
        self.memory.array[:] = 0
        for opcode, wanted in PROBES:
            self.memory.array[0] = opcode
            error = self.run(limits)
            if late:
                error = self.run_again(limits)
            if error != wanted:
                raise Error("WRONG_BASE", f"a program {opcode:#x} gives error {error}, not {wanted}")

    def check_run(self):
        window = self.test["read_limit"] + self.test["write_base"]
        self.memory.array[:] = POISON
        self.memory.array[:window] = self.image
        self.memory.array.sum()  # a cache that holds what the run will write holds what is old
        error = self.run(self.test)
        if error:
            if not self.run_again(self.test):
                raise Error("NOT_FLUSHED")
            raise Error("WRONG_WIDTH", f"the program gives error {error}, {isa.ERRORS.get(error)}")
        if self.wrong() is None:
            return
        self.run_again(self.test)
        place = self.wrong()
        if place is None:
            raise Error("NOT_INVALIDATED")
        raise Error(self.judge(), f"byte {place:#x} of the memory is {self.memory.array[place]:#x}")

    def wrong(self):
        """Where the memory first differs from what a run writes."""
        self.memory.invalidate()
        for address, wanted in self.expected:
            differs = np.flatnonzero(self.memory.array[address : address + len(wanted)] != wanted)
            if len(differs):
                return address + int(differs[0])
        return None

    def judge(self):
        address, wanted = self.expected[0]
        found = self.memory.array[address : address + len(wanted)]
        if (found == POISON).all():
            return "NOT_INVALIDATED"
        words, part = wanted.reshape(-1, self.bus), self.bus // 2
        while part >= 4:
            halved = np.full_like(words, POISON)
            halved[:, :part] = words[:, :part]
            packed = words[:, :part].reshape(-1)
            if (found == halved.reshape(-1)).all() or (found[: len(packed)] == packed).all():
                return "WRONG_WIDTH"
            part //= 2
        return "WRONG_NUMBERS"

    def run(self, limits):
        """Runs what is in memory; the error it ends with."""
        device, before = self.device, self.device.read32(isa.REG_RUNS)
        self.memory.flush()
        vgg2rtl.set_up(device, limits, self.memory.address)
        vgg2rtl.start(device, self.memory.address + self.test["read_limit"])
        deadline = time.monotonic() + self.seconds
        while device.read32(isa.REG_RUNS) == before and time.monotonic() < deadline:
            self.interrupts.add(device.wait())
        if device.read32(isa.REG_RUNS) == before:
            raise Error("NO_END", f"within {self.seconds} s")
        self.interrupts.add(device.wait())
        error = isa.part(device.read32(isa.REG_STATUS), isa.STATUS_ERROR)
        device.write32(isa.REG_CONTROL, 1 << isa.CONTROL_CLEAR[0])
        if error == isa.ERROR_TIMEOUT:
            raise Error("NO_END", isa.ERRORS[error])
        if error in (isa.ERROR_READ_RESPONSE, isa.ERROR_WRITE_RESPONSE):
            raise Error("NO_MEMORY", isa.ERRORS[error])
        return error

    def run_again(self, limits):
        """Runs anew what is in memory, when what was in caches no longer is."""
        np.ones(self.caches, np.uint8).sum()
        return self.run(limits)
