"""NumPy as the kernels see it: its own functions, the slow Python-level ones replaced.

The array API's names all exist in NumPy 2, so this namespace is a table, not a wrapper: an attribute that
is not replaced here is NumPy's own object, fetched once. The replacements do in one C call what `np.sum`
and friends do after several Python frames (`np.mean` on four floats: 4.0 us, here 1.1 us;
benchmarks/overhead.py).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.blas import one_thread
from tensorgrad.backend.cpu.product_kernels import matmul
from tensorgrad.backend.cpu.workers import in_order, share
from tensorgrad.backend.dtypes import FLOATING, INEXACT, is_half, limits

# By place: (x, axis, dtype, out, keepdims). Keywords cost 0.1 us more.
_add_reduce: Callable[..., Any] = np.add.reduce
_multiply_reduce: Callable[..., Any] = np.multiply.reduce
_maximum_reduce: Callable[..., Any] = np.maximum.reduce
_minimum_reduce: Callable[..., Any] = np.minimum.reduce
_divide = np.divide
_LARGE, _SHORT = 1 << 16, 512  # numbers in an array, and along an axis, beyond which `_add` sums in other ways
_SHARED, _PIECE = 1 << 20, 1 << 18  # numbers from which a sum is shared by the pool, and in a piece of it
_ROW = range(1 << 6, 1 << 14)  # numbers of a row that a product with ones sums: more would lose digits
_ndarray = np.ndarray


def _wide(x: Any, dtype: Any) -> Any:
    """The dtype a sum or product accumulates in: the standard widens small integers to 64 bits."""
    if dtype is None and x.dtype.kind in "biu":
        return np.uint64 if x.dtype.kind == "u" else np.int64
    return dtype


def _add(x: Any, axis: Any, dtype: Any, keepdims: bool) -> Any:
    """NumPy's sum, but by products with ones where all axes go but one: a short one that is innermost in memory, where
    NumPy runs a loop of its own over each row and takes 20 times as long, or one in the middle of a large array.
    """
    if x.size >= _LARGE and dtype is None and axis.__class__ is tuple and x.dtype.char in "fd":
        kept = set(range(x.ndim)) - {each % x.ndim for each in axis}
        if len(kept) == 1 and len(axis) == x.ndim - 1:
            (place,) = kept
            rows = np.moveaxis(x, place, -1)
            if x.shape[place] <= _SHORT and rows.flags.c_contiguous:
                total = _column_sums(rows.reshape(-1, x.shape[place]))
                return np.expand_dims(total, axis) if keepdims else total
            inside = prod(x.shape[place + 1 :])
            if x.size >= _SHARED and inside in _ROW and x.flags.c_contiguous:
                total = _add_reduce(_row_sums(x.reshape(-1, inside)).reshape(-1, x.shape[place]), 0)
                return np.expand_dims(total, axis) if keepdims else total
    if x.size >= _SHARED and axis is None and dtype is None and x.dtype.kind == "f" and x.flags.c_contiguous:
        numbers = x.reshape(-1)
        total = _add_reduce(np.asarray(share(_add_reduce, [numbers[each] for each in _pieces(x.size, 1)])))
        return total.reshape((1,) * x.ndim) if keepdims else total
    return _add_reduce(x, axis, dtype, None, keepdims)


def _pieces(rows: int, columns: int) -> list[slice]:
    """Rows in pieces of 256 Ki numbers: they depend on the shape alone, and so do the last bits of a sum."""
    step = max(1, _PIECE // columns)
    return [slice(at, at + step) for at in range(0, rows, step)]


def _column_sums(rows: Any) -> Any:
    """Sums over the first axis: products with ones, of which large ones are made by pieces over the pool."""
    ones = np.ones(len(rows), rows.dtype)
    with one_thread():
        if rows.size < _SHARED:
            return ones @ rows
        parts = share(lambda piece: ones[piece] @ rows[piece], _pieces(*rows.shape))
    return in_order(parts)


def _row_sums(rows: Any) -> Any:
    """Sums over the last axis of a large table, by pieces over the pool."""
    ones = np.ones(rows.shape[1], rows.dtype)
    with one_thread():
        return np.concatenate(share(lambda piece: rows[piece] @ ones, _pieces(*rows.shape)))


def _sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    if dtype is None and x.dtype.char not in "fdFD":
        if is_half(x.dtype):  # summed in float32: in halves, 2048 + 1 is 2048
            return _add(x.astype(np.float32), axis, None, keepdims).astype(x.dtype)
        dtype = _wide(x, dtype)
    return _add(x, axis, dtype, keepdims)


def _prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    return _multiply_reduce(x, axis, _wide(x, dtype), None, keepdims)


def _max(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    return _maximum_reduce(x, axis, None, None, keepdims)


def _min(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    return _minimum_reduce(x, axis, None, None, keepdims)


def _mean(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    if not x.size:
        return np.full_like(_add_reduce(x, axis, None, None, keepdims), np.nan)
    total = _add(x, axis, None, keepdims)
    if total.itemsize == 2 and is_half(x.dtype):
        return _mean(x.astype(np.float32), axis=axis, keepdims=keepdims).astype(x.dtype)
    # A scalar of the sum's own dtype keeps float32 a float32, and holds any count where x is int8.
    return _divide(total, total.dtype.type(x.size // total.size if total.size else 1))


def _count_nonzero(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    # NumPy's own gives a Python int, without a dtype, for all axes before 2.3.
    return _add_reduce(x != 0, axis, np.int64, None, keepdims)


def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    if x.dtype.kind == "c" and np.dtype(dtype).kind == "f":
        x = x.real
    return x.astype(dtype, copy=copy)


_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": FLOATING,
    "complex floating": "c",
    "numeric": "iu" + INEXACT,
}


def _isdtype(dtype: Any, kind: Any) -> bool:
    if isinstance(kind, str) and kind in _KINDS:
        return np.dtype(dtype).kind in _KINDS[kind]  # np.isdtype takes 2.5 us more, and kernels ask it each time
    if isinstance(kind, tuple):
        return any(_isdtype(dtype, each) for each in kind)
    return bool(np.dtype(dtype) == kind if isinstance(kind, np.dtype) else np.isdtype(np.dtype(dtype), kind))


class _NumpyNamespace(SimpleNamespace):
    """A name missing from the table is NumPy's own, looked up once and then stored."""

    __name__ = "numpy"

    def __getattr__(self, name: str) -> Any:
        value = getattr(np, name)
        if isinstance(value, type) and issubclass(value, np.generic):
            value = np.dtype(value)  # dtypes are dtype objects on every library
        setattr(self, name, value)
        return value


namespace = _NumpyNamespace(
    sum=_sum,
    prod=_prod,
    max=_max,
    min=_min,
    mean=_mean,
    count_nonzero=_count_nonzero,
    astype=_astype,
    matmul=matmul,
    isdtype=_isdtype,
    finfo=limits,
    bool=np.dtype(bool),
)


def settle(value: Any) -> Any:
    """An array, where NumPy handed back a scalar: 0-d results are arrays everywhere else."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def memory(array: Any) -> Any:
    """The object whose memory an array looks into."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array
