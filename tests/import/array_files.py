"""Makes small files of weights in numpy's and Caffe's formats, with the logits that numpy computes.

    python array_files.py FOLDER

writes FOLDER/NAME and FOLDER/NAME.case.safetensors as zoo.py does. Needs numpy and safetensors. Caffe's messages are
written by hand, after the field numbers of its caffe.proto.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

FOLDER = Path(sys.argv[1])
RANDOM = np.random.default_rng(3)
CFG = [4, "M", 6, 8, "M"]
HEAD = [9, 7, 5]
SIDE = 12


def network():
    """Names and weights as PyTorch orders them: (outputs, inputs, 3, 3), (outputs, inputs)."""
    layers, ci, stage, place = [], 3, 1, 0
    for step in CFG:
        if step == "M":
            stage, place = stage + 1, 0
            continue
        place += 1
        layers.append((f"conv{stage}_{place}", random(step, ci, 3, 3), random(step)))
        ci = step
    inputs = ci * (SIDE // 4) ** 2
    for i, co in enumerate(HEAD):
        layers.append((f"fc{6 + i}", random(co, inputs), random(co)))
        inputs = co
    return layers


def random(*shape):
    return RANDOM.normal(0, 0.3, shape).astype("float32")


def logits(layers, x, channels_last):
    """In double precision; `channels_last` is how the first dense layer reads the map."""
    x, layers, flat = x.astype("float64"), iter(layers), False
    for step in CFG:
        if step == "M":
            n, c, h, w = x.shape
            x = x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))
            continue
        _, weight, bias = next(layers)
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
        x = np.maximum(np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None], 0)
    x = (x.transpose(0, 2, 3, 1) if channels_last else x).reshape(len(x), -1)
    dense = list(layers)
    for i, (_, weight, bias) in enumerate(dense):
        x = x @ weight.T.astype("float64") + bias
        x = x if i + 1 == len(dense) else np.maximum(x, 0)
    return x.astype("float32")


def case(name, layers, channels_last, **options):
    x = RANDOM.normal(0, 1, (3, 3, SIDE, SIDE)).astype("float32")
    tensors = {"x": x, "y": logits(layers, x, channels_last)}
    save_file(tensors, FOLDER / f"{name}.case.safetensors", {"options": json.dumps(options)})


def outputs_last(weight):
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T)


def message(*fields):
    """A protobuf message of (number, value): int, float, text, message bytes or a packed array of float32."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        elif isinstance(value, float):
            out += varint(number << 3 | 5) + struct.pack("<f", value)
        else:
            data = value.encode() if isinstance(value, str) else value.astype("<f4").tobytes() if isinstance(value, np.ndarray) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def varint(value):
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def caffe(layers, version):
    """V1LayerParameter is field 2 and numbers its types; LayerParameter is field 100 and names them."""
    first = version == 1
    types = {"Convolution": 4, "ReLU": 18, "Pooling": 17, "InnerProduct": 14, "Dropout": 6, "Softmax": 20}
    fields = [(1, "VGG"), (3, "data")] + [(4, d) for d in (10, 3, SIDE, SIDE)]
    value = "data"

    def blob(array):
        if first:
            sizes = (1,) * (4 - array.ndim) + array.shape
            return message(*zip((1, 2, 3, 4), sizes), (5, array.ravel()))
        return message((5, array.ravel()), (7, message((1, b"".join(varint(d) for d in array.shape)))))

    def layer(kind, name, top, blobs=(), parameter=None):
        nonlocal value
        weights = [(6 if first else 7, blob(b)) for b in blobs]
        head = [(2, value), (3, top), (4, name), (5, types[kind])] if first else [(1, name), (2, kind), (3, value), (4, top)]
        fields.append((2 if first else 100, message(*head, *weights, *([parameter] if parameter else []))))
        value = top

    convolution, pooling = (10, 19) if first else (106, 121)
    remaining = iter(layers)
    for i, step in enumerate(CFG):
        if step == "M":
            layer("Pooling", f"pool{i}", f"pool{i}", parameter=(pooling, message((1, 0), (2, 2), (3, 2))))
            continue
        name, weight, bias = next(remaining)
        layer("Convolution", name, name, (weight, bias), (convolution, message((1, step), (3, 1), (4, 3))))
        layer("ReLU", f"relu_{name}", name)
    dense = list(remaining)
    for i, (name, weight, bias) in enumerate(dense):
        layer("InnerProduct", name, name, (weight, bias), (17 if first else 117, message((1, len(bias)))))
        if i + 1 < len(dense):
            layer("ReLU", f"relu_{name}", name)
            layer("Dropout", f"drop_{name}", name)
    layer("Softmax", "prob", "prob")
    return message(*fields)


def main():
    FOLDER.mkdir(exist_ok=True)
    options = {"cfg": [None if c == "M" else c for c in CFG], "input": [3, SIDE, SIDE]}
    layers = network()
    named = {f"{name}_W": outputs_last(w) for name, w, _ in layers} | {f"{name}_b": b for name, _, b in layers}
    np.savez_compressed(FOLDER / "weights.npz", **named)
    case("weights.npz", layers, True, **options)
    np.save(FOLDER / "dict.npy", {name: [outputs_last(w), b] for name, w, b in layers})
    case("dict.npy", layers, True, **options)
    np.save(FOLDER / "dicts.npy", {name: {"weights": outputs_last(w), "biases": b} for name, w, b in layers})
    case("dicts.npy", layers, True, **options)
    np.savez(FOLDER / "state_dict.npz", **{f"{n}.weight": w for n, w, _ in layers}, **{f"{n}.bias": b for n, _, b in layers})
    case("state_dict.npz", layers, False, **options)
    for version in (1, 2):
        (FOLDER / f"version{version}.caffemodel").write_bytes(caffe(layers, version))
        case(f"version{version}.caffemodel", layers, False)


main()
