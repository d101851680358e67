"""W3: a step of a small convolutional network: two convolutions with pooling, two linear layers, momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.kinds import FunctionalTraining, Training, Values, cross_entropy, linear, load, momentum, normal

RATE, MOMENTUM = 0.01, 0.9


def values(batch: int, side: int = 28, channels: tuple[int, int] = (32, 64), hidden: int = 128) -> Values:
    rng, (first, second) = np.random.default_rng(0), channels
    inside = second * (side // 4) ** 2
    weights = {
        "0.weight": normal(rng, (first, 1, 3, 3), 1 / 3),
        "0.bias": normal(rng, (first,), 0.01),
        "3.weight": normal(rng, (second, first, 3, 3), (9 * first) ** -0.5),
        "3.bias": normal(rng, (second,), 0.01),
        "7.weight": linear(rng, inside, hidden),
        "7.bias": normal(rng, (hidden,), 0.01),
        "9.weight": linear(rng, hidden, 10),
        "9.bias": normal(rng, (10,), 0.01),
    }
    return Values(weights, (normal(rng, (batch, 1, side, side)), rng.integers(0, 10, batch)))


def network(nn: Any, weights: dict[str, Any]) -> Any:
    """The module, of tensorgrad's layers or of PyTorch's."""
    (first, *_), (second, *_) = weights["0.weight"].shape, weights["3.weight"].shape
    hidden, inside = weights["7.weight"].shape
    return nn.Sequential(
        nn.Conv2d(1, first, 3, padding=1, device="cpu"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 3, padding=1, device="cpu"),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(inside, hidden, device="cpu"),
        nn.ReLU(),
        nn.Linear(hidden, 10, device="cpu"),
    )


def of_tensorgrad(tg: Any, v: Values) -> Training:
    model = network(tg.nn, v.weights)
    parameters = load(tg, model, v.weights)
    optimizer = tg.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    batch = tuple(tg.Tensor(each, device="cpu") for each in v.batch)
    return Training(lambda x, t: tg.cross_entropy(model(x), t), parameters, optimizer, batch)


def of_torch(torch: Any, v: Values, variant: str) -> Training:
    model = network(torch.nn, v.weights)
    parameters = load(torch, model, v.weights)
    images, classes = (torch.tensor(each) for each in v.batch)
    if variant == "channels-last":
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
        parameters = dict(model.named_parameters())
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    loss = torch.nn.functional.cross_entropy
    return Training(lambda x, t: loss(model(x), t), parameters, optimizer, (images, classes))


def of_functional(xp: Any, v: Values) -> FunctionalTraining:
    from steps.convolution import convolve

    def pooled(x: Any) -> Any:
        n, c, h, w = x.shape
        return xp.max(xp.max(x.reshape(n, c, h // 2, 2, w // 2, 2), axis=5), axis=3)

    def loss(w: Any, x: Any, t: Any) -> Any:
        for place in ("0.", "3."):
            x = convolve(xp, x, w[place + "weight"], padding=1) + w[place + "bias"][:, None, None]
            x = pooled(xp.maximum(x, 0.0))
        x = xp.maximum(x.reshape(len(x), -1) @ w["7.weight"].T + w["7.bias"], 0.0)
        return cross_entropy(xp, x @ w["9.weight"].T + w["9.bias"], t)

    return FunctionalTraining(loss, v.weights, momentum(RATE, MOMENTUM), v.batch)
