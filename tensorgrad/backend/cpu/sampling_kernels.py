"""Pixels by their places: a sparse matrix that holds what each position takes of each pixel, and its transpose.

Images of one channel are read by flat places.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.kernels import kernel, picky


def _rows(places: Any, size: int) -> Any:
    """Places among the pixels of all images; the one behind them for what belongs to none."""
    n = len(places)
    return np.where(places < 0, n * size, places + np.arange(n)[:, None, None] * size)


def _takes(places: Any, size: int, weight: Any, dtype: Any) -> Any:
    """Rows are pixels, columns positions. Kept by columns, so that what meets at a pixel is added in their order."""
    from scipy.sparse import csc_array

    n, taps, p = places.shape
    rows = _rows(places, size).swapaxes(1, 2).reshape(-1)
    weights = np.ones(rows.size, dtype) if weight is None else weight.swapaxes(1, 2).reshape(-1)
    return csc_array((weights, rows, np.arange(0, rows.size + 1, taps)), shape=(n * size + 1, n * p))


def _pixels(x: Any) -> Any:
    """The pixels of all images, channels last, and one of zeros behind them, so that no infinity leaks."""
    n, c, m = x.shape
    pixels = np.empty((n * m + 1, c), x.dtype)
    pixels[:-1].reshape(n, m, c)[...] = x.swapaxes(1, 2)
    pixels[-1] = 0
    return pixels


def _declined(x: Any, places: Any, weight: Any) -> bool:
    return x.dtype.char not in "fd" or not (x.size and places.size) or (weight is not None and weight.dtype != x.dtype)


@kernel("read_taps", "numpy")
@picky
def _read_taps(xp: Any, x: Any, places: Any, weight: Any = None) -> Any:
    if _declined(x, places, weight) or (weight is None and places.shape[1] == 1):
        return NotImplemented
    n, c, m = x.shape
    pixels = _pixels(x)
    if c == 1:
        parts = pixels.reshape(-1)[_rows(places, m)]
        return np.sum(parts if weight is None else np.multiply(parts, weight, out=parts), axis=1, keepdims=True)
    found = _takes(places, m, weight, x.dtype).T @ pixels
    return np.ascontiguousarray(found.reshape(n, -1, c).swapaxes(1, 2))


@kernel("read_taps_x", "numpy")
@picky
def _read_taps_x(xp: Any, y: Any, places: Any, size: int, weight: Any = None) -> Any:
    if _declined(y, places, weight):
        return NotImplemented
    n, c, p = y.shape
    if c == 1:
        parts = np.broadcast_to(y, places.shape) if weight is None else y * weight
        table = np.bincount(_rows(places, size).reshape(-1), parts.reshape(-1), n * size + 1).astype(y.dtype)
    else:
        table = _takes(places, size, weight, y.dtype) @ y.swapaxes(1, 2).reshape(n * p, c)
    return np.ascontiguousarray(table[:-1].reshape(n, size, c).swapaxes(1, 2))


@kernel("read_taps_weight", "numpy")
@picky
def _read_taps_weight(xp: Any, x: Any, y: Any, places: Any) -> Any:
    if _declined(x, places, y) or x.shape[1] > 1:
        return NotImplemented
    parts = _pixels(x).reshape(-1)[_rows(places, x.shape[2])]
    return np.multiply(parts, y, out=parts)
