#!/usr/bin/env python3
"""Whether a bundle's own bench notices wrong Verilog: flips operators at random, one at a time, and runs `make icarus WHOLE=1`.

    flip_operators.py BUNDLE [--count 100] [--seed 1] [--jobs 2] [--explained FILE]

A flip is caught when the bench fails, does not end, or cannot be compiled. Those that are not are printed with their
lines, the operator between « and »; FILE says why they cannot be seen, a line each: module | line of Verilog | reason. A
reason that begins with "same:" says that the flip changes nothing in this build: such are not drawn. The bench is told how many
cycles all its runs take of the design as it is: a flip that only makes it slower is seen, too. Exit code 4 when fewer than 98 % are caught,
or one is neither caught nor explained.
"""

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OPERATORS = [
    (" && ", " || "), (" || ", " && "), (" == ", " != "), (" != ", " == "), (" < ", " >= "), (" >= ", " < "),
    (" > ", " <= "), (" + ", " - "), (" - ", " + "), (" & ", " | "), (" | ", " & "), (" << ", " >> "), (" >> ", " << "),
    (" ^ ", " & "),
]  # fmt: skip
NO_CODE = ("module ", "input ", "output ", "for ", "genvar ", "localparam ", "`")
SECONDS = 600


def places(text):
    """All flips that are possible in a module: (line, column, from, to)."""
    for number, line in enumerate(text.splitlines()):
        code = line.split("//")[0]
        if code.lstrip().startswith(NO_CODE) or "_unused" in code:
            continue
        for old, new in OPERATORS:
            yield from ((number, m.start(), old, new) for m in re.finditer(re.escape(old), code))


def bench(bundle, *variables):
    return subprocess.run(["make", "icarus", "WHOLE=1", *variables], cwd=bundle, capture_output=True, text=True, timeout=SECONDS)


def caught(bundle, cycles, module, place):
    """What the bench says of a copy of the bundle with that flip; None where it passes."""
    number, column, old, new = place
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bundle"
        shutil.copytree(bundle, copy, ignore=shutil.ignore_patterns("build"))
        path = copy / "rtl" / module
        lines = path.read_text().splitlines()
        lines[number] = lines[number][:column] + new + lines[number][column + len(old) :]
        path.write_text("\n".join(lines) + "\n")
        subprocess.run(["make", "seal"], cwd=copy, check=True, capture_output=True)
        run_cycles, all_cycles = cycles
        try:
            run = bench(copy, f"MAX_CYCLES={2 * run_cycles}", f"CYCLES={all_cycles}")
        except subprocess.TimeoutExpired:
            return "does not end"
        if run.returncode == 0:
            return None
        said = re.findall(r"^FAIL .*|error: .*", run.stdout + run.stderr, re.MULTILINE)
        return said[0] if said else "fails"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundle", type=Path)
    arguments.add_argument("--count", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--jobs", type=int, default=2)
    arguments.add_argument("--explained", type=Path, default=Path(__file__).with_name("flip_operators.txt"))
    options = arguments.parse_args()
    modules = {p.name: p.read_text() for p in sorted((options.bundle / "rtl").glob("*.v"))}
    prefix = json.loads((options.bundle / "design.json").read_text())["top"].removesuffix("accelerator")
    rows = [line.split(" | ") for line in options.explained.read_text().splitlines()] if options.explained.exists() else []
    known = {tuple(cell.strip() for cell in row[:2]): row[2].strip() for row in rows if len(row) == 3}

    def row(module, place):
        """As in FILE: module without the prefix of the bundle, line."""
        number, column, old, _ = place
        line = modules[module].splitlines()[number]
        line = f"{line[:column]} «{old.strip()}» {line[column + len(old) :]}"
        return module.removeprefix(prefix), line.strip().replace(prefix, "").replace("|", "¦")

    every = [(name, place) for name, text in modules.items() for place in places(text)]
    flips = [flip for flip in every if not known.get(row(*flip), "").startswith("same:")]
    passed = re.search(r"^all runs: (\d+) cycles\nPASS words=\d+ cycles=(\d+)$", bench(options.bundle).stdout, re.MULTILINE)
    if not passed:
        sys.exit(f"{options.bundle} does not pass its bench as it is")
    cycles = int(passed[2]), int(passed[1])
    chosen = random.Random(options.seed).sample(flips, min(options.count, len(flips)))
    pool = ThreadPoolExecutor(options.jobs)
    results = pool.map(lambda flip: caught(options.bundle, cycles, *flip), chosen)
    reasons, unexplained = {}, 0
    for flip, result in zip(chosen, results):
        if result:
            reasons[result] = reasons.get(result, 0) + 1
            continue
        why = known.get(row(*flip))
        unexplained += why is None
        print("not caught:", " | ".join(row(*flip)), "|", why or "not explained", flush=True)
    total = sum(reasons.values())
    for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
        print(f"{count:4} {reason}")
    print(f"{total} of {len(chosen)} flips caught, out of {len(flips)} that are possible in {len(modules)} modules")
    sys.exit(4 if unexplained or 100 * total < 98 * len(chosen) else 0)


if __name__ == "__main__":
    main()
