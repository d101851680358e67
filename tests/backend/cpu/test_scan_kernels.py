"""Scans by NumPy's accumulation, against loops that look back from every place."""

import numpy as np
import pytest

from tensorgrad.backend.kernels import kernels_of

logsumexp, places = (kernels_of(name)["numpy"] for name in ("running_logsumexp", "running_places"))


def test_running_logarithms_of_sums_neither_overflow_nor_lose_small_terms():
    x = np.array([[-1000.0, -1001.0, 1000.0, -np.inf]])
    expected = [[-1000.0, -1000.0 + np.log1p(np.exp(-1.0)), 1000.0, 1000.0]]
    assert np.allclose(logsumexp(np, x, 1), expected, rtol=1e-14)


@pytest.mark.parametrize("largest", [True, False])
def test_running_places_name_the_last_of_equals_and_stay_at_the_last_nan(largest):
    x = np.array([1.0, 3.0, 1.0, 3.0, 2.0, np.nan, 9.0, np.nan, -9.0])
    expected = [0, 1, 1, 3, 3, 5, 5, 7, 7] if largest else [0, 0, 2, 2, 2, 5, 5, 7, 7]
    found = places(np, x[:, None], 0, largest)[:, 0]
    assert found.tolist() == expected
    assert found.dtype == np.int64


def test_complex_numbers_have_no_running_extreme():
    with pytest.raises(TypeError, match="order"):
        places(np, np.ones(2, complex), 0, True)
