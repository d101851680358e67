"""What an index is made of."""

import numpy as np
import pytest

from tensorgrad.backend.index_parts import are_whole, is_basic

ROWS = np.asarray([0, 2])
MASK = np.asarray([True, False])


@pytest.mark.parametrize(
    ("key", "basic", "whole"),
    [
        (3, True, True),
        ((slice(1), None, Ellipsis), True, False),
        (ROWS, False, True),
        ((ROWS, 1), False, True),
        ((slice(None), ROWS), False, False),
        (MASK, False, False),
        (True, False, False),
    ],
    ids=str,
)
def test_parts_are_told_apart(key, basic, whole):
    assert is_basic(key) is basic
    assert are_whole(key if isinstance(key, tuple) else (key,)) is whole
