"""Arrays from nothing, and what can be asked of dtypes: the part of the standard that has no operand.

These return arrays of a device's library, not tensors, so that a kernel may run over this namespace as over any
other; `tensorgrad.zeros` and its siblings in `creation.py` make tensors of them.
"""

from __future__ import annotations

from functools import wraps
from operator import index
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend import (
    NUMPY,
    Array,
    as_array,
    as_dtype,
    device_named,
    get_default_dtype,
    is_array,
    is_bfloat16,
    item,
    limits,
    move,
    natural,
    on_device,
)
from tensorgrad.backend import device_of as _device_of
from tensorgrad.primitive import op
from tensorgrad.shortage import explained
from tensorgrad.tape import Traced, is_recording

e, pi, inf, nan, newaxis = np.e, np.pi, np.inf, np.nan, None
bool_ = np.dtype("bool")
int8, int16, int32, int64 = (np.dtype(f"int{bits}") for bits in (8, 16, 32, 64))
uint8, uint16, uint32, uint64 = (np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64))
float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
complex64, complex128 = np.dtype("complex64"), np.dtype("complex128")


def device_of(x: Any) -> str:
    """The device a tensor's or an array's values are on: "cpu", "strict"."""
    return _device_of(x.data if isinstance(x, Traced) else x)


def floating(dtype: Any) -> Any:
    """A dtype, or the default one for None. Raises TypeError for one that is not of numbers."""
    if dtype is None:
        return get_default_dtype()
    found = as_dtype(dtype)
    if found.kind not in "biufc" and not is_bfloat16(found):
        raise TypeError(f"an array holds booleans, integers, floating or complex numbers, not {found}")
    return found


def number_of(value: Any, what: str) -> Any:
    """A bound or a value as a Python number. Raises TypeError for a tensor whose gradient would be lost."""
    if not isinstance(value, Traced):
        return item(value) if is_array(value) else value
    if value.record is not None and is_recording():
        raise TypeError(
            f"{what}: a tensor that requires a gradient would lose it in a new array; pass t.item(), or compute with "
            "ops, as broadcast_to(t, shape)"
        )
    return item(value.data)


def lengths(shape: Any, what: str) -> tuple[int, ...]:
    """A shape as a tuple of integers. Raises TypeError and ValueError, naming the function, for what is none."""
    try:
        axes = tuple([index(each) for each in (shape if isinstance(shape, (tuple, list)) else (shape,))])
    except TypeError:
        raise TypeError(f"{what}: a shape is an integer or a tuple of integers, not {shape!r}") from None
    if axes and min(axes) < 0:
        raise ValueError(f"{what}: the shape {axes} has a length below 0")
    return axes


def _told_of_memory(create: Any) -> Any:
    """The same function, which says what holds the memory of a device where it runs out."""

    @wraps(create)
    def created(*args: Any, device: Any = None, **keywords: Any) -> Array:
        try:
            return create(*args, device=device, **keywords)
        except MemoryError as error:
            raise explained(error, create.__name__, device_named(device)) from None

    return created


@_told_of_memory
def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros.   -> shape"""
    where = device_named(device)
    return on_device(where).namespace.zeros(lengths(shape, "zeros"), dtype=floating(dtype), device=where)


@_told_of_memory
def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """Ones.   -> shape"""
    where = device_named(device)
    return on_device(where).namespace.ones(lengths(shape, "ones"), dtype=floating(dtype), device=where)


@_told_of_memory
def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """Whatever values the memory held.   -> shape"""
    where = device_named(device)
    return on_device(where).namespace.empty(lengths(shape, "empty"), dtype=floating(dtype), device=where)


@_told_of_memory
def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """One value everywhere.   -> shape"""
    value = number_of(fill_value, "full")
    if dtype is None:
        dtype = fill_value.dtype if hasattr(fill_value, "dtype") else as_array(value).dtype
    where = device_named(device)
    return on_device(where).namespace.full(lengths(shape, "full"), value, dtype=floating(dtype), device=where)


@_told_of_memory
def eye(n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None) -> Array:
    """Ones on the k-th diagonal, zeros elsewhere.   -> (n_rows, n_cols or n_rows)"""
    where = device_named(device)
    columns = n_rows if n_cols is None else n_cols
    return on_device(where).namespace.eye(n_rows, columns, k=k, dtype=floating(dtype), device=where)


@_told_of_memory
def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> Array:
    """start, start + step, ... before stop; from 0 when only one bound is given.   -> (n,)

    int64 when all three are integers, else the default dtype.
    """
    start, stop, step = number_of(start, "arange"), number_of(stop, "arange"), number_of(step, "arange")
    if step == 0:
        raise ValueError("arange: the step is 0, so the end is never reached; give one above or below 0")
    if stop is None:
        start, stop = 0, start
    if dtype is None:
        whole = all(isinstance(each, (int, np.integer)) for each in (start, stop, step))
        dtype = int64 if whole else get_default_dtype()
    where = device_named(device)
    return on_device(where).namespace.arange(start, stop, step, dtype=floating(dtype), device=where)


@_told_of_memory
def linspace(
    start: Any, stop: Any, /, num: int, *, dtype: Any = None, device: Any = None, endpoint: bool = True
) -> Array:
    """num evenly spaced values from start to stop.   -> (num,)"""
    where = device_named(device)
    if num < 0:
        raise ValueError(f"linspace: num is {num}; it is how many values to make, 0 or more")
    start, stop = number_of(start, "linspace"), number_of(stop, "linspace")
    if dtype is None and (isinstance(start, complex) or isinstance(stop, complex)):
        dtype = natural(1j)
    library = on_device(where)
    return library.namespace.linspace(start, stop, num, dtype=floating(dtype), device=where, endpoint=endpoint)


@op(linear=True)
def to_device(xp: Any, x: Array, device: str, source: str) -> Array:
    """The values on another device; the gradient travels back to `source`.   (...) -> (...)"""
    return move(x, device)


to_device.vjp(x=lambda g, device, source: to_device(g, source, device))


# ── dtypes ──────────────────────────────────────────────────────────────────────────────────────────────────


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: "bool", "integral", "real floating", "numeric", or another dtype.

    >>> isdtype(float32, "real floating")
    True
    """
    return bool(NUMPY.namespace.isdtype(dtype, kind))


def _dtype_of(each: Any) -> Any:
    return each.dtype if hasattr(each, "dtype") else each


def result_type(*arrays_and_dtypes: Any) -> Any:
    """The dtype that operands of these dtypes give; Python scalars are weak.

    >>> result_type(float32, float64)
    dtype('float64')
    """
    return np.result_type(*[_dtype_of(each) for each in arrays_and_dtypes])


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether a dtype (or an array's) goes into another without loss.

    >>> can_cast(float32, float64)
    True
    """
    return bool(np.can_cast(_dtype_of(from_), np.dtype(to)))


class FloatingInfo(NamedTuple):
    """What `finfo` tells, as Python numbers: NumPy's are float32 for float32, and not weak beside other arrays."""

    bits: int
    dtype: Any
    eps: float
    max: float
    min: float
    smallest_normal: float


def finfo(type: Any, /) -> FloatingInfo:
    """What is known of a floating dtype: bits, dtype, eps, max, min, smallest_normal; of the parts of a complex one.

    >>> finfo(float32).bits
    32
    """
    info = limits(_dtype_of(type))
    bounds = [float(bound) for bound in (info.eps, info.max, info.min, info.smallest_normal)]
    return FloatingInfo(int(info.bits), info.dtype, *bounds)


def iinfo(type: Any, /) -> Any:
    """What is known of an integer dtype: bits, max, min.

    >>> int(iinfo(int8).max)
    127
    """
    return np.iinfo(_dtype_of(type))
