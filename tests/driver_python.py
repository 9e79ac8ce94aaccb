"""Holds a bundle's Python driver to the program: driver_python.py BUNDLE PACKED, where PACKED is what data/pictures.bin is in memory.

The board is a stand-in: registers, memory, and runs that end a few looks after their start with data/logits.bin, where the input
is PACKED's, and with an error otherwise.
"""

import sys
from pathlib import Path

import numpy as np

BUNDLE, PACKED = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(BUNDLE / "driver"))
import vgg2rtl  # noqa: E402
from vgg2rtl import isa  # noqa: E402

LOOKS = 3  # at the registers, until a run has ended


class Buffer:
    def __init__(self, address, size):
        self.array, self.address = np.full(size, 0xA5, np.uint8), address
        self.seen = None  # by the accelerator

    def flush(self):
        self.seen = self.array.copy()

    def invalidate(self):
        self.array[:] = self.seen


class Board:
    def __init__(self, network, logits, packed, fault=None):
        self.network, self.logits_of, self.packed, self.fault = network, logits, packed, fault
        self.registers = dict(network.design["identity"])
        self.buffers, self.queue, self.runs, self.error, self.most = {}, [], 0xFFFE, 0, 0
        self.next = 0x7000_0000 if network.design["address_bits"] == 32 else 0x1_2345_6000

    def buffer(self, size):
        buffer = Buffer(self.next + (64 if self.fault == "misaligned" else 0), size)
        self.buffers[self.next] = buffer
        self.next += (size + 8191) // 4096 * 4096
        return buffer

    def read32(self, address):
        if address == isa.REG_RUNS:
            self.look()
            return self.runs
        if address == isa.REG_STATUS:
            busy, queued = len(self.queue) > 0, len(self.queue) > 1
            return busy << isa.STATUS_BUSY[0] | queued << isa.STATUS_QUEUED[0] | self.error << isa.STATUS_ERROR[0]
        return 0 if self.fault == "no answer" else self.registers.get(address, 0)

    def write32(self, address, value):
        self.registers[address] = value
        if address == isa.REG_CONTROL and value >> isa.CONTROL_START[0] & 1:
            assert len(self.queue) < 2, "a third start"
            at = self.registers[isa.REG_DATA_BASE] | self.registers[isa.REG_DATA_BASE_HI] << 32
            self.queue.append([LOOKS, self.buffers[at]])
            self.most = max(self.most, len(self.queue))

    def wait(self):
        pass

    def look(self):
        if not self.queue or self.fault == "hangs":
            return
        self.queue[0][0] -= 1
        if self.queue[0][0] > 0:
            return
        buffer = self.queue.pop(0)[1]
        self.runs = self.runs + 1 & 0xFFFF
        base = self.registers[isa.REG_MODEL_BASE] | self.registers[isa.REG_MODEL_BASE_HI] << 32
        assert (self.buffers[base].seen == self.network.model()).all(), "the model"
        if self.fault == "fails" or buffer.seen is None:
            self.error, self.queue = 3, []
            return
        maps = buffer.seen[: self.packed.size].reshape(self.packed.shape)
        at = self.network.design["logits"]
        for image, input_map in enumerate(maps):
            found = [i for i, wanted in enumerate(self.packed) if (wanted == input_map).all()]
            logits = self.logits_of[found[0]] if found else np.full(self.logits_of.shape[1], -1)
            for c, logit in enumerate(logits):
                start = at["address"] + image * at["image_pitch"] + c * at["class_pitch"]
                buffer.seen[start : start + 8] = np.array([logit], "<i8").view(np.uint8)


def refused(reason, network, *arguments):
    try:
        vgg2rtl.Accelerator(BUNDLE, Board(network, *arguments), seconds=0.05).logits(PICTURES)
    except vgg2rtl.Error as error:
        assert reason in str(error), error
    else:
        raise AssertionError(f"not refused: {reason}")


network = vgg2rtl.Network(BUNDLE)
i = network.input
PICTURES = np.fromfile(BUNDLE / "data/pictures.bin", np.uint8).reshape(-1, i["h"], i["w"], i["c"])
packed = np.fromfile(PACKED, np.uint8).reshape(len(PICTURES), -1)
assert (network.pack(PICTURES) == packed).all(), "other bytes than the program's"
logits = np.fromfile(BUNDLE / "data/logits.bin", "<i8").reshape(len(PICTURES), -1)

board = Board(network, logits, packed)
accelerator = vgg2rtl.Accelerator(BUNDLE, board)
order = np.arange(5 * len(PICTURES) - 1) * 7 % len(PICTURES)  # the last run is not full
assert (accelerator.logits(PICTURES[order]) == logits[order]).all(), "other logits"
assert board.most == 2 and not board.queue, "a run is queued while another is under way"
classes, scores = accelerator.classify(PICTURES)
assert (classes == logits.argmax(1)).all() and (scores == logits.max(1) * network.step()).all()
assert accelerator.logits(PICTURES[:0]).shape == (0, logits.shape[1])

refused("no accelerator answers on the register port: register 0x40 is 0x0", network, logits, packed, "no answer")
refused("an address is not a multiple of 4096: 0x", network, logits, packed, "misaligned")
refused(f"error 3, {isa.ERRORS[3]}", network, logits, packed, "fails")
refused("the run does not end: within", network, logits, packed, "hangs")
other = vgg2rtl.Network(BUNDLE)
other.design["identity"] = [[a, v + (a == isa.REG_WIDTHS)] for a, v in other.design["identity"]]
refused(f"register {isa.REG_WIDTHS:#x}", other, logits, packed)
try:
    network.pack(PICTURES[..., :1].repeat(4, -1))
except ValueError as error:
    assert "pictures are uint8 of" in str(error)
else:
    raise AssertionError("pictures of four channels")


class Client:
    """LiteX's RemoteClient: words by address."""

    def __init__(self):
        self.words = {}

    def write(self, address, data):
        for i, word in enumerate(data if isinstance(data, list) else [data]):
            assert address % 4 == 0 and 0 <= word < 1 << 32
            self.words[address + 4 * i] = word

    def read(self, address, length=None):
        words = [self.words[address + 4 * i] for i in range(length or 1)]
        return words if length else words[0]


client = Client()
device = vgg2rtl.LiteX(client, 0x8200_0000, 0x4000_0000, 0x10000)
device.write32(isa.REG_IRQ_ENABLE, 1)
assert client.words == {0x8200_0000 + isa.REG_IRQ_ENABLE: 1} and device.read32(isa.REG_IRQ_ENABLE) == 1
first, second = device.buffer(5000), device.buffer(4096)
assert (first.address, second.address) == (0x10000, 0x12000)
first.array[:] = np.arange(len(first.array)) % 251
first.flush()
assert client.words[0x4001_0004] == 0x07060504
client.words[0x4001_0004] = 0x99
first.invalidate()
assert first.array[4:12].tolist() == [0x99, 0, 0, 0, 8, 9, 10, 11]
