"""Large matrix products on NumPy, split over our own pool with OpenBLAS at one thread below it.

OpenBLAS's threads spin for a while after a product and take the cores from the blocks that come next: a training step
with large elementwise arrays took 0.87 of the time with the split. Below `_SHARED` multiplications waking a thread of
ours costs more than theirs, which wake at once while they spin, and products are left to them.

Where a product is cut depends on its shapes alone, so that its last bits do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend import buffers
from tensorgrad.backend.blas import one_thread
from tensorgrad.backend.blocks import LARGE
from tensorgrad.backend.workers import share

_SMALL = 1 << 14  # numbers in the larger operand below which nothing more is asked
_SHARED = 1 << 26  # multiplications: 1 ms on one core
_PIECES = 8
_matmul = np.matmul
_ndarray: Any = np.ndarray


def matmul(x1: Any, x2: Any, /) -> Any:
    """NumPy's matmul; large products of matrices, and of stacks with one matrix, in pieces over the pool."""
    if type(x1) is not _ndarray or type(x2) is not _ndarray or (x1.size < _SMALL and x2.size < _SMALL):
        return _matmul(x1, x2)
    if x1.ndim < 2 or x2.ndim != 2 or x1.dtype is not x2.dtype or x1.dtype.char not in "fd":
        return _matmul(x1, x2)
    if x1.size * x2.shape[1] < _SHARED or x1.shape[-1] != x2.shape[0]:
        return _matmul(x1, x2)
    if x1.ndim > 2:
        if not x1.flags.c_contiguous:
            return _matmul(x1, x2)
        return _product(x1.reshape(-1, x1.shape[-1]), x2).reshape(*x1.shape[:-1], x2.shape[1])
    return _product(x1, x2)


def _empty(shape: tuple[int, int], dtype: Any) -> Any:
    return buffers.empty(shape, dtype) if shape[0] * shape[1] >= LARGE else np.empty(shape, dtype)


def _ends(length: int) -> list[slice]:
    """Pieces of an axis, in multiples of 64, which OpenBLAS's kernels take whole."""
    step = -(-length // _PIECES // 64) * 64 or 64
    return [slice(at, at + step) for at in range(0, length, step)]


def _product(x1: Any, x2: Any) -> Any:
    rows, inner = x1.shape
    columns = x2.shape[1]
    if inner > 4 * max(rows, columns):  # a gradient of weights: each piece reads rows of its own of both operands

        def part(piece: slice) -> Any:
            return _matmul(x1[:, piece], x2[piece])

        with one_thread():
            parts = share(part, _ends(inner))
        total = parts[0]
        for each in parts[1:]:
            total += each
        return total
    out = _empty((rows, columns), x1.dtype)

    def of_rows(piece: slice) -> Any:
        _matmul(x1[piece], x2, out=out[piece])

    def of_columns(piece: slice) -> Any:
        _matmul(x1, x2[:, piece], out=out[:, piece])

    with one_thread():
        share(of_rows if rows >= columns else of_columns, _ends(max(rows, columns)))
    return out
