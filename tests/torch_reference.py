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


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


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
    None). Of several results the first counts. The second gradients are those of <w, gradients>, w being random.
    """
    torch = import_torch()
    rng = np.random.default_rng(11)
    mine = [tg.Tensor(each, requires_grad=True, device=default_device()) for each in arrays]
    other = [torch.tensor(each, requires_grad=True) for each in arrays]
    still_mine = [each if each is None else tg.asarray(each, device=default_device()) for each in constants]
    still_other = [each if each is None else torch.tensor(each) for each in constants]
    y, reference = _first(ours(*mine, *still_mine)), _first(theirs(*other, *still_other))
    _same(y, reference, "value", rtol)
    seed = rng.normal(size=y.shape)
    if np.iscomplexobj(np.zeros(0, y.dtype)):
        seed = seed + 1j * rng.normal(size=y.shape)
    seeds = tg.asarray(seed, dtype=y.dtype, device=y.device), torch.tensor(seed, dtype=reference.dtype)
    firsts = tg.grad(y, mine, seeds[0], create_graph=order > 1, allow_unused=True)
    expected = torch.autograd.grad(reference, other, seeds[1], create_graph=order > 1, allow_unused=True)
    for place, (found, wanted) in enumerate(zip(firsts, expected, strict=True)):
        _same(found, wanted, f"gradient {place}", rtol)
    if order < 2:
        return
    total: Any = 0.0
    target: Any = 0.0
    for found, wanted in zip(firsts, expected, strict=True):
        if found is None or wanted is None:
            continue
        weight = rng.normal(size=found.shape)
        total = total + tg.sum(tg.real(found * tg.asarray(weight, dtype=found.dtype, device=found.device)))
        target = target + torch.real(wanted * torch.tensor(weight, dtype=wanted.dtype)).sum()
    ours_again = (
        tg.grad(total, mine, allow_unused=True) if getattr(total, "requires_grad", False) else [None] * len(mine)
    )
    theirs_again = (
        torch.autograd.grad(target, other, allow_unused=True)
        if getattr(target, "requires_grad", False)
        else [None] * len(other)
    )
    for place, (found, wanted) in enumerate(zip(ours_again, theirs_again, strict=True)):
        _same(found, wanted, f"second gradient {place}", rtol)


def _same(found: Any, wanted: Any, what: str, rtol: float) -> None:
    """Raise unless two tensors agree; None counts as zeros."""
    if found is None and wanted is None:
        return
    ours = np.zeros(tuple(wanted.shape)) if found is None else np.array(found.tolist(), dtype=found.dtype)
    ours = ours.reshape(tuple(wanted.shape if found is None else found.shape))
    theirs = np.zeros(ours.shape) if wanted is None else wanted.numpy(force=True)
    assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, torch has {theirs.shape}"
    scale = np.abs(theirs).max(initial=0.0, where=np.isfinite(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * (1 + scale), err_msg=what)
