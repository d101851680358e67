"""Rows by blocks: each row once, in order, and in the same blocks whatever the threads."""

import numpy as np
import pytest

from tensorgrad.backend.cpu.row_blocks import BLOCK, SHARED, as_rows, is_plain, over_rows


@pytest.mark.parametrize(("rows", "width"), [(0, 3), (1, 3), (7, BLOCK // 2), (5, 2 * BLOCK), (SHARED // 64 + 1, 64)])
def test_blocks_cover_all_rows_once_and_in_order(rows, width):
    pieces = over_rows(lambda s: s, rows, width)
    assert [place for s in pieces for place in range(s.start, s.stop)] == list(range(rows))
    assert all((s.stop - s.start) * width <= max(BLOCK, width) for s in pieces)


def test_plain_is_one_real_dtype_with_elements():
    x = np.ones(2, "float32")
    assert is_plain(x, None, x)
    assert not is_plain(x, np.ones(2))
    assert not is_plain(np.ones(2, "float16"))
    assert not is_plain(np.ones(0))


def test_rows_lie_one_after_another():
    x = np.arange(24.0).reshape(2, 3, 4)
    assert np.shares_memory(as_rows(x, 4), x)
    turned = as_rows(x.transpose(0, 2, 1), 3)
    assert turned.flags.c_contiguous
    assert np.array_equal(turned, x.transpose(0, 2, 1).reshape(8, 3))
