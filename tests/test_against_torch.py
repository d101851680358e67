"""Our functions against PyTorch's, in float64: values, gradients and second gradients over drawn arguments.

The tables are in tests/reference. `HYPOTHESIS_PROFILE=thorough` draws 1,000 times where it is hardest.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import tensorgrad as tg
from tensorgrad import ops

torch = pytest.importorskip("torch")

from tests.reference.comparison import DEEP, Comparison, comparisons  # noqa: E402 - they need torch

COMPARISONS = comparisons()
# Draws under the profiles ci and thorough, and under thorough where it is hardest; elsewhere the profile's own number.
DRAWS, DEEPER = {25: 50}, {25: 50, 300: 1000}


def _compare(comparison: Comparison, only_complex: bool) -> None:
    usual = settings().max_examples

    @settings(
        max_examples=(DEEPER if comparison.group in DEEP else DRAWS).get(usual, usual),
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(comparison.strategy(only_complex))
    def compared(args: dict[str, Any]) -> None:
        comparison.agree(args)

    compared()


@pytest.mark.filterwarnings("ignore")  # PyTorch's, of what it will change and what its copies cost
@pytest.mark.parametrize("comparison", COMPARISONS, ids=str)
def test_values_and_gradients_are_pytorchs(comparison: Comparison) -> None:
    _compare(comparison, only_complex=False)


COMPLEX = [each for each in COMPARISONS if each.takes_complex]


@pytest.mark.filterwarnings("ignore")  # see above
@pytest.mark.parametrize("comparison", COMPLEX, ids=str)
def test_complex_gradients_are_pytorchs(comparison: Comparison) -> None:
    _compare(comparison, only_complex=True)


def _public() -> dict[int, str]:
    rooms = {"": tg, "linalg.": tg.linalg, "fft.": tg.fft}
    found = {id(getattr(room, name)): prefix + name for prefix, room in rooms.items() for name in room.__all__}
    return {**found, id(ops.getitem): "x[key]", id(ops.setitem): "x[key] = value"}


def test_two_hundred_public_functions_are_compared_thirty_of_them_with_complex_numbers() -> None:
    names = _public()
    assert len({names[id(each.ours)] for each in COMPARISONS}) >= 200
    complex_ones = {names[id(each.ours)] for each in COMPLEX}
    assert len(complex_ones) >= 30
    assert len([each for each in complex_ones if each.startswith("fft.")]) >= 6
