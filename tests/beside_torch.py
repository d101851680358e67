"""The same call here and in PyTorch: values, gradients and second gradients in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.tensor import Tensor

TOLERANCE = 1e-9


def agree(
    ours: Callable[..., Any], theirs: Callable[..., Any], *arrays: Any, order: int = 2, rtol: float = TOLERANCE
) -> None:
    """Raise unless two functions of the same floating arrays agree in value and in all gradients up to `order`.

    The gradients are those of <u, result> for a fixed u, then of <v, gradients> for fixed v. Skips without PyTorch.
    """
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    here = [Tensor(np.array(each), requires_grad=True) for each in arrays]
    there = [torch.tensor(np.array(each), requires_grad=True) for each in arrays]
    result, expected = ours(*here), theirs(*there)
    _same(result, expected.numpy(force=True), "value", rtol)
    for depth in range(order):
        if not expected.requires_grad:
            return
        seed = rng.uniform(-1, 1, tuple(expected.shape))
        for each in here:
            each.grad = None
        total = torch.sum(expected * torch.tensor(seed))
        further = depth + 1 < order
        theirs_now = torch.autograd.grad(total, there, create_graph=further, allow_unused=True)
        ops.sum(result * Tensor(seed)).backward(create_graph=further)
        result, expected = 0.0, torch.zeros(())
        for k, (mine, other, leaf) in enumerate(zip(here, theirs_now, there, strict=True)):
            wanted = np.zeros(tuple(leaf.shape)) if other is None else other.numpy(force=True)
            found = np.zeros(tuple(leaf.shape)) if mine.grad is None else mine.grad
            _same(found, wanted, f"gradient {depth + 1} of argument {k}", rtol)
            direction = rng.uniform(-1, 1, tuple(leaf.shape))
            if other is not None:
                expected = expected + torch.sum(other * torch.tensor(direction))
            if mine.grad is not None:
                result = result + ops.sum(mine.grad * Tensor(direction))
        if further and (not isinstance(result, Tensor) or not result.requires_grad):
            _flat(expected, there, torch)
            return


def _flat(expected: Any, there: list[Any], torch: Any) -> None:
    """Raise unless PyTorch's derivative of what does not depend on anything here is 0 too."""
    if expected.requires_grad:
        for each in torch.autograd.grad(expected, there, allow_unused=True):
            assert each is None or not np.any(each.numpy(force=True)), (
                "PyTorch has a further derivative, here there is none"
            )


def _same(found: Any, expected: Any, what: str, rtol: float) -> None:
    values = np.asarray(found.tolist() if isinstance(found, Tensor) else found, np.float64)
    np.testing.assert_allclose(values, expected, rtol=rtol, atol=rtol, err_msg=what)
