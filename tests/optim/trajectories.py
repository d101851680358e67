"""The same descent twice: ours and PyTorch's, or ours and a formula's, side by side in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tensorgrad as tg
from tensorgrad.backend import default_device
from tests.torch_reference import import_torch

STEPS = 100


def starts(seed: int = 3) -> list[Any]:
    """Values of parameters of several shapes, one of them a number."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(4, 3)), rng.normal(size=(3,)), np.asarray(rng.normal())]


def batches(steps: int = STEPS, seed: int = 5) -> list[tuple[Any, Any]]:
    """Another small regression at each step: x (8, 4) and y (8, 3)."""
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(8, 4)), rng.normal(size=(8, 3))) for _ in range(steps)]


def leaves(arrays: list[Any]) -> list[tg.Tensor]:
    return [tg.Tensor(each, requires_grad=True, device=default_device()) for each in arrays]


def loss_of(library: Any, theta: list[Any], x: Any, y: Any) -> Any:
    """tanh(x W + b) times a number, against y: nothing about it is quadratic in all parameters."""
    weight, bias, scale = theta
    return ((library.tanh(x @ weight + bias) * scale - y) ** 2).mean() + 0.01 * (weight**2).sum()


def descend(optimizer: Any, theta: list[tg.Tensor], data: list[tuple[Any, Any]]) -> None:
    for x, y in data:
        optimizer.zero_grad()
        loss_of(tg, theta, tg.asarray(x, device=default_device()), tg.asarray(y, device=default_device())).backward()
        optimizer.step()


def descend_torch(optimizer: Any, theta: list[Any], data: list[tuple[Any, Any]]) -> None:
    torch = import_torch()
    for x, y in data:
        optimizer.zero_grad()
        loss_of(torch, theta, torch.tensor(x), torch.tensor(y)).backward()
        optimizer.step()


def torch_leaves(arrays: list[Any]) -> list[Any]:
    torch = import_torch()
    return [torch.tensor(each, requires_grad=True) for each in arrays]


def same(ours: list[Any], theirs: list[Any], tolerance: float = 1e-10) -> None:
    """Raise AssertionError unless all values agree, absolutely and relative to their size."""
    for mine, other in zip(ours, theirs, strict=True):
        expected = other.detach().numpy() if hasattr(other, "detach") else other
        np.testing.assert_allclose(np.asarray(mine.tolist()), expected, rtol=tolerance, atol=tolerance)


def follows_torch(
    ours: Callable[..., Any], name: str, steps: int = STEPS, tolerance: float = 1e-10, **hyper: Any
) -> None:
    """Raise AssertionError unless our optimizer takes PyTorch's path, and leaves it nowhere: at every tenth step."""
    torch = import_torch()
    theta, reference = leaves(starts()), torch_leaves(starts())
    mine, other = ours(theta, **hyper), getattr(torch.optim, name)(reference, **hyper)
    data = batches(steps)
    for start in range(0, steps, 10):
        descend(mine, theta, data[start : start + 10])
        descend_torch(other, reference, data[start : start + 10])
        same(theta, reference, tolerance)
    moved = max(float(np.max(np.abs(np.asarray(t.tolist()) - s))) for t, s in zip(theta, starts(), strict=True))
    assert moved > 1e-3, "nothing moved, so nothing was compared"


def follows_formula(ours: Any, theta: list[tg.Tensor], formula: Callable[[list[Any], list[Any], int], None]) -> None:
    """Raise AssertionError unless an optimizer takes the path of a formula on arrays.

    formula(values, gradients, t) changes the list of values; the gradients are those of the same values.
    """
    values = [np.asarray(each.tolist()) for each in theta]
    for t, (x, y) in enumerate(batches(), start=1):
        twins = leaves(values)
        loss_of(tg, twins, tg.asarray(x, device=default_device()), tg.asarray(y, device=default_device())).backward()
        formula(values, [np.asarray(twin.grad.tolist()) for twin in twins], t)
        descend(ours, theta, [(x, y)])
        same(theta, values)
