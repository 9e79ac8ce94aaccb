#!/usr/bin/env python3
"""Proofs of the emitted Verilog, with yosys and z3: `prove.py [NAME...] [--rtl FOLDER] [--mutants [--most N] | --flips N] [--long]`.

Each NAME.sv here is one proof: assumptions and assertions around one module, and in its head

    dut: MODULE                 a regular expression; every module of the folder that matches it is proven
    method: unroll N            N cycles from every state, checked in the last one: complete for pipelines without feedback
            induction K         K cycles from reset, and from every state in which K cycles held: complete
            bounded N [LONG]    N cycles from reset (LONG with --long)
    refute: N                   cycles from reset in which a wrong design must show (default: those of the method)
    tap: WIRE = DUT.SIGNAL      lets an assertion see a register; `words:` does so for a whole memory
    data: PORT BITS             what has its width is made that narrow in the copy: data that no logic looks at
    cut: MODULE                 this module may do anything: its outputs are free
    mutant: MODULE: OLD -> NEW  text that is replaced in a copy of MODULE.v; a counterexample must be found

Widths of the module's ports and signals are `W_name, its localparams `P_NAME, the module itself `DUT. Prints a line a proof. Exit codes: 0 all
is as it should be, 2 usage, 3 a tool is missing, 4 something is refuted (with --mutants or --flips: some wrong design is not).
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from flip_operators import places  # noqa: E402

HERE = Path(__file__).resolve().parent
SECONDS = int(os.environ.get("VGG2RTL_PROOF_SECONDS", 600))
TOOLS = ("yosys", "yosys-smtbmc", "z3")


class Proof:
    """A wrapper and the directives in its head."""

    def __init__(self, path):
        self.name, self.path = path.stem, path
        lines = re.findall(r"^// (dut|method|refute|data|tap|words|cut|mutant): (.*)$", path.read_text(), re.MULTILINE)
        of = {key: [value.strip() for k, value in lines if k == key] for key in dict(lines)}
        self.dut, (self.method, *cycles) = of["dut"][0], of["method"][0].split()
        self.cycles, self.long_cycles = int(cycles[0]), int(cycles[-1])
        self.refute = int(of.get("refute", cycles)[0])
        self.taps = [tuple(re.split(r"\s*=\s*", tap)) for tap in of.get("tap", [])]
        self.words = [tuple(re.split(r"\s*=\s*", tap)) for tap in of.get("words", [])]
        self.data = of["data"][0].split() if "data" in of else None
        self.cuts = of.get("cut", [])
        self.mutants = [re.fullmatch(r"(\w+): (.*) -> (.*)", m).groups() for m in of.get("mutant", [])]

    def duts(self, rtl):
        return sorted((m for m in rtl if re.fullmatch(self.dut, m)), key=lambda m: (len(m), m))


def closure(rtl, top, cuts):
    """The modules below a module, with it."""
    found, todo = set(), [top]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            used = re.findall(r"^\s*(\w+)(?: u_\w+ \()", rtl[name], re.MULTILINE)
            todo += [m for m in used if m in rtl and name not in cuts]
    return sorted(found)


def macros(text):
    """Widths of the ports and values of the localparams of a module."""
    given = {}
    for high, name in re.findall(r"^\s*(?:input |output |)\s*(?:wire|reg)\s+(?:signed\s+)?(?:\[(\d+):0\]\s+)?(\w+)", text, re.M):
        given["W_" + name] = int(high or 0) + 1
    for name, value in re.findall(r"^\s*localparam\s+(?:\[\d+:0\]\s+)?(\w+) = (?:\d+'d)?(\d+);", text, re.M):
        given["P_" + name] = int(value)
    return given


def run(command, folder):
    """Exit code and output; the solver is ended with it, should it take longer than SECONDS."""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            said = process.communicate(timeout=SECONDS)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return 1, f"no answer in {SECONDS} s"
    return process.returncode, said


def model(proof, dut, rtl, folder):
    """Writes proof.smt2; an error of yosys as text, or None."""
    if proof.data:
        rtl = narrowed(rtl, closure(rtl, dut, proof.cuts), macros(rtl[dut])["W_" + proof.data[0]], int(proof.data[1]))
    defines = macros(rtl[dut])
    modules = closure(rtl, dut, proof.cuts)
    for name in modules:
        (folder / f"{name}.v").write_text(rtl[name])
    flags = " ".join([f"-D{k}={v}" for k, v in defines.items()] + [f"-DDUT={dut}"])
    script = [f"read_verilog -formal -sv -I{HERE} {flags} {proof.path}"]
    script += [f"read_verilog {name}.v" for name in modules]
    script += ["hierarchy -check -top proof", "proc"]
    script += [f"cutpoint t:{name}" for name in proof.cuts]
    script += ["flatten"]
    for wire, source in proof.taps:
        if source.split(".")[-1] in "".join(rtl[m] for m in modules):
            script += [f"connect -nounset -set {wire} {source}"]
    script += ["memory_collect"] + (["memory_map"] if proof.method != "unroll" else [])
    for wire, source in proof.words:
        memory = macros(rtl[owner(source, dut, rtl)])
        bits, depth = memory["P_BITS"], memory["P_DEPTH"]
        script += [f"connect -nounset -set {wire}[{(i + 1) * bits - 1}:{i * bits}] {source}[{i}]" for i in range(depth)]
    script += ["opt_clean", "setundef -anyseq", "async2sync"]
    if proof.method == "unroll":
        script += ["opt -full", "dffunmap", "opt_clean", "write_smt2 proof.smt2"]
    else:  # in `sat` a wire without driver is free in every cycle
        script += ["delete t:$anyseq", "opt_clean", "write_ilang proof.il"]
    (folder / "proof.ys").write_text("\n".join(script) + "\n")
    code, said = run(["yosys", "-q", "proof.ys"], folder)
    return said.strip() or f"yosys ends with {code}" if code else None


def narrowed(rtl, modules, bits, data):
    """The design with data of fewer bits, where nothing but its width says that it has more."""
    def narrow(text):
        return text.replace(f"[{bits - 1}:0]", f"[{data - 1}:0]").replace(f"BITS = {bits};", f"BITS = {data};")

    return {**rtl, **{m: narrow(rtl[m]) for m in modules}}


def owner(path, dut, rtl):
    """The module that declares `dut.u_a.u_b.signal`."""
    for instance in path.split(".")[1:-1]:
        dut = re.search(rf"^\s*(\w+) {instance} \(", rtl[dut], re.MULTILINE)[1]
    return dut


def every_state(folder, cycles):
    """PROVED or REFUTED: the assertions `cycles` cycles after any state, by z3."""
    _, said = run(["yosys-smtbmc", "-s", "z3", "--noprogress", "-t", f"{cycles - 1}:{cycles}", "proof.smt2"], folder)
    status = re.search(r"Status: (PASSED|FAILED)", said)
    if status:
        return {"PASSED": "PROVED", "FAILED": "REFUTED"}[status[1]]
    return said.strip().splitlines()[-1]


def from_reset(folder, cycles, *options):
    """PROVED, REFUTED or UNKNOWN: the assertions by temporal induction, or from reset only, by yosys' MiniSat."""
    flags = f"-prove-asserts -set-assumes -tempinduct -maxsteps {cycles} {' '.join(options)}"
    _, said = run(["yosys", "-p", f"read_ilang proof.il; sat {flags}"], folder)
    for text, answer in [
        ("SAT temporal induction proof finished - model found", "REFUTED"),
        ("Induction step proven: SUCCESS!", "PROVED"),
        ("Reached maximum number of time steps", "PROVED" if options else "UNKNOWN"),
    ]:
        if text in said:
            return answer
    return said.strip().splitlines()[-1]


def answer(proof, folder, cycles, wrong):
    if proof.method == "unroll":
        return every_state(folder, cycles)
    return from_reset(folder, cycles, *(["-tempinduct-baseonly"] if wrong or proof.method == "bounded" else []))


def prove(proof, dut, rtl, long):
    """Whether it holds, and what to print."""
    started = time.time()
    cycles = proof.long_cycles if long else proof.cycles
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        said = model(proof, dut, rtl, folder) or answer(proof, folder, cycles, False)
    word, rest = (said, "") if said in ("PROVED", "REFUTED", "UNKNOWN") else ("ERROR", f": {said}")
    rest = ": the induction fails" if word == "UNKNOWN" else rest
    return word == "PROVED", f"{word:8} {label(proof, dut)}, {proof.method} {cycles}, {time.time() - started:.1f} s{rest}"


def label(proof, dut):
    return dut if proof.name == dut else f"{proof.name} of {dut}"


def refuted(proof, dut, rtl):
    """What is found out about a wrong design."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        return model(proof, dut, rtl, folder) or answer(proof, folder, proof.refute, True)


def changed(proof, rtl):
    """The wrong designs of the proof's head: the module that is proven, what is changed, the changed design (or None)."""
    duts = proof.duts(rtl)
    for module, old, new in proof.mutants:
        name = duts[0] if module == "DUT" and duts else module
        dut = next((d for d in duts if name in closure(rtl, d, proof.cuts)), None)
        if dut is None:
            continue  # another design has that module
        lines = rtl[name].splitlines()
        at = next((i for i, text in enumerate(lines) if old in text.split("//")[0]), None)
        if at is None:
            yield dut, f"{name}: {old}", None
            continue
        lines[at] = lines[at].replace(old, new, 1)
        yield dut, f"{name}:{at + 1}: {old} -> {new}", {**rtl, name: "\n".join(lines) + "\n"}


def flipped(proof, dut, rtl, count, seed):
    """Operators flipped at random in the module and those below it."""
    modules = [m for m in closure(rtl, dut, proof.cuts) if m not in proof.cuts]
    flips = [(m, place) for m in modules for place in places(rtl[m])]
    for name, (number, column, old, new) in random.Random(seed).sample(flips, min(count, len(flips))):
        lines = rtl[name].splitlines()
        lines[number] = lines[number][:column] + new + lines[number][column + len(old) :]
        yield f"{name}:{number + 1}:{column + 1}: {old.strip()} -> {new.strip()}", {**rtl, name: "\n".join(lines) + "\n"}


def modules(folder):
    """Texts of the modules in `folder` by their names, both without the prefix that all names of a design may have."""
    texts = {path.stem: path.read_text() for path in sorted(folder.glob("*.v"))}
    tops = [name for name in texts if name.endswith("accelerator")]
    prefix = tops[0].removesuffix("accelerator") if len(tops) == 1 else ""
    names = "|".join(map(re.escape, texts))
    plain = lambda text: re.sub(rf"\b(?:{names})\b", lambda found: found[0].removeprefix(prefix), text)  # noqa: E731
    return {name.removeprefix(prefix): plain(text) for name, text in texts.items()}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", metavar="NAME", help="proofs; all where none is named")
    arguments.add_argument("--rtl", type=Path, default=HERE.parent.parent / "rtl", help="folder of the modules")
    arguments.add_argument("--mutants", action="store_true", help="wrong designs, each of which must be refuted")
    arguments.add_argument("--most", type=int, default=0, help="the first so many wrong designs of a proof only")
    arguments.add_argument("--flips", type=int, default=0, help="the same with that many operators flipped a module")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--long", action="store_true", help="the long bounds")
    arguments.add_argument("--jobs", type=int, default=1)
    options = arguments.parse_args()
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        print(f"{', '.join(missing)} not found (Debian: apt-get install yosys z3)", file=sys.stderr)
        return 3
    proofs = {path.stem: Proof(path) for path in sorted(HERE.glob("*.sv"))}
    unknown = [name for name in options.names if name not in proofs]
    rtl = modules(options.rtl)
    if unknown or not rtl:
        print(f"no proof {unknown[0]}; there are {', '.join(proofs)}" if unknown else f"{options.rtl}: no *.v", file=sys.stderr)
        return 2
    chosen = [proofs[name] for name in options.names or proofs]
    work = [(proof, dut) for proof in chosen for dut in proof.duts(rtl)]
    for proof in chosen:
        if not proof.duts(rtl):
            print(f"ABSENT   {proof.name}: no such module in {options.rtl}")
    pool = ThreadPoolExecutor(options.jobs)
    good, total, started = 0, 0, time.time()
    if options.mutants or options.flips:
        tasks = []
        for proof in chosen:
            if options.mutants:
                tasks += [(proof, *mutant) for mutant in changed(proof, rtl)]
        if options.most:
            tasks = [t for proof in chosen for t in [t for t in tasks if t[0] is proof][: options.most]]
        for proof, dut in work:
            if options.flips:
                tasks += [(proof, dut, *m) for m in flipped(proof, dut, rtl, options.flips, options.seed)]
        answers = pool.map(lambda task: "the line is not there" if task[3] is None else refuted(*task[:2], task[3]), tasks)
        for (proof, dut, what, _), said in zip(tasks, answers):
            total, good = total + 1, good + (said == "REFUTED")
            word = {"REFUTED": "REFUTED ", "PROVED": "NOT SEEN"}.get(said, f"ERROR    {said}:")
            print(f"{word} {label(proof, dut)}: {what}", flush=True)
        print(f"{good} of {total} wrong designs refuted, {time.time() - started:.0f} s")
    else:
        for held, text in pool.map(lambda t: prove(*t, rtl, options.long), work):
            total, good = total + 1, good + held
            print(text, flush=True)
        print(f"{good} of {total} proven, {time.time() - started:.0f} s")
    return 0 if total and good == total else 4


if __name__ == "__main__":
    sys.exit(main())
