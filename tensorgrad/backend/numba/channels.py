"""The two sweeps of batch and group norm over large arrays, compiled: sums of rows, and rows times numbers of theirs.

Rows are what `normalization_kernels` makes of images: one for each instance and channel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend import fast
from tensorgrad.backend.cpu.buffers import room
from tensorgrad.backend.numba.functions import short_vectors
from tensorgrad.backend.numba.rows import aligned, over_pieces


def row_sums(x: Any, y: Any) -> Any:
    """The sums of each row of y, and of each row of x y; None where nothing is compiled."""
    run = fast.compiled(row_sums_loop, "in2 in2 out2 int int", x.dtype) if x.size >= fast.least else None
    if run is None:
        return None
    x, y, sums = aligned(x), aligned(y), np.empty((2, len(x)), x.dtype)
    over_pieces(lambda low, high: run(x, y, sums, low, high), *x.shape)
    return sums[0], sums[1]


def row_sums_loop(x: Any, y: Any, sums: Any, low: int, high: int) -> None:
    """Both sums in one pass."""
    short_vectors()
    for i in range(low, high):
        total, along = x.dtype.type(0), x.dtype.type(0)
        for j in range(x.shape[1]):
            total += y[i, j]
            along += x[i, j] * y[i, j]
        sums[0, i], sums[1, i] = total, along


def scaled(x: Any, factor: Any, shift: Any, shape: tuple[int, ...]) -> Any:
    """x factor + shift, both by row, in this shape; None where nothing is compiled."""
    run = fast.compiled(scaled_loop, "in2 in1 in1 out2 int int", x.dtype) if x.size >= fast.least else None
    if run is None:
        return None
    x, factor, shift = (aligned(each) for each in (x, factor, shift))
    found = room(shape, x.dtype)
    out = found.reshape(x.shape)
    over_pieces(lambda low, high: run(x, factor, shift, out, low, high), *x.shape)
    return found


def scaled_loop(x: Any, factor: Any, shift: Any, out: Any, low: int, high: int) -> None:
    """A row times a number, and a number"""
    short_vectors()
    for i in range(low, high):
        for j in range(x.shape[1]):
            out[i, j] = x[i, j] * factor[i] + shift[i]


def mixed(x: Any, g: Any, of_x: Any, of_g: Any, shift: Any, shape: tuple[int, ...]) -> Any:
    """of_g g + of_x x + shift, all three by row, in this shape; None where nothing is compiled."""
    run = fast.compiled(mixed_loop, "in2 in2 in1 in1 in1 out2 int int", x.dtype) if x.size >= fast.least else None
    if run is None:
        return None
    x, g, of_x, of_g, shift = (aligned(each) for each in (x, g, of_x, of_g, shift))
    found = room(shape, x.dtype)
    out = found.reshape(x.shape)
    over_pieces(lambda low, high: run(x, g, of_x, of_g, shift, out, low, high), *x.shape)
    return found


def mixed_loop(x: Any, g: Any, of_x: Any, of_g: Any, shift: Any, out: Any, low: int, high: int) -> None:
    """Two rows, each times a number, and a number"""
    short_vectors()
    for i in range(low, high):
        for j in range(x.shape[1]):
            out[i, j] = of_g[i] * g[i, j] + of_x[i] * x[i, j] + shift[i]
