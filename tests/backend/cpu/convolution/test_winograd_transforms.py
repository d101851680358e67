"""The transforms: the matrices are those of the definition, for every size of tile and filter in use."""

from __future__ import annotations

import numpy as np
import pytest

from tensorgrad.backend.cpu.convolution.winograd_transforms import MOST, transforms

PAIRS = [(m, r) for r in range(1, MOST) for m in range(1, MOST - r + 2) if m + r > 2]


@pytest.mark.parametrize(("m", "r"), PAIRS)
def test_one_axis_is_the_correlation(m: int, r: int) -> None:
    rng = np.random.default_rng(0)
    d, g = rng.normal(size=m + r - 1), rng.normal(size=r)
    by = transforms((m,), (r,))
    found = by.outputs @ ((by.filters.astype("f8") @ g) * (by.inputs @ d))
    np.testing.assert_allclose(found, [d[k : k + r] @ g for k in range(m)], atol=2e-6)


def test_two_axes_are_the_correlation_with_sizes_of_their_own() -> None:
    rng = np.random.default_rng(0)
    d, g = rng.normal(size=(6, 5)), rng.normal(size=(3, 2))
    by = transforms((4, 4), (3, 2))
    found = by.outputs @ ((by.filters.astype("f8") @ g.ravel()) * (by.inputs @ d.ravel()))
    expected = [np.sum(d[i : i + 3, j : j + 2] * g) for i in range(4) for j in range(4)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("m", "r"), [(4, 3), (2, 2), (3, 2)])
def test_what_is_added_at_one_is_added_to_every_output(m: int, r: int) -> None:
    by = transforms((m, m), (r, r))
    np.testing.assert_array_equal(by.outputs[:, by.at_one], np.ones(m * m))


def test_four_outputs_of_three_taps_take_the_published_count_of_products() -> None:
    """F(m, r) takes m + r - 1 products (Winograd 1980)."""
    assert transforms((4,), (3,)).inputs.shape == (6, 6)
    assert transforms((4, 4), (3, 3)).filters.shape == (36, 9)
