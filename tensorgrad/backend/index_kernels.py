"""Indexing and scattering by NumPy's full rules, which the array API standard leaves out."""

from __future__ import annotations

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


@kernel("scatter_add", "numpy")
def _scatter_add(xp: Any, values: Any, key: Any, shape: tuple[int, ...]) -> Any:
    result = np.zeros(shape, values.dtype)
    if is_basic(key):
        result[key] = values
    elif isinstance(key, np.ndarray) and key.dtype.kind in "iu" and key.size:
        _add_rows(result, key, values)
    else:
        np.add.at(result, key, values)
    return result


def _add_rows(result: Any, index: Any, values: Any) -> None:
    """result[index] += values, repeated rows summed in the order they come: sorted segments beat `add.at`."""
    rows = index.reshape(-1) % max(result.shape[0], 1)
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    starts = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    values = np.broadcast_to(values, index.shape + result.shape[1:])
    flat = values.reshape((rows.size, *result.shape[1:]))[order]
    result[rows[starts]] = np.add.reduceat(flat, starts, axis=0)


def through_host(kernel_on_numpy: Any) -> Any:
    """The same kernel for a library without it: its arrays go to host memory and the result comes back."""

    def run(xp: Any, *args: Any) -> Any:
        device = next(device_of(each) for each in args if hasattr(each, "dtype"))
        return move(np.asarray(kernel_on_numpy(NUMPY.namespace, *[_host(each) for each in args])), device)

    return run


for _name, _kernel in (("getitem", _getitem), ("setitem", _setitem), ("scatter_add", _scatter_add)):
    kernel(_name, "strict")(through_host(_kernel))
