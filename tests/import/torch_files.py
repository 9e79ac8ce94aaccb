"""Makes torchvision-style state dicts and ONNX files of random VGGs, with the logits that PyTorch and ONNX Runtime give.

    python torch_files.py FOLDER [--small]

writes NAME.{pth,safetensors,onnx} and NAME.case.safetensors (images x, logits y, and in its metadata the options
that `vgg2rtl import` needs). Needs torch, safetensors, onnx and onnxruntime. With --small only the cases that are
committed as tests/data/import.
"""

import inspect
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file
from torch import nn

# Newer PyTorch has two exporters.
LEGACY_EXPORTER = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
STAGES = {11: [1, 1, 2, 2, 2], 13: [2, 2, 2, 2, 2], 16: [2, 2, 3, 3, 3], 19: [2, 2, 4, 4, 4]}


class Vgg(nn.Module):
    """torchvision.models.VGG, of any width: the same module names and shapes."""

    def __init__(self, depth, bn, width, hidden, classes, pooled):
        super().__init__()
        layers, ci = [], 3
        for stage, count in enumerate(STAGES[depth]):
            for _ in range(count):
                co = width * min(1 << stage, 8)
                layers.append(nn.Conv2d(ci, co, 3, padding=1))
                layers += [nn.BatchNorm2d(co)] if bn else []
                layers.append(nn.ReLU(True))
                ci = co
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7) if pooled else nn.Identity()
        self.classifier = nn.Sequential(
            nn.Linear(ci * (49 if pooled else 1), hidden), nn.ReLU(True), nn.Dropout(),
            nn.Linear(hidden, hidden), nn.ReLU(True), nn.Dropout(), nn.Linear(hidden, classes))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
            if isinstance(m, nn.BatchNorm2d):
                nn.init.uniform_(m.weight, 0.5, 1.5)
                nn.init.normal_(m.bias, std=0.2)
                m.running_mean.normal_(std=0.3)
                m.running_var.uniform_(0.5, 2.0)

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def case(folder, name, x, y, options):
    metadata = {"options": json.dumps(options)}
    save_numpy({"x": np.ascontiguousarray(x), "y": np.ascontiguousarray(y)}, folder / f"{name}.case.safetensors", metadata)


def torch_case(folder, name, size, suffix, **kind):
    model = Vgg(**kind).eval()
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        y = model(x)
    if suffix == "pth":
        torch.save(model.state_dict(), folder / f"{name}.pth")
    elif suffix == "safetensors":
        save_file(model.state_dict(), folder / f"{name}.safetensors")
    else:
        torch.onnx.export(model, (x[:1],), folder / f"{name}.onnx", input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n"}}, opset_version=13, **LEGACY_EXPORTER)
    case(folder, f"{name}.{suffix}", x.numpy(), y.numpy(), {"input": [3, *size]})


def keras_case(folder, name, rng, size=(21, 18)):
    """As tf2onnx writes a Keras VGG: channels last, computed flatten, batch norm behind the ReLU of dense layers."""
    weights, nodes = [], []

    def const(name, array):
        weights.append(numpy_helper.from_array(array, name))
        return name

    def node(op, inputs, **attributes):
        out = f"v{len(nodes)}"
        nodes.append(helper.make_node(op, inputs, [out], name=f"net/{op}_{len(nodes)}", **attributes))
        return out

    f = lambda *shape: rng.normal(size=shape).astype(np.float32)
    v, ci = node("Transpose", ["x"], perm=[0, 3, 1, 2]), 3
    for i, (co, pool) in enumerate([(4, False), (6, True), (5, True)]):
        v = node("Conv", [v, const(f"w{i}", f(co, ci, 3, 3) / 3), const(f"b{i}", f(co))],
                 kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1], dilations=[1, 1], group=1)
        if i == 2:  # batch norm before the ReLU, in the form that a BatchNormalization node takes
            v = node("BatchNormalization", [v, *(const(f"bn{p}", np.abs(f(co)) + 0.5 if p == "v" else f(co)) for p in "gbmv")])
        v = node("Relu", [v])
        v, ci = node("MaxPool", [v], kernel_shape=[2, 2], strides=[2, 2]) if pool else v, co
    shape = node("Shape", [v])
    shape = node("Gather", [shape, const("order", np.array([0, 2, 3, 1]))])
    shape = node("Cast", [shape], to=TensorProto.INT32)
    one = lambda n, k: const(n, np.array([k]))
    shape = node("Slice", [shape, one("start", 0), one("end", 1), one("axis", 0)])
    shape = node("Concat", [shape, const("rest", np.array([-1], np.int32))], axis=0)
    shape = node("Cast", [shape], to=TensorProto.INT64)
    v = node("Reshape", [node("Transpose", [v], perm=[0, 2, 3, 1]), shape])
    k = ci * (size[0] // 4) * (size[1] // 4)
    for i, co in enumerate([9, 7, 4]):
        v = node("MatMul", [v, const(f"d{i}", f(k, co) / np.sqrt(k, dtype=np.float32))])
        v = node("Add", [v, const(f"e{i}", f(co))])
        if i < 2:
            v = node("Relu", [v])
            v = node("Mul", [v, const(f"m{i}", f(co) * 5)])
            v = node("Add", [v, const(f"s{i}", f(co))])
        k = co
    logits = v
    v = node("Softmax", [v], axis=1)
    info = lambda n, s: helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
    inputs = [info("x", ["n", *size, 3])]
    graph = helper.make_graph(nodes, "keras", inputs, [info(v, ["n", 4])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="tf2onnx")
    model.ir_version = 8
    onnx.checker.check_model(model)
    onnx.save(model, folder / f"{name}.onnx")
    model.graph.output.append(info(logits, ["n", 4]))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = f(3, *size, 3)
    y = session.run([logits], {"x": x})[0]
    case(folder, f"{name}.onnx", x.transpose(0, 3, 1, 2), y, {})


def main():
    folder, small = Path(sys.argv[1]), "--small" in sys.argv
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    tiny = dict(width=2, hidden=6, classes=5)
    torch_case(folder, "vgg11_bn", (70, 36), "pth", depth=11, bn=True, pooled=True, **tiny)
    torch_case(folder, "vgg16", (32, 32), "safetensors", depth=16, bn=False, pooled=False, **tiny)
    torch_case(folder, "vgg13", (224, 224) if not small else (32, 32), "onnx", depth=13, bn=True, pooled=not small, **tiny)
    keras_case(folder, "keras", np.random.default_rng(1))
    if small:
        return
    tiny = dict(width=4, hidden=12, classes=7)
    for depth in STAGES:
        for bn in (False, True):
            name = f"vgg{depth}" + "_bn" * bn
            for suffix in ("pth", "safetensors"):
                torch_case(folder, f"more_{name}_{suffix}", (64, 96), suffix, depth=depth, bn=bn, pooled=True, **tiny)


main()
