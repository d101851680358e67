"""The ops of ops/products.py under all laws, and their errors."""

from __future__ import annotations

from typing import Any

import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.products import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def test_a_diagonal_beyond_the_matrix_is_empty() -> None:
    assert tg.diagonal(tg.ones((2, 3)), offset=3).shape == (0,)
    assert tg.trace(tg.ones((2, 3)), offset=-2).item() == 0.0


def test_a_trace_is_summed_in_the_dtype_asked_for() -> None:
    assert tg.trace(tg.ones((2, 2)), dtype=tg.float64).dtype == tg.float64


def test_cross_says_which_axis_does_not_fit() -> None:
    with pytest.raises(ValueError, match="axis -1 has length 3 in x1 and 2 in x2, not 3"):
        tg.cross(tg.ones(3), tg.ones(2))
    with pytest.raises(ValueError, match="axis 0 is not the same axis in shapes"):
        tg.cross(tg.ones(3), tg.ones((3, 3)), axis=0)


def test_outer_wants_vectors() -> None:
    with pytest.raises(ValueError, match="outer: expected two vectors"):
        tg.outer(tg.ones((2, 2)), tg.ones(2))


def test_vecdot_keeps_small_integers_small() -> None:
    x = tg.asarray([1, 2], dtype=tg.uint8)
    assert tg.vecdot(x, x).dtype == tg.uint8
    assert tg.vecdot(x, tg.asarray([1, 2], dtype=tg.int16)).dtype == tg.int16
    assert tg.vecdot(x, x).item() == 5
