"""What the memory of a system around the accelerator holds, on a board as in the simulator: firmware, model, data, pictures."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEBI = 1 << 20
ORIGIN = 0x40000000  # of the memory
PAGE = 4096  # of the registers, and what every base is a multiple of


def areas(design, memory):
    """Bytes that a model and two data areas take, which must fit into `memory` bytes."""
    needed = design["read_limit"] + 2 * design["write_limit"]
    if needed > memory:
        raise ValueError(f"model and two data areas take {needed} bytes, the memory has {memory}")
    return needed


def layout(bundle, size):
    """Where in a memory of `size` bytes firmware, model, data and pictures lie, by the names of firmware/main.c."""
    design = json.loads((bundle / "design.json").read_text())
    test = design["selftest"]
    pictures = (bundle / "data/pictures.bin").stat().st_size
    scratch = test["read_limit"] + test["write_limit"] + MEBI // 16
    sizes = {
        "MODEL": design["read_limit"],
        "DATA_0": design["write_limit"],
        "DATA_1": design["write_limit"],
        "PICTURES": pictures,
        "SCRATCH": scratch,
    }
    at, places = ORIGIN + MEBI // 4, {"MODEL_BYTES": design["read_limit"], "SCRATCH_BYTES": scratch}
    for name, count in sizes.items():
        places[name] = at
        at += (count + PAGE - 1) // PAGE * PAGE
    areas(design, size)
    if at - ORIGIN > size:
        raise ValueError(f"firmware, model, data and pictures take {at - ORIGIN} bytes, the memory has {size}")
    return places


def firmware(bundle, build, places):
    """Builds it; the files that memory holds at start, and where. litex_term --images takes the same on a board."""
    folder = build / "firmware"
    folder.mkdir(exist_ok=True)
    defines = " ".join(f"-D{name}={value:#x}" for name, value in places.items())
    make = ["make", "-f", HERE / "firmware/Makefile", f"BUILD_DIR={build}", f"BUNDLE={bundle}", f"DEFINES={defines}"]
    subprocess.run(make, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    model = build / "model.bin"
    model.write_bytes((bundle / "data/image.bin").read_bytes()[: places["MODEL_BYTES"]])
    files = {
        model: places["MODEL"],
        bundle / "data/pictures.bin": places["PICTURES"],
        folder / "firmware.bin": ORIGIN,
    }
    images = build / "images.json"
    images.write_text(json.dumps({str(file): f"{at:#x}" for file, at in files.items()}, indent=4) + "\n")
    return images


@contextmanager
def logged(file):
    """What this program and those that it starts print goes to `file`."""
    print(f"building; see {file}", file=sys.stderr)
    streams = [os.dup(1), os.dup(2)]
    with open(file, "w") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
        try:
            yield
        finally:
            sys.stdout.flush()
            for number, stream in enumerate(streams, 1):
                os.dup2(stream, number)
