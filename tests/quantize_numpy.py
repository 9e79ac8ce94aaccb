#!/usr/bin/env python3
"""Checks the integers of `vgg2rtl quantize` against numpy, from the formulas alone.

    python3 tests/quantize_numpy.py FLOAT.safetensors INT.safetensors

INT must come from FLOAT with --rounding nearest --equalise off --bias-correction off. Weights, biases and multipliers are
recomputed with numpy from the float model and the steps and levels in INT; every integer must be equal. Needs numpy only.
"""

import json
import math
import sys

import numpy as np

from golden_numpy import read_model


def read(path):
    """Description and tensors of a float model file."""
    raw = open(path, "rb").read()
    size = int.from_bytes(raw[:8], "little")
    head, data = json.loads(raw[8 : 8 + size]), raw[8 + size :]
    description = json.loads(head.pop("__metadata__")["vgg2rtl"])
    part = lambda t: np.frombuffer(data[slice(*t["data_offsets"])], "<f4").reshape(t["shape"])
    return description, {name: part(t) for name, t in head.items()}


def column(steps, rank):
    """Steps as f32, along the first of `rank` axes."""
    return np.array(steps, np.float32).reshape(-1, *[1] * (rank - 1))


def check_multipliers(name, ratios, m, s):
    """Each m / 2^s is the nearest fraction to its ratio with m < 2^16 and s < 48; exact powers of two may have m = 1."""
    assert len(m) == len(ratios), f"{name}: {len(m)} multipliers for {len(ratios)} steps"
    for ratio, m, s in zip(ratios, m.tolist(), s.tolist()):
        if m == 1:
            assert ratio == math.ldexp(1, -s), f"{name}: 2^-{s} for {ratio}"
            continue
        assert 1 <= m < 2**16 and 0 <= s < 48, f"{name}: {m} / 2^{s}"
        assert m == np.rint(ratio * 2.0**s), f"{name}: {m} / 2^{s} for {ratio}"
        assert s == 47 or np.rint(ratio * 2.0 ** (s + 1)) >= 2**16, f"{name}: {m} wastes bits"


def folded(layer, floats):
    """Weights and biases of a float layer with its batch norm folded in, in f64 until the end."""
    part = lambda kind: floats[f"{layer['name']}.{kind}"].astype(np.float64)
    w, b = part("weight"), part("bias")
    if (eps := layer.get("batch_norm_eps")) is not None:
        k = part("gamma") / np.sqrt(part("var") + np.float64(np.float32(eps)))
        w, b = w * k.reshape(-1, *[1] * (w.ndim - 1)), (b - part("mean")) * k + part("beta")
    return w.astype(np.float32), b.astype(np.float32)


def main(float_path, int_path):
    (float_head, floats), (head, ints) = read(float_path), read_model(int_path)
    x = head["input_quantizer"]
    for float_layer, layer in zip(float_head["layers"], head["layers"], strict=True):
        name, steps, levels = layer["name"], layer["weight_steps"], layer["weight_levels"]
        w, b = folded(float_layer, floats)

        want = np.clip(np.rint(w / column(steps, w.ndim)), levels["a"], levels["b"])
        assert (ints[f"{name}.weight"] == want).all(), f"{name}: weights differ"

        products = column(steps, 1).astype(np.float64) * np.float64(np.float32(x["step"]))
        assert (ints[f"{name}.bias"] == np.rint(b.astype(np.float64) / products)).all(), f"{name}: biases differ"

        y = layer["output_quantizer"]
        if y is not None:
            ratios = products / np.float64(np.float32(y["step"]))
            check_multipliers(name, ratios, ints[f"{name}.m"], ints[f"{name}.s"])
            x = y
    print(f"{len(head['layers'])} layers equal")


if __name__ == "__main__":
    main(*sys.argv[1:])
