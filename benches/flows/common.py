"""The job of all flows here: the repository's small VGG16 to 8 bits, then to hardware. Its network in PyTorch, its pictures."""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

MODELS = Path(__file__).resolve().parents[2] / "models"
CALIBRATION = 64  # of the 256 pictures, as many as vgg2rtl's command takes


def network():
    """The float network, batch norm and all."""
    data = (MODELS / "vgg16-small-fashion.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    head, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    description = json.loads(head.pop("__metadata__")["vgg2rtl"])
    tensors = {
        name: torch.from_numpy(np.frombuffer(body[slice(*t["data_offsets"])], np.float32).reshape(t["shape"]).copy())
        for name, t in head.items()
    }
    channels, rows, columns = (description["input"][key] for key in "chw")
    layers = []
    for number, layer in enumerate(description["layers"]):
        name, outputs, conv = layer["name"], layer["co"], layer["op"] == "conv"
        if not conv and all(isinstance(m, (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d)) for m in layers):
            layers.append(nn.Flatten())
            channels *= rows * columns
        product = nn.Conv2d(channels, outputs, 3, padding=1) if conv else nn.Linear(channels, outputs)
        product.weight.data = tensors[f"{name}.weight"].reshape(product.weight.shape)
        product.bias.data = tensors[f"{name}.bias"]
        layers.append(product)
        if "batch_norm_eps" in layer:
            norm = (nn.BatchNorm2d if conv else nn.BatchNorm1d)(outputs, eps=layer["batch_norm_eps"])
            norm.weight.data, norm.bias.data = tensors[f"{name}.gamma"], tensors[f"{name}.beta"]
            norm.running_mean, norm.running_var = tensors[f"{name}.mean"], tensors[f"{name}.var"]
            layers.append(norm)
        if number + 1 < len(description["layers"]):
            layers.append(nn.ReLU())
        if layer.get("pool"):
            layers.append(nn.MaxPool2d(2))
            rows, columns = rows // 2, columns // 2
        channels = outputs
    return nn.Sequential(*layers).eval()


def pictures():
    """256 pictures as the network reads them, padded to 32×32, and their labels."""
    idx = lambda name, at: np.frombuffer(gzip.decompress((MODELS / f"fashion-test-256-{name}-ubyte.gz").read_bytes())[at:], np.uint8)
    bytes_ = np.pad(idx("images-idx3", 16).reshape(-1, 1, 28, 28), ((0, 0), (0, 0), (2, 2), (2, 2)))
    return torch.from_numpy((bytes_ / 255 - 0.5) / 0.5).float(), torch.from_numpy(idx("labels-idx1", 8).astype(np.int64))


def right(logits):
    """Of 256 pictures."""
    return int((torch.as_tensor(np.asarray(logits)).argmax(1) == pictures()[1]).sum())


def lines():
    """Lines of code of the script that runs, without what only reports."""
    text = Path(sys.argv[0]).read_text().split("# report")[0].split('"""', 2)[2]
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))
