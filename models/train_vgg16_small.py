#!/usr/bin/env python3
"""Trains the small VGG16 of this folder and writes it with its test images.

The full VGG16 topology (13 convolutions, 5 pools, 3 dense layers) at 1/8 width for 1×32×32 inputs, trained on
Fashion-MNIST (28×28 centred on 32×32) with batch norm, which is folded before writing.

    pip install torch numpy safetensors
    apt-get install dataset-fashion-mnist
    python models/train_vgg16_small.py [--epochs 14]

Training needs about ten minutes of one core. Seeded, yet torch's kernels differ between machines: expect the
accuracy, not the bits.
"""

import argparse
import gzip
import json
import struct
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent
CLASSES = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
STAGES = [(2, 8), (2, 16), (3, 32), (3, 64), (3, 64)]  # (convolutions, channels), a pool after each
DENSE = [64, 64, 10]
TEST_IMAGES = 256  # committed beside the model


def read_idx(path):
    """The array of a gzip IDX file of bytes."""
    raw = gzip.open(path).read()
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def write_idx(path, array):
    """Writes a gzip IDX file of bytes, the same bytes every time."""
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes(), mtime=0))


def to_input(images):
    """(n, 28, 28) bytes to (n, 1, 32, 32) in 0 … 1."""
    return F.pad(torch.from_numpy(images.copy())[:, None].float() / 255, (2, 2, 2, 2))


def build():
    """Convolution, batch norm, ReLU thirteen times; dense, batch norm, ReLU twice; dense."""
    layers, ci = [], 1
    for count, co in STAGES:
        for _ in range(count):
            layers += [nn.Conv2d(ci, co, 3, padding=1), nn.BatchNorm2d(co), nn.ReLU()]
            ci = co
        layers += [nn.MaxPool2d(2)]
    layers += [nn.Flatten()]
    for co in DENSE[:-1]:
        layers += [nn.Linear(ci, co), nn.BatchNorm1d(co), nn.ReLU()]
        ci = co
    return nn.Sequential(*layers, nn.Linear(ci, DENSE[-1]))


def augment(x):
    """Random shift by up to two pixels and horizontal flip, image by image."""
    n = len(x)
    shift = torch.randint(-2, 3, (2, n, 1))
    at = torch.arange(32)
    rows = (at + shift[0]) % 32  # the border of two zeros wraps onto zeros
    cols = (at + shift[1]) % 32
    cols = torch.where(torch.rand(n, 1) < 0.5, 31 - cols, cols)
    return x[torch.arange(n)[:, None, None], 0, rows[:, :, None], cols[:, None, :]][:, None]


def accuracy(model, x, y):
    """Share of right arg-maxes, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        right = sum((model(x[i : i + 500]).argmax(1) == y[i : i + 500]).sum().item() for i in range(0, len(x), 500))
    model.train()
    return right / len(x)


def train(model, x, y, x_test, y_test, epochs, batch):
    """SGD with Nesterov momentum under a one-cycle schedule."""
    steps = epochs * (len(x) // batch)
    optimizer = torch.optim.SGD(model.parameters(), 0.08, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.08, total_steps=steps, pct_start=0.25)
    start = time.time()
    for epoch in range(epochs):
        loss_sum = 0.0
        for part in torch.randperm(len(x)).split(batch)[: len(x) // batch]:
            loss = F.cross_entropy(model(augment(x[part])), y[part], label_smoothing=0.05)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            loss_sum += loss.item()
        mean = loss_sum / (len(x) // batch)
        held_out = accuracy(model, x_test, y_test)
        print(f"epoch {epoch + 1}: loss {mean:.4f} test {held_out:.4f} {time.time() - start:.0f} s", flush=True)


def folded(layer, norm):
    """Weight and bias with the batch norm folded in, in f64 until the end."""
    w, b = layer.weight.detach().double(), layer.bias.detach().double()
    if norm is not None:
        k = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
        w = w * k.reshape(-1, *[1] * (w.ndim - 1))
        b = (b - norm.running_mean.double()) * k + norm.bias.detach().double()
    return w.float().numpy(), b.float().numpy()


def export(model, path):
    """Writes the float model format of docs/model-format.md."""
    modules = list(model)
    described, tensors = [], {}
    stage = 1, 0
    for i, module in enumerate(modules):
        if isinstance(module, nn.MaxPool2d):
            stage = stage[0] + 1, 0
            described[-1]["pool"] = True
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        norm = modules[i + 1] if i + 1 < len(modules) else None
        if isinstance(module, nn.Conv2d):
            stage = stage[0], stage[1] + 1
            name, op = f"conv{stage[0]}_{stage[1]}", {"op": "conv", "pool": False}
        else:
            name, op = f"fc{6 + sum(d['op'] == 'dense' for d in described)}", {"op": "dense"}
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = folded(module, norm)
        described.append({"name": name, **op, "co": len(module.bias)})
    header = {
        "format": "vgg2rtl-float",
        "version": 1,
        "name": "vgg16-small-fashion",
        "input": {"c": 1, "h": 32, "w": 32},
        "preprocessing": {"fit": "pad", "colour": "grey", "scale": 1 / 255, "mean": [0.0], "std": [1.0]},
        "classes": CLASSES,
        "layers": described,
    }
    tensors = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    save_file(tensors, path, metadata={"vgg2rtl": json.dumps(header, ensure_ascii=False)})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(args.threads)

    part = lambda name: (read_idx(args.data / f"{name}-images-idx3-ubyte.gz"), read_idx(args.data / f"{name}-labels-idx1-ubyte.gz"))
    (images, labels), (test_images, test_labels) = part("train"), part("t10k")
    x_test, y_test = to_input(test_images), torch.from_numpy(test_labels.astype(np.int64))
    model = build().to(memory_format=torch.channels_last)
    train(model, to_input(images), torch.from_numpy(labels.astype(np.int64)), x_test, y_test, args.epochs, args.batch)

    print(f"test accuracy {accuracy(model, x_test, y_test):.4f}")
    export(model, args.out / "vgg16-small-fashion.safetensors")
    write_idx(args.out / "fashion-test-256-images-idx3-ubyte.gz", test_images[:TEST_IMAGES])
    write_idx(args.out / "fashion-test-256-labels-idx1-ubyte.gz", test_labels[:TEST_IMAGES])


if __name__ == "__main__":
    main()
