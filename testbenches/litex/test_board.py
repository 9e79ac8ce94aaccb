"""What board.py refuses, before anything is started or written, and what it reads from nextpnr: test_board.py BUNDLE [elaborate].

BUNDLE has a bus of 64 bits. `elaborate`: the systems on a chip themselves, too, against the table of boards and design.json; needs
LiteX.
"""

import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BUNDLE = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(BUNDLE / "litex"))
import board  # noqa: E402

# Chips on the boards: words, bits of a word. MT48LC16M16: 256 Mbit; EM638325 and the one in a GW2AR-18: 64 Mbit.
MEMORIES = {"ulx3s": (16 << 20, 16), "colorlight_i5": (2 << 20, 32), "tang_nano_20k": (2 << 20, 32)}
# As nextpnr-ecp5 writes it, shortened, and nextpnr-himbaechel for a GW2AR-18.
PLACED = {
    "fmax": {"$glbnet$clk25": {"achieved": 300.5, "constraint": 25.0}, "$glbnet$sys": {"achieved": 49.98, "constraint": 50.0}},
    "utilization": {
        "TRELLIS_COMB": {"available": 24288, "used": 1},
        "TRELLIS_FF": {"available": 24288, "used": 2},
        "DP16KD": {"available": 56, "used": 3},
        "MULT18X18D": {"available": 28, "used": 4},
    },
}
GOWIN = {
    "fmax": {"clk27": {"achieved": 200.0, "constraint": 48.0}, "sys": {"achieved": 60.25, "constraint": 48.0}},
    "utilization": {
        "LUT4": {"available": 20736, "used": 1},
        "DFF": {"available": 15552, "used": 2},
        "BSRAM": {"available": 46, "used": 3},
        "MULT18X18": {"available": 48, "used": 6},
        "MULT9X9": {"available": 96, "used": 20},
    },
}


def changed(folder, configuration=(), **values):
    """The bundle with other numbers in design.json."""
    copy = Path(folder) / "bundle"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(BUNDLE, copy, ignore=shutil.ignore_patterns("build"))
    design = json.loads((copy / "design.json").read_text())
    design["configuration"] |= dict(configuration)
    (copy / "design.json").write_text(json.dumps({**design, **values}))
    return copy


def refused(code, words, bundle, name, *options, **environment):
    """`board.py` ends with `code` and says all of `words`, and has written nothing."""
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "build"
        command = [sys.executable, BUNDLE / "litex/board.py", bundle, "--board", name, "--build", to, *options]
        ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        assert ended.returncode == code, f"{code} wanted: {ended}"
        assert not [word for word in words if word not in ended.stderr], f"{words} wanted: {ended.stderr}"
        assert "Traceback" not in ended.stderr and not to.exists(), ended


def refusals(folder):
    for name, (_, port) in MEMORIES.items():
        board.check(board.BOARDS[name], BUNDLE, convert=False)
        wide = changed(folder, {"bus_bits": 128})
        refused(5, ["128 bits", f"this board {port}:", "--bus 64", "--convert"], wide, name)
        board.check(board.BOARDS[name], wide, convert=True)
    needs = 9 << 20
    big = changed(folder, read_limit=needs, write_limit=4096)
    board.check(board.BOARDS["ulx3s"], big, convert=False)
    for name in ["colorlight_i5", "tang_nano_20k"]:
        refused(5, [str(needs + 8192), str(8 << 20)], big, name)
    # It fits, but not beside firmware and pictures.
    full = changed(folder, read_limit=(8 << 20) - 8192, write_limit=4096)
    refused(5, ["firmware", str(8 << 20)], full, "colorlight_i5")
    refused(5, [folder, "design.json", "vgg2rtl generate"], folder, "ulx3s")
    for text, word in [("{", "design.json: "), ("[]", "vgg2rtl-bundle"), ('{"format": "other"}', "vgg2rtl-bundle")]:
        (Path(folder) / "design.json").write_text(text)
        refused(5, [str(Path(folder) / "design.json"), word], folder, "ulx3s")
    refused(2, ["ulx3s", "tang_nano_20k"], BUNDLE, "de10_nano")
    refused(2, ["--clock", "0"], BUNDLE, "ulx3s", "--clock", "0")
    refused(3, ["yosys is missing", "requirements-boards.txt"], BUNDLE, "ulx3s", PATH="")


def reports():
    found = board.summary(PLACED, board.ECP5, 50)
    assert found["clock_mhz"] == {"asked": 50, "reached": 49.98}, found
    assert [found[what]["used"] for what in ["lut", "ff", "block_ram", "dsp"]] == [1, 2, 3, 4], found
    found = board.summary(GOWIN, board.GOWIN, 48)
    assert found["clock_mhz"] == {"asked": 48, "reached": 60.25}, found
    assert found["dsp"] == {"used": 16, "available": 48}, found
    try:
        board.summary(PLACED, board.ECP5, 60)
    except ValueError as error:
        assert "60" in str(error) and "50.0" in str(error), error
    else:
        raise AssertionError("a clock that nextpnr does not know is not refused")


def elaborated(name):
    """The system on a chip for board `name`: memory, registers and AXI4 as the table and design.json have them."""
    row, (words, bits) = board.BOARDS[name], MEMORIES[name]
    soc = board.system(row, BUNDLE, row.clock)
    design = json.loads((BUNDLE / "design.json").read_text())
    regions, accelerator = soc.bus.regions, soc.vgg2rtl
    ram, registers = regions["main_ram"], regions["vgg2rtl"]
    assert (ram.origin, ram.size) == (0x40000000, words * bits // 8) == (0x40000000, row.memory), ram
    assert soc.sdram.crossbar.controller.data_width == bits == row.port
    assert registers.size == 4096 and registers.origin % 4096 == 0 and not registers.cached, registers
    assert max(address for address, _ in design["identity"]) < registers.size
    others = [each for other, each in regions.items() if other != "vgg2rtl"]
    assert not [each for each in others if each.origin < registers.origin + 4096 and registers.origin < each.origin + each.size]
    places = board.layout(BUNDLE, ram.size)
    ends = [("MODEL", "read_limit", "DATA_0"), ("DATA_0", "write_limit", "DATA_1"), ("DATA_1", "write_limit", "PICTURES")]
    for area, limit, following in ends:
        assert places[area] % 4096 == 0 and places[area] + design[limit] <= places[following], (area, places)
    assert ram.origin < places["MODEL"] and places["SCRATCH"] + places["SCRATCH_BYTES"] <= ram.origin + ram.size
    # The Verilog's own pins.
    verilog = (BUNDLE / f"rtl/{accelerator.design['top']}.v").read_text()
    for pin, signal in [("m_axi_rdata", accelerator.memory.r.data), ("m_axi_araddr", accelerator.memory.ar.addr)]:
        width = int(re.search(rf"\[(\d+):0\]\s*{pin}\b", verilog)[1]) + 1
        assert len(signal) == width, (pin, width, len(signal))


def without_compiler(name):
    """All tools but a RISC-V compiler."""
    with tempfile.TemporaryDirectory() as folder:
        for tool, path in board.find_tools(board.BOARDS[name].family).items():
            (Path(folder) / tool).symlink_to(path)
        refused(3, ["RISC-V", "gcc-riscv64-unknown-elf"], BUNDLE, name, PATH=folder)


with tempfile.TemporaryDirectory() as temporary:
    refusals(temporary)
reports()
if sys.argv[2:] == ["elaborate"]:
    logging.disable(logging.INFO)
    for each in MEMORIES:
        elaborated(each)
        without_compiler(each)
        refused(5, ["10000 MHz", f"try {board.BOARDS[each].clock}"], BUNDLE, each, "--clock", "10000")
print("PASS: boards refuse what cannot work")
