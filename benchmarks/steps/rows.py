"""W10: softmax, layer norm, batch norm and embedding: forward, and the gradients of all they take."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.kinds import Sweep, Values, normal


def values(op: str, shape: tuple[int, ...], chosen: tuple[int, ...] = ()) -> Values:
    """What the op takes, the gradient of its result, its name, and for an embedding the rows that are chosen."""
    rng = np.random.default_rng(0)
    if op == "embedding":
        weights, rows = {"weight": normal(rng, shape)}, rng.integers(0, shape[0], chosen)
        return Values(weights, (normal(rng, (*chosen, shape[1])), op, rows))
    weights = {"x": normal(rng, shape)}
    if op != "softmax":
        features = shape[1]
        weights |= {"weight": normal(rng, (features,), 0.1) + 1, "bias": normal(rng, (features,), 0.1)}
    return Values(weights, (normal(rng, shape), op, None))


def of_tensorgrad(tg: Any, v: Values) -> Sweep:
    seed, op, rows = v.batch
    rows = None if rows is None else tg.Tensor(rows, device="cpu")
    functions = {
        "softmax": lambda x: tg.softmax(x, axis=-1),
        "layer norm": lambda x, weight, bias: tg.layer_norm(x, x.shape[1:], weight, bias),
        "batch norm": lambda x, weight, bias: tg.batch_norm(x, weight=weight, bias=bias, training=True),
        "embedding": lambda weight: tg.embedding(rows, weight),
    }
    leaves = {name: tg.Tensor(each, requires_grad=True, device="cpu") for name, each in v.weights.items()}
    return Sweep(functions[op], leaves, tg.Tensor(seed, device="cpu"))


def of_torch(torch: Any, v: Values, variant: str) -> Sweep:
    F, (seed, op, rows) = torch.nn.functional, v.batch
    rows = None if rows is None else torch.tensor(rows)
    functions = {
        "softmax": lambda x: torch.softmax(x, dim=-1),
        "layer norm": lambda x, weight, bias: F.layer_norm(x, x.shape[1:], weight, bias),
        "batch norm": lambda x, weight, bias: F.batch_norm(x, None, None, weight, bias, training=True),
        "embedding": lambda weight: F.embedding(rows, weight),
    }
    leaves = {name: torch.tensor(each, requires_grad=True) for name, each in v.weights.items()}
    return Sweep(functions[op], leaves, torch.tensor(seed))


def of_functional(xp: Any, v: Values) -> Sweep:
    seed, op, rows = v.batch

    def softmax(x: Any) -> Any:
        powers = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
        return powers / xp.sum(powers, axis=-1, keepdims=True)

    def norm(x: Any, weight: Any, bias: Any, axes: tuple[int, ...]) -> Any:
        centred = x - xp.mean(x, axis=axes, keepdims=True)
        size = xp.sqrt(xp.mean(centred * centred, axis=axes, keepdims=True) + 1e-5)
        return centred / size * weight + bias

    functions = {
        "softmax": softmax,
        "layer norm": lambda x, weight, bias: norm(x, weight, bias, (1,)),
        "batch norm": lambda x, weight, bias: norm(x, weight[:, None, None], bias[:, None, None], (0, 2, 3)),
        "embedding": lambda weight: weight[rows],
    }
    return Sweep(functions[op], v.weights, seed)
