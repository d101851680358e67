"""W9: sum(tanh(a b + c) exp(-a a)) over four million elements, and the gradients of a, b and c."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.kinds import Sweep, Values, normal


def values(elements: int = 1 << 22) -> Values:
    rng = np.random.default_rng(0)
    return Values({name: normal(rng, (elements,)) for name in "abc"})


def of_tensorgrad(tg: Any, v: Values) -> Sweep:
    leaves = {name: tg.Tensor(each, requires_grad=True, device="cpu") for name, each in v.weights.items()}
    return Sweep(lambda a, b, c: tg.sum(tg.tanh(a * b + c) * tg.exp(-a * a)), leaves)


def of_torch(torch: Any, v: Values, variant: str) -> Sweep:
    leaves = {name: torch.tensor(each, requires_grad=True) for name, each in v.weights.items()}
    return Sweep(lambda a, b, c: (torch.tanh(a * b + c) * torch.exp(-a * a)).sum(), leaves)


def of_functional(xp: Any, v: Values) -> Sweep:
    return Sweep(lambda a, b, c: xp.sum(xp.tanh(a * b + c) * xp.exp(-a * a)), v.weights)
