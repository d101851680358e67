"""The ops of ops/scatter.py under all laws, and their conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.scatter import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def test_places_and_segments_that_are_not_there_are_refused() -> None:
    x, ids = tg.zeros((2, 3)), tg.asarray([0, 5])
    with pytest.raises(IndexError, match="segment_sum: there is no segment 5 among 3"):
        tg.segment_sum(x, ids, 3)
    with pytest.raises(IndexError, match="there is no segment -1"):
        tg.segment_mean(x, tg.asarray([0, -1]))
    with pytest.raises(ValueError, match="needs a segment number for each of its rows"):
        tg.segment_max(x, tg.asarray([0, 1, 2]))
    with pytest.raises(TypeError, match="segment_ids must be integers, got float32"):
        tg.segment_sum(x, tg.asarray([0.0, 1.0]))
    with pytest.raises(IndexError, match="scatter_add: index 3 is out of bounds for an axis of length 3"):
        tg.scatter_add(x, 1, tg.asarray([[3]]), tg.ones((1, 1)))
    with pytest.raises(ValueError, match="as many axes each"):
        tg.scatter_add(x, 1, tg.asarray([0]), tg.ones(1))
    with pytest.raises(ValueError, match=r"the index \(2, 2\) is longer on axis 1 than src \(2, 1\)"):
        tg.scatter_add(x, 0, tg.asarray([[0, 0], [0, 0]]), tg.ones((2, 1)))


def test_counts_refuse_what_they_cannot_count() -> None:
    with pytest.raises(ValueError, match="smallest number of -1"):
        tg.bincount(tg.asarray([-1]))
    with pytest.raises(ValueError, match="2 numbers need as many weights"):
        tg.bincount(tg.asarray([1, 2]), tg.ones(3))
    with pytest.raises(ValueError, match="at least one bin"):
        tg.histogram(tg.ones(2), 0)
    with pytest.raises(ValueError, match="never falls"):
        tg.histogram(tg.ones(2), tg.asarray([1.0, 0.0]))
    with pytest.raises(ValueError, match="finite bounds"):
        tg.histogram(tg.asarray([float("nan")]), 2)
    with pytest.raises(TypeError, match="histogram has no gradient with respect to x"):
        tg.histogram(tg.ones(2, requires_grad=True))
    with tg.no_grad():
        assert tg.histogram(tg.ones(2, requires_grad=True), 1)[0].tolist() == [2]


def test_segments_without_rows_have_what_no_row_gives() -> None:
    x, ids = tg.asarray([[1.0], [2.0]]), tg.asarray([2, 2])
    assert tg.segment_sum(x, ids, 4).tolist() == [[0], [0], [3], [0]]
    assert tg.segment_mean(x, ids, 4).tolist() == [[0], [0], [1.5], [0]]
    assert tg.segment_max(x, ids).tolist() == [[-np.inf], [-np.inf], [2]]
    assert tg.segment_max(tg.asarray([1, 2], dtype=tg.int8), ids).tolist() == [-128, -128, 2]
    assert tg.segment_sum(tg.zeros((0, 2)), tg.asarray([], dtype=tg.int64)).shape == (0, 2)


def test_a_histogram_over_a_range_leaves_out_what_is_outside() -> None:
    x = tg.asarray([-1.0, 0.0, 0.5, 1.0, 2.0], dtype="float64")
    counts, edges = tg.histogram(x, 2, range=(0.0, 1.0))
    assert (counts.tolist(), edges.tolist()) == ([1, 2], [0.0, 0.5, 1.0])
    shares, _ = tg.histogram(x, 2, range=(0.0, 1.0), density=True)
    assert shares.tolist() == pytest.approx([2 / 3, 4 / 3])
    assert tg.histogram(tg.asarray([3, 3]), 1)[1].tolist() == [2.5, 3.5]


def test_scatter_add_is_pytorchs() -> None:
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    values, source, index = (
        generator.normal(size=(4, 3)),
        generator.normal(size=(6, 3)),
        generator.integers(0, 4, (6, 3)),
    )
    x, src = (tg.asarray(each, requires_grad=True) for each in (values, source))
    y, their_src = (torch.tensor(each, requires_grad=True) for each in (values, source))
    ours = tg.scatter_add(x, 0, tg.asarray(index), src)
    theirs = torch.scatter_add(y, 0, torch.tensor(index), their_src)
    (ours**3).sum().backward()
    (theirs**3).sum().backward()
    for one, other in ((ours, theirs), (x.grad, y.grad), (src.grad, their_src.grad)):
        np.testing.assert_allclose(one.tolist(), other.tolist(), rtol=1e-12)
