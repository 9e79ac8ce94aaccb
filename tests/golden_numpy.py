"""Executes an integer model in int64 numpy, from docs/model-format.md alone: truth for the golden model.

    golden_numpy.py compare FOLDER    X.trace.safetensors of each X.model.safetensors: every tensor against an own
                                      execution of the trace's input codes
    golden_numpy.py fixtures FOLDER   writes small random models and their traces
    golden_numpy.py model FILE        writes a random W8A8 model that takes all of the tiny accelerator: stripes and tiles
                                      that stay and that do not

Needs numpy only. Exit code 4 and the first difference on a mismatch.
"""

import json
import sys
from pathlib import Path

import numpy as np

DTYPES = {"I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}


def read(path):
    """Metadata and int64 tensors of a safetensors file: the header's length, the header in JSON, the numbers."""
    raw = Path(path).read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    head = json.loads(raw[8:start])
    metadata = head.pop("__metadata__", {})
    types = DTYPES | {"U8": "u1"}
    part = lambda t: np.frombuffer(raw[start:][slice(*t["data_offsets"])], types[t["dtype"]]).reshape(t["shape"])
    return metadata, {name: part(t).astype(np.int64) for name, t in head.items()}


def write(path, tensors, metadata):
    """A safetensors file of the narrowest types."""
    head, parts, at = {"__metadata__": metadata}, [], 0
    for name, values in tensors.items():
        kind = next(k for k in DTYPES if np.array_equal(values.astype(DTYPES[k]), values))
        parts.append(values.astype(DTYPES[kind]).tobytes())
        head[name] = {"dtype": kind, "shape": values.shape, "data_offsets": [at, at + len(parts[-1])]}
        at += len(parts[-1])
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))


def read_model(path):
    metadata, tensors = read(path)
    description = json.loads(metadata["vgg2rtl"])
    c, h, w = (description["input"][size] for size in "chw")
    for layer in description["layers"]:
        weight, bits = f"{layer['name']}.weight", layer["weight_bits"]
        shape = (layer["co"], c, 3, 3) if layer["op"] == "conv" else (layer["co"], c * h * w)
        if tensors[weight].shape != shape:
            tensors[weight] = unpack(tensors[weight], bits, int(np.prod(shape))).reshape(shape)
        h, w = (1, 1) if layer["op"] == "dense" else (h // 2, w // 2) if layer.get("pool") else (h, w)
        c = layer["co"]
    return description, tensors


def unpack(raw, bits, count):
    """Weights of fewer than 8 bits: a stream of two's complement codes, lowest bit first."""
    stream = np.unpackbits(raw.astype(np.uint8), bitorder="little")
    codes = stream[: count * bits].reshape(count, bits) @ (1 << np.arange(bits))
    return (codes ^ 1 << bits - 1) - (1 << bits - 1)


def convolve(x, weight):
    """3x3, stride 1, zero padding 1; x is (n, ci, h, w), weight (co, ci, 3, 3)."""
    n, _, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    acc = np.zeros((n, weight.shape[0], h, w), np.int64)
    for i in range(3):
        for j in range(3):
            window = padded[:, :, i : i + h, j : j + w]
            acc += np.einsum("oc,nchw->nohw", weight[:, :, i, j], window)
    return acc


def requantize(acc, m, s, levels):
    """clip(round half to even of acc m / 2^s), all integers."""
    product = acc * m
    quotient, rest = product >> s, product & ((1 << s) - 1)
    twice = 2 * rest
    up = (twice > (1 << s)) | ((twice == (1 << s)) & (quotient % 2 == 1))
    return np.clip(quotient + up, levels["a"], levels["b"])


def max_pool(x):
    h, w = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    return np.maximum.reduce([x[:, :, i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)])


def execute(model, codes):
    """The trace of input codes: {layer name: codes, or the logits}."""
    description, tensors = model
    x, trace = codes.astype(np.int64), {"input": codes.astype(np.int64)}
    for layer in description["layers"]:
        part = lambda what: tensors[f"{layer['name']}.{what}"]
        if layer["op"] == "conv":
            acc = convolve(x, part("weight"))
        else:
            flat = x.reshape(len(x), -1)
            acc = (flat @ part("weight").T)[:, :, None, None]
        acc = acc + part("bias")[None, :, None, None]
        if layer["output_quantizer"] is None:
            trace[layer["name"]] = acc[:, :, 0, 0]
            return trace
        m, s = (part(what)[None, :, None, None] for what in "ms")
        x = requantize(acc, m, s, layer["output_quantizer"])
        if layer.get("pool"):
            x = max_pool(x)
        trace[layer["name"]] = x
    raise ValueError("the model does not end in logits")


def compare(model_path, trace_path):
    _, found = read(trace_path)
    want = execute(read_model(model_path), found["input"])
    if sorted(want) != sorted(found):
        print(f"{trace_path}: tensors {sorted(found)}, want {sorted(want)}")
        sys.exit(4)
    for name, values in want.items():
        got = found[name]
        if got.shape != values.shape:
            print(f"{trace_path}: {name}: shape {got.shape}, want {values.shape}")
            sys.exit(4)
        if not np.array_equal(got, values):
            at = tuple(np.argwhere(got != values)[0].tolist())
            print(f"{trace_path}: {name}{at}: got {got[at]}, want {values[at]}")
            sys.exit(4)
    return len(want)


def compare_all(folder):
    models = sorted(folder.glob("*.model.safetensors"))
    equal = sum(compare(model, str(model).replace(".model.", ".trace.")) for model in models)
    print(f"{len(models)} models, {equal} tensors equal")


SMALL = (3, 7, 6), [("conv", 5, False), ("conv", 17, True), ("dense", 6, None), ("dense", 4, None)]
# Of the multipliers of every second channel of the first layers of MANY_TILES.
POWERS = [1, 1, 15, 15], [2, 0, 8], [4, 12], [4, 3, 12, 10], [1, 7]
# Multipliers' powers and shifts of its dense layer's last channels, which are constant: half a code, and one lower bit decides.
HALVES = [(15, 35, 0), (15, 36, 16), (15, 31, 0), (15, 27, 0), (0, 16, 0), (0, 14, 0), (0, 12, 0), (0, 9, 0)]
# And that are beyond the greatest code by one bit far up, of the shift's first and second step.
HALVES += [(0, 3, 12), (0, 7, 16), (0, 11, 20), (6, 7, 17), (10, 11, 13)]
MANY_TILES = (
    (3, 7, 6),
    [
        ("conv", 9, False),
        ("conv", 6, False),  # in stripes, with a border below
        ("conv", 5, True),
        ("dense", 9 + len(HALVES), None),
        ("dense", 5, None),
        ("dense", 41, None),
    ],
)


def random_model(rng, w, a, pow2, network=SMALL):
    """A network: shapes that are multiples of nothing, sums spread over the output codes."""
    (c, h, cols), plan = network
    layers, tensors = [], {}
    greatest = 2 ** (a - 1)  # magnitude of an input code
    for i, (op, co, pool) in enumerate(plan):
        name, last = f"{op}{i}", i + 1 == len(plan)
        shape = (co, c, 3, 3) if op == "conv" else (co, c * h * cols)
        weight = rng.integers(-(2 ** (w - 1)), 2 ** (w - 1), shape)
        terms = int(np.prod(shape[1:]))
        spread = w + a - 2 + int(np.log2(terms)) // 2
        bias = rng.integers(-(2**spread), 2**spread + 1, co)
        shift = np.full(co, max(spread - a, 0))
        if network is MANY_TILES:  # every second channel has small sums: halves between two codes are not rare
            for first, less in ((1, 6), (3, 3)):
                weight[first::4] >>= less
                bias[first::4] >>= less
                shift[first::4] -= less
        constant = network is MANY_TILES and i == 3
        if constant:
            factor, places, low = np.array(HALVES).T
            weight[9:], bias[9:] = 0, 2 ** (places - factor - 1) + 2**low
        tensors |= {f"{name}.weight": weight, f"{name}.bias": bias}
        bound = int((np.abs(weight).reshape(co, -1).sum(1) * greatest + np.abs(bias)).max())
        steps = [0.0625]
        if not last:
            m = np.ones(co, np.int64) if pow2 else rng.integers(2**15, 2**16, co)
            s = shift if pow2 else shift + 16
            if network is MANY_TILES:  # of them with shifts of all lengths, so that bits far down decide
                power = np.array(POWERS[i])
                m[1:9:2] = 2**power
                s[1:9:2] -= 15 - power
            if constant:
                m[9:], s[9:] = 2**factor, places
            tensors |= {f"{name}.m": m, f"{name}.s": s}
            steps = (m / 2**s).tolist()  # inputs and outputs have one step
        layers.append(
            {
                "name": name,
                "op": op,
                "co": co,
                "weight_bits": w,
                "weight_levels": {"a": -(2 ** (w - 1)), "b": 2 ** (w - 1) - 1},
                "weight_steps": steps,
                "accumulator_bits": bound.bit_length() + 1,
                "output_quantizer": None if last else {"step": 0.0625, "a": 0, "b": 2**a - 1},
                "multipliers": 0 if last else co,
            }
            | ({"pool": pool} if op == "conv" else {})
        )
        greatest = 2**a - 1
        c, h, cols = (co, h // 2, cols // 2) if pool else (co, h, cols) if op == "conv" else (co, 1, 1)
    description = {
        "format": "vgg2rtl-int",
        "version": 1,
        "name": f"numpy w{w} a{a} {'pow2' if pow2 else 'scale'}",
        "input": dict(zip("chw", network[0])),
        "preprocessing": {"fit": "pad", "colour": "rgb", "scale": 1.0, "mean": [0.0] * 3, "std": [1.0] * 3},
        "classes": [],
        "input_quantizer": {"step": 0.0625, "a": -(2 ** (a - 1)), "b": 2 ** (a - 1) - 1},
        "layers": layers,
    }
    return description, tensors


def fixtures(folder):
    rng = np.random.default_rng(20)
    folder.mkdir(parents=True, exist_ok=True)
    for w, a in [(2, 2), (3, 3), (4, 4), (5, 5), (8, 8), (12, 12), (16, 16), (2, 8), (8, 3), (4, 12)]:
        for pow2 in (False, True):
            model = random_model(rng, w, a, pow2)
            codes = rng.integers(-(2 ** (a - 1)), 2 ** (a - 1), (2, 3, 7, 6))
            stem = f"w{w}a{a}-{'pow2' if pow2 else 'scale'}"
            write(folder / f"{stem}.model.safetensors", model[1], {"vgg2rtl": json.dumps(model[0])})
            write(folder / f"{stem}.trace.safetensors", execute(model, codes), {})


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["compare", folder]:
            compare_all(Path(folder))
        case ["fixtures", folder]:
            fixtures(Path(folder))
        case ["model", file]:
            description, tensors = random_model(np.random.default_rng(20), 8, 8, False, MANY_TILES)
            write(Path(file), tensors, {"vgg2rtl": json.dumps(description)})
        case _:
            sys.exit(__doc__)
