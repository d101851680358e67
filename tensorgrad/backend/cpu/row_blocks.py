"""Kernels of rows, by blocks of rows over the pool: how rows are cut, and sums that many kernels take.

A row is what one normalisation, or one softmax, is taken over. Blocks depend on shapes alone, so that results are the
same for any number of threads. One block-wide product with ones is the fast way to sum rows: NumPy's own reductions
along short rows take three to five times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.blas import one_thread
from tensorgrad.backend.cpu.workers import share

# Elements of a block. A half would stay in a nearer cache, and let threads wait for the interpreter twice as often.
BLOCK = 1 << 18
SHARED = 1 << 19  # elements from which some 0.4 ms of work is worth waking a thread


def over_rows(function: Callable[[slice], Any], rows: int, width: int) -> list[Any]:
    """What function gives for each block of rows, in order.   rows: how many, of width elements each"""
    step = max(1, BLOCK // max(width, 1))
    pieces = [slice(start, min(start + step, rows)) for start in range(0, rows, step)]
    with one_thread():
        if rows * width < SHARED:
            return [function(piece) for piece in pieces]
        return share(function, pieces)


def is_plain(*arrays: Any) -> bool:
    """Whether all are ndarrays of one real dtype that BLAS knows, with something in them. None is passed over."""
    given = [each for each in arrays if each is not None]
    dtype = given[0].dtype
    return dtype.char in "fd" and all(each.dtype is dtype and each.size for each in given)


def as_rows(x: Any, width: int) -> Any:
    """x as rows that lie one after another in memory; a copy where x lies otherwise."""
    return np.ascontiguousarray(x).reshape(-1, width)
