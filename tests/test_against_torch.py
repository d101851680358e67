"""Our functions against PyTorch's, in float64: values, gradients and second gradients over drawn arguments.

The tables are in tests/reference; `python -m tests.reference` makes a page of a thorough run.
"""

from __future__ import annotations

import pytest
from hypothesis import settings

torch = pytest.importorskip("torch")

from tests.reference.comparison import Comparison, comparisons  # noqa: E402 - they need torch

COMPARISONS = comparisons()


@pytest.mark.filterwarnings("ignore")  # PyTorch's, of what it will change and what its copies cost
@pytest.mark.parametrize("comparison", COMPARISONS, ids=str)
def test_values_and_gradients_are_pytorchs(comparison: Comparison) -> None:
    comparison.run(comparison.draws(settings().max_examples))


COMPLEX = [each for each in COMPARISONS if each.takes_complex]


@pytest.mark.filterwarnings("ignore")  # see above
@pytest.mark.parametrize("comparison", COMPLEX, ids=str)
def test_complex_gradients_are_pytorchs(comparison: Comparison) -> None:
    comparison.run(comparison.draws(settings().max_examples), only_complex=True)


def test_two_hundred_public_functions_are_compared_thirty_of_them_with_complex_numbers() -> None:
    assert len({each.name for each in COMPARISONS}) >= 200
    complex_ones = {each.name for each in COMPLEX}
    assert len(complex_ones) >= 30
    assert len([each for each in complex_ones if each.startswith("fft.")]) >= 6
