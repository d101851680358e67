"""PyTorch as a reference: the same function there, its values and its first and second gradients, in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import tensorgrad as tg
from tensorgrad.backend import default_device

RELATIVE = 1e-9
# Draws under the profiles ci and thorough; elsewhere the profile's own number.
DRAWS = {25: 50, 300: 1000}
against_torch = settings(
    max_examples=DRAWS.get(settings().max_examples, settings().max_examples),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def import_torch() -> Any:
    """The module torch; the test is skipped where there is none."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    return torch


def agree(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    *arrays: Any,
    constants: Sequence[Any] = (),
    order: int = 2,
    rtol: float = RELATIVE,
) -> None:
    """Raise AssertionError unless both functions give the same values, gradients and (order 2) second gradients.

    Both take the arrays, as tensors that record, and after them the constants, as tensors that do not (None stays
    None). The gradients are those of <u, floating results>, the second ones those of <w, gradients>, for random u, w.
    """
    torch = import_torch()
    rng = np.random.default_rng(11)
    mine = [tg.Tensor(np.array(each), requires_grad=True, device=default_device()) for each in arrays]
    other = [torch.tensor(each, requires_grad=True) for each in arrays]
    still_mine = [each if each is None else tg.asarray(each, device=default_device()) for each in constants]
    still_other = [each if each is None else torch.tensor(each) for each in constants]
    results, references = _several(ours(*mine, *still_mine)), _several(theirs(*other, *still_other))
    for place, (result, reference) in enumerate(zip(results, references, strict=True)):
        _same(result, reference, f"value {place}", rtol)
    for depth in range(1, order + 1):
        seeds = [_direction(rng, each) for each in references]
        found = _swept(tg.grad, results, mine, seeds, lambda u: tg.Tensor(u, device=default_device()), depth < order)
        wanted = _swept(torch.autograd.grad, references, other, seeds, torch.tensor, depth < order)
        results = [tg.zeros_like(x) if g is None else g for x, g in zip(mine, found, strict=True)]
        references = [torch.zeros_like(x) if g is None else g for x, g in zip(other, wanted, strict=True)]
        for place, (result, reference) in enumerate(zip(results, references, strict=True)):
            _same(result, reference, f"gradient {depth} of argument {place}", rtol)


def _several(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _direction(rng: np.random.Generator, like: Any) -> Any:
    """Random numbers in the shape of a tensor, complex where it is."""
    values = rng.normal(size=tuple(like.shape))
    return values + 1j * rng.normal(size=values.shape) if like.is_complex() else values


def _swept(grad: Any, results: list[Any], inputs: list[Any], seeds: list[Any], wrap: Any, further: bool) -> Any:
    """The gradients of what is recorded among the results; None for each input where there is none."""
    kept = [(each, wrap(u)) for each, u in zip(results, seeds, strict=True) if each.requires_grad]
    if not kept:
        return [None] * len(inputs)
    outputs, gradients = zip(*kept, strict=True)
    return grad(outputs, inputs, gradients, create_graph=further, allow_unused=True)


def _same(found: Any, wanted: Any, what: str, rtol: float) -> None:
    """Raise unless two tensors agree, to rtol of each element and of the largest."""
    ours, theirs = np.array(found.tolist(), dtype=found.dtype), wanted.numpy(force=True)
    ours = ours.reshape(found.shape)  # an empty list has lost it
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, torch has {theirs.shape}"
    scale = np.abs(theirs).max(initial=0.0, where=np.isfinite(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * (1 + scale), err_msg=what)
