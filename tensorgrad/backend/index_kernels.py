"""Indexing and scattering by NumPy's full rules, which the array API standard leaves out."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.kernels import kernel
from tensorgrad.backend.libraries import NUMPY, device_of, move, to_numpy


def _host(key: Any) -> Any:
    """An index with every array in it brought to host memory."""
    if isinstance(key, tuple):
        return tuple(_host(each) for each in key)
    return to_numpy(key) if hasattr(key, "dtype") else key


def is_basic(key: Any) -> bool:
    """Whether an index is made of slices, integers, None and Ellipsis alone: it then names no element twice."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        part is None or part is Ellipsis or (isinstance(part, (slice, int, np.integer)) and not isinstance(part, bool))
        for part in parts
    )


@kernel("getitem", "numpy")
def _getitem(xp: Any, x: Any, key: Any) -> Any:
    return x[key]


@kernel("setitem", "numpy")
def _setitem(xp: Any, x: Any, value: Any, key: Any) -> Any:
    result = x.copy()
    result[key] = value
    return result


@kernel("add_at", "numpy")
def _add_at(xp: Any, values: Any, key: Any, shape: tuple[int, ...]) -> Any:
    result = np.zeros(shape, values.dtype)
    if not result.size or _names_nothing_twice(key):
        result[key] = values
        return result
    rows, row_shape = _rows(key, shape)
    if rows.size:
        values = np.broadcast_to(values, rows.shape + row_shape).reshape(rows.size, prod(row_shape))
        _add_rows(result.reshape(-1, prod(row_shape)), rows.reshape(-1), values)
    return result


def _names_nothing_twice(key: Any) -> bool:
    """Whether an index is made of masks and of basic parts, which name each element once at most."""
    parts = key if isinstance(key, tuple) else (key,)
    return is_basic(tuple(part for part in parts if not (isinstance(part, np.ndarray) and part.dtype.kind == "b")))


def _are_whole(parts: tuple[Any, ...]) -> bool:
    """Whether an index is made of integers and arrays of them alone."""
    return all(
        part.dtype.kind in "iu" if hasattr(part, "dtype") else isinstance(part, int) and not isinstance(part, bool)
        for part in parts
    )


def _rows(key: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """An array of this shape seen as a table: the rows of it that an index names, and the shape of each.

    Integers for the first axes name rows as long as the other axes together; any other index names elements.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if not _are_whole(parts) or len(parts) > len(shape):
        return np.arange(prod(shape)).reshape(shape)[key], ()
    rows: Any = 0
    for axis, part in enumerate(np.broadcast_arrays(*parts)):
        rows = rows * shape[axis] + _from_zero(part, axis, shape[axis])
    return rows, tuple(shape[len(parts) :])


def _from_zero(index: Any, axis: int, size: int) -> Any:
    """Places counted from the start. Raises IndexError for one that is not there."""
    if not index.size:
        return index.astype(np.int64)
    low, high = int(index.min()), int(index.max())
    if low < -size or high >= size:
        worst = low if low < -size else high
        raise IndexError(f"index {worst} is out of bounds for axis {axis} with size {size}")
    index = index.astype(np.int64, copy=False)
    return index if low >= 0 else np.where(index < 0, index + size, index)


_BLOCK = 1 << 18  # elements whose sums are taken at once: their places and their float64 copies take 4 MiB


def _add_rows(table: Any, rows: Any, values: Any) -> None:
    """table[rows] += values, repeated rows summed in the order they come.

    Sums in float64 by `bincount`, which is both faster and more exact than `add.at` in float32; where the table is much
    larger than the values, and for integers, by sorted segments, which touch no row that is not named.
    """
    if values.dtype.kind not in "fc" or table.size > 32 * rows.size + 4 * values.size:
        _add_segments(table, rows, values)
        return
    parts = ((table.real, values.real), (table.imag, values.imag)) if values.dtype.kind == "c" else ((table, values),)
    width = values.shape[1]
    step = max(len(table), _BLOCK // width)
    for target, source in parts:
        total = np.zeros(table.size)
        for start in range(0, rows.size, step):
            places = rows[start : start + step]
            if width > 1:
                places = (places[:, None] * width + np.arange(width)).reshape(-1)
            total += np.bincount(places, weights=source[start : start + step].reshape(-1), minlength=table.size)
        target[...] = total.reshape(table.shape)


def _add_segments(table: Any, rows: Any, values: Any) -> None:
    """table[rows] += values by sorting rows and adding up the runs of equal ones."""
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    table[rows[starts]] = np.add.reduceat(values[order], starts, axis=0)


def through_host(kernel_on_numpy: Any) -> Any:
    """The same kernel for a library without it: its arrays go to host memory and the result comes back."""

    def run(xp: Any, *args: Any) -> Any:
        device = next(device_of(each) for each in args if hasattr(each, "dtype"))
        return move(np.asarray(kernel_on_numpy(NUMPY.namespace, *[_host(each) for each in args])), device)

    return run


for _name, _kernel in (("getitem", _getitem), ("setitem", _setitem), ("add_at", _add_at)):
    kernel(_name, "strict")(through_host(_kernel))
