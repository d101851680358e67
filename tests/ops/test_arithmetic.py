"""The ops of ops/arithmetic.py under all laws, and their conventions."""

from __future__ import annotations

import math
from typing import Any

import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.arithmetic import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


# What the array API standard says of them; None stands for NaN.
INFINITE_QUOTIENTS = [
    (math.inf, 2.0, math.inf),
    (math.inf, -2.0, -math.inf),
    (-math.inf, 2.0, -math.inf),
    (-math.inf, -2.0, math.inf),
    (3.0, math.inf, 0.0),
    (3.0, -math.inf, -0.0),
    (-3.0, math.inf, -0.0),
    (-3.0, -math.inf, 0.0),
    (math.inf, math.inf, None),
    (-math.inf, math.inf, None),
]


@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")  # infinity over infinity has no value
@pytest.mark.parametrize(("x1", "x2", "quotient"), INFINITE_QUOTIENTS)
def test_a_quotient_of_infinities_rounds_down_as_any_other(x1: float, x2: float, quotient: float | None) -> None:
    ways = (tg.asarray([x1]) // tg.asarray([x2]), tg.asarray([x1]) // x2, x1 // tg.asarray([x2]))
    for found in [way.tolist()[0] for way in ways]:
        assert math.isnan(found) if quotient is None else repr(found) == repr(quotient)


@pytest.mark.filterwarnings("error")
def test_an_infinite_quotient_that_has_a_value_gives_no_warning() -> None:
    assert (tg.asarray([math.inf, -7.0]) // 2.0).tolist() == [math.inf, -4.0]


def test_quotients_of_integers_stay_integers() -> None:
    assert (tg.asarray([7, -7]) // 2).tolist() == [3, -4]
    assert (tg.asarray([7], dtype=tg.uint8) // tg.asarray([2], dtype=tg.uint8)).dtype == tg.uint8
    assert (tg.asarray([7]) // 2.0).dtype == tg.float32
