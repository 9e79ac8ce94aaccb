"""The accelerator of a bundle in a LiteX system on a chip.

    from vgg2rtl_litex import add_accelerator
    add_accelerator(soc, "bundle")  # after add_sdram

AXI4-Lite hangs on the system's bus, in a region `vgg2rtl` of 4 KiB, the AXI4 master on a port of its own of LiteDRAM's crossbar,
the interrupt on the processor. The accelerator sees memory where the processor does. Software finds VGG2RTL_BASE in
generated/mem.h and VGG2RTL_INTERRUPT in generated/soc.h.
"""

import json
from pathlib import Path
from types import SimpleNamespace

from litedram.frontend.axi import LiteDRAMAXI2Native
from litex.gen import LiteXModule
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import axi
from migen import ClockSignal, Instance, ResetSignal, Signal
from vgg2rtl_memory import PAGE, areas


class Accelerator(LiteXModule):
    """The Verilog of a bundle: `bus` (AXI4-Lite slave), `memory` (AXI4 master), `ev.irq`."""

    def __init__(self, platform, bundle):
        bundle = Path(bundle).resolve()
        self.design = json.loads((bundle / "design.json").read_text())
        bits = self.design["configuration"]["bus_bits"]
        self.bus = axi.AXILiteInterface(data_width=32, address_width=32)
        self.memory = axi.AXIInterface(
            data_width=bits, address_width=self.design["address_bits"], id_width=self.design["id_bits"]
        )
        self.ev = SimpleNamespace(irq=Signal())
        for file in (bundle / "rtl/files.f").read_text().split():
            platform.add_source(str(bundle / file))
        bus, memory = self.bus, self.memory
        self.specials += Instance(
            self.design["top"],
            i_clk=ClockSignal(),
            i_rst_n=~ResetSignal(),
            o_irq=self.ev.irq,
            i_s_axil_awprot=0,
            i_s_axil_arprot=0,
            **_pins("s_axil_aw", bus.aw, "i", addr=bus.aw.addr[:8]),
            **_pins("s_axil_w", bus.w, "i", data=bus.w.data, strb=bus.w.strb),
            **_pins("s_axil_b", bus.b, "o", resp=bus.b.resp),
            **_pins("s_axil_ar", bus.ar, "i", addr=bus.ar.addr[:8]),
            **_pins("s_axil_r", bus.r, "o", data=bus.r.data, resp=bus.r.resp),
            **_pins("m_axi_aw", memory.aw, "o", id=memory.aw.id, **_address(memory.aw)),
            **_pins("m_axi_w", memory.w, "o", data=memory.w.data, strb=memory.w.strb, last=memory.w.last),
            **_pins("m_axi_b", memory.b, "i", id=memory.b.id, resp=memory.b.resp),
            **_pins("m_axi_ar", memory.ar, "o", id=memory.ar.id, **_address(memory.ar)),
            **_pins(
                "m_axi_r", memory.r, "i", id=memory.r.id, data=memory.r.data, resp=memory.r.resp, last=memory.r.last
            ),
        )


def _address(channel):
    return {name: getattr(channel, name) for name in ["addr", "len", "size", "burst", "lock", "cache", "prot", "qos"]}


def _pins(name, channel, way, **payload):
    """A channel's pins; `way` is that of its payload and of VALID, READY goes the other way."""
    back = {"i": "o", "o": "i"}[way]
    pins = {f"{way}_{name}{part}": signal for part, signal in payload.items()}
    return {f"{way}_{name}valid": channel.valid, f"{back}_{name}ready": channel.ready, **pins}


def add_accelerator(soc, bundle, name="vgg2rtl", base=None, convert=False, through=None):
    """Adds the accelerator of `bundle` to `soc`, which has an SDRAM; returns it.

    base: of its registers; None: where LiteX finds room. convert: puts a converter before a port that is not as wide as the
    bus. through(memory) gives the interface that goes to the port instead of `memory`, with something between.
    """
    if "main_ram" not in soc.bus.regions or not hasattr(soc, "sdram"):
        raise ValueError("the system has no SDRAM yet: add_sdram comes before add_accelerator")
    if base is not None and base % PAGE:
        raise ValueError(f"the registers' base {base:#x} is not a multiple of {PAGE:#x}")
    accelerator = Accelerator(soc.platform, bundle)
    ram, design, bits = soc.bus.regions["main_ram"], accelerator.design, accelerator.memory.data_width
    areas(design, ram.size)
    if ram.origin + ram.size > 1 << design["address_bits"]:
        raise ValueError(f"memory ends at {ram.origin + ram.size:#x}, addresses have {design['address_bits']} bits")
    width = soc.sdram.crossbar.controller.data_width
    if bits != width and not convert:
        raise ValueError(f"the bus has {bits} bits, the memory's port {width}: generate --bus, or convert=True")
    soc.add_module(name=name, module=accelerator)
    soc.bus.add_slave(name, accelerator.bus, SoCRegion(origin=base, size=PAGE, cached=False))
    memory = through(accelerator.memory) if through else accelerator.memory
    port = soc.sdram.crossbar.get_port(data_width=bits)
    soc.add_module(name=f"{name}_port", module=LiteDRAMAXI2Native(memory, port, base_address=ram.origin))
    if soc.irq.enabled:
        soc.irq.add(name, use_loc_if_exists=True)
    return accelerator
