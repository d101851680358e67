"""The ops of ops/shape.py under all laws, and their conventions."""

from __future__ import annotations

from typing import Any

import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.shape import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def test_a_new_axis_may_be_named_by_place_and_is_one_of_the_results() -> None:
    x = tg.ones((2, 3))
    assert [tg.expand_dims(x, axis).shape for axis in (0, 2, -1, -3)] == [(1, 2, 3), (2, 3, 1), (2, 3, 1), (1, 2, 3)]
    for axis in (3, -4):
        with pytest.raises(IndexError, match=f"expand_dims: axis {axis} is none of the result's 3, -3 to 2"):
            tg.expand_dims(x, axis=axis)
    with pytest.raises(TypeError, match="expand_dims: 'float' object cannot be interpreted as an integer"):
        tg.expand_dims(x, axis=0.5)
