"""Axes are told by how they lie in memory, and put back."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tensorgrad.backend.cpu.memory_order import axes_in_memory, axes_side_by_side, back


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_an_order_is_found_and_undone(order: tuple[int, ...]) -> None:
    laid = np.arange(24).reshape(2, 3, 4)
    x = laid.transpose(back(order))  # whose axes lie in this order
    assert axes_in_memory(x) == axes_side_by_side(x) == order
    assert x.transpose(order).tolist() == laid.tolist()


def test_what_has_gaps_has_an_order_but_is_not_side_by_side() -> None:
    x = np.ones((4, 6))[:, ::2].T
    assert axes_in_memory(x) == (1, 0)
    assert axes_side_by_side(x) is None


def test_axes_of_one_number_and_none() -> None:
    assert axes_side_by_side(np.ones(())) == ()
    assert axes_in_memory(np.broadcast_to(np.ones(3), (2, 3))) == (1, 0)
    assert axes_side_by_side(np.broadcast_to(np.ones(3), (2, 3))) is None
