"""Softmax and its kin by blocks of rows: exact far below the block's largest, and with infinities."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cpu.row_blocks import BLOCK
from tensorgrad.backend.libraries import NUMPY

pytestmark = pytest.mark.usefixtures("kernels_of_numpy")
OPS = {"softmax": ops.softmax, "log_softmax": ops.log_softmax}


def both(op, *args):
    """What the kernel gives, and what the composition gives."""
    return op.op.kernels["numpy"](NUMPY.namespace, *args), op.op.composition(NUMPY.namespace, *args)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("gap", [0.0, 20.0, 60.0, 1000.0])
def test_a_row_far_below_another_keeps_its_digits(name, dtype, gap):
    x = np.random.default_rng(0).normal(size=(4, 5)).astype(dtype)
    x[1] -= gap
    x[:, 4] -= 15.0  # and an element far below its row
    found, expected = both(OPS[name], x)
    assert found.dtype == dtype
    assert np.allclose(found, expected, rtol=20 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_in_its_row(name, value):
    x = np.random.default_rng(0).normal(size=(3, 4))
    x[1, 2] = value
    with np.errstate(all="ignore"):
        found, expected = both(OPS[name], x)
    assert np.allclose(found, expected, equal_nan=True)
    assert np.isfinite(found[[0, 2]]).all()


def test_a_row_of_nothing_but_minus_infinity_is_not_a_number():
    x = np.zeros((2, 3))
    x[0] = -np.inf
    with np.errstate(all="ignore"):
        found, expected = both(ops.softmax, x)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.isnan(found[0]).all()


@pytest.mark.parametrize("name", OPS)
def test_many_rows_in_any_layout(name):
    """Several blocks, the last one short; and rows that do not lie one after another."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(BLOCK // 64 * 2 + 3, 64)).astype("float32")
    found, expected = both(OPS[name], x)
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)
    g = generator.normal(size=x.shape).astype("float32")
    found, composed = both(ops.softmax_back if name == "softmax" else ops.log_softmax_back, g, expected)
    assert np.allclose(found, composed, rtol=1e-4, atol=1e-5)
    turned = np.ascontiguousarray(x[:500].T).T
    found, expected = both(OPS[name], turned)
    assert np.allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_cross_entropy_far_below_another_row():
    logits = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    logits[2] -= 500.0
    labels = np.array([0, 4, 2, 1])
    for found, expected in zip(*both(ops.softmax_cross_entropy, logits, labels), strict=True):
        assert np.allclose(found, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("axis", [0, (0, 1), -2])
def test_other_axes_are_left_to_the_composition(axis):
    x = np.random.default_rng(0).normal(size=(3, 4))
    for op in OPS.values():
        found, expected = both(op, x, axis)
        assert np.array_equal(found, expected)
