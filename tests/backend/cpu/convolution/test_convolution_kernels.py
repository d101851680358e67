"""Convolution: what the law "kernels" cannot see of orders in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tensorgrad.backend import kernels_of

pytestmark = pytest.mark.numpy_only(reason="the kernels are NumPy's")
_GEOMETRY: Any = ((2, 1), ((1, 0), (1, 1)), (1, 2), 2)  # stride, padding, dilation, groups


def _run(name: str, *arrays: Any) -> Any:
    return kernels_of(name)["numpy"](None, *arrays)


def _readings(x: Any, weight: Any) -> list[Any]:
    """The three readings at one geometry."""
    y = _run("correlate_windows", x, weight, *_GEOMETRY)
    return [
        y,
        _run("correlate_windows_x", y, weight, x.shape[2:], *_GEOMETRY),
        _run("correlate_windows_weight", x, y, weight.shape[2:], *_GEOMETRY),
    ]


def test_the_order_in_memory_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(3, 4, 9, 8)), rng.normal(size=(4, 2, 3, 2))
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    backwards = x[:, :, ::-1].copy()[:, :, ::-1]
    for other in (last, backwards):
        for found, expected in zip(_readings(other, weight), _readings(x, weight), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_results_lie_with_their_channels_last_so_that_the_next_convolution_moves_nothing() -> None:
    y, image, _ = _readings(np.ones((2, 4, 9, 8)), np.ones((4, 2, 3, 2)))
    for found in (y, image):
        assert np.moveaxis(found, 1, -1).flags.c_contiguous


def test_no_kernel_writes_into_its_operands() -> None:
    x, weight = np.ones((2, 4, 9, 8)), np.ones((4, 2, 3, 2))
    for each in (x, weight):
        each.flags.writeable = False
    _readings(x, weight)
