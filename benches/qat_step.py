"""Images a second of PyTorch's training step: VGG16-BN at 32×32, batch 64, in float and with LSQ (W4A4)."""

import time

import torch
from torch import nn

BATCH, STEPS = 64, 4
torch.set_num_threads(2)


def pass_through(f, x):
    return x + (f(x) - x).detach()


class Lsq(nn.Module):
    """Esser et al. 2020, written with autograd."""

    def __init__(self, a, b, start):
        super().__init__()
        self.a, self.b = a, b
        self.step = nn.Parameter(torch.tensor(start))

    def forward(self, x, count):
        scale = (count * self.b) ** -0.5
        s = self.step * scale + (self.step - self.step * scale).detach()
        return pass_through(torch.round, (x / s).clamp(self.a, self.b)) * s


class Conv(nn.Module):
    def __init__(self, ci, co, quantized):
        super().__init__()
        self.conv = nn.Conv2d(ci, co, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(co)
        self.weights = Lsq(-8, 7, 0.02) if quantized else None
        self.acts = Lsq(0, 15, 0.2) if quantized else None

    def forward(self, x):
        w = self.conv.weight
        w = self.weights(w, w.numel()) if self.weights else w
        y = torch.relu(self.norm(nn.functional.conv2d(x, w, padding=1)))
        return self.acts(y, y[0].numel()) if self.acts else y


def vgg16(quantized):
    layers, ci = [], 3
    for n, co in zip([2, 2, 3, 3, 3], [64, 128, 256, 512, 512]):
        for _ in range(n):
            layers.append(Conv(ci, co, quantized))
            ci = co
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512, 10))


for name, quantized in [("float", False), ("LSQ W4A4", True)]:
    torch.manual_seed(1)
    net = vgg16(quantized)
    sgd = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, nesterov=True)
    x, labels = torch.randn(BATCH, 3, 32, 32), torch.arange(BATCH) % 10
    times = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        sgd.zero_grad()
        nn.functional.cross_entropy(net(x), labels).backward()
        sgd.step()
        times.append(time.perf_counter() - start)
    print(f"PyTorch {name}: {BATCH / min(times[1:]):.1f} images/s")
