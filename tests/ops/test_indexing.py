"""The ops of ops/indexing.py under all laws, and their conventions."""

from __future__ import annotations

from typing import Any

import pytest

import tensorgrad as tg
from tensorgrad.testing.cases.indexing import CASES
from tests.proof import every, prove


@every(CASES)
def test_it_obeys_all_laws(case: Any, device: str) -> None:
    prove(case, device)


@pytest.mark.parametrize("count", [1, 4, 5, 11, 100])
def test_slices_come_in_order_with_gradients_of_their_own(count: int) -> None:
    x = tg.asarray([[float(place), -1.0] for place in range(count)], requires_grad=True)
    slices = tg.unstack(x, axis=0)
    assert [each.tolist() for each in slices] == x.tolist()
    sum(place * each.sum() for place, each in enumerate(slices)).backward()
    assert x.grad.tolist() == [[float(place)] * 2 for place in range(count)]
