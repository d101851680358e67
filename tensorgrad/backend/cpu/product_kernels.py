"""Matrix products on NumPy: large ones split over our own pool, with OpenBLAS at one thread below it.

OpenBLAS's threads wait for the next product in a loop that takes the cores from what comes after (numpy_loading.py).
Where they rest soon, products below `_SHARED` multiplications are left to them: they wake at once while they wait,
and waking a thread of ours costs more. Where they linger, such products run on the thread that calls them.

Where a product is cut depends on its shapes alone, so that its last bits do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.cpu.blas import one_thread
from tensorgrad.backend.cpu.buffers import room
from tensorgrad.backend.cpu.workers import in_order, share
from tensorgrad.numpy_loading import LINGER

_SMALL = 1 << 18  # multiplications up to which OpenBLAS wakes no thread, in an upper bound that is quick to ask
_SHARED = 1 << 26  # multiplications: 1 ms on one core
# Of a product with more multiplications than `_LONG`, and of shorter ones, in which what each piece does anew, bringing
# the other operand into the order that OpenBLAS wants, would take a tenth to a fifth of the time.
_PIECES, _FEW_PIECES, _LONG = 8, 4, 1 << 28
_matmul = np.matmul
_ndarray: Any = np.ndarray
_HALF, _SINGLE = np.dtype("float16"), np.dtype("float32")


def matmul(x1: Any, x2: Any, /) -> Any:
    """NumPy's matmul; large products of matrices, and of stacks with one matrix, in pieces over the pool."""
    if type(x1) is not _ndarray or type(x2) is not _ndarray or x1.size * (x2.shape or (1,))[-1] <= _SMALL:
        return _matmul(x1, x2)
    if x1.dtype is _HALF:  # no BLAS has halves, and NumPy's own loop takes 300 times as long
        product = matmul(x1.astype(_SINGLE), x2.astype(_SINGLE) if x2.dtype is _HALF else x2)
        return product.astype(_HALF) if x2.dtype is _HALF else product
    if (
        x1.ndim < 2
        or x2.ndim != 2
        or x1.dtype is not x2.dtype
        or x1.dtype.char not in "fd"
        or x1.size * x2.shape[1] < _SHARED
        or x1.shape[-1] != x2.shape[0]
        or (x1.ndim > 2 and not x1.flags.c_contiguous)
    ):
        return _left(x1, x2)
    if x1.ndim > 2:
        return _product(x1.reshape(-1, x1.shape[-1]), x2).reshape(*x1.shape[:-1], x2.shape[1])
    return _product(x1, x2)


def _alone(x1: Any, x2: Any) -> Any:
    with one_thread():
        return _matmul(x1, x2)


_left = _alone if LINGER else _matmul


def _ends(length: int, work: int) -> list[slice]:
    """Pieces of an axis of a product of so many multiplications, in multiples that OpenBLAS's kernels take whole."""
    pieces, unit = (_PIECES, 64) if work >= _LONG else (_FEW_PIECES, 16)
    step = -(-length // pieces // unit) * unit or unit
    return [slice(at, at + step) for at in range(0, length, step)]


def _product(x1: Any, x2: Any) -> Any:
    rows, inner = x1.shape
    columns = x2.shape[1]
    work = x1.size * columns
    if inner > 4 * max(rows, columns):  # a gradient of weights: each piece reads rows of its own of both operands

        def part(piece: slice) -> Any:
            return _matmul(x1[:, piece], x2[piece])

        with one_thread():
            parts = share(part, _ends(inner, work))
        return in_order(parts)
    out = room((rows, columns), x1.dtype)

    def of_rows(piece: slice) -> Any:
        _matmul(x1[piece], x2, out=out[piece])

    def of_columns(piece: slice) -> Any:
        _matmul(x1, x2[:, piece], out=out[:, piece])

    with one_thread():
        share(of_rows if rows >= columns else of_columns, _ends(max(rows, columns), work))
    return out
