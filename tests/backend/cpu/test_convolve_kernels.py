"""Convolution, against the product of polynomials."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.backend.kernels import kernels_of

convolve = kernels_of("convolve_vectors")["numpy"]


@given(seed=st.integers(0, 999), n=st.integers(1, 7), m=st.integers(1, 7))
def test_it_multiplies_polynomials(seed, n, m):
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=n), generator.normal(size=m)
    expected = np.zeros(n + m - 1)
    for place, value in enumerate(b):
        expected[place : place + n] += value * a
    assert np.allclose(convolve(np, a, b, "full"), expected)
    start, short = (min(n, m) - 1) // 2, min(n, m)
    assert np.allclose(convolve(np, a, b, "same"), expected[start : start + max(n, m)])
    assert np.allclose(convolve(np, a, b, "valid"), expected[short - 1 : short - 1 + max(n, m) - short + 1])
