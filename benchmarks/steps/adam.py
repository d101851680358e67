"""W11: a step of Adam over many parameters whose gradients are there."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.kinds import FunctionalUpdate, Update, Values, adam, normal

RATE = 1e-3


def values(tensors: int = 50, elements: int = 200_000) -> Values:
    """The parameters, and their gradients by the same names."""
    rng = np.random.default_rng(0)
    theta = {str(place): normal(rng, (elements,)) for place in range(tensors)}
    return Values(theta, ({name: normal(rng, (elements,)) for name in theta},))


def of_tensorgrad(tg: Any, v: Values) -> Update:
    parameters = {name: tg.Tensor(each, requires_grad=True, device="cpu") for name, each in v.weights.items()}
    for name, theta in parameters.items():
        theta.grad = tg.Tensor(v.batch[0][name], device="cpu")
    return Update(tg.optim.Adam(parameters.values(), lr=RATE), parameters)


def of_torch(torch: Any, v: Values, variant: str) -> Update:
    """variant: "fused" for PyTorch's one pass over everything."""
    parameters = {name: torch.tensor(each, requires_grad=True) for name, each in v.weights.items()}
    for name, theta in parameters.items():
        theta.grad = torch.tensor(v.batch[0][name])
    return Update(torch.optim.Adam(parameters.values(), lr=RATE, fused=variant == "fused" or None), parameters)


def of_functional(xp: Any, v: Values) -> FunctionalUpdate:
    return FunctionalUpdate(v.weights, v.batch[0], adam(RATE))
