"""Negative log-likelihood and perplexity, beside scikit-learn and our own loss."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tensorgrad as tg
from tensorgrad.train import NLL, Perplexity
from tests.train.metrics.test_classification import CLASSES, rows, streamed


@given(st.integers(0, 10_000))
def test_figures_are_those_of_scikit_learn(seed):
    theirs = pytest.importorskip("sklearn.metrics", reason="needs the package scikit-learn")
    logits, y = rows(seed)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = theirs.log_loss(y, p, labels=list(range(CLASSES)))
    assert streamed(NLL(), logits, y, seed) == pytest.approx(expected)
    assert streamed(Perplexity(), logits, y, seed) == pytest.approx(math.exp(expected))


def test_places_that_are_ignored_do_not_count():
    logits = np.random.default_rng(0).normal(size=(3, CLASSES, 5))
    y = np.random.default_rng(1).integers(0, CLASSES, (3, 5))
    y[0] = -100
    nll = NLL(ignore_index=-100)
    nll.update(logits, y)
    expected = tg.cross_entropy(tg.asarray(logits.tolist(), dtype="float64"), tg.asarray(y.tolist()))
    assert nll.compute() == pytest.approx(float(expected))
    nll.reset()
    nll.update(logits[:1], y[:1])
    assert math.isnan(nll.compute())


def test_large_logits_do_not_overflow():
    nll = NLL()
    nll.update([[1e4, 0.0]], [1])
    assert nll.compute() == pytest.approx(1e4)
    with pytest.raises(ValueError, match="the classes as axis 1"):
        nll.update(np.ones((2, 3, 4)), np.ones((2, 3)))
