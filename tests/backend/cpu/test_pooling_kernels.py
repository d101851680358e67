"""Pooling by passes: what the laws cannot see of groups of images, of orders in memory, and of memory itself."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.backend import kernels_of
from tensorgrad.backend.cpu import pooling_kernels

pytestmark = pytest.mark.numpy_only(reason="the kernels are NumPy's")
MOVES: list[Any] = [
    ((2, 2), (2, 2), (1, 1)),
    ((3, 2), (2, 1), (1, 1)),
    ((2, 2), (1, 2), (2, 1)),
    ((8, 7), (1, 1), (1, 1)),
]


def _run(name: str, *arguments: Any) -> Any:
    return kernels_of(name)["numpy"](np, *arguments)


def _all(x: Any, moves: Any) -> list[Any]:
    y = _run("max_windows", x, *moves)
    best = _run("attained_windows", x, y, *moves)
    size = x.shape[2:]
    return [
        y,
        _run("sum_windows", x, *moves),
        best,
        _run("share_windows", y, best, size, *moves),
        _run("gather_windows", x, best, *moves),
        _run("spread_windows", y, size, *moves),
    ]


@pytest.mark.parametrize("moves", MOVES, ids=str)
def test_neither_the_order_in_memory_nor_groups_of_images_change_a_result(
    moves: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).integers(0, 5, size=(5, 3, 8, 7)).astype("f8")
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    expected = _all(x, moves)
    for found, first in zip(_all(last, moves), expected, strict=True):
        np.testing.assert_allclose(found, first, atol=1e-12)
    monkeypatch.setattr(pooling_kernels, "_BLOCK", 1)
    for found, first in zip(_all(x, moves), expected, strict=True):
        np.testing.assert_array_equal(found, first)


def test_results_lie_as_the_image_does() -> None:
    x = np.moveaxis(np.ones((2, 8, 8, 3)), -1, 1)
    value, total, best, shared, gathered, spread = _all(x, MOVES[0])
    for found in (value, total, shared, gathered, spread):
        assert np.moveaxis(found, 1, -1).flags.c_contiguous
    assert np.moveaxis(best[:, :, 0], 1, -1).flags.c_contiguous


def test_a_not_a_number_gets_no_gradient_and_spoils_no_other_windows() -> None:
    x = tg.asarray(np.array([[[[np.nan, 1.0, 2.0, 3.0]]]]), requires_grad=True)
    tg.sum(tg.max_pool2d(x, (1, 2))).backward()
    np.testing.assert_array_equal(x.grad, [[[[0.0, 0.0, 0.0, 1.0]]]])


def test_windows_are_not_written_out_for_the_gradient() -> None:
    x = tg.asarray(np.random.default_rng(0).normal(size=(8, 16, 64, 64)), requires_grad=True)
    tracemalloc.start()
    tg.sum(tg.max_pool2d(x, 3, 1)).backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * x.data.nbytes  # nine windows over every pixel would be nine times the image
