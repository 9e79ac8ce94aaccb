#!/usr/bin/env python3
"""A system on a chip around the accelerator of a bundle, in LiteX's simulator: soc.py BUNDLE --build FOLDER.

VexRiscv, LiteDRAM with its model of an SDRAM, the accelerator, and firmware/ with the bundle's C driver. The firmware tests
itself and the board, classifies the pictures of data/pictures.bin twice, over two data areas, and, with faults.py between
accelerator and memory, runs the self-test with each fault of a board. What it prints is compared with data/logits.bin.
Exit code: 0 all is as it should be, 4 something is not.
"""

import argparse
import re
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))
import faults  # noqa: E402
from litex.build.sim.config import SimConfig  # noqa: E402
from litex.soc.integration.builder import Builder  # noqa: E402
from litex.soc.integration.common import get_mem_data  # noqa: E402
from litex.tools.litex_sim import SimSoC  # noqa: E402
from vgg2rtl_litex import add_accelerator  # noqa: E402
from vgg2rtl_memory import MEBI, ORIGIN, firmware, layout, logged  # noqa: E402

CLOCK = int(1e6)  # Hz that the system believes in


class System(SimSoC):
    """LiteX's simulated system with the accelerator; `contents` and `bios` are words of the memory and of the ROM."""

    def __init__(self, bundle, with_faults, l2, contents=(0,), bios=()):
        super().__init__(
            cpu_type="vexriscv",
            uart_name="sim",
            with_sdram=True,
            sdram_init=list(contents),
            l2_size=l2,
            integrated_rom_size=0x20000,
            integrated_rom_init=list(bios),
            sim_debug=True,
        )
        self.add_constant("ROM_BOOT_ADDRESS", ORIGIN)
        accelerator = add_accelerator(self, bundle, convert=True, through=self.add_faults if with_faults else None)
        if with_faults:
            self.comb += self.faults.irq.eq(accelerator.ev.irq)
            accelerator.ev = self.faults.ev

    def add_faults(self, memory):
        self.add_module(name="faults", module=faults.Faults(memory))
        for name, number in faults.NAMES.items():
            self.add_constant(f"FAULT_{name}", number)
        return self.faults.memory


def build(bundle, folder, with_faults, l2):
    """Builds the system in `folder`; the simulator."""
    places = layout(bundle, 64 * MEBI)
    config = SimConfig()
    config.add_clocker("sys_clk", freq_hz=CLOCK)
    config.add_module("serial2console", "serial")
    options = {"output_dir": str(folder), "compile_gateware": False}
    Builder(System(bundle, with_faults, l2), **options).build(sim_config=config, build=False, interactive=False)
    images = firmware(bundle, folder, places)
    words = {"data_width": 32, "endianness": "little"}
    contents = get_mem_data(str(images), offset=ORIGIN, **words)
    bios = get_mem_data(str(folder / "software/bios/bios.bin"), **words)
    system = Builder(System(bundle, with_faults, l2, contents, bios), compile_software=False, **options)
    system.build(sim_config=config, interactive=False, opt_level="O3")
    subprocess.run(["bash", "build_sim.sh"], cwd=folder / "gateware", check=True, stdout=subprocess.DEVNULL)
    return folder / "gateware/obj_dir/Vsim"


def run(simulator, seconds):
    """What the console says until the firmware ends."""
    process = subprocess.Popen(
        [simulator], cwd=simulator.parent.parent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        return process.communicate()[0] + f"\nthe simulation did not end in {seconds} s\n"


def check(bundle, console):
    """What is wrong with what the console says; empty: nothing."""
    wanted = [logit for (logit,) in struct.iter_unpack("<Q", (bundle / "data/logits.bin").read_bytes())]
    found = [int(word, 16) for line in re.findall(r"^logits(.*)$", console, re.M) for word in line.split()]
    wrong = []
    if found != 2 * wanted:
        differ = sum(a != b for a, b in zip(found, 2 * wanted))
        wrong.append(f"{len(found)} logits of two runs, {2 * len(wanted)} wanted, {differ} differ")
    answers = re.findall(r"^(self-test|pictures|fault (\w+).*?): (\d+) (.*)$", console, re.M)
    sys.path.append(str(bundle / "sim"))
    import isa

    for what, fault, _, text in answers:
        if text.strip() != isa.OUTCOMES[fault or "OK"]:
            wrong.append(f"{what}: {text}")
    if len(answers) < 2 or not re.search(r"^end$", console, re.M):
        wrong.append("the firmware did not come to its end")
    return wrong


def host_share(console):
    """What the host's work adds to a run, if it waits for each, and if it queues one while another is under way."""
    jobs = re.findall(r"^cycles: pack (\d+) start (\d+) read (\d+)", console, re.M)
    runs = re.findall(r"^cycles: run (\d+) from end to end (\d+)", console, re.M)
    if not jobs or not runs:
        return
    run, distance = map(int, runs[0])
    host = sum(map(int, jobs[0]))
    print(f"host: {host} cycles, {100 * host / (host + run):.1f} % of a picture's time; queued, a run begins every {distance}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--build", type=Path, required=True, help="a folder for what is built")
    parser.add_argument("--l2", type=int, default=0, help="bytes of a second-level cache, 0 for none")
    parser.add_argument("--no-faults", action="store_true", help="the system as it would be on a board")
    parser.add_argument("--seconds", type=float, default=600, help="that a simulation may take")
    args = parser.parse_args()
    bundle, folder = args.bundle.resolve(), args.build.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with logged(folder / "build.log"):
        simulator = build(bundle, folder, not args.no_faults, args.l2)
    console = run(simulator, args.seconds)
    (folder / "console.txt").write_text(console)
    print("\n".join(line for line in console.splitlines() if line))
    host_share(console)
    wrong = check(bundle, console)
    print("\n".join(f"FAIL: {what}" for what in wrong) or "PASS: every logit is the golden model's")
    sys.exit(4 if wrong else 0)


if __name__ == "__main__":
    main()
