#!/usr/bin/env python3
"""A bitstream with open tools: board.py BUNDLE --board NAME --build FOLDER.

A system on a chip on the target that litex-boards has for the board: VexRiscv, the board's SDRAM on LiteDRAM, the accelerator of
the bundle, LiteX's BIOS, and firmware/ with the bundle's C driver. yosys, nextpnr and the packer of the FPGA's family make the
bitstream; FOLDER/report.json says what of the FPGA it takes and which clock it reaches.
Exit code: 0 done, 2 usage, 3 a tool is missing, 4 the clock is not reached, 5 bad input, or a tool failed.
"""

import argparse
import importlib
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))
from vgg2rtl_memory import MEBI, firmware, layout, logged  # noqa: E402

INSTALL = f"pip install -r {HERE / 'requirements-boards.txt'}"
NARROWEST = 64  # bits that an accelerator's bus has at the least
TOLERANCE = 0.02  # of a PLL's clock


@dataclass
class Family:
    """Tools of an FPGA family, and by what they are its cells in nextpnr's report, each with what it takes of the first one."""

    place: str
    pack: str
    suffix: str  # of the bitstream
    cells: dict


@dataclass
class Board:
    """A board, as its target in litex-boards makes it with these options."""

    target: str
    family: Family
    memory: int  # bytes
    port: int  # bits of LiteDRAM's crossbar
    clock: float  # MHz of the system
    options: dict = field(default_factory=dict)


ECP5 = Family(
    "nextpnr-ecp5",
    "ecppack",
    ".bit",
    {"lut": {"TRELLIS_COMB": 1}, "ff": {"TRELLIS_FF": 1}, "block_ram": {"DP16KD": 1}, "dsp": {"MULT18X18D": 1}},
)
GOWIN = Family(
    "nextpnr-himbaechel-gowin",
    "gowin_pack",
    ".fs",
    {"lut": {"LUT4": 1}, "ff": {"DFF": 1}, "block_ram": {"BSRAM": 1}, "dsp": {"MULT18X18": 1, "MULT9X9": 0.5}},
)
BOARDS = {
    "ulx3s": Board("radiona_ulx3s", ECP5, 32 * MEBI, 16, 50, {"device": "LFE5U-85F"}),
    "colorlight_i5": Board("colorlight_i5", ECP5, 8 * MEBI, 32, 50),
    "tang_nano_20k": Board("sipeed_tang_nano_20k", GOWIN, 8 * MEBI, 32, 48, {"cpu_variant": "lite"}),
}


class Missing(Exception):
    """A tool is not there."""


def read_design(bundle):
    """The design.json of a bundle."""
    file = bundle / "design.json"
    if not file.is_file():
        raise ValueError(f"{bundle} is not a bundle of vgg2rtl: {file.name} is missing; vgg2rtl generate writes one")
    try:
        design = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from error
    if not isinstance(design, dict) or design.get("format") != "vgg2rtl-bundle":
        raise ValueError(f"{file}: is not of the format vgg2rtl-bundle")
    return design


def check(board, bundle, convert):
    """Refuses a bundle that `board` cannot run; its design."""
    design = read_design(bundle)
    bits, port = design["configuration"]["bus_bits"], board.port
    fitting = max(port, NARROWEST)
    if bits != fitting and not convert:
        raise ValueError(
            f"{bundle}: the bus has {bits} bits, the memory's port of this board {port}: vgg2rtl generate --bus {fitting}, or --convert"
        )
    layout(bundle, board.memory)
    return design


def find_tools(family):
    """Paths of yosys, nextpnr and the packer: YoWASP's before those of the system."""
    paths = {name: shutil.which(f"yowasp-{name}") or shutil.which(name) for name in ["yosys", family.place, family.pack]}
    for name, path in paths.items():
        if path is None:
            raise Missing(f"{name} is missing: {INSTALL}")
    return paths


def system(board, bundle, clock):
    """The system on a chip for `board` at `clock` MHz, with the accelerator of `bundle` and the open toolchain."""
    try:
        target = importlib.import_module(f"litex_boards.targets.{board.target}")
        from litex.soc.cores.cpu import CPU_GCC_TRIPLE_RISCV32
        from vgg2rtl_litex import add_accelerator
    except ModuleNotFoundError as error:
        raise Missing(f"{error}: {INSTALL}") from error
    if not any(shutil.which(f"{triple}-gcc") for triple in CPU_GCC_TRIPLE_RISCV32):
        raise Missing("a RISC-V compiler is missing: apt-get install gcc-riscv64-unknown-elf")
    options = {"cpu_type": "vexriscv", "l2_size": 0, "integrated_rom_size": 0x20000, **board.options}
    try:
        soc = target.BaseSoC(sys_clk_freq=clock * 1e6, **options)
    except (AssertionError, ValueError) as error:  # of the PLL
        raise ValueError(f"LiteX has no system for {clock:g} MHz on this board: try {board.clock}") from error
    if board.family is GOWIN:  # litex-boards takes the vendor's
        from litex.build.gowin.apicula import GowinApiculaToolchain

        options, soc.platform.toolchain = soc.platform.toolchain.options, GowinApiculaToolchain()
        soc.platform.toolchain.options = options
    add_accelerator(soc, bundle, convert=True)
    return soc


def write_project(soc, board, bundle, folder, clock, seed):
    """Software, Verilog, constraints and scripts, in `folder`."""
    from litex.soc.integration.builder import Builder

    toolchain = soc.platform.toolchain
    if board.family is GOWIN:
        toolchain._synth_opts += "-family gw2a "  # which has multipliers
        toolchain._pnr_opts += f"--freq {clock} "
    else:
        toolchain._pnr_opts += "--report top.report "
    builder = Builder(soc, output_dir=str(folder), compile_gateware=False)
    builder.build(build_name="top", nowidelut=True, seed=seed)
    firmware(bundle, folder, layout(bundle, board.memory))
    # YoWASP's tools see files below /tmp by relative names only.
    script = folder / "gateware/top.ys"
    relative = lambda line: line[1] + os.path.relpath(line[2], script.parent)  # noqa: E731
    script.write_text(re.sub(r"(?m)^(read_verilog.* )(/.*)$", relative, script.read_text()))


def run_tools(folder, paths):
    """Runs the script of LiteX with the tools at `paths`, under the names that it has for them."""
    names = folder / "tools"
    shutil.rmtree(names, ignore_errors=True)
    names.mkdir()
    for name, path in paths.items():
        (names / name.removesuffix("-gowin")).symlink_to(path)
    environment = {**os.environ, "PATH": f"{names}:{os.environ['PATH']}"}
    subprocess.run(["bash", "build_top.sh"], cwd=folder / "gateware", check=True, env=environment)


def summary(placed, family, clock):
    """Cells of each kind, used and there, and MHz of the system's clock, from nextpnr's report `placed`."""
    found, cells = placed["utilization"], {}
    for what, shares in family.cells.items():
        used = sum(share * found[cell]["used"] for cell, share in shares.items())
        cells[what] = {"used": used, "available": found[next(iter(shares))]["available"]}
    clocks = placed["fmax"].values()
    reached = [each["achieved"] for each in clocks if abs(each["constraint"] - clock) < TOLERANCE * clock]
    if not reached:
        constraints = ", ".join(str(each["constraint"]) for each in clocks)
        raise ValueError(f"nextpnr has no clock of {clock} MHz, but of {constraints}")
    return {"clock_mhz": {"asked": clock, "reached": round(min(reached), 2)}, **cells}


def make(board, name, bundle, folder, args):
    """Builds all of it; the report."""
    design, clock = check(board, bundle, args.convert), args.clock or board.clock
    paths = find_tools(board.family)
    logging.disable(logging.INFO)
    soc = system(board, bundle, clock)
    logging.disable(logging.NOTSET)
    folder.mkdir(parents=True, exist_ok=True)
    bitstream = folder / f"gateware/top{board.family.suffix}"
    for old in [bitstream, folder / "report.json"]:
        old.unlink(missing_ok=True)
    with logged(folder / "build.log"):
        write_project(soc, board, bundle, folder, clock, args.seed)
        run_tools(folder, paths)
    placed = json.loads((folder / "gateware/top.report").read_text())
    array = design["configuration"]
    return {
        "board": name,
        "device": soc.platform.device,
        "array": f"{array['rows']}x{array['cols']}",
        "bits": {"weights": array["weight_bits"], "activations": array["act_bits"], "bus": array["bus_bits"], "port": board.port},
        **summary(placed, board.family, clock),
        "seed": args.seed,
        "bitstream": str(bitstream),
        "images": str(folder / "images.json"),
    }


def show(report):
    """The report, for people."""
    print(f"{report['board']}, {report['device']}: array {report['array']}, {report['bitstream']}")
    for what, name in {"lut": "look-up tables", "ff": "flip-flops", "block_ram": "block RAMs", "dsp": "multipliers"}.items():
        print(f"  {name:<15} {report[what]['used']:>7} of {report[what]['available']}")
    print(f"  {'clock':<15} {report['clock_mhz']['reached']:>7} MHz reached, {report['clock_mhz']['asked']} asked")


def positive(text):
    """A number above 0."""
    if not (number := float(text)) > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--board", required=True, choices=BOARDS)
    parser.add_argument("--build", type=Path, required=True, help="a folder for what is built")
    parser.add_argument("--clock", type=positive, help="MHz of the system, by default 50, or 48 on the Tang Nano 20K")
    parser.add_argument("--convert", action="store_true", help="take any bus, with a converter between it and the memory's port")
    parser.add_argument("--seed", type=int, default=1, help="of nextpnr")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    args = parser.parse_args()
    folder = args.build.resolve()
    try:
        report = make(BOARDS[args.board], args.board, args.bundle.resolve(), folder, args)
    except (ValueError, OSError, Missing, subprocess.CalledProcessError) as error:
        log = folder / "build.log"
        said = re.findall(r"(?m)^ERROR.*$", log.read_text()) if isinstance(error, subprocess.CalledProcessError) else []
        print("\n".join(["error: " + str(error), *said]), file=sys.stderr)
        sys.exit(3 if isinstance(error, Missing) else 5)
    (folder / "report.json").write_text(json.dumps(report, indent=4) + "\n")
    print(json.dumps(report, indent=4)) if args.json else show(report)
    clock = report["clock_mhz"]
    if clock["reached"] < clock["asked"]:
        print(f"error: {clock['reached']} MHz reached, {clock['asked']} asked: --clock, or another --seed", file=sys.stderr)
        sys.exit(4)


if __name__ == "__main__":
    main()
