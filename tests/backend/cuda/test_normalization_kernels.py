"""Norms for a GPU, run on the processor: rows and channels of any size, far from zero, in all dtypes."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cuda import normalization_kernels as cuda_normalization_kernels
from tensorgrad.backend.cuda.launch import FLOATS, LONG_ROW
from tests.cuda_on_cpu import agree, as_dtype, on_cpu, prove

__all__ = ["on_cpu"]

NAMES = ("layer_norm_rows", "rms_norm_rows", "batch_norm_train", "group_norm_parts")


@pytest.mark.parametrize("name", [name + end for name in NAMES for end in ("", "_back")])
def test_kernels_equal_the_composition(name, on_cpu, monkeypatch):
    prove(getattr(ops, name), monkeypatch)


def rows_and_channels(dtype, shape, affine):
    """Arguments for all: a row of numbers, what comes back, weights and biases for the last axis and for channels."""
    rng = np.random.default_rng(0)
    x, g = (as_dtype(rng.normal(size=shape), dtype) for _ in range(2))
    of = [as_dtype(rng.normal(size=shape[axis]) + 1, dtype) if affine else None for axis in (-1, -1, 1, 1)]
    return x, g, *of


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("shape", "affine"), [((9, 6, 5), True), ((3, 4, LONG_ROW + 3), True), ((70, 2, 3), False)], ids=str
)
def test_rows_and_channels_of_any_length_in_every_dtype(shape, affine, dtype, on_cpu):
    x, g, weight, bias, scale, shift = rows_and_channels(dtype, shape, affine)
    agree(ops.layer_norm_rows, x, weight, bias, 1e-5)
    agree(ops.rms_norm_rows, x, weight, 1e-6)
    agree(ops.batch_norm_train, x, scale, shift, 1e-5)
    agree(ops.group_norm_parts, x, scale, shift, 2, 1e-5)
    average, rstd = ops.layer_norm_rows.op.kernels["cupy"](on_cpu, x)[1:]
    agree(ops.layer_norm_rows_back, g, x, average, rstd, weight)
    agree(ops.rms_norm_rows_back, g, x, rstd, weight)
    average, rstd = ops.batch_norm_train.op.kernels["cupy"](on_cpu, x)[3:]
    of_channels = np.ascontiguousarray(g[0, :, 0])
    agree(ops.batch_norm_train_back, g, of_channels, of_channels, x, average, rstd, scale)
    average, rstd = ops.group_norm_parts.op.kernels["cupy"](on_cpu, x, None, None, 2)[1:]
    agree(ops.group_norm_parts_back, g, x, average, rstd, scale)


def test_far_from_zero_no_digits_are_lost(on_cpu):
    x = np.random.default_rng(0).normal(size=(4, 3, 50)) + 1e6
    agree(ops.layer_norm_rows, x)
    agree(ops.batch_norm_train, x)
    agree(ops.group_norm_parts, x, None, None, 3)


def test_sums_over_rows_come_in_pieces(on_cpu, monkeypatch):
    monkeypatch.setattr(cuda_normalization_kernels, "_AT_ONCE", 4)
    x, g = np.random.default_rng(0).normal(size=(2, 11, 3))
    agree(ops.layer_norm_rows_back, g, x, x[:, :1].copy(), x[:, 1:2].copy(), x[0])


def test_empty_batches_and_arrays_with_gaps(on_cpu):
    agree(ops.layer_norm_rows, np.zeros((0, 5)))
    agree(ops.layer_norm_rows_back, *[np.zeros((0, size)) for size in (5, 5, 1, 1)])
    agree(ops.layer_norm_rows, np.random.default_rng(0).normal(size=(5, 4)).T)
    agree(ops.batch_norm_train, np.random.default_rng(0).normal(size=(3, 5, 4)).T)
