"""The functions that compiled kernels call, uncompiled and compiled."""

from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest

from tensorgrad.backend import fast
from tensorgrad.backend.numba.functions import bits, exp, number, order, unordered

EDGES = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf]


def exponentials(x, out):
    """e^x"""
    for i in range(x.size):
        out[i] = exp(x[i])


def through_order(x, out):
    """x, there and back"""
    for i in range(x.size):
        out[i] = unordered(order(x[i]))


def _apply(loop, x):
    out = np.empty_like(x)
    run = fast.compiled(loop, "in1 out1", x.dtype) if find_spec("numba") else None
    if run is None:
        pytest.skip("numba is not installed (the extra `fast`)")
    run(x, out)
    return out


# Differences of the polynomial in units of the result: float32 has 1.2e-7, float64 2.2e-16.
@pytest.mark.parametrize(("dtype", "low", "error"), [("f", -87, 2.5e-7), ("d", -700, 5e-16)])
def test_exponentials_are_right_to_two_units(dtype, low, error):
    x = np.linspace(low, -low, 20_001).astype(dtype)
    expected = np.exp(x.astype(np.longdouble))
    for found in (_apply(exponentials, x), np.asarray([exp(each) for each in x[::97]])):
        exact = expected if found.size == x.size else expected[::97]
        assert found.dtype == dtype
        assert np.max(np.abs(found - exact) / exact) <= error


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_exponentials_at_the_edges(dtype):
    """Underflow comes by way of subnormal numbers, overflow gives infinity, and NaN stays."""
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.asarray([*EDGES, np.nan, 5000.0, -5000.0, np.log(float(tiny)) + 3], dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = np.exp(x)
        found = _apply(exponentials, x)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=float(tiny) * 2)


@pytest.mark.parametrize("dtype", ["f", "d"])
def test_integers_are_ordered_as_numbers_are(dtype):
    x = np.sort(np.asarray([*EDGES, 1e-30, -1e-30, 3.5, -2e30], dtype))
    assert all(order(low) <= order(high) for low, high in pairwise(x))
    np.testing.assert_array_equal([unordered(order(each)) for each in x], x)
    np.testing.assert_array_equal([number(bits(each)) for each in x], x)
    np.testing.assert_array_equal(_apply(through_order, x), x)
