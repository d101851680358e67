"""Softmax and its kin for a GPU, run on the processor: short rows and long ones, ragged ends, infinities."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cuda import index_flag
from tensorgrad.backend.cuda.launch import FLOATS, LONG_ROW
from tests.cuda_on_cpu import agree, as_dtype, both, on_cpu, prove

__all__ = ["on_cpu"]

OPS = (ops.softmax, ops.softmax_back, ops.log_softmax, ops.log_softmax_back)
OPS += (ops.softmax_cross_entropy, ops.softmax_cross_entropy_back)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_kernels_equal_the_composition(op, on_cpu, monkeypatch):
    prove(op, monkeypatch)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(9, 33), (2, LONG_ROW + 7)], ids=str)
def test_rows_of_any_length_in_every_dtype(shape, dtype, on_cpu):
    rng = np.random.default_rng(0)
    x, g = (as_dtype(rng.normal(size=shape), dtype) for _ in range(2))
    agree(ops.softmax, x)
    agree(ops.softmax_back, g, x)
    labels = rng.integers(0, shape[1], shape[0])
    agree(ops.softmax_cross_entropy, x, labels)
    agree(ops.softmax_cross_entropy_back, g[:, 0].copy(), x, labels)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_in_its_row(value, on_cpu):
    x = np.random.default_rng(0).normal(size=(3, 4))
    x[1, 2] = value
    with np.errstate(all="ignore"):
        for op in (ops.softmax, ops.log_softmax):
            (found,), (expected,) = both(op, x)
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_row_without_a_finite_number_is_nan_as_elsewhere(on_cpu):
    x = np.full((2, 3), -np.inf)
    with np.errstate(all="ignore"):
        (found,), (expected,) = both(ops.softmax, x)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("label", [5, -1])
def test_a_class_that_is_not_there_raises_the_flag(label, on_cpu):
    ops.softmax_cross_entropy.op.kernels["cupy"](on_cpu, np.zeros((3, 5)), np.asarray([0, label, 4]))
    with pytest.raises(IndexError, match=f"index {label} is out of bounds for an axis with size 5"):
        index_flag.check()


def test_labels_of_32_bits_and_arrays_with_gaps(on_cpu):
    x = np.random.default_rng(0).normal(size=(4, 6))
    labels = np.asarray([0, 5, 2, 2], np.int32)
    agree(ops.softmax_cross_entropy, x[::-1, ::2], labels % 3)
    agree(ops.softmax, x.T)
