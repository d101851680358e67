"""The ops of ops/numerical.py under all laws, and their conventions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.numerical import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


def test_samples_that_do_not_belong_together_are_refused() -> None:
    x = tg.zeros(3)
    with pytest.raises(ValueError, match="interp: xp and fp are vectors of one length"):
        tg.interp(x, tg.zeros(2), tg.zeros(3))
    with pytest.raises(ValueError, match="trapezoid: x is a vector of the 3 places along axis 0"):
        tg.trapezoid(x, tg.zeros(2))
    with pytest.raises(ValueError, match="gradient: axis 0 has 2 samples; edge_order 2 needs 3 or more"):
        tg.gradient(tg.zeros(2), edge_order=2)
    with pytest.raises(ValueError, match="2 axes need one spacing, or 2, got 3"):
        tg.gradient(tg.zeros((2, 2)), 1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="the places along axis 0 must be 3"):
        tg.gradient(x, tg.zeros(2))
    with pytest.raises(ValueError, match="edge_order is 3; it may be 1 or 2"):
        tg.gradient(x, edge_order=3)
    with pytest.raises(ValueError, match="convolve: mode is 'half'"):
        tg.convolve(x, x, mode="half")
    with pytest.raises(ValueError, match=r"two vectors with elements, got the shapes \(3,\) and \(0,\)"):
        tg.convolve(x, tg.zeros(0))
    with pytest.raises(ValueError, match="diff: n is -1"):
        tg.diff(x, n=-1)


def test_interpolation_keeps_nan_and_takes_one_sample() -> None:
    knots = tg.asarray([1.0])
    assert tg.interp(tg.asarray([0.0, 1.0, 2.0]), knots, tg.asarray([5.0])).tolist() == [5, 5, 5]
    found = tg.interp(tg.asarray([float("nan"), 0.0, 9.0]), knots, knots, left=-1.0, right=2.0)
    np.testing.assert_array_equal(found.tolist(), [np.nan, -1, 2])


def test_slopes_come_in_the_order_of_the_axes() -> None:
    f = tg.asarray([[0.0, 1.0], [2.0, 3.0]])
    assert [each.tolist() for each in tg.gradient(f)] == [[[2, 2], [2, 2]], [[1, 1], [1, 1]]]
    assert [float(each[0, 0]) for each in tg.gradient(f, axis=(1, 0))] == [1.0, 2.0]


def test_convolution_of_integers_stays_whole() -> None:
    assert tg.convolve(tg.asarray([1, 2]), tg.asarray([3, 4])).tolist() == [3, 10, 8]
    assert tg.convolve(tg.asarray([1, 2]), tg.asarray([3, 4])).dtype == tg.int64
