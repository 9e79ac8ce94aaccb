"""What the core for LiteX refuses, and with which words: test_core.py BUNDLE, a bundle with a bus of 64 bits."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

BUNDLE = Path(sys.argv[1]).resolve()
sys.path.insert(0, str(BUNDLE / "litex"))
from litex.tools.litex_sim import SimSoC  # noqa: E402
from vgg2rtl_litex import add_accelerator  # noqa: E402


def system(with_sdram=True):
    return SimSoC(cpu_type=None, uart_name="stub", with_sdram=with_sdram, sdram_init=[0], integrated_sram_size=0)


def refused(bundle, numbers, soc=None, **options):
    try:
        add_accelerator(soc or system(), bundle, **options)
    except ValueError as error:
        missing = [number for number in numbers if number not in str(error)]
        assert not missing, f"{missing} not in: {error}"
    else:
        raise AssertionError(f"not refused: {numbers}")


def changed(folder, **values):
    """The bundle with other numbers in design.json."""
    copy = Path(folder) / "bundle"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(BUNDLE, copy, ignore=shutil.ignore_patterns("build"))
    design = json.loads((copy / "design.json").read_text())
    (copy / "design.json").write_text(json.dumps({**design, **values}))
    return copy


refused(BUNDLE, ["64 bits", "port 32"])
refused(BUNDLE, ["0x82000100", "0x1000"], convert=True, base=0x82000100)
refused(BUNDLE, ["SDRAM"], soc=system(with_sdram=False))
with tempfile.TemporaryDirectory() as folder:
    size = 1 << 26
    refused(changed(folder, read_limit=size, write_limit=4096), [str(size + 8192), str(size)], convert=True)
    refused(changed(folder, address_bits=30), ["0x44000000", "30 bits"], convert=True)
add_accelerator(system(), BUNDLE, convert=True)
print("PASS: the core refuses what cannot work")
