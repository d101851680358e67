"""W1: a chain of small ops, nearly all of whose time is the engine's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.kinds import Sweep, Values, normal


def values(length: int) -> Values:
    """x, w and b of shape (4,), and how often the four ops are repeated."""
    w, b = np.full(4, 1.01, np.float32), np.full(4, 0.01, np.float32)
    return Values({"x": normal(np.random.default_rng(0), (4,))}, (w, b, length))


def chain(y: Any, w: Any, b: Any, tanh: Any, length: int) -> Any:
    for _ in range(length):
        y = y * w
        y = y + b
        y = tanh(y)
        y = y - b
    return y


def of_tensorgrad(tg: Any, v: Values) -> Sweep:
    x = tg.Tensor(v.weights["x"], requires_grad=True, device="cpu")
    w, b, length = tg.Tensor(v.batch[0], device="cpu"), tg.Tensor(v.batch[1], device="cpu"), v.batch[2]
    return Sweep(lambda x: tg.sum(chain(x, w, b, tg.tanh, length)), {"x": x})


def of_torch(torch: Any, v: Values, variant: str) -> Sweep:
    x = torch.tensor(v.weights["x"], requires_grad=True)
    w, b, length = torch.tensor(v.batch[0]), torch.tensor(v.batch[1]), v.batch[2]
    return Sweep(lambda x: chain(x, w, b, torch.tanh, length).sum(), {"x": x})


def of_functional(xp: Any, v: Values) -> Sweep:
    w, b, length = v.batch
    return Sweep(lambda x: xp.sum(chain(x, w, b, xp.tanh, length)), v.weights)
