"""Attention by blocks: the same as all scores at once, in memory for a block of them."""

import tracemalloc

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad import ops
from tensorgrad.backend.cpu import attention_kernels
from tensorgrad.backend.libraries import NUMPY


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 3 queries and 4 keys, so that short sequences are cut too."""
    monkeypatch.setattr(attention_kernels, "_QUERIES", 3)
    monkeypatch.setattr(attention_kernels, "_KEYS", 4)
    monkeypatch.setattr(attention_kernels, "SCORES", 12)
    monkeypatch.setattr(attention_kernels, "_SHARED", 1)


def agree(query, key, value, bias=None, keep=None, causal=False):
    """Kernel and composition, forward and backward."""
    given = (query, key, value, bias, keep, 0.4, causal)
    forward, back = ops.attention.op, ops.attention_back.op
    expected = forward.composition(NUMPY.namespace, *given)
    for found, each in zip(forward.kernels["numpy"](NUMPY.namespace, *given), expected, strict=True):
        assert np.allclose(found, each, rtol=1e-12, atol=1e-12)
        assert found.shape == each.shape
    out, lse = expected
    given = (draw(*out.shape, seed=9), query, key, value, out, lse, bias, keep, 0.4, causal)
    expected = back.composition(NUMPY.namespace, *given)
    for found, each in zip(back.kernels["numpy"](NUMPY.namespace, *given), expected, strict=True):
        assert np.allclose(found, each, rtol=1e-11, atol=1e-11)
        assert found.shape == each.shape


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("lengths", [(1, 1), (7, 9), (9, 7), (3, 4), (13, 2)])
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_blocks_that_do_not_come_out_even(small_blocks, batch, lengths, causal):
    queries, keys = lengths
    agree(draw(*batch, queries, 5), draw(*batch, keys, 5, seed=1), draw(*batch, keys, 2, seed=2), causal=causal)


@pytest.mark.parametrize("causal", [False, True])
def test_masks_dropout_and_batches_that_broadcast(small_blocks, causal):
    q, k, v = draw(2, 1, 7, 5), draw(3, 9, 5, seed=1), draw(9, 2, seed=2)
    bias = np.where(draw(2, 1, 1, 9, seed=3) > 0.5, -np.inf, draw(2, 1, 1, 9, seed=4))
    keep = (draw(7, 9, seed=5) > 0).astype(float) * 2
    agree(q, k, v, bias, keep, causal)
    agree(q, k, v, bias, None, causal)
    agree(q, k, v, None, keep, causal)
    agree(k, k, draw(4, 3, 9, 2), bias[0], None, causal)  # fewer scores than results


def test_queries_that_see_nothing_and_scores_far_apart(small_blocks):
    """One peak for all rows is too far from some: they are done again by their own."""
    q, k, v = draw(5, 4), draw(9, 4, seed=1), draw(9, 3, seed=2)
    bias = np.zeros((5, 9))
    bias[1] = -np.inf
    bias[2] = 1e4
    bias[3, 6:] = 2e4
    agree(q, k, v, bias)


def test_what_is_not_finite_is_so_in_its_own_row_alone():
    q, k, v = draw(3, 4), draw(5, 4, seed=1), draw(5, 2, seed=2)
    q[1, 0] = np.nan
    with np.errstate(all="ignore"):
        out = ops.attention(q, k, v)
    assert np.isnan(out[1]).all()
    assert np.isfinite(out[[0, 2]]).all()


@pytest.mark.parametrize("causal", [False, True])
def test_no_more_than_a_block_of_scores_is_ever_there(causal):
    """2,048 queries and keys: the scores of both heads would take 32 MiB in float32."""
    length, width = 2048, 8
    q, k, v = (
        tg.asarray(draw(2, length, width, seed=seed).astype("float32"), device="cpu", requires_grad=True)
        for seed in range(3)
    )
    tracemalloc.start()
    y = tg.scaled_dot_product_attention(q, k, v, is_causal=causal)
    forward = tracemalloc.get_traced_memory()[1]
    y.sum().backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    whole = 2 * length * length * 4
    assert forward < whole / 8
    assert peak < whole / 8


def test_results_do_not_depend_on_the_number_of_threads():
    q, k, v = (draw(2, 4, 128, 16, seed=seed).astype("float32") for seed in range(3))
    before = tg.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            tg.set_num_threads(count)
            out, lse = ops.attention.op.kernels["numpy"](NUMPY.namespace, q, k, v, causal=True)
            back = ops.attention_back.op.kernels["numpy"](NUMPY.namespace, out, q, k, v, out, lse, causal=True)
            found.append((out, lse, *back))
    finally:
        tg.set_num_threads(before)
    assert all(np.array_equal(one, two) for one, two in zip(*found, strict=True))
