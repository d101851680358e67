"""Indexing and scattering by NumPy's full rules, which the array API standard leaves out."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.blocks import LARGE
from tensorgrad.backend.cpu.buffers import room, zeros
from tensorgrad.backend.cpu.row_blocks import over_rows
from tensorgrad.backend.index_parts import are_whole, is_basic
from tensorgrad.backend.kernels import kernel
from tensorgrad.backend.libraries import NUMPY, device_of, move, to_numpy


def _host(key: Any) -> Any:
    """An index with every array in it brought to host memory."""
    if isinstance(key, tuple):
        return tuple(_host(each) for each in key)
    return to_numpy(key) if hasattr(key, "dtype") else key


@kernel("getitem", "numpy")
def _getitem(xp: Any, x: Any, key: Any) -> Any:
    if type(key) is tuple and len(key) == 1 and isinstance(key[0], np.ndarray) and key[0].dtype.kind in "iu":
        rows = key[0]
        if x.size and rows.size * (x.size // len(x)) >= LARGE and rows.ndim:
            return _rows_taken(x, rows)
    return x[key]


def _rows_taken(x: Any, rows: Any) -> Any:
    """Many rows of a table, as of an embedding, by blocks over the pool."""
    places = _from_zero(rows, 0, len(x)).reshape(-1)
    found = room((*rows.shape, *x.shape[1:]), x.dtype)
    out = found.reshape(len(places), *x.shape[1:])

    def block(s: slice) -> None:
        np.take(x, places[s], axis=0, out=out[s], mode="clip")  # "raise" would fill a copy of out first

    over_rows(block, len(places), x.size // len(x))
    return found


@kernel("setitem", "numpy")
def _setitem(xp: Any, x: Any, value: Any, key: Any) -> Any:
    result = x.copy()
    result[key] = value
    return result


@kernel("add_at", "numpy")
def _add_at(xp: Any, values: Any, key: Any, shape: tuple[int, ...]) -> Any:
    if not prod(shape) or _names_nothing_twice(key):
        result = zeros(shape, values.dtype)
        result[key] = values
        return result
    rows, row_shape = _rows(key, shape)
    if not rows.size:
        return zeros(shape, values.dtype)
    width = prod(row_shape)
    values = np.broadcast_to(values, rows.shape + row_shape).reshape(rows.size, width)
    table = _sums_of_rows(prod(shape) // width, rows.reshape(-1), values)
    return table if table.shape == shape else table.reshape(shape)  # a gradient that is a view would be copied


def _names_nothing_twice(key: Any) -> bool:
    """Whether an index is made of masks and of basic parts, which name each element once at most."""
    parts = key if isinstance(key, tuple) else (key,)
    return is_basic(tuple(part for part in parts if not (isinstance(part, np.ndarray) and part.dtype.kind == "b")))


def _rows(key: Any, shape: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """An array of this shape seen as a table: the rows of it that an index names, and the shape of each.

    Integers for the first axes name rows as long as the other axes together; any other index names elements.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if not are_whole(parts) or len(parts) > len(shape):
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
_WIDE, _MANY = 16, 1 << 12  # numbers in a row, and in all, from which whole rows are added, not numbers one by one
# Rows of a table, and numbers that go there, for which SciPy, 0.1 s and 20 MB when it is imported, would save 0.3 ms.
_FEW_ROWS, _FEW = 1 << 8, 1 << 18


def _sums_of_rows(count: int, rows: Any, values: Any) -> Any:
    """A table of so many rows, each the sum of the values that name it.

    8,192 of 10,000 rows of 256 float32 take 0.7 ms on one thread by SciPy's product of matrices, 25 ms by `bincount`,
    18 ms by `np.add.at`; 2,048 of 65 rows of 128 take 0.04 ms, 0.3 ms by sorted segments, and 2 ms by `bincount`.
    """
    width = values.shape[1]
    wide = values.dtype.char in "fd" and width >= _WIDE and values.size >= _MANY
    few = wide and count <= _FEW_ROWS and values.size <= _FEW
    if wide and not few:
        return _product_of_rows(count, rows, values)
    table = zeros((count, width), values.dtype)
    # Sums in float64 by bincount are both faster and more exact than add.at in float32. Where the table is much larger
    # than the values, and for integers, sorted segments touch no row that is not named.
    if few or values.dtype.kind not in "fc" or table.size > 32 * rows.size + 4 * values.size:
        _add_segments(table, rows, values)
    elif values.dtype.kind == "c":
        _add_by_counting(table.real, rows, values.real)
        _add_by_counting(table.imag, rows, values.imag)
    else:
        _add_by_counting(table, rows, values)
    return table


def _product_of_rows(count: int, rows: Any, values: Any) -> Any:
    """Wide rows: the product of a matrix that has a one where a row is named with the values."""
    from scipy.sparse import csc_array

    ends = np.arange(len(rows) + 1)
    named = csc_array((np.ones(len(rows), values.dtype), rows, ends), shape=(count, len(rows)))
    table: Any = named @ values
    return table


def _add_by_counting(table: Any, rows: Any, values: Any) -> None:
    """Narrow rows: sums in float64 by `bincount`."""
    width = values.shape[1]
    step = max(len(table), _BLOCK // width)
    total = np.zeros(table.size)
    for start in range(0, rows.size, step):
        places = rows[start : start + step]
        if width > 1:
            places = (places[:, None] * width + np.arange(width)).reshape(-1)
        total += np.bincount(places, weights=values[start : start + step].reshape(-1), minlength=table.size)
    table[...] = total.reshape(table.shape)


def _add_segments(table: Any, rows: Any, values: Any) -> None:
    """table[rows] += values by sorting rows and adding up the runs of equal ones."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    table[rows[order[starts]]] = np.add.reduceat(values[order], starts, axis=0)


def through_host(kernel_on_numpy: Any) -> Any:
    """The same kernel for a library without it: its arrays go to host memory and the result comes back."""

    def run(xp: Any, *args: Any) -> Any:
        device = next(device_of(each) for each in args if hasattr(each, "dtype"))
        return move(np.asarray(kernel_on_numpy(NUMPY.namespace, *[_host(each) for each in args])), device)

    return run


for _name, _kernel in (("getitem", _getitem), ("setitem", _setitem), ("add_at", _add_at)):
    kernel(_name, "strict")(through_host(_kernel))
