"""The library of traced arrays: NumPy's functions, each call of which becomes a line of the trace.

An op that has a kernel of its own for NumPy, such as a convolution, stays one call of that kernel; of any other op the
composition is traced, so that its parts can be fused with what is around them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from math import prod
from types import ModuleType
from typing import Any

import numpy as np

from tensorgrad.backend import LARGE, NUMPY, Library, add_library
from tensorgrad.primitive import registry
from tensorgrad.program.calls import UntraceableError, mapped
from tensorgrad.program.traced import IN_ANOTHER_THREAD, Trace, TracedArray, tracing

_ABOUT_DTYPES = frozenset({"isdtype", "finfo", "iinfo", "result_type", "can_cast", "broadcast_shapes"})
_REDUCTIONS = {"prod": np.multiply, "max": np.maximum, "min": np.minimum, "all": np.logical_and, "any": np.logical_or}
# Whose parts are worth more than their kernel: rows of a product run in a loop with what comes before and after.
_IN_PARTS = frozenset({"linear"})
_OF_INDICES = frozenset({"getitem", "setitem", "add_at"})
# By what values are, not by shapes alone: how many there are in the result cannot be known beforehand.
_BY_VALUES = frozenset({"nonzero", "unique_all", "unique_counts", "unique_inverse", "unique_values", "repeat"})


def _trace() -> Trace:
    trace = tracing.get()
    if trace is None:
        raise RuntimeError(f"{IN_ANOTHER_THREAD}. Or a traced array was kept, and used after its step had ended")
    return trace


class _TracedNamespace:
    """The functions of a module of NumPy's over traced arrays."""

    def __init__(self, module: Any, name: str) -> None:
        self._module, self.__name__ = module, name

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._module, name)
        if isinstance(getattr(np, name, None), np.ufunc):
            value = getattr(np, name)  # itself, where our namespace has a way of its own to call it
        if isinstance(value, ModuleType):
            value = _TracedNamespace(value, f"{self.__name__}.{name}")
        elif name in _ABOUT_DTYPES:
            value = _of_values(value)
        elif callable(value) and not isinstance(value, (type, np.dtype)):
            value = _traced(value)
        setattr(self, name, value)
        return value


def _traced(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **keywords: Any) -> Any:
        if keywords.get("out") is not None:
            raise UntraceableError(f"{function.__name__} wrote into an array, out=")
        return _trace().call(function, args, keywords)

    return call


def _of_values(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **keywords: Any) -> Any:
        return function(*mapped(args, TracedArray, lambda each: each.value), **keywords)

    return call


def _wide(x: Any, dtype: Any) -> Any:
    """The dtype that a sum is taken in: small integers and booleans become 64 bits wide."""
    if dtype is None and x.dtype.kind in "biu":
        return np.dtype(np.uint64 if x.dtype.kind == "u" else np.int64)
    return dtype


def _sum(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    return _trace().reduce(np.add, x, axis, _wide(x, dtype), None, keepdims)


def _prod(x: Any, /, *, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    return _trace().reduce(np.multiply, x, axis, _wide(x, dtype), None, keepdims)


def _mean(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
    total = _trace().reduce(np.add, x, axis, None, None, keepdims)
    if not x.size:
        return total / 0.0
    count = np.asarray(x.size // total.size if total.size else 1, total.dtype)
    return _trace().call(np.divide, (total, count))


def _reduction(ufunc: Any) -> Callable[..., Any]:
    def call(x: Any, /, *, axis: Any = None, keepdims: bool = False) -> Any:
        return _trace().reduce(ufunc, x, axis, None, None, keepdims)

    return call


def _by_values(name: str) -> Callable[..., Any]:
    def call(*_: Any, **__: Any) -> Any:
        raise UntraceableError(f"the shape of what {name} gives depends on values")

    return call


def _asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
    if not isinstance(x, TracedArray):
        return _trace().constant(np.array(x, dtype=dtype))
    if dtype is not None and np.dtype(dtype) != x.dtype:
        return x.astype(dtype)
    return x.copy() if copy else x


def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    x = x.real if x.dtype.kind == "c" and np.dtype(dtype).kind == "f" else x
    return x if not copy and x.dtype == np.dtype(dtype) else x.astype(dtype)


namespace = _TracedNamespace(NUMPY.namespace, "traced")
for _name, _function in {
    "sum": _sum, "prod": _prod, "mean": _mean, "asarray": _asarray, "astype": _astype,
    **{name: _reduction(_REDUCTIONS[name]) for name in ("max", "min", "all", "any")},
    **{name: _by_values(name) for name in _BY_VALUES},
}.items():  # fmt: skip
    setattr(namespace, _name, _function)


Trace.namespace = namespace


def _from_numpy(array: Any) -> Any:
    return array if isinstance(array, TracedArray) else _trace().constant(array)


def _memory(array: Any) -> Any:
    return array if array.base is None else array.base


LIBRARY = Library("traced", "cpu", TracedArray, namespace, _from_numpy, lambda array: array, _memory)
add_library(LIBRARY)


# Whether ops with a kernel for NumPy are called as that kernel, in one piece, or, as a script needs them, in parts; or
# the names of those that stay in one piece.
kernels_whole: ContextVar[bool | frozenset[str]] = ContextVar("kernels_whole", default=True)


def add_kernels() -> None:
    """Give every op with a kernel for NumPy one for traced arrays."""
    for op in registry.values():
        fast = op.kernels.get(NUMPY.name)
        if fast is not None and getattr(op.kernels.get(LIBRARY.name), "kernel", None) is not fast:
            op.kernels[LIBRARY.name] = _whole(op, fast)


def _takes_rows(x: Any, key: Any) -> bool:
    """Whether an index takes so many rows of a table that NumPy's kernel takes them in its own way."""
    if not (isinstance(key, tuple) and len(key) == 1 and isinstance(key[0], (np.ndarray, TracedArray))):
        return False
    return key[0].dtype.kind in "iu" and prod(key[0].shape) * prod(x.shape[1:]) >= LARGE


def _whole(op: Any, fast: Callable[..., Any]) -> Callable[..., Any]:
    def kernel(*args: Any, **keywords: Any) -> Any:
        return fast(NUMPY.namespace, *args, **keywords)

    kernel.__name__, kernel.__module__ = op.name, fast.__module__

    if op.name == "getitem":  # a script says x[key]

        def taken(xp: Any, x: Any, key: Any) -> Any:
            rows = kernels_whole.get() is True and _takes_rows(x, key)
            return _trace().call(kernel, (x, key), {}, op) if rows else x[key]

        taken.kernel = fast  # type: ignore[attr-defined]
        return taken

    def call(xp: Any, *args: Any, **keywords: Any) -> Any:
        whole = kernels_whole.get()
        piece = op.name not in _IN_PARTS if whole is True else op.name in (whole or ())
        if op.name in _OF_INDICES or piece:
            return _trace().call(kernel, args, keywords, op)
        return op.composition(xp, *args, **keywords)

    call.kernel = fast  # type: ignore[attr-defined]
    return call


__all__ = ["LIBRARY", "add_kernels", "kernels_whole", "namespace"]
