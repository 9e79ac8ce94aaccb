"""Computes a network that `vgg2rtl export --torch` wrote, an integer one bit by bit.

    net = load("model.pth")
    logits = net(x)          # x: preprocessed images (n, channels, rows, columns)

An integer network gives the golden model's integers; times `net.unit` they are real logits. A float network gives
real logits and can be trained: its modules have torchvision's names, its steps are `step_size`.
"""

import json

import torch
from torch import nn
from torch.nn import functional as F


def load(path):
    file = torch.load(path, map_location="cpu", weights_only=True)
    description = json.loads(file["vgg2rtl"])
    kind = Integer if description["integers"] else Float
    return kind(description, file["state_dict"])


def modules(layers):
    """torchvision's name of each layer, and where its ReLU and pool stand."""
    features = classifier = 0
    for layer in layers:
        if layer["op"] == "conv":
            yield f"features.{features}"
            features += 3 if layer["pool"] else 2
        else:
            yield f"classifier.{classifier}"
            classifier += 3


class Float(nn.Module):
    def __init__(self, description, state):
        super().__init__()
        self.layers = description["layers"]
        self.names = list(modules(self.layers))
        self.steps = {}
        self.weights = nn.ParameterDict()
        for name in self.names:
            for part in ("weight", "bias"):
                self.weights[f"{name}.{part}".replace(".", "/")] = nn.Parameter(state[f"{name}.{part}"])
            if f"{name}.step_size" in state:
                self.steps[name] = [state[f"{name}.{part}"] for part in ("step_size", "a", "b")]

    def weight(self, name):
        """What the codes stand for, where the layer has codes."""
        weight = self.weights[f"{name}.weight".replace(".", "/")]
        if name not in self.steps:
            return weight
        step, a, b = self.steps[name]
        step = step.reshape(-1, *[1] * (weight.dim() - 1))
        return weight + ((weight / step).clamp(a, b).round() * step - weight).detach()

    def forward(self, x):
        for i, (layer, name) in enumerate(zip(self.layers, self.names)):
            weight, bias = self.weight(name), self.weights[f"{name}.bias".replace(".", "/")]
            x = F.conv2d(x, weight, bias, padding=1) if layer["op"] == "conv" else F.linear(x.flatten(1), weight, bias)
            x = x if i + 1 == len(self.layers) else x.clamp(0, layer.get("saturation"))
            x = F.max_pool2d(x, 2) if layer.get("pool") else x
        return x.flatten(1)


class Integer(nn.Module):
    """Sums are exact in float64: an accumulator has at most 48 bits."""

    def __init__(self, description, state):
        super().__init__()
        self.layers = description["layers"]
        self.names = list(modules(self.layers))
        self.state = state
        last = len(self.names) - 1
        step = state["input_step"] if last == 0 else state[f"{self.names[last - 1]}.output_step"]
        self.unit = (step.double() * state[f"{self.names[last]}.weight_step"][0].double()).item()

    def forward(self, x):
        a, b = self.state["input_levels"].tolist()
        codes = (x / self.state["input_step"]).clamp(a, b).round().double()
        for i, (layer, name) in enumerate(zip(self.layers, self.names)):
            weight, bias = (self.state[f"{name}.{part}"].double() for part in ("weight", "bias"))
            conv = layer["op"] == "conv"
            sums = F.conv2d(codes, weight, bias, padding=1) if conv else F.linear(codes.flatten(1), weight, bias)
            if i + 1 == len(self.layers):
                return sums.flatten(1).long()
            codes = self.requantized(sums.long(), name).double()
            codes = F.max_pool2d(codes, 2) if layer.get("pool") else codes

    def requantized(self, sums, name):
        """clip(round(sums · m / 2^s)), ties to even."""
        m, s = (self.state[f"{name}.{part}"].long().reshape(-1, *[1] * (sums.dim() - 2)) for part in ("m", "s"))
        a, b = self.state[f"{name}.output_levels"].tolist()
        product = sums * m
        whole = product >> s
        rest, half = product - (whole << s), (1 << s) // 2
        up = (rest > half) | ((rest == half) & (whole % 2 == 1))
        return (whole + (up & (s > 0))).clamp(a, b)
