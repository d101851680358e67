"""Borders keep the order in memory, on memory of their own."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad.backend import kernels_of

pytestmark = pytest.mark.numpy_only(reason="the kernel is NumPy's")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_border_is_numpys_and_lies_as_the_array_does(order: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).transpose(order)
    found = kernels_of("bordered")["numpy"](np, x, ((1, 0), (0, 2), (3, 1)), 1.5)
    np.testing.assert_array_equal(found, np.pad(x, ((1, 0), (0, 2), (3, 1)), constant_values=1.5))
    assert np.argsort(found.strides).tolist() == np.argsort(x.strides).tolist()


def test_no_border_is_a_copy() -> None:
    x = np.ones((2, 2))
    assert not np.shares_memory(kernels_of("bordered")["numpy"](np, x, ((0, 0), (0, 0)), 0.0), x)
