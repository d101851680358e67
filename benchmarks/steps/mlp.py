"""W2: a step of a multilayer perceptron with rectifiers, cross-entropy and Adam."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from steps.kinds import FunctionalTraining, Training, Values, adam, cross_entropy, linear, load, normal

RATE = 1e-3


def values(batch: int, widths: tuple[int, ...] = (784, 256, 128, 10)) -> Values:
    rng, weights = np.random.default_rng(0), {}
    for place, (inputs, outputs) in enumerate(pairwise(widths)):
        weights[f"{2 * place}.weight"] = linear(rng, inputs, outputs)
        weights[f"{2 * place}.bias"] = normal(rng, (outputs,), 0.01)
    return Values(weights, (normal(rng, (batch, widths[0])), rng.integers(0, widths[-1], batch)))


def network(nn: Any, weights: dict[str, Any]) -> Any:
    """The module, of tensorgrad's layers or of PyTorch's."""
    shapes = [each.shape for name, each in weights.items() if name.endswith("weight")]
    layers: list[Any] = []
    for outputs, inputs in shapes:
        layers += [nn.Linear(inputs, outputs, device="cpu"), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def of_tensorgrad(tg: Any, v: Values) -> Training:
    model = network(tg.nn, v.weights)
    parameters = load(tg, model, v.weights)
    optimizer = tg.optim.Adam(model.parameters(), lr=RATE)
    batch = tuple(tg.Tensor(each, device="cpu") for each in v.batch)
    return Training(lambda x, t: tg.cross_entropy(model(x), t), parameters, optimizer, batch)


def of_torch(torch: Any, v: Values, variant: str) -> Training:
    model = network(torch.nn, v.weights)
    parameters = load(torch, model, v.weights)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    batch = tuple(torch.tensor(each) for each in v.batch)
    return Training(lambda x, t: torch.nn.functional.cross_entropy(model(x), t), parameters, optimizer, batch)


def of_functional(xp: Any, v: Values) -> FunctionalTraining:
    places = [name.removesuffix("weight") for name in v.weights if name.endswith("weight")]

    def loss(w: Any, x: Any, t: Any) -> Any:
        for place in places:
            x = x @ w[place + "weight"].T + w[place + "bias"]
            x = xp.maximum(x, 0.0) if place != places[-1] else x
        return cross_entropy(xp, x, t)

    return FunctionalTraining(loss, v.weights, adam(RATE), v.batch)
