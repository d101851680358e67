"""The ops of ops/sorting.py under all laws, and their conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.sorting import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def test_bad_ranks_and_counts_are_refused() -> None:
    x = tg.asarray([1.0, 2.0])
    with pytest.raises(ValueError, match=r"topk: k is 3, but axis 0 of the shape \(2,\) has 2 elements"):
        tg.topk(x, 3)
    with pytest.raises(ValueError, match="quantile: q is a number from 0 to 1"):
        tg.quantile(x, 1.5)
    with pytest.raises(ValueError, match="interpolation is 'cubic'; it may be 'linear'"):
        tg.quantile(x, 0.5, interpolation="cubic")
    with pytest.raises(ValueError, match="median: no elements to choose from"):
        tg.median(tg.zeros((0, 3)), axis=0)
    with pytest.raises(TypeError, match="median: complex numbers have no order"):
        tg.median(tg.asarray([1j]))
    with pytest.raises(ValueError, match="without axes"):
        tg.nonzero(tg.asarray(1.0))


def test_sorting_is_stable_both_ways() -> None:
    x = tg.asarray([1.0, 0.0, 1.0, 0.0])
    assert tg.argsort(x).tolist() == [1, 3, 0, 2]
    assert tg.argsort(x, descending=True).tolist() == [0, 2, 1, 3]
    assert tg.topk(x, 3)[1].tolist() == [0, 2, 1]
    assert tg.topk(x, 1, largest=False)[1].tolist() == [1]


def test_the_gradient_of_a_quantile_is_shared_by_its_two_neighbours() -> None:
    x = tg.asarray([4.0, 1.0, 2.0], requires_grad=True, dtype="float64")
    tg.quantile(x, 0.6).backward()
    assert x.grad.tolist() == pytest.approx([0.2, 0.0, 0.8])


def test_quantiles_of_integers_are_floating() -> None:
    assert tg.median(tg.asarray([1, 2])).dtype == tg.float32
    assert tg.quantile(tg.asarray([[1, 2], [3, 4]]), tg.asarray([0.0, 1.0]), 1).tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_membership_takes_a_number_on_either_side() -> None:
    x = tg.asarray([1, 2, 3])
    assert tg.isin(x, 2).tolist() == [False, True, False]
    assert tg.isin(2, x).item() is True
    assert tg.isin(x, tg.asarray([], dtype=tg.int64)).tolist() == [False] * 3


def test_each_nan_is_a_value_of_its_own() -> None:
    found = tg.unique_counts(tg.asarray([float("nan"), 1.0, float("nan")]))
    assert found.counts.tolist() == [1, 1, 1]
    assert np.isnan(found.values.tolist()).sum() == 2


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "midpoint", "nearest"])
def test_quantiles_are_pytorchs(interpolation: str) -> None:
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).normal(size=(4, 5))
    x, y = tg.asarray(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    ours = tg.quantile(x, 0.3, 1, keepdims=True, interpolation=interpolation)
    theirs = torch.quantile(y, 0.3, dim=1, keepdim=True, interpolation=interpolation)
    (ours * ours).sum().backward()
    (theirs * theirs).sum().backward()
    np.testing.assert_allclose(ours.tolist(), theirs.tolist(), rtol=1e-12)
    np.testing.assert_allclose(x.grad.tolist(), y.grad.tolist(), rtol=1e-12)
