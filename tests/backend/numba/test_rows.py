"""Compiled kernels of rows: against the compositions, as loops of Python and as machine code."""

from importlib.util import find_spec

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.backend import fast
from tensorgrad.backend.libraries import NUMPY
from tensorgrad.backend.numba import rows as numba_rows

GENERATOR = np.random.default_rng(0)
pytestmark = pytest.mark.numpy_only("compiled kernels take NumPy arrays")


@pytest.fixture(params=["as Python", "compiled"], autouse=True)
def every_size(request, monkeypatch):
    """All sizes through the loops; they are plain functions, so they run without numba too."""
    if request.param == "as Python":
        monkeypatch.setattr(numba_rows, "compiled", lambda loop, kinds, dtype: loop)
        monkeypatch.setattr(fast, "least", 0)
        yield
        return
    if find_spec("numba") is None:
        pytest.skip("numba is not installed (the extra `fast`)")
    tg.set_fast(True)
    yield
    tg.set_fast(None)


def draw(*shape):
    return GENERATOR.normal(size=shape).astype("f")


def agree(op, *args, tolerance=2e-6):
    wide = [each.astype("d") if isinstance(each, np.ndarray) and each.dtype == "f" else each for each in args]
    with np.errstate(all="ignore"):
        found = op.op.kernels["numpy"](NUMPY.namespace, *args)
        expected = op.op.composition(NUMPY.namespace, *wide)
    found, expected = ((each if isinstance(each, tuple) else (each,)) for each in (found, expected))
    for ours, exact in zip(found, expected, strict=True):
        assert ours.dtype == "f"
        assert ours.shape == exact.shape
        np.testing.assert_allclose(
            ours, exact, rtol=tolerance, atol=tolerance * (1 + np.abs(exact[np.isfinite(exact)]).max())
        )
    return found


@pytest.mark.parametrize("shape", [(1,), (7,), (5, 1), (3, 4, 33), (2, 130)])
def test_rows_of_every_length(shape):
    x, g, weight, bias = draw(*shape), draw(*shape), draw(shape[-1]), draw(shape[-1])
    (p,) = agree(ops.softmax, x)
    agree(ops.softmax_back, g, p)
    (log_p,) = agree(ops.log_softmax, x)
    agree(ops.log_softmax_back, g, log_p)
    if shape[-1] > 1:
        _, average, rstd = agree(ops.layer_norm_rows, x, weight, bias, tolerance=5e-6)
        agree(ops.layer_norm_rows_back, g, x, average, rstd, weight, tolerance=2e-5)
        agree(ops.layer_norm_rows_back, g, x, average, rstd, tolerance=2e-5)
    _, rstd = agree(ops.rms_norm_rows, x, weight, tolerance=5e-6)
    agree(ops.rms_norm_rows_back, g, x, rstd, weight, tolerance=2e-5)


def test_rows_far_from_zero_keep_their_digits():
    x, g, weight = draw(9, 33) + np.float32(100), draw(9, 33), draw(33)
    agree(ops.softmax, x * np.float32(30), tolerance=1e-5)
    _, average, rstd = agree(ops.layer_norm_rows, x, weight, weight, tolerance=2e-4)
    agree(ops.layer_norm_rows_back, g, x, average, rstd, weight, tolerance=2e-4)


def test_numbers_that_are_not_finite_stay_in_their_row():
    x = draw(6, 5)
    x[0, 1], x[1, 2], x[2, 3], x[3] = np.nan, np.inf, -np.inf, -np.inf
    for op in (ops.softmax, ops.log_softmax):
        agree(op, x, tolerance=1e-5)


def test_labels():
    x, labels = draw(40, 9), GENERATOR.integers(0, 9, 40)
    _losses, p = agree(ops.softmax_cross_entropy, x, labels)
    agree(ops.softmax_cross_entropy_back, draw(40), p, labels)
    agree(ops.softmax_cross_entropy_back, draw(40)[::-1], p, labels.astype("i4"))


def test_arrays_that_lie_otherwise():
    x, g = draw(6, 8), draw(6, 8)
    x.flags.writeable = False
    raw = np.zeros(x.nbytes + 1, "u1")[1:]
    askew = raw.view("f").reshape(x.shape)
    askew[...] = x
    for each in (x, askew, np.asfortranarray(x), x[:, ::-1], x[::2]):
        (p,) = agree(ops.softmax, each)
        agree(ops.softmax_back, g[: len(each)], p)
        _, average, rstd = agree(ops.layer_norm_rows, each, tolerance=5e-6)
        agree(ops.layer_norm_rows_back, g[: len(each)], each, average, rstd, tolerance=2e-5)


def test_what_is_not_for_them_is_left_to_others():
    x = draw(4, 3)
    np.testing.assert_allclose(ops.softmax(x, axis=0).sum(axis=0), 1, rtol=1e-6)
    assert ops.softmax(x.astype("float16")).dtype == "float16"
    assert ops.layer_norm_rows(np.ones((0, 4), "f")).shape == (0, 4)
