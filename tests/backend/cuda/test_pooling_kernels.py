"""Pooling for a GPU, run on the processor: ties, NaNs, windows that overlap or leave gaps, all dtypes."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cuda.launch import FLOATS
from tests.cuda_on_cpu import agree, as_dtype, both, on_cpu, prove

__all__ = ["on_cpu"]

NAMES = ("max_windows", "min_windows", "sum_windows", "attained_windows", "share_windows", "gather_windows")
NAMES += ("spread_windows",)
# size, kernel, stride, dilation
MOVES = [
    ((7,), (3,), (2,), (1,)),
    ((6, 7), (3, 2), (1, 2), (2, 3)),
    ((5, 4, 6), (2, 2, 3), (2, 1, 2), (1, 2, 1)),
    ((7, 7), (2, 2), (3, 3), (1, 1)),
]


@pytest.mark.parametrize("name", NAMES)
def test_kernels_equal_the_composition(name, on_cpu, monkeypatch):
    prove(getattr(ops, name), monkeypatch)


@pytest.mark.parametrize(("size", "kernel", "stride", "dilation"), MOVES, ids=str)
@pytest.mark.parametrize("images", [(2, 3), (0, 2)], ids=str)
def test_every_move_with_ties(size, kernel, stride, dilation, images, on_cpu):
    x = np.random.default_rng(0).integers(0, 4, (*images, *size)).astype(float)
    for op in (ops.max_windows, ops.min_windows, ops.sum_windows):
        agree(op, x, kernel, stride, dilation)
    y = ops.max_windows(x, kernel, stride, dilation)
    agree(ops.attained_windows, x, y, kernel, stride, dilation)
    best = ops.attained_windows(x, y, kernel, stride, dilation)
    agree(ops.share_windows, y, best, size, kernel, stride, dilation)
    agree(ops.gather_windows, x, best, kernel, stride, dilation)
    agree(ops.spread_windows, y, size, kernel, stride, dilation)


@pytest.mark.parametrize("dtype", FLOATS)
def test_pooling_of_every_dtype(dtype, on_cpu):
    x = as_dtype(np.random.default_rng(0).normal(size=(2, 2, 6, 5)), dtype)
    moves = ((3, 2), (2, 1), (1, 2))
    for op in (ops.max_windows, ops.min_windows, ops.sum_windows):
        agree(op, x, *moves)
    y = np.ascontiguousarray(x[:, :, :2, :3])
    agree(ops.spread_windows, y, (6, 5), *moves)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_extremes_of_integers(dtype, on_cpu):
    x = as_dtype(np.random.default_rng(0).integers(0, 2, (1, 2, 6)), dtype)
    agree(ops.max_windows, x, (2,), (2,), (1,))
    agree(ops.min_windows, x, (2,), (2,), (1,))


@pytest.mark.parametrize("name", ["max_windows", "min_windows"])
@pytest.mark.parametrize("place", range(4))
def test_a_nan_is_the_extreme_of_its_window(name, place, on_cpu):
    x = np.arange(8.0).reshape(1, 1, 8)
    x[0, 0, place] = np.nan
    (found,), (expected,) = both(getattr(ops, name), x, (4,), (4,), (1,))
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found[0, 0, 0])
    assert not np.isnan(found[0, 0, 1])
