#!/usr/bin/env python3
"""Writes the codes that GPTQ gives small layers, from the paper alone: what src/quantize/rounding is compared with.

    python3 tests/gptq_numpy.py > tests/fixtures/gptq.json

Frantar et al. 2022, algorithm 1, with activation order: the inverse of the damped Hessian, its upper Cholesky factor, then
column by column the rounded weight and the update of those not yet rounded. Needs numpy only.
"""

import json

import numpy as np


def gptq(w, x, steps, a, b, damping):
    """Codes of w (output, input) for inputs x (position, input)."""
    h = x.T @ x
    order = np.argsort(-np.diag(h), kind="stable")
    h = h[np.ix_(order, order)] + damping * np.mean(np.diag(h)) * np.eye(len(h))
    inverse = np.linalg.cholesky(np.linalg.inv(h)).T  # upper
    w, codes = w[:, order].copy(), np.zeros(w.shape)
    for k in range(w.shape[1]):
        codes[:, k] = np.clip(np.rint(w[:, k] / steps), a, b)
        error = (w[:, k] - codes[:, k] * steps) / inverse[k, k]
        w[:, k:] -= np.outer(error, inverse[k, k:])
    back = np.zeros(codes.shape)
    back[:, order] = codes
    return back


def case(rng, positions, inputs, outputs, a, b, dead=()):
    # Correlated inputs, as neighbouring pixels are; numbers that f32 holds exactly.
    x = np.rint(64 * np.cumsum(rng.normal(size=(positions, inputs)), axis=1) / np.sqrt(inputs)) / 64
    x[:, list(dead)] = 0
    w = np.rint(1024 * rng.normal(size=(outputs, inputs))) / 1024
    steps = np.exp2(rng.integers(-3, 0, size=outputs))
    codes = gptq(w, x, steps, a, b, 0.01)
    as_lists = {"x": x, "w": w, "steps": steps, "codes": codes.astype(int)}
    return {"a": a, "b": b} | {name: v.tolist() for name, v in as_lists.items()}


def main():
    rng = np.random.default_rng(20)
    cases = [
        case(rng, 40, 7, 3, -8, 7),
        case(rng, 24, 9, 19, -2, 1),
        case(rng, 30, 6, 2, -128, 127, dead=[1, 4]),
        case(rng, 5, 20, 3, -4, 3),
        case(rng, 4, 18, 2, -7, 7, dead=[0]),
    ]
    print(json.dumps(cases, separators=(",", ":")))


if __name__ == "__main__":
    main()
