"""Our functions against PyTorch's, in float64: values, gradients and second gradients over drawn arguments.

The tables are in tests/reference; `python -m tests.reference` wrote docs/beside-pytorch.md.
"""

from __future__ import annotations

import re
from pathlib import Path

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


def test_the_recorded_run_compared_as_many() -> None:
    page = Path(__file__).parents[1].joinpath("docs", "beside-pytorch.md").read_text(encoding="utf-8")
    recorded = {name for line in page.splitlines() if line.startswith("- ") for name in re.findall(r"`([^`]+)`", line)}
    assert len(recorded) >= 200
    assert recorded <= {each.name for each in COMPARISONS}
