"""Products of small matrices in great number, cut to the size at which OpenBLAS multiplies them where they lie.

Up to some 10^6 multiplications OpenBLAS's AVX-512 kernels read their operands in place; above, it copies them into
panels first, which a matrix of few rows does not repay: 36 x 36 by 36 x 4096 runs at 52 GFLOP/s on one core, and in
pieces of 512 columns at 100. The pieces depend on shapes alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_MOST = 6 << 16  # multiplications of a piece
_EVEN = 16  # columns, or rows, of a piece are a multiple of this: the width of a register


def _step(multiplications: int) -> int:
    """How many rows or columns a piece has, of so many multiplications each."""
    return max(_EVEN, _MOST // max(1, multiplications) // _EVEN * _EVEN)


def by_columns(a: Any, b: Any, out: Any) -> None:
    """a b into out, some columns at a time.   (m, k), (k, n) -> (m, n)"""
    (m, k), n = a.shape, b.shape[1]
    step = _step(m * k)
    whole = n // step * step if n > step else 0
    if whole:
        pieces, results = b[:, :whole].reshape(k, -1, step), out[:, :whole].reshape(m, -1, step)
        np.matmul(a, pieces.transpose(1, 0, 2), out=results.transpose(1, 0, 2))
    if whole < n:
        np.matmul(a, b[:, whole:], out=out[:, whole:])


def by_rows(a: Any, b: Any, out: Any) -> None:
    """a b into out for each of many matrices, some rows at a time.   (p, m, k), (p, k, n) -> (p, m, n)"""
    p, m, k = a.shape
    n = b.shape[2]
    step = _step(k * n)
    whole = m // step * step if m > step and step * k * n <= 2 * _MOST else 0
    if whole:
        pieces, results = a[:, :whole].reshape(p, -1, step, k), out[:, :whole].reshape(p, -1, step, n)
        np.matmul(pieces, b[:, None], out=results)
    if whole < m:
        np.matmul(a[:, whole:], b, out=out[:, whole:])
