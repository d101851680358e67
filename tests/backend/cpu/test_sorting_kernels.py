"""Membership, against a comparison of every two elements."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.backend.kernels import kernels_of

isin = kernels_of("isin")["numpy"]


@given(seed=st.integers(0, 999), known=st.integers(0, 6), invert=st.booleans())
def test_an_element_is_in_where_one_of_the_others_equals_it(seed, known, invert):
    generator = np.random.default_rng(seed)
    x1, x2 = generator.integers(0, 6, (2, 5)), generator.integers(0, 6, known)
    equal = np.any(x1[..., None] == x2, axis=-1)
    assert np.array_equal(isin(np, x1, x2, invert), equal ^ invert)


def test_a_nan_is_in_nothing():
    assert isin(np, np.array([np.nan, 1.0]), np.array([np.nan, 1.0])).tolist() == [False, True]
