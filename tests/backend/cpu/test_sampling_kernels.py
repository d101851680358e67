"""Pixels by their places with sparse matrices: the composition's numbers, for one channel and for many."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.libraries import NUMPY

XP = NUMPY.namespace


def arguments(c, count, dtype="float64"):
    rng = np.random.default_rng(0)
    x, y, weight = (rng.normal(size=shape).astype(dtype) for shape in ((2, c, 7), (2, c, 30), (2, count, 30)))
    return x, y, rng.integers(-2, 7, (2, count, 30)), weight


def both(op, *given):
    found, expected = op.op.kernels["numpy"](XP, *given), op.op.composition(XP, *given)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    return found, expected


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "complex64"])
@pytest.mark.parametrize("weighed", [True, False])
def test_kernels_equal_the_composition(c, count, dtype, weighed):
    x, y, places, weight = arguments(c, count, dtype)
    given = (weight,) if weighed else ()
    for op, *rest in (
        (ops.read_taps, x, places, *given),
        (ops.read_taps_x, y, places, 7, *given),
        (ops.read_taps_weight, x, y, places),
    ):
        found, expected = both(op, *rest)
        tolerance = 1e-2 if dtype == "float16" else 1e-5
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("c", [1, 2])
def test_what_is_not_read_has_no_part(c):
    x, places = np.asarray([[[np.inf, 2.0, np.nan]] * c]), np.asarray([[[1, -1], [-1, -2]]])
    weight = np.ones((1, 2, 2))
    assert ops.read_taps.op.kernels["numpy"](XP, x, places, weight).tolist() == [[[2.0, 0.0]] * c]
    y = np.asarray([[[1.0, np.inf]] * c])
    assert ops.read_taps_x.op.kernels["numpy"](XP, y, places, 3, weight).tolist() == [[[0.0, 1.0, 0.0]] * c]


def test_two_dtypes_and_nothing_are_left_to_the_composition():
    x, y, places, weight = arguments(3, 2)
    for dtype, part in (("float32", slice(None)), ("float64", slice(0))):
        given = x[part].astype(dtype), places[part], weight[part]
        np.testing.assert_array_equal(*both(ops.read_taps, *given))
        np.testing.assert_array_equal(*both(ops.read_taps_x, y[part].astype(dtype), places[part], 7, weight[part]))
