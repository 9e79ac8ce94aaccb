"""The accelerator as an AXI client of cocotbext-axi: needs `pip install cocotb==2.1.0 cocotbext-axi==0.1.28` and Icarus.

    SEED=1 STALL_PERCENT=30 WHOLE= python3 sim/test_accelerator.py

Each channel of AXI4 is held up at random, in STALL_PERCENT of all cycles, by itself; the same SEED gives the same run. It is of some
layers where design.json has a short run and WHOLE is empty. Its last line is its verdict, as that of the other benches.
"""

import json
import os
import random
import sys
from pathlib import Path

import cocotb
import isa
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

BUNDLE = Path(__file__).resolve().parent.parent
DESIGN = json.loads((BUNDLE / "design.json").read_text())
VERDICT = BUNDLE / "build/cocotb/verdict.txt"
SHORT = "short" in DESIGN and not os.environ.get("WHOLE")
RUN = DESIGN["short"] if SHORT else DESIGN
IMAGE, EXPECTED = (f"data/{'short' if SHORT else 'image'}.bin", f"data/{'short_' if SHORT else ''}expected.bin")
SEED = int(os.environ.get("SEED") or 1)
STALL_PERCENT = int(os.environ.get("STALL_PERCENT") or 30)
MOST_STALLS = 90
PERIOD_NS = 10


def hold_up(dut, name, channel):
    """Holds up `channel` at random; gives a list of one number, the transfers that had to wait for that, in cycles."""
    draw, waited = random.Random(f"{SEED} {name}"), [0]

    def waits():
        """Whether the accelerator offers something, or the memory has something for it."""
        offered = getattr(dut, f"m_axi_{name}valid").value if name in ("ar", "aw", "w") else not channel.queue.empty()
        return bool(offered)

    def pauses():
        while True:
            pause = draw.randrange(100) < STALL_PERCENT
            waited[0] += pause and waits()
            yield pause

    channel.set_pause_generator(pauses())
    return waited


@cocotb.test()
async def the_network_runs_from_start_to_interrupt(dut):
    # The data end where the memory does, and it holds no more than the two areas.
    base, limit, model = RUN["write_base"], RUN["write_limit"], RUN["read_limit"]
    size = 1 << (model + limit + 2 * 4096).bit_length()
    model_base, data_base = 4096, size - limit
    cocotb.start_soon(Clock(dut.clk, PERIOD_NS, unit="ns").start())
    dut.rst_n.value = 0
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst_n, reset_active_level=False)
    memory = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst_n, reset_active_level=False, size=size)
    image = (BUNDLE / IMAGE).read_bytes()
    expected = (BUNDLE / EXPECTED).read_bytes()
    assert (len(image), len(expected)) == (model + base, limit - base), f"{IMAGE} or {EXPECTED} has not the right size"
    memory.write(model_base, image[:model])
    memory.write(data_base, image[model:])
    await ClockCycles(dut.clk, 8)
    dut.rst_n.value = 1
    await ClockCycles(dut.clk, 2)
    read, write = memory.read_if, memory.write_if
    channels = {"ar": read.ar_channel, "r": read.r_channel}
    channels |= {"aw": write.aw_channel, "w": write.w_channel, "b": write.b_channel}
    waited = {name: hold_up(dut, name, channel) for name, channel in channels.items()}

    await host.write_dword(isa.REG_READ_LIMIT, model)
    await host.write_dword(isa.REG_WRITE_BASE, base)
    await host.write_dword(isa.REG_WRITE_LIMIT, limit)
    await host.write_dword(isa.REG_MODEL_BASE, model_base)
    await host.write_dword(isa.REG_DATA_BASE, data_base)
    await host.write_dword(isa.REG_CONTROL, 1 << isa.CONTROL_START[0])
    cycles = RUN["max_cycles"] * 100 // (100 - STALL_PERCENT)
    await with_timeout(RisingEdge(dut.irq), PERIOD_NS * cycles, "ns")
    error = isa.part(await host.read_dword(isa.REG_STATUS), isa.STATUS_ERROR)
    assert error == 0, f"the accelerator reports error {error}"
    cycles = await host.read_dword(isa.REG_CYCLES_LO)

    found = bytes(memory.read(data_base + base, limit - base))
    wrong = [i for i, (a, b) in enumerate(zip(expected, found)) if a != b]
    assert not wrong, f"{len(wrong)} bytes differ, the first at byte {base + wrong[0]:#x} of the data"
    print("cycles held up:", ", ".join(f"{name.upper()} {count}" for name, (count,) in waited.items()), flush=True)
    layers = f" layers={','.join(RUN['layers'])}" if SHORT else ""
    VERDICT.write_text(f"PASS words={RUN['words']} cycles={cycles}{layers}")


def main():
    from cocotb_tools.runner import get_results, get_runner

    if not 0 <= STALL_PERCENT <= MOST_STALLS:
        sys.exit(f"FAIL STALL_PERCENT={STALL_PERCENT}: 0 to {MOST_STALLS} are possible")
    if SHORT:
        print(f"runs some layers: {','.join(RUN['layers'])}; all with WHOLE=1")
    print(f"AR, R, AW, W and B held up in {STALL_PERCENT} % of all cycles, SEED={SEED}", flush=True)
    VERDICT.unlink(missing_ok=True)
    runner = get_runner("icarus")
    sources = [BUNDLE / line for line in (BUNDLE / "rtl/files.f").read_text().split()]
    top = {"hdl_toplevel": "cocotb_top", "build_dir": BUNDLE / "build/cocotb"}
    runner.build(
        sources=[*sources, BUNDLE / "sim/cocotb_top.sv"],
        defines={"ACCELERATOR": DESIGN["top"]},
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
    passed = tests and not failures and VERDICT.exists()
    print(VERDICT.read_text() if passed else "FAIL the network does not run as it should: see above", flush=True)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
