"""Faults of a board between accelerator and memory, one at a time, chosen by software: to see the self-test find them."""

from types import SimpleNamespace

from litex.gen import LiteXModule
from litex.soc.interconnect import axi
from litex.soc.interconnect.csr import CSRStorage
from migen import If, Signal

READ_HALF, WRITE_HALF, NO_READY, NO_INTERRUPT = range(1, 5)
NAMES = {"READ_HALF": READ_HALF, "WRITE_HALF": WRITE_HALF, "NO_READY": NO_READY, "NO_INTERRUPT": NO_INTERRUPT}


class Faults(LiteXModule):
    """`memory` goes to the memory instead of `master`; `ev.irq` to the processor instead of `irq`, the accelerator's."""

    def __init__(self, master):
        self.fault = CSRStorage(3)
        self.irq = Signal()
        self.ev = SimpleNamespace(irq=Signal())
        self.memory = memory = axi.AXIInterface(
            data_width=master.data_width, address_width=master.address_width, id_width=master.id_width
        )
        fault, half = self.fault.storage, master.data_width // 2
        self.comb += [
            master.ar.connect(memory.ar),
            master.aw.connect(memory.aw),
            master.w.connect(memory.w),
            memory.b.connect(master.b),
            memory.r.connect(master.r),
            self.ev.irq.eq(self.irq & (fault != NO_INTERRUPT)),
            If(fault == READ_HALF, master.r.data[half:].eq(0)),
            If(fault == WRITE_HALF, memory.w.strb[half // 8 :].eq(0)),
            If(fault == NO_READY, memory.ar.valid.eq(0), master.ar.ready.eq(0)),
        ]
