"""The accelerator as an AXI client of cocotbext-axi: needs `pip install cocotb==2.1.0 cocotbext-axi==0.1.28` and Icarus.

python3 sim/test_accelerator.py
"""

import json
import sys
from pathlib import Path

import cocotb
import isa
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

BUNDLE = Path(__file__).resolve().parent.parent
DESIGN = json.loads((BUNDLE / "design.json").read_text())
PERIOD_NS = 10


@cocotb.test()
async def the_network_runs_from_start_to_interrupt(dut):
    # The data end where the memory does, and it holds no more than the two areas.
    base, limit, model = DESIGN["write_base"], DESIGN["write_limit"], DESIGN["read_limit"]
    size = 1 << (model + limit + 2 * 4096).bit_length()
    model_base, data_base = 4096, size - limit
    cocotb.start_soon(Clock(dut.clk, PERIOD_NS, unit="ns").start())
    dut.rst_n.value = 0
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst_n, reset_active_level=False)
    memory = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst_n, reset_active_level=False, size=size)
    image = (BUNDLE / "data/image.bin").read_bytes()
    expected = (BUNDLE / "data/expected.bin").read_bytes()
    assert (len(image), len(expected)) == (model + base, limit - base), "image.bin or expected.bin has not the right size"
    memory.write(model_base, image[:model])
    memory.write(data_base, image[model:])
    await ClockCycles(dut.clk, 8)
    dut.rst_n.value = 1
    await ClockCycles(dut.clk, 2)

    await host.write_dword(isa.REG_READ_LIMIT, model)
    await host.write_dword(isa.REG_WRITE_BASE, base)
    await host.write_dword(isa.REG_WRITE_LIMIT, limit)
    await host.write_dword(isa.REG_MODEL_BASE, model_base)
    await host.write_dword(isa.REG_DATA_BASE, data_base)
    await host.write_dword(isa.REG_CONTROL, 1 << isa.CONTROL_START[0])
    await with_timeout(RisingEdge(dut.irq), PERIOD_NS * DESIGN["max_cycles"], "ns")
    error = isa.part(await host.read_dword(isa.REG_STATUS), isa.STATUS_ERROR)
    assert error == 0, f"the accelerator reports error {error}"

    found = bytes(memory.read(data_base + base, limit - base))
    wrong = [i for i, (a, b) in enumerate(zip(expected, found)) if a != b]
    assert not wrong, f"{len(wrong)} bytes differ, the first at byte {base + wrong[0]:#x} of the data"


def main():
    from cocotb_tools.runner import get_results, get_runner

    runner = get_runner("icarus")
    sources = [BUNDLE / line for line in (BUNDLE / "rtl/files.f").read_text().split()]
    top = {"hdl_toplevel": "cocotb_top", "build_dir": BUNDLE / "build/cocotb"}
    runner.build(
        sources=[*sources, BUNDLE / "sim/cocotb_top.sv"],
        parameters={
            "BUS_BITS": DESIGN["configuration"]["bus_bits"],
            "ADDRESS_BITS": DESIGN["address_bits"],
            "ID_BITS": DESIGN["id_bits"],
        },
        timescale=("1ns", "1ps"),
        **top,
    )
    results = runner.test(test_module="test_accelerator", test_dir=BUNDLE / "sim", **top)
    tests, failures = get_results(results)
    sys.exit(0 if tests and not failures else 1)


if __name__ == "__main__":
    main()
