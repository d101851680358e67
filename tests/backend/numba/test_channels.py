"""Compiled sweeps of batch and group norm: against NumPy's, as loops of Python and as machine code."""

from importlib.util import find_spec

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend import fast
from tensorgrad.backend.libraries import NUMPY
from tensorgrad.backend.numba.channels import mixed, row_sums, scaled

GENERATOR = np.random.default_rng(0)


@pytest.fixture(params=["as Python", "compiled"], autouse=True)
def every_size(request, monkeypatch):
    if request.param == "as Python":
        monkeypatch.setattr(fast, "compiled", lambda loop, kinds, dtype: loop)
    elif find_spec("numba") is None:
        pytest.skip("numba is not installed (the extra `fast`)")
    monkeypatch.setattr(fast, "least", 0)


def draw(*shape):
    return GENERATOR.normal(size=shape).astype("f")


@pytest.mark.parametrize("shape", [(1, 1), (5, 1), (3, 40), (7, 129)])
def test_sweeps(shape):
    x, y, factor, other, shift = draw(*shape), draw(*shape), draw(shape[0]), draw(shape[0]), draw(shape[0])
    for each in (x, np.asfortranarray(x)):
        np.testing.assert_allclose(row_sums(each, y), [y.sum(axis=1), (x * y).sum(axis=1)], rtol=1e-4, atol=1e-5)
        expected = x * factor[:, None] + shift[:, None]
        np.testing.assert_allclose(scaled(each, factor, shift, (x.size,)), expected.reshape(-1), rtol=1e-4, atol=1e-6)
        expected = other[:, None] * y + expected
        found = mixed(each, y, factor, other, shift, shape)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        assert found.dtype == "f"


@pytest.mark.parametrize("far", [0.0, 100.0])
def test_channels_far_from_zero_keep_their_digits(far):
    x, g, weight, bias = draw(6, 4, 5) + np.float32(far), draw(6, 4, 5), draw(4), draw(4)

    def agree(op, *args):
        wide = [each.astype("d") if isinstance(each, np.ndarray) else each for each in args]
        found, expected = op.op.kernels["numpy"](NUMPY.namespace, *args), op.op.composition(NUMPY.namespace, *wide)
        for ours, exact in zip(found, expected, strict=True):
            assert np.abs(ours - exact).max() <= (2e-5 if far == 0.0 else 2e-3) * (1 + np.abs(exact).max())
        return found

    *_, average, rstd = agree(ops.batch_norm_train, x, weight, bias)
    agree(ops.batch_norm_train_back, g, draw(4), draw(4), x, average, rstd, weight)
    _y, average, rstd = agree(ops.group_norm_parts, x, weight, bias, 2)
    agree(ops.group_norm_parts_back, g, x, average, rstd, weight)


def test_they_are_left_out_where_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(fast, "compiled", lambda loop, kinds, dtype: None)
    x, factor = draw(3, 4), draw(3)
    assert row_sums(x, x) is None
    assert scaled(x, factor, factor, (3, 4)) is None
    assert mixed(x, x, factor, factor, factor, (3, 4)) is None
