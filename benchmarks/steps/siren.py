"""W7: a step of a SIREN that is shown values, gradients, or Laplacians of a picture, with Adam.

Sitzmann et al., "Implicit neural representations with periodic activation functions", 2020, sections 3 and 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from steps.kinds import FunctionalTraining, Training, Values, adam, load, normal

RATE, OMEGA = 1e-4, 30.0


def values(shown: str, points: int = 16_384, width: int = 256) -> Values:
    """Weights, coordinates in [-1, 1], the targets, and what is shown: "value", "gradient" or "laplacian"."""
    rng, weights = np.random.default_rng(0), {}
    for place, (inputs, outputs) in enumerate(pairwise((2, *[width] * 4, 1))):
        bound = 1 / inputs if place == 0 else (6 / inputs) ** 0.5 / OMEGA
        weights[f"layers.{place}.weight"] = rng.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)
        weights[f"layers.{place}.bias"] = rng.uniform(-1, 1, outputs).astype(np.float32) * np.float32(inputs**-0.5)
    x = rng.uniform(-1, 1, (points, 2)).astype(np.float32)
    return Values(weights, (x, normal(rng, (points, 2 if shown == "gradient" else 1)), shown))


def field_loss(field: Callable[[Any], Any], grad: Callable[..., Any], shown: str) -> Callable[[Any, Any], Any]:
    """The mean squared error of what is shown, for tensorgrad or PyTorch with its `grad(result, x, **keywords)`."""

    def loss(x: Any, y: Any) -> Any:
        if shown == "value":
            return ((field(x) - y) ** 2).mean()
        x = x.detach().requires_grad_()
        (slope,) = grad(field(x).sum(), x, create_graph=True)
        if shown == "gradient":
            return ((slope - y) ** 2).mean()
        laplacian = 0.0
        for axis in range(2):
            (bend,) = grad(slope[:, axis].sum(), x, create_graph=True)
            laplacian = laplacian + bend[:, axis : axis + 1]
        return ((laplacian - y) ** 2).mean()

    return loss


def of_tensorgrad(tg: Any, v: Values) -> Training:
    from tensorgrad.models.siren import SIREN

    x, y, shown = v.batch
    width = v.weights["layers.0.bias"].size
    model = SIREN(2, width, 3, 1, OMEGA, rng=tg.random.Generator(0, device="cpu"))
    parameters = load(tg, model, v.weights)
    optimizer = tg.optim.Adam(model.parameters(), lr=RATE)
    batch = tg.Tensor(x, device="cpu"), tg.Tensor(y, device="cpu")
    return Training(field_loss(model, tg.grad, shown), parameters, optimizer, batch)


def of_torch(torch: Any, v: Values, variant: str) -> Training:
    x, y, shown = v.batch
    width = v.weights["layers.0.bias"].size

    class SIREN(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(torch.nn.Linear(i, o) for i, o in pairwise((2, *[width] * 4, 1)))

        def forward(self, x: Any) -> Any:
            *sines, last = self.layers
            for layer in sines:
                x = torch.sin(OMEGA * layer(x))
            return last(x)

    model = SIREN()
    parameters = load(torch, model, v.weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    batch = torch.tensor(x), torch.tensor(y)
    return Training(field_loss(model, torch.autograd.grad, shown), parameters, optimizer, batch)


def of_functional(xp: Any, v: Values) -> FunctionalTraining:
    x, y, shown = v.batch

    def field(w: Any, x: Any) -> Any:
        for place in range(4):
            x = xp.sin(OMEGA * (x @ w[f"layers.{place}.weight"].T + w[f"layers.{place}.bias"]))
        return x @ w["layers.4.weight"].T + w["layers.4.bias"]

    def slope(w: Any, x: Any) -> Any:
        if xp.__name__ == "jax.numpy":
            from jax import grad
        else:
            from autograd import grad
        return grad(lambda x: xp.sum(field(w, x)))(x)

    def laplacian(w: Any, x: Any) -> Any:
        if xp.__name__ == "jax.numpy":
            from jax import grad
        else:
            from autograd import grad
        bends = [grad(lambda x, axis=axis: xp.sum(slope(w, x)[:, axis]))(x)[:, axis : axis + 1] for axis in range(2)]
        return bends[0] + bends[1]

    seen = {"value": field, "gradient": slope, "laplacian": laplacian}[shown]
    return FunctionalTraining(lambda w, x, y: xp.mean((seen(w, x) - y) ** 2), v.weights, adam(RATE), (x, y))
