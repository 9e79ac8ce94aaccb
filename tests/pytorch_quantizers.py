"""Writes tests/fixtures/quantizers.json: PyTorch's outputs and gradients of the three quantizers.

The quantizers are written with autograd only (clamp, round with a detached residue), so that the gradients
are PyTorch's and not a formula copied from the code under test. Run: python tests/pytorch_quantizers.py
"""

import json
from pathlib import Path

import torch


def pass_through(f, x):
    return x + (f(x) - x).detach()


def scale_gradient(x, scale):
    return x * scale + (x - x * scale).detach()


def quantize(x, step, a, b):
    return pass_through(torch.round, (x / step).clamp(a, b)) * step


def steps(learn, parameter, b, count):
    if learn == "plain":
        return parameter.detach() + 0 * parameter
    if learn == "lsq":
        return scale_gradient(parameter, (count * max(b, 1)) ** -0.5)
    return 2 ** pass_through(torch.ceil, parameter)


def case(learn, a, b, shape, per_channel):
    x = torch.randn(shape)
    n = shape[0] if per_channel else 1
    step = (torch.rand(n) + 0.5) * 2 * x.abs().mean() / b**0.5
    parameter = (step.log2() if learn == "tqt" else step).requires_grad_()
    x.requires_grad_()
    count = x.numel() // n
    s = steps(learn, parameter, b, count).reshape([n] + [1] * (len(shape) - 1))
    y = quantize(x, s, a, b)
    gradient = torch.randn(shape)
    y.backward(gradient)
    flat = lambda t: t.detach().flatten().tolist()
    return dict(
        learn=learn, a=a, b=b, shape=shape, count=count, x=flat(x), parameter=flat(parameter),
        gradient=flat(gradient), y=flat(y), x_gradient=flat(x.grad), parameter_gradient=flat(parameter.grad),
    )


torch.manual_seed(1)
cases = [
    case(learn, a, b, shape, per_channel)
    for learn in ("plain", "lsq", "tqt")
    for (a, b), shape, per_channel in [
        ((-2, 1), [4, 3, 3, 2], False),
        ((-8, 7), [4, 3, 3, 2], True),
        ((0, 15), [2, 4, 4, 3], False),
        ((-128, 127), [5, 20], True),
        ((-5, 3), [6, 10], False),
    ]
]
path = Path(__file__).parent / "fixtures" / "quantizers.json"
path.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
