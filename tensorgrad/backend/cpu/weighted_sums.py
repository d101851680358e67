"""blend: y = keep * y + weight * x, in place. What running means and steps along a direction are made of."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np

from tensorgrad.backend.cpu import blas
from tensorgrad.backend.kernels import kernels_of
from tensorgrad.backend.libraries import library_of

# NumPy makes three passes over the memory, OpenBLAS's axpby one; ctypes takes 3 us to get there, about as long as
# NumPy takes for 8 Ki numbers.
_WORTH_A_CALL = 1 << 13


def blend(y: Any, keep: float, x: Any, weight: float) -> None:
    """y = keep * y + weight * x, written over y.   y and x of one shape

    keep and weight are plain numbers; arrays may be of any library.

    >>> import numpy as np
    >>> mean = np.asarray([1.0, 2.0])
    >>> blend(mean, 0.75, np.asarray([5.0, -2.0]), 0.25)
    >>> mean.tolist()
    [2.0, 1.0]
    """
    if type(y) is np.ndarray and y.size >= _WORTH_A_CALL and type(x) is np.ndarray:
        routine = _routine(y.dtype.char)
        if routine is not None and _alike(y, x):
            routine(y.size, weight, _address(x), 1, keep, _address(y), 1)
            return
    elif type(y) is not np.ndarray and of_library("blend", y, keep, x, weight):
        return
    if keep != 1:
        y *= keep
    y += weight * x


def of_library(name: str, y: Any, *given: Any) -> bool:
    """An update by the kernel that an array's library has for it; False where it has none, or that declined."""
    library = library_of(y)
    update = None if library is None else kernels_of(name).get(library.name)
    return update is not None and bool(update(y, *given))


def _alike(y: Any, x: Any) -> bool:
    """Whether both lie in memory without gaps, in one order, and y may be written."""
    flags = y.flags
    return (
        x.dtype == y.dtype
        and x.shape == y.shape
        and bool(flags.c_contiguous)
        and bool(flags.writeable)
        and bool(x.flags.c_contiguous)
    )


def _address(array: Any) -> int:
    """Where an array begins. What NumPy offers for it takes four times as long, and wants no write access."""
    if array.flags.writeable:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    return int(array.ctypes.data)


_routines: dict[str, Callable[..., None] | None] = {}


def _routine(kind: str) -> Callable[..., None] | None:
    """OpenBLAS's axpby for float32, "f", or float64, "d"; None for others, and under another BLAS."""
    if kind not in _routines:
        _routines[kind] = _found(kind)
    return _routines[kind]


def _found(kind: str) -> Callable[..., None] | None:
    number = {"f": ctypes.c_float, "d": ctypes.c_double}.get(kind)
    if number is None or blas.blas_threads() is None:
        return None
    name = f"cblas_{'s' if kind == 'f' else 'd'}axpby"
    for library in blas.libraries():
        for prefix in ("scipy_", ""):
            for suffix, integer in (("64_", ctypes.c_int64), ("_64", ctypes.c_int64), ("", ctypes.c_int)):
                routine = getattr(library, f"{prefix}{name}{suffix}", None)
                if routine is not None:
                    pointer = ctypes.c_void_p
                    routine.argtypes = [integer, number, pointer, integer, number, pointer, integer]
                    routine.restype = None
                    return routine  # type: ignore[no-any-return]
    return None
