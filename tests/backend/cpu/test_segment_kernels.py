"""Extremes of segments by sorting, against a loop over the rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorgrad.backend.kernels import kernels_of

largest = kernels_of("largest_of_segments")["numpy"]


@given(seed=st.integers(0, 999), rows=st.integers(0, 8), dtype=st.sampled_from(["float32", "float64", "int32"]))
def test_each_segment_has_the_largest_of_its_rows(seed, rows, dtype):
    generator = np.random.default_rng(seed)
    x = generator.integers(-9, 9, (rows, 3)).astype(dtype)
    ids = generator.integers(0, 4, rows)
    lowest = np.iinfo(dtype).min if dtype == "int32" else -np.inf
    expected = np.full((4, 3), lowest, dtype)
    for number, row in zip(ids, x, strict=True):
        expected[number] = np.maximum(expected[number], row)
    found = largest(np, x, ids, 4)
    assert found.dtype == dtype
    assert np.array_equal(found, expected)


def test_complex_rows_have_no_order():
    with pytest.raises(TypeError, match="order"):
        largest(np, np.ones((2, 1), complex), np.zeros(2, int), 1)
