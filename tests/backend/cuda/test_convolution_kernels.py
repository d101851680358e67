"""Convolutions on a GPU without cuDNN, run on the processor: every move, groups of any size, memory that is bounded."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cuda import convolution_kernels as cuda_convolution_kernels
from tensorgrad.backend.cuda.launch import FLOATS
from tests.cuda_on_cpu import agree, as_dtype, cublas_on_cpu, on_cpu, prove

__all__ = ["cublas_on_cpu", "on_cpu"]

# x, weight, stride, padding, dilation, groups
CALLS = {
    "line": ((2, 3, 9), (4, 3, 3), (2,), ((1, 0),), (2,), 1),
    "image": ((3, 4, 6, 5), (6, 4, 3, 2), (1, 2), ((1, 1), (0, 1)), (1, 1), 1),
    "one pixel": ((3, 4, 5, 2), (6, 4, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
    "one pixel, two groups": ((3, 8, 5, 2), (10, 4, 1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1), 2),
    "two groups": ((3, 8, 5, 4), (10, 4, 2, 2), (1, 1), ((1, 0), (0, 0)), (1, 2), 2),
    "more groups than images": ((1, 8, 4), (8, 4, 2), (1,), ((0, 0),), (1,), 2),
    "small groups": ((2, 6, 5, 4), (9, 2, 2, 2), (2, 1), ((1, 0), (0, 2)), (1, 2), 3),
    "each channel": ((2, 5, 7), (5, 1, 3), (1,), ((1, 1),), (1,), 5),
    "volume": ((2, 2, 3, 4, 3), (3, 2, 2, 2, 2), (1, 2, 1), ((1, 1), (0, 0), (0, 1)), (2, 1, 1), 1),
    "no images": ((0, 2, 5), (3, 2, 2), (1,), ((0, 0),), (1,), 1),
    "no channels": ((2, 0, 5), (3, 0, 2), (1,), ((0, 0),), (1,), 1),
}


@pytest.mark.parametrize("name", ["correlate_windows", "correlate_windows_x", "correlate_windows_weight"])
def test_kernels_equal_the_composition(name, on_cpu, cublas_on_cpu, monkeypatch):
    prove(getattr(ops, name), monkeypatch)


def three_readings(x_shape, weight_shape, stride, padding, dilation, groups, dtype="float64"):
    """The product of image, kernel and windows, read three ways."""
    rng = np.random.default_rng(0)
    x, weight = (as_dtype(rng.normal(size=shape), dtype) for shape in (x_shape, weight_shape))
    moves = (stride, padding, dilation, groups)
    shape = ops.correlate_windows.op.composition(np, x.astype("float64"), weight.astype("float64"), *moves).shape
    y, bias, before = (as_dtype(rng.normal(size=size), dtype) for size in (shape, shape[1], x_shape[1]))
    agree(ops.correlate_windows, x, weight, *moves, bias)
    agree(ops.correlate_windows, x, weight, *moves)
    agree(ops.correlate_windows_x, y, weight, x_shape[2:], *moves, before)
    agree(ops.correlate_windows_x, y, weight, x_shape[2:], *moves)
    agree(ops.correlate_windows_weight, x, y, weight_shape[2:], *moves)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_every_kind_of_call(call, on_cpu, cublas_on_cpu):
    three_readings(*call)


@pytest.mark.parametrize("call", ["image", "two groups", "one pixel"])
def test_windows_are_written_for_some_images_at_a_time(call, on_cpu, cublas_on_cpu, monkeypatch):
    three_readings(*CALLS[call])
    at_once = len(cublas_on_cpu)
    monkeypatch.setattr(cuda_convolution_kernels, "ROOM", 1)
    three_readings(*CALLS[call])
    assert len(cublas_on_cpu) > 2 * at_once


@pytest.mark.parametrize("dtype", FLOATS[:3])
@pytest.mark.parametrize("call", ["image", "each channel"])
def test_convolutions_of_every_dtype(call, dtype, on_cpu, cublas_on_cpu):
    three_readings(*CALLS[call], dtype)


def test_small_groups_need_no_product_of_matrices(on_cpu, cublas_on_cpu):
    three_readings(*CALLS["each channel"])
    assert not cublas_on_cpu


def test_images_with_gaps(on_cpu, cublas_on_cpu):
    x = np.random.default_rng(0).normal(size=(5, 4, 3, 2)).T
    agree(ops.correlate_windows, x, np.ones((2, 3, 2, 2))[::-1], (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
