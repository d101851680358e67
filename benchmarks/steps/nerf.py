"""W8: a step of a radiance field: 1,024 rays with 64 samples each, alpha compositing, Adam.

Mildenhall et al., "NeRF: representing scenes as neural radiance fields for view synthesis", 2020: figure 7 and eq. 3.
The encoded places and directions are given, so that the step is the network's and the rendering's alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.kinds import FunctionalTraining, Training, Values, adam, linear, load, normal

RATE, LAYERS, SKIP, PIECE = 5e-4, 8, 5, 4 / 64


def values(rays: int = 1024, samples: int = 64, width: int = 256, place: int = 63, direction: int = 27) -> Values:
    rng, weights = np.random.default_rng(0), {}

    def dense(name: str, inputs: int, outputs: int) -> None:
        weights.update({f"{name}.weight": linear(rng, inputs, outputs), f"{name}.bias": normal(rng, (outputs,), 0.01)})

    for layer in range(LAYERS):
        dense(f"layers.{layer}", (width if layer else 0) + (place if layer in (0, SKIP) else 0), width)
    dense("sigma", width, 1)
    dense("feature", width, width)
    dense("view", width + direction, width // 2)
    dense("colour", width // 2, 3)
    weights["sigma.bias"] += 0.5  # so that there is something to see
    x, d = normal(rng, (rays * samples, place)), normal(rng, (rays * samples, direction))
    return Values(weights, (x, d, rng.random((rays, 3), dtype=np.float32)))


def of_tensorgrad(tg: Any, v: Values) -> Training:
    layers, above = stacked(v.weights), heads(v.weights)

    class Field(tg.nn.Module):
        def __init__(self) -> None:
            self.layers = tg.nn.ModuleList(tg.nn.Linear(i, o, device="cpu") for o, i in layers)
            for name, (outputs, inputs) in above.items():
                setattr(self, name, tg.nn.Linear(inputs, outputs, device="cpu"))

        def forward(self, x: Any, d: Any) -> tuple[Any, Any]:
            h = x
            for place, layer in enumerate(self.layers):
                h = tg.relu(layer(tg.concat([h, x], axis=-1) if place == SKIP else h))
            seen = tg.relu(self.view(tg.concat([self.feature(h), d], axis=-1)))
            return tg.sigmoid(self.colour(seen)), tg.relu(self.sigma(h))

    def loss(x: Any, d: Any, target: Any) -> Any:
        rays = target.shape[0]
        colour, sigma = model(x, d)
        colour, sigma = colour.reshape((rays, -1, 3)), sigma.reshape((rays, -1))
        passed = tg.exp(-PIECE * sigma)
        weights = tg.cumulative_prod(passed, axis=1, exclusive=True) * (1.0 - passed)
        return tg.mse_loss((tg.expand_dims(weights, axis=-1) * colour).sum(axis=1), target)

    model = Field()
    parameters = load(tg, model, v.weights)
    optimizer = tg.optim.Adam(model.parameters(), lr=RATE)
    return Training(loss, parameters, optimizer, tuple(tg.Tensor(each, device="cpu") for each in v.batch))


def of_torch(torch: Any, v: Values, variant: str) -> Training:
    layers, above = stacked(v.weights), heads(v.weights)

    class Field(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(torch.nn.Linear(i, o) for o, i in layers)
            for name, (outputs, inputs) in above.items():
                setattr(self, name, torch.nn.Linear(inputs, outputs))

        def forward(self, x: Any, d: Any) -> tuple[Any, Any]:
            h = x
            for place, layer in enumerate(self.layers):
                h = torch.relu(layer(torch.cat([h, x], dim=-1) if place == SKIP else h))
            seen = torch.relu(self.view(torch.cat([self.feature(h), d], dim=-1)))
            return torch.sigmoid(self.colour(seen)), torch.relu(self.sigma(h))

    def loss(x: Any, d: Any, target: Any) -> Any:
        rays = len(target)
        colour, sigma = model(x, d)
        colour, sigma = colour.view(rays, -1, 3), sigma.view(rays, -1)
        passed = torch.exp(-PIECE * sigma)
        before = torch.cat([torch.ones_like(passed[:, :1]), torch.cumprod(passed, dim=1)[:, :-1]], dim=1)
        weights = before * (1.0 - passed)
        return torch.nn.functional.mse_loss((weights.unsqueeze(-1) * colour).sum(dim=1), target)

    model = Field()
    parameters = load(torch, model, v.weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    return Training(loss, parameters, optimizer, tuple(torch.tensor(each) for each in v.batch))


def stacked(weights: dict[str, Any]) -> list[tuple[int, int]]:
    """The shapes of the layers, rows and columns."""
    return [weights[f"layers.{place}.weight"].shape for place in range(LAYERS)]


def heads(weights: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """The shapes of what stands on the layers."""
    return {name: weights[f"{name}.weight"].shape for name in ("sigma", "feature", "view", "colour")}


def of_functional(xp: Any, v: Values) -> FunctionalTraining:
    def loss(w: Any, x: Any, d: Any, target: Any) -> Any:
        def dense(name: str, x: Any) -> Any:
            return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

        rays, h = len(target), x
        for place in range(LAYERS):
            h = xp.concatenate([h, x], axis=-1) if place == SKIP else h
            h = xp.maximum(dense(f"layers.{place}", h), 0.0)
        seen = xp.maximum(dense("view", xp.concatenate([dense("feature", h), d], axis=-1)), 0.0)
        colour = 0.5 * (xp.tanh(0.5 * dense("colour", seen)) + 1.0)
        thickness = PIECE * xp.maximum(dense("sigma", h), 0.0).reshape(rays, -1)
        reached = xp.exp(thickness - xp.cumsum(thickness, axis=1))  # HIPS autograd has no cumprod
        weights = reached * (1.0 - xp.exp(-thickness))
        return xp.mean((xp.sum(weights[..., None] * colour.reshape(rays, -1, 3), axis=1) - target) ** 2)

    return FunctionalTraining(loss, v.weights, adam(RATE), v.batch)
