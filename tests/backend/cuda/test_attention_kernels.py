"""Attention for a GPU, run on the processor: causal or not, more keys than queries and fewer, every dtype."""

import numpy as np
import pytest

from tensorgrad import ops
from tensorgrad.backend.cuda.launch import FLOATS, LONG_ROW
from tests.cuda_on_cpu import agree, as_dtype, cublas_on_cpu, on_cpu, prove

__all__ = ["cublas_on_cpu", "on_cpu"]

pytestmark = pytest.mark.usefixtures("cublas_on_cpu")


@pytest.mark.parametrize("name", ["attention", "attention_back"])
def test_kernels_equal_the_composition(name, on_cpu, monkeypatch):
    prove(getattr(ops, name), monkeypatch)


@pytest.mark.parametrize("dtype", [each for each in FLOATS if each != "bfloat16"])  # of which NumPy has no product
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("places", [(5, 5), (3, 7), (7, 3), (2, LONG_ROW + 3)], ids=str)
def test_every_shape_of_scores(places, causal, dtype, on_cpu):
    rng = np.random.default_rng(0)
    queries, keys = places
    q, k, v, g = (
        as_dtype(rng.normal(size=(2, 2, *size)), dtype)
        for size in zip((queries, keys, keys, queries), (4, 4, 3, 3), strict=True)
    )
    agree(ops.attention, q, k, v, None, None, 0.5, causal)
    result, lse = ops.attention.op.kernels["cupy"](on_cpu, q, k, v, None, None, 0.5, causal)
    agree(ops.attention_back, g, q, k, v, result, lse, None, None, 0.5, causal)


def test_heads_that_lie_beside_each_other_and_no_heads(on_cpu):
    x = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).swapaxes(1, 2)
    agree(ops.attention, x, x, x, None, None, 0.5, True)
    agree(ops.attention, x[:0], x[:0], x[:0])


def test_scores_that_are_not_finite_stay_in_their_row(on_cpu):
    q, k = np.ones((3, 2)), np.ones((4, 2))
    q[1] = np.inf
    with np.errstate(all="ignore"):
        found = ops.attention.op.kernels["cupy"](on_cpu, q, k, k)
        expected = ops.attention.op.composition(np, q, k, k)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other)


def test_products_that_no_float16_holds_are_scaled_before_they_are_rounded(on_cpu):
    q = np.full((3, 64), 40.0, np.float16)  # products are 102,400, and 12,800 when they are scaled
    k, v = q * np.asarray([[1.0], [0.99], [-1.0]], np.float16), np.eye(3, dtype=np.float16)
    found, _ = ops.attention.op.kernels["cupy"](on_cpu, q, k, v, None, None, 0.125)
    np.testing.assert_array_equal(found, np.broadcast_to([1.0, 0.0, 0.0], (3, 3)))


def test_the_gradient_of_halves_does_not_rest_on_a_rounded_logarithm(on_cpu):
    """Here one that is wrong by a quarter, which would make all weights too large by 28 %."""
    q, k = np.full((1, 1), 9.0, np.float16), np.ones((40, 1), np.float16)
    v, g = np.linspace(-1, 1, 40, dtype=np.float16)[:, None], np.ones((1, 1), np.float16)
    result, lse = ops.attention.op.kernels["cupy"](on_cpu, q, k, v)
    _, _, d_value = ops.attention_back.op.kernels["cupy"](on_cpu, g, q, k, v, result, lse - np.float16(0.25))
    np.testing.assert_allclose(d_value, np.full((40, 1), 1 / 40), rtol=1e-3)
