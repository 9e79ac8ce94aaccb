"""The forms in which people keep a VGG: one short builder each, random weights, with the logits of their source.

    python zoo.py FOLDER [NAME…]

writes FOLDER/NAME and FOLDER/NAME.case.safetensors: images x, logits y, and in its metadata the options that the
import needs, or the words with which it must refuse. Needs torch and safetensors.
"""

import json
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file as save_numpy
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import prune, spectral_norm, weight_norm

FORMS = {}
STAGES = ((2, 4), (2, 8), (1, 8))


def form(function):
    FORMS[function.__name__] = function
    return function


class Flat(nn.Module):
    def forward(self, x):
        return torch.flatten(x, 1)


def norm(c, affine=True, eps=1e-5, kind=nn.BatchNorm2d):
    m = kind(c, affine=affine, eps=eps)
    m.running_mean.normal_(std=0.3)
    m.running_var.uniform_(0.05, 2.0)
    if affine:
        nn.init.uniform_(m.weight, 0.5, 1.5)
        nn.init.normal_(m.bias, std=0.2)
    return m


def trunk(stages=STAGES, bn=False, relu=nn.ReLU, pool=lambda: nn.MaxPool2d(2, 2), last_pool=True, conv=nn.Conv2d, dropout=False, **kind):
    layers, ci = [], 3
    for s, (count, co) in enumerate(stages):
        for i in range(count):
            layers += [conv(ci, co, 3, padding=1)] + ([norm(co, **kind)] if bn else []) + [relu()]
            layers += [nn.Dropout(0.3)] if dropout and i + 1 < count else []
            ci = co
        layers += [pool()] if last_pool or s + 1 < len(stages) else []
    return layers


def head(inputs, hidden=6, classes=5):
    return [nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(), nn.Linear(hidden, hidden + 1), nn.ReLU(), nn.Dropout(), nn.Linear(hidden + 1, classes)]


class Vgg(nn.Module):
    """torchvision's module names."""

    def __init__(self, features=None, classifier=None, pool=None):
        super().__init__()
        self.features = nn.Sequential(*(features or trunk()))
        self.avgpool = pool or nn.Identity()
        self.classifier = classifier or nn.Sequential(*head(8 * 4))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def named(pairs):
    """A network whose modules have these names; modules without weights need none."""
    net = nn.Sequential()
    for i, (name, module) in enumerate(pairs):
        net.add_module(name or f"nameless{i}", module)
    return net


def result(net, saved=None, size=(3, 16, 16), how=None, y=None, **options):
    """What a builder gives: what is saved, and how; images and logits come from `net`."""
    net.eval()
    x = torch.randn(2, *size)
    with torch.no_grad():
        y = net(x) if y is None else y
    return dict(saved=net.state_dict() if saved is None else saved, how=how or torch.save, x=x, y=y, options={"input": list(size), **options})


def renamed(state, rule):
    return OrderedDict((rule(k), v) for k, v in state.items())


legacy = lambda value, path: torch.save(value, path, _use_new_zipfile_serialization=False)
safetensors = lambda value, path: save_file({k: v.contiguous().clone() for k, v in value.items()}, path)


# --- how a file wraps its state dict


@form
def legacy_pth():
    return result(Vgg(trunk(bn=True)), how=legacy)


@form
def legacy_views_pth():
    net = Vgg()
    whole = torch.cat([p.detach().flatten() for p in net.parameters()])
    state, at = OrderedDict(), 0
    for name, p in net.named_parameters():
        state[name] = whole[at:at + p.numel()].view(p.shape)
        at += p.numel()
    return result(net, state, how=legacy)


@form
def views_pth():
    return {**legacy_views_pth(), "how": torch.save}


@form
def checkpoint_pth():
    net = Vgg(trunk(bn=True))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.randn(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    saved = {"epoch": 3, "best": torch.tensor(0.5), "optimizer": optimizer.state_dict(), "model_state": net.state_dict(), "history": [1.5, None]}
    return result(net, saved)


@form
def tuple_pth():
    net = Vgg()
    return result(net, (7, [{"network": net.state_dict()}]))


@form
def nested_legacy_pth():
    net = Vgg()
    return result(net, {"checkpoint": {"params": net.state_dict(), "lr": 0.1}}, how=legacy)


@form
def ema_pth():
    net, ema = Vgg(), Vgg()
    return result(net, {"ema": ema.state_dict(), "best_model": net.state_dict()})


@form
def key_pth():
    net, ema = Vgg(), Vgg()
    return result(ema, {"net": net.state_dict(), "teacher": {"module": ema.state_dict()}}, key="teacher.module")


@form
def parts_pth():
    net = Vgg()
    return result(net, {"backbone": net.features.state_dict(), "head": net.classifier.state_dict(), "epoch": 3})


@form
def pairs_pth():
    net = Vgg()
    return result(net, list(net.state_dict().items()))


@form
def module_pth():
    """The whole module, not its state dict: classes of torch.nn only, so that any Python could read it."""
    net = nn.Sequential(*trunk(), Flat(), *head(32))
    net.__dict__["_modules"] = OrderedDict((k, m) for k, m in net._modules.items())
    return result(net, net)


# --- how modules are called


@form
def parallel_pth():
    net = Vgg(trunk(bn=True))
    return result(net, renamed(net.state_dict(), lambda k: "module." + k))


@form
def inner_parallel_pth():
    net = Vgg()
    return result(net, renamed(net.state_dict(), lambda k: k.replace("features.", "features.module.")))


@form
def backbone_pth():
    net = Vgg()
    return result(net, renamed(net.state_dict(), lambda k: k.replace("features.", "backbone.features.")))


@form
def sequential_pth():
    return result(nn.Sequential(*trunk(bn=True), Flat(), *head(32)))


def stages(style, bn=False):
    pairs, ci, flat = [], 3, 0
    for s, (count, co) in enumerate(STAGES, 1):
        for i in range(1, count + 1):
            flat += 1
            pairs.append((style.format(s=s, i=i, flat=flat), nn.Conv2d(ci, co, 3, padding=1)))
            pairs.append((style.replace("conv", "bn").format(s=s, i=i, flat=flat), norm(co))) if bn else None
            pairs.append((None, nn.ReLU()))
            ci = co
        pairs.append((None, nn.MaxPool2d(2)))
    pairs.append((None, Flat()))
    return pairs


def dense(names, inputs=32, sizes=(6, 7, 5), bn=False):
    pairs = []
    for i, (name, co) in enumerate(zip(names, sizes)):
        last = i + 1 == len(names)
        pairs.append((name, nn.Linear(inputs, co)))
        pairs += [] if last else ([(f"bn_{name}", norm(co, kind=nn.BatchNorm1d))] if bn else []) + [(None, nn.ReLU())]
        inputs = co
    return pairs


@form
def caffe_names_safetensors():
    return result(named(stages("conv{s}_{i}") + dense(["fc6", "fc7", "fc8"])), how=safetensors)


@form
def blocks_pth():
    net = nn.Sequential()
    for s, (count, co) in enumerate(STAGES, 1):
        ci = 3 if s == 1 else STAGES[s - 2][1]
        net.add_module(f"block_{s}", nn.Sequential(*trunk([(count, co)], bn=True)[: -1 if s == 9 else None]))
        net[-1][0] = nn.Conv2d(ci, co, 3, padding=1)
    net.add_module("flat", Flat())
    net.add_module("out", nn.Linear(32, 5))
    return result(net)


@form
def layers_safetensors():
    """layerN.0, a Sequential each: the names do not tell the pools."""
    net, ci = nn.Sequential(), 3
    for n, (co, pooled) in enumerate([(4, False), (4, True), (8, False), (8, True)], 1):
        net.add_module(f"layer{n}", nn.Sequential(nn.Conv2d(ci, co, 3, padding=1), norm(co), nn.ReLU(), *([nn.MaxPool2d(2)] if pooled else [])))
        ci = co
    net.add_module("flat", Flat())
    net.add_module("fc", nn.Sequential(nn.Dropout(), nn.Linear(8 * 16, 6), nn.ReLU()))
    net.add_module("fc1", nn.Sequential(nn.Linear(6, 5)))
    return result(net, how=safetensors, pools=[2, 2])


@form
def layers_unsaid_pth():
    return {**layers_safetensors(), "how": torch.save, "options": {"refused": "the tensors do not say where the pools of 4 convolutions are"}}


@form
def flat_names_pth():
    return result(named(stages("conv{flat}", bn=True) + dense(["fc1", "fc2", "out"], bn=True)), cfg=[4, 4, None, 8, 8, None, 8, None])


@form
def feature_safetensors():
    net = Vgg(trunk(bn=True), nn.Linear(32, 5))
    return result(net, renamed(net.state_dict(), lambda k: k.replace("features", "feature")), how=safetensors)


@form
def nested_head_pth():
    classifier = head(32)
    classifier[6] = nn.Sequential(nn.Linear(7, 5))
    return result(Vgg(classifier=nn.Sequential(*classifier)))


@form
def dense_norm_pth():
    """BatchNorm1d before and behind a ReLU."""
    net = nn.Sequential(nn.Linear(32, 6), norm(6, kind=nn.BatchNorm1d), nn.ReLU(), nn.Dropout(), nn.Linear(6, 7), nn.ReLU(), norm(7, kind=nn.BatchNorm1d), nn.Linear(7, 5))
    return result(Vgg(classifier=net))


@form
def timm_safetensors():
    class Timm(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(*trunk())
            self.pre_logits = nn.Module()
            self.pre_logits.fc1 = nn.Conv2d(8, 6, 7)
            self.pre_logits.fc2 = nn.Conv2d(6, 6, 1)
            self.head = nn.Module()
            self.head.fc = nn.Linear(6, 5)

        def forward(self, x):
            x = self.pre_logits.fc1(self.features(x)).relu()
            return self.head.fc(self.pre_logits.fc2(x).relu().mean((2, 3)))

    return result(Timm(), size=(3, 56, 56), how=safetensors)


# --- what is computed


@form
def average_head_pth():
    net = Vgg(classifier=nn.Linear(8, 5), pool=nn.AdaptiveAvgPool2d(1))
    return result(net, size=(3, 40, 24))


@form
def max_head_pth():
    net = Vgg(trunk(last_pool=False), nn.Linear(8, 5), nn.AdaptiveMaxPool2d(1))
    return result(net, size=(3, 8, 8), head="max")


@form
def no_last_pool_pth():
    return result(Vgg(trunk(last_pool=False), nn.Sequential(*head(8 * 16))))


@form
def dropout_trunk_pth():
    return result(Vgg(trunk(((2, 4), (2, 4), (2, 4)), dropout=True), nn.Sequential(*head(4 * 4))), pools=[2, 2, 2])


@form
def dropout_unsaid_pth():
    return {**dropout_trunk_pth(), "options": {"refused": "the tensors do not say where the pools"}}


@form
def pointwise_pth():
    """Configuration C of Simonyan and Zisserman: 1×1 convolutions in the trunk."""
    layers = trunk()
    layers[7] = nn.Conv2d(8, 8, 1)
    return result(Vgg(layers))


@form
def half_safetensors():
    net = Vgg(trunk(bn=True)).half().float()
    return result(net, {k: v.half() if v.is_floating_point() else v for k, v in net.state_dict().items()}, how=safetensors)


@form
def keras_epsilon_pth():
    return result(Vgg(trunk(bn=True, eps=1e-3)), bn_eps=1e-3)


@form
def plain_norm_pth():
    return result(Vgg(trunk(bn=True, affine=False)))


@form
def pruned_pth():
    net = Vgg()
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            prune.l1_unstructured(m, "weight", amount=0.4)
    return result(net)


@form
def weight_norm_pth():
    net = Vgg()
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            weight_norm(m)
            nn.init.uniform_(m.weight_g, 0.5, 1.5)
    return result(net)


@form
def spectral_norm_pth():
    net = Vgg(trunk(conv=lambda *a, **k: spectral_norm(nn.Conv2d(*a, **k))))
    net.train()(torch.randn(2, 3, 16, 16))
    return result(net)


@form
def parametrized_pth():
    net = Vgg()
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            torch.nn.utils.parametrizations.spectral_norm(m)
    net.train()(torch.randn(2, 3, 16, 16))
    return result(net)


@form
def channels_last_pth():
    return result(Vgg().to(memory_format=torch.channels_last))


# --- weights that were trained for codes


class LinearQuantization(nn.Module):
    """The module that this project began with: a and b are not in the state dict."""

    def __init__(self, weight, a=-8, b=7):
        super().__init__()
        self.step_size = nn.Parameter((weight.detach().abs().max() / 10).reshape(1))
        self.a, self.b = a, b

    def forward(self, w):
        return torch.clip(torch.round(w / self.step_size), self.a, self.b) * self.step_size


class QuantizedConv(nn.Conv2d):
    def __init__(self, *args, **kind):
        super().__init__(*args, **kind)
        self.quant = LinearQuantization(self.weight)

    def forward(self, x):
        return nn.functional.conv2d(x, self.quant(self.weight), self.bias, padding=1)


class QuantizedLinear(nn.Linear):
    def __init__(self, *args):
        super().__init__(*args)
        self.quant = LinearQuantization(self.weight)

    def forward(self, x):
        return nn.functional.linear(x, self.quant(self.weight), self.bias)


@form
def seed_pth():
    classifier = [QuantizedLinear(32, 6), nn.ReLU(), nn.Dropout(), QuantizedLinear(6, 5)]
    return result(Vgg(trunk(conv=QuantizedConv), nn.Sequential(*classifier)), weight_levels=[-8, 7])


@form
def seed_norm_pth():
    """Batch norm behind the quantized convolution."""
    classifier = [QuantizedLinear(32, 6), nn.ReLU(), nn.Dropout(), QuantizedLinear(6, 5)]
    return result(Vgg(trunk(bn=True, conv=QuantizedConv), nn.Sequential(*classifier)), weight_levels=[-8, 7])


# --- what a state dict does not show, and `--check` does


def checked(net, **options):
    """The file, and beside it what `vgg2rtl import --help` says to save."""
    made = result(net, **options)
    made["x"] *= 9  # beyond ReLU6's 6
    seen = {}
    for n, m in net.named_modules():
        if n and not list(m.children()):
            m.register_forward_hook(lambda m, i, o, n=n: seen.update({n: o.detach().clone().numpy()}))
    y = net(made["x"]).detach()
    made["y"], made["npz"] = y, dict(x=made["x"].numpy(), y=y.numpy(), **seen)
    return made


@form
def checked_pth():
    return checked(Vgg(trunk(bn=True, eps=1e-3)), bn_eps=1e-3)


@form
def relu6_pth():
    made = checked(Vgg(trunk(relu=nn.ReLU6)))
    return {**made, "y": None}


@form
def leaky_pth():
    return {**checked(Vgg(trunk(relu=nn.LeakyReLU))), "y": None}


@form
def average_pools_pth():
    return {**checked(Vgg(trunk(pool=lambda: nn.AvgPool2d(2)))), "y": None}


# --- what must be refused


@form
def two_linear_pth():
    net = Vgg(classifier=nn.Sequential(nn.Linear(32, 7), nn.Linear(7, 5)))
    return result(net, refused="no module stands between classifier.0 and classifier.1, so no ReLU")


@form
def cut_pth():
    net = Vgg(classifier=nn.Sequential(nn.Linear(32, 6), nn.ReLU(), nn.Dropout(), nn.Linear(6, 6)))
    return result(net, refused="is the model cut before its classes? --outputs 6")


@form
def no_last_bias_pth():
    net = Vgg()
    state = net.state_dict()
    del state["classifier.6.bias"]
    return result(net, state, refused="tensor classifier.6.bias is missing, though features.0 has one")


@form
def norm_behind_relu_pth():
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), norm(4), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), norm(4), nn.MaxPool2d(2)]
    return result(Vgg(layers, nn.Linear(256, 5)), pools=[2], refused="batch norm features.2 stands behind the ReLU of features.0")


@form
def prelu_pth():
    return result(Vgg(trunk(relu=nn.PReLU)), refused="PReLU, LayerNorm and the like are not supported")


@form
def two_networks_pth():
    net = Vgg()
    state = net.state_dict()
    both = {**{f"a.{k}": v for k, v in state.items()}, **{f"b.{k}": v for k, v in state.items()}}
    return result(net, OrderedDict(both), refused="several networks (--key takes one)")


@form
def script_pth():
    net = Vgg()
    return result(net, torch.jit.script(net), how=torch.jit.save, refused="a TorchScript file (torch.jit.save): torch.save(model.state_dict()")


def write(folder, name):
    torch.manual_seed(len(name))
    made = FORMS[name]()
    stem, suffix = name.rsplit("_", 1)
    path = folder / f"{stem}.{suffix}"
    made["how"](made["saved"], path)
    if "npz" in made:
        np.savez(path.with_suffix(".npz"), **made["npz"])
    if made["y"] is None:  # an import cannot know; --check does
        return
    metadata = {"options": json.dumps(made["options"])}
    case = {"x": made["x"].numpy(), "y": np.ascontiguousarray(made["y"].numpy())}
    save_numpy(case, folder / f"{path.name}.case.safetensors", metadata)


def main():
    folder, names = Path(sys.argv[1]), sys.argv[2:] or list(FORMS)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        write(folder, name)


if __name__ == "__main__":
    main()
