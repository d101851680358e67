"""The ops of ops/scan.py under all laws, and their conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.scan import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def test_scans_name_their_axis_and_one_start() -> None:
    with pytest.raises(ValueError, match="cummax: an axis must be named for an array of 2 axes"):
        tg.cummax(tg.zeros((2, 2)))
    with pytest.raises(ValueError, match="axis 3 is out of bounds"):
        tg.logcumsumexp(tg.zeros((2, 2)), axis=3)
    with pytest.raises(ValueError, match="include_initial and exclusive do not go together"):
        tg.cumulative_sum(tg.zeros(2), include_initial=True, exclusive=True)
    with pytest.raises(TypeError, match="order"):
        tg.cummin(tg.asarray([1j]))
    with pytest.raises(TypeError, match="order"):
        tg.logcumsumexp(tg.asarray([1j]))


def test_scans_of_nothing_are_empty() -> None:
    x = tg.zeros((0, 2), requires_grad=True)
    for result in (tg.cummax(x, axis=0)[0], tg.logcumsumexp(x, axis=0), tg.cumulative_prod(x, axis=0, exclusive=True)):
        assert result.shape == (0, 2)
        (slope,) = tg.grad(result.sum(), [x])
        assert slope.shape == (0, 2)


def test_integers_scan_to_the_default_dtype_where_logarithms_do() -> None:
    assert tg.logcumsumexp(tg.asarray([1, 2])).dtype == tg.float32
    assert tg.cummax(tg.asarray([1, 3, 2]))[0].tolist() == [1, 3, 3]


def test_long_products_have_short_gradients() -> None:
    """The recurrence takes log2(n) steps: a chain of 10^5 is swept as one of 17."""
    x = tg.asarray(np.full(100_000, 0.999), requires_grad=True)
    tg.sum(tg.cumulative_prod(x)).backward()
    assert float(x.grad[0]) == pytest.approx(np.sum(0.999 ** np.arange(100_000.0)), rel=1e-10)
