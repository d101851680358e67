"""Arrays that lie as a value does."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tensorgrad.backend.cpu import buffers
from tensorgrad.program.layouts import empty, layout_of


@pytest.mark.parametrize("axes", list(permutations(range(3))))
def test_an_array_lies_as_its_like(axes: tuple[int, ...]) -> None:
    array = np.ones((2, 3, 4), "float32").transpose(axes)
    layout = layout_of(array)
    assert (layout is None) == (axes == (0, 1, 2))
    found = empty(array.shape, array.dtype, layout)
    assert (found.shape, found.strides, found.dtype) == (array.shape, array.strides, array.dtype)
    assert layout_of(found) == layout


def test_what_has_gaps_has_no_layout() -> None:
    assert layout_of(np.ones((4, 4))[:, ::2].T) is None
    assert layout_of(np.broadcast_to(np.ones(3), (2, 3))) is None
    assert layout_of(np.ones(3)[::2]) is None


def test_an_array_from_a_shelf_finds_back() -> None:
    found = empty((101, 103), np.dtype("float32"), (1, 0), shelved=True)
    assert buffers.is_on_shelf(found.base)
    assert found.strides == (4, 404)
    number = id(found.base)
    del found
    assert id(empty((103, 101), np.dtype("float32"), None, shelved=True)) == number
