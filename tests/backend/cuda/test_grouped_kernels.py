"""Convolutions in small groups for a GPU, run on the processor: rows long and short, and when they are taken."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cuda.grouped_kernels import small
from tensorgrad.backend.cuda.launch import FLOATS, LONG_ROW
from tests.cuda_on_cpu import agree, as_dtype, cublas_on_cpu, on_cpu

__all__ = ["cublas_on_cpu", "on_cpu"]

MOVES = ((1, 2), ((1, 0), (0, 1)), (1, 1))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("channels", "out"), [(3, 3), (3, 6), (6, 3)])
def test_every_dtype_and_channel_multiplier(channels, out, dtype, on_cpu, cublas_on_cpu):
    rng = np.random.default_rng(0)
    x = as_dtype(rng.normal(size=(2, channels, 5, 4)), dtype)
    weight = as_dtype(rng.normal(size=(out, channels // 3, 2, 2)), dtype)
    y = as_dtype(rng.normal(size=(2, out, 5, 2)), dtype)
    agree(ops.correlate_windows, x, weight, *MOVES, 3)
    agree(ops.correlate_windows_x, y, weight, (5, 4), *MOVES, 3)
    agree(ops.correlate_windows_weight, x, y, (2, 2), *MOVES, 3)
    assert not cublas_on_cpu


def test_a_kernel_that_sums_over_many_windows(on_cpu, cublas_on_cpu):
    x, y = np.random.default_rng(0).normal(size=(2, 1, 2, 2 * LONG_ROW))
    agree(ops.correlate_windows_weight, x, y[..., 1:], (2,), (1,), ((0, 0),), (1,), 2)


def test_large_groups_and_single_ones_are_products():
    assert small(np.zeros((8, 1, 3)), 8)
    assert not small(np.zeros((8, 8, 3)), 1)
    assert not small(np.zeros((16, 8, 3)), 2)
