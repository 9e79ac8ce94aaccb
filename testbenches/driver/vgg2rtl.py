"""Driver of the accelerator in Python: pictures in, classes out. Needs numpy, and what the device's class says.

    accelerator = Accelerator("bundle", Pynq(0x43C00000))
    classes, scores = accelerator.classify(pictures)  # bytes (picture, row, column, channel) of the network's input size

A device has `read32(address)`, `write32(address, value)`, `wait()`, and `buffer(size)`: memory that both sides see, with
`array` (numpy bytes), `address` (where the accelerator sees it), `flush()` and `invalidate()`. `wait()` returns True after an
interrupt, False after a while without one, None where registers are polled. vgg2rtl.h is the same in C; on a new board,
selftest.py comes first.
"""

import json
import mmap
import os
import sys
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "sim"))
import isa  # noqa: E402


class Error(Exception):
    """What is wrong with the board, the bitstream or a run; `code` is a key of isa.OUTCOMES."""

    def __init__(self, code, detail=""):
        super().__init__(isa.OUTCOMES[code] + (f": {detail}" if detail else ""))
        self.code = code


def probe(device, identity):
    """Checks that the registers that say what was built hold `identity`: pairs of address and value."""
    for address, wanted in identity:
        found = device.read32(address)
        if found == wanted:
            continue
        code = "OTHER_CONFIGURATION"
        if address in (isa.REG_ID, isa.REG_VERSION):
            code = "NO_ANSWER" if found in (0, 0xFFFFFFFF) else "OTHER_CORE"
        raise Error(code, f"register {address:#x} is {found:#x}, of the bundle {wanted:#x}")


def area(device, size, bits):
    """Memory of `device` that an accelerator with addresses of `bits` bits can use."""
    buffer = device.buffer(size)
    if buffer.address % 4096:
        raise Error("MISALIGNED", f"{buffer.address:#x}")
    if buffer.address + size > 1 << bits:
        raise Error("OUT_OF_REACH", f"{size} bytes at {buffer.address:#x}, {bits} bits of an address")
    return buffer


def set_up(device, limits, model):
    """Sets the limits, `read_limit`, `write_base` and `write_limit` of `limits`, and the address of the model."""
    for register, value in [
        (isa.REG_READ_LIMIT, limits["read_limit"]),
        (isa.REG_WRITE_BASE, limits["write_base"]),
        (isa.REG_WRITE_LIMIT, limits["write_limit"]),
        (isa.REG_MODEL_BASE, model & 0xFFFFFFFF),
        (isa.REG_MODEL_BASE_HI, model >> 32),
        (isa.REG_IRQ_ENABLE, 1 << isa.IRQ_ENABLE_IRQ[0]),
    ]:
        device.write32(register, value)


def start(device, data):
    """Starts a run over the data at address `data`, or queues it."""
    device.write32(isa.REG_DATA_BASE, data & 0xFFFFFFFF)
    device.write32(isa.REG_DATA_BASE_HI, data >> 32)
    device.write32(isa.REG_CONTROL, 1 << isa.CONTROL_START[0])


class Network:
    """What a bundle says of its network."""

    def __init__(self, bundle):
        self.folder = Path(bundle)
        self.design = json.loads((self.folder / "design.json").read_text())
        self.input, self.images = self.design["input"], self.design["images"]
        self.model_bytes, self.data_bytes = self.design["read_limit"], self.design["write_limit"]
        codes = np.fromfile(self.folder / "data/byte_codes.bin", "<i2")
        self.codes = codes.reshape(self.input["c"], 256).astype(np.int64)

    def model(self):
        """The bytes of the model area."""
        return np.fromfile(self.folder / "data/image.bin", np.uint8, self.model_bytes)

    def pack(self, pictures):
        """Input maps (picture, bytes) of pictures (picture, row, column, channel)."""
        i = self.input
        pictures = np.asarray(pictures)
        shape = (i["h"], i["w"], i["c"])
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != shape:
            raise ValueError(f"pictures are {pictures.dtype} of {pictures.shape}, not uint8 of (N, {shape})")
        if self.design["preprocessing"]["colour"] == "bgr":
            pictures = pictures[..., ::-1]
        codes = np.stack([self.codes[c][pictures[..., c]] for c in range(i["c"])], 1)
        # (picture, block, channel of the block, row, column), then planes, then bits, as vgg2rtl.h has them
        blocks, block, planes, bits = i["image_pitch"] // i["plane_pitch"], i["block"], i["planes"], i["bits"]
        count, padding = len(codes), blocks * block - i["c"]
        codes = np.pad(codes, ((0, 0), (0, padding), (0, 0), (0, 0))).reshape(count, blocks, block, i["h"], i["w"])
        codes = codes.transpose(0, 1, 3, 4, 2)[..., None, :] >> (np.arange(planes) * bits)[:, None]
        ones = (codes[..., None] >> np.arange(bits) & 1).astype(np.uint8)
        ones = ones.reshape(count, blocks, i["h"], i["w"] * planes * block * bits)
        rows = np.packbits(ones, axis=-1, bitorder="little")
        rows = np.pad(rows, ((0, 0), (0, 0), (0, 0), (0, i["row_pitch"] - rows.shape[-1])))
        return rows.reshape(count, i["image_pitch"])

    def logits(self, data):
        """Logits (picture, class) in a data area after a run."""
        at, classes = self.design["logits"], self.design["layers"][-1]["channels"]
        starts = at["address"] + at["image_pitch"] * np.arange(self.images)[:, None] + at["class_pitch"] * np.arange(classes)
        return data[starts[..., None] + np.arange(8)].copy().view("<i8")[..., 0]

    def step(self):
        """What a logit of 1 is worth in the float network."""
        step = self.design["logits"]["step"]
        return 1.0 if step is None else step[0] * 2.0 ** step[1]


class Accelerator:
    """An accelerator with the network of a bundle, ready to run."""

    def __init__(self, bundle, device, seconds=10.0):
        """Checks that `device` is the bundle's and loads the model; a run may take that many seconds."""
        self.network, self.device, self.seconds = Network(bundle), device, seconds
        design = self.network.design
        probe(device, design["identity"])
        self.started = device.read32(isa.REG_RUNS) & 0xFFFF
        bits = design["address_bits"]
        self.model = area(device, self.network.model_bytes, bits)
        self.areas = [area(device, self.network.data_bytes, bits) for _ in range(2)]
        self.model.array[:] = self.network.model()
        self.model.flush()
        set_up(device, design, self.model.address)

    def classify(self, pictures):
        """The likeliest class of each picture, and its logit in the float network's unit."""
        logits = self.logits(pictures)
        best = logits.argmax(1)
        return best, logits[np.arange(len(best)), best] * self.network.step()

    def logits(self, pictures):
        """Logits (picture, class) of any number of pictures, one run queued while another is under way."""
        maps, images = self.network.pack(pictures), self.network.images
        under_way, found = [], []
        for first in range(0, len(maps), images):
            if len(under_way) == len(self.areas):
                found.append(self._wait(*under_way.pop(0)))
            area = self.areas[first // images % len(self.areas)]
            part = maps[first : first + images]
            area.array[: part.size] = part.reshape(-1)
            under_way.append((self._start(area), area))
        found += [self._wait(*run) for run in under_way]
        classes = self.network.design["layers"][-1]["channels"]
        return np.concatenate([np.empty((0, classes), np.int64), *found])[: len(maps)]

    def _start(self, area):
        if isa.part(self.device.read32(isa.REG_STATUS), isa.STATUS_QUEUED):
            raise Error("BUSY")
        area.flush()
        start(self.device, area.address)
        self.started = self.started + 1 & 0xFFFF
        return self.started

    def _wait(self, run, area):
        deadline = time.monotonic() + self.seconds
        while True:
            # A run that ends after this raises the interrupt; one that ended before shows in RUNS.
            self.device.write32(isa.REG_CONTROL, 1 << isa.CONTROL_CLEAR[0])
            status = self.device.read32(isa.REG_STATUS)
            if self.device.read32(isa.REG_RUNS) - run & 0xFFFF < 0x8000:
                break
            if not isa.part(status, isa.STATUS_BUSY):
                self._fail(status)
            if time.monotonic() > deadline:
                raise Error("NO_END", f"within {self.seconds} s")
            self.device.wait()
        status = self.device.read32(isa.REG_STATUS)
        if isa.part(status, isa.STATUS_ERROR):
            self._fail(status)
        area.invalidate()
        return self.network.logits(area.array)

    def _fail(self, status):
        """What was queued behind a failure is gone."""
        self.started = self.device.read32(isa.REG_RUNS) & 0xFFFF
        code = isa.part(status, isa.STATUS_ERROR)
        raise Error("FAILED", f"error {code}, {isa.ERRORS.get(code, 'unknown')}")


class Pynq:
    """Registers at `base` and memory of PYNQ's allocator; polled."""

    class Buffer:
        def __init__(self, size):
            from pynq import allocate

            self.array = allocate(shape=(size,), dtype=np.uint8)
            self.address = self.array.device_address
            self.flush, self.invalidate = self.array.flush, self.array.invalidate

    def __init__(self, base):
        from pynq import MMIO

        registers = MMIO(base, 4096)
        self.read32, self.write32 = registers.read, registers.write
        self.buffer = Pynq.Buffer

    def wait(self):
        time.sleep(0.0002)


class Uio:
    """Registers and interrupt of /dev/uioN, memory of the module u-dma-buf, which is handed out in order."""

    class Buffer:
        def __init__(self, device, offset, size):
            self.array = device.memory[offset : offset + size]
            self.address = device.physical + offset
            self.flush = lambda: device.sync("device", offset, size)
            self.invalidate = lambda: device.sync("cpu", offset, size)

    def __init__(self, uio="/dev/uio0", memory="udmabuf0"):
        self.uio = os.open(uio, os.O_RDWR)
        self.registers = np.frombuffer(mmap.mmap(self.uio, 4096), np.uint32)
        self.about = Path("/sys/class/u-dma-buf") / memory
        self.physical = int((self.about / "phys_addr").read_text(), 16)
        file = os.open(f"/dev/{memory}", os.O_RDWR)
        self.memory = np.frombuffer(mmap.mmap(file, int((self.about / "size").read_text())), np.uint8)
        self.used = 0

    def read32(self, address):
        return int(self.registers[address // 4])

    def write32(self, address, value):
        self.registers[address // 4] = value

    def buffer(self, size):
        offset, self.used = self.used, self.used + (size + 4095) // 4096 * 4096
        if self.used > len(self.memory):
            raise Error("TOO_SMALL", f"u-dma-buf has {len(self.memory)} bytes, at least {self.used} are needed")
        return Uio.Buffer(self, offset, size)

    def sync(self, owner, offset, size):
        for name, value in [("sync_offset", offset), ("sync_size", size), (f"sync_for_{owner}", 1)]:
            (self.about / name).write_text(str(value))

    def wait(self):
        import select

        os.write(self.uio, (1).to_bytes(4, sys.byteorder))  # the interrupt, once
        came = bool(select.select([self.uio], [], [], 0.01)[0])
        if came:
            os.read(self.uio, 4)
        return came


class LiteX:
    """Registers at `base` and memory from `memory` on, over LiteX's RemoteClient, which is open; polled."""

    class Buffer:
        def __init__(self, device, address, size):
            self.array, self.address = np.zeros((size + 3) // 4 * 4, np.uint8), address
            self.device = device

        def flush(self):
            words = self.array.view("<u4")
            for at in range(0, len(words), 64):
                self.device.client.write(self.device.memory + self.address + 4 * at, words[at : at + 64].tolist())

        def invalidate(self):
            words = self.array.view("<u4")
            for at in range(0, len(words), 64):
                count = len(words[at : at + 64])
                words[at : at + 64] = self.device.client.read(self.device.memory + self.address + 4 * at, count)

    def __init__(self, client, base, memory, address=0):
        """The accelerator sees what the client sees at `memory` as 0, and takes it from `address` on."""
        self.client, self.base, self.memory, self.used = client, base, memory, address

    def read32(self, address):
        return self.client.read(self.base + address)

    def write32(self, address, value):
        self.client.write(self.base + address, value)

    def buffer(self, size):
        address, self.used = self.used, self.used + (size + 4095) // 4096 * 4096
        return LiteX.Buffer(self, address, size)

    def wait(self):
        time.sleep(0.001)
