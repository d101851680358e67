"""Arrays that stand for values nobody knows yet, so that tracing a large step takes no memory for them.

A trace needs shapes, dtypes and how values lie; what they are matters only where Python looks at one. So where the
values of a step would take much memory, each large one has a shadow in its place: pages that were never written, which
take no memory. What most functions give is foreseen from shapes, and from the first elements of their operands; what
others give is computed, and let go of. Whatever comes of a shadow is as unknown, however small.
"""

from __future__ import annotations

import mmap
from collections.abc import Container
from math import prod
from typing import Any

import numpy as np

from tensorgrad.program.calls import UntraceableError, mapped
from tensorgrad.program.layouts import Layout, laid_out, layout_of

LEAST = 1 << 16  # bytes of a value that is exchanged for its shadow
ENOUGH = 1 << 22  # bytes of large values, held together, from which a step is traced by shadows


class HeavyError(Exception):
    """The values of a trace take much memory: it is begun anew by shadows."""


class UnknownValueError(UntraceableError):
    """Python looked at a value that is not known: the step is traced with its values."""


def shadow(array: Any) -> Any:
    """An array of the same shape and dtype that lies as another does, and takes no memory until it is written.

    >>> shadow(np.ones((3, 2)).T).strides
    (8, 16)
    """
    return _blank(array.shape, array.dtype, layout_of(array))


def _blank(shape: Any, dtype: Any, layout: Layout) -> Any:
    size = prod(shape)
    pages = np.frombuffer(_pages(max(1, size * dtype.itemsize)), dtype, size)
    return laid_out(pages, shape, layout)


def foreseen(function: Any, args: Any, keywords: Any, op: str = "", elementwise: bool = False) -> Any:
    """The shadow of what a function gives, without the call; None where that is small, or takes the call itself.

    Its dtype, and how it lies, is that of what the function gives of the first two elements along each axis.
    op: whose kernel the function is. elementwise: it is known to treat each element by itself.

    >>> left, right = np.ones((4, 300, 50), "float32"), np.ones((50, 600))
    >>> foreseen(np.matmul, (left, right), {}).shape, foreseen(np.add, (left, 1), {}).dtype
    ((4, 300, 600), dtype('float32'))
    """
    if function is np.reshape and args and isinstance(args[0], np.ndarray):
        return _reshaped(args[0], args[1])
    if op == "add_at" and prod(args[2]) * args[0].itemsize >= LEAST:
        return _blank(args[2], args[0].dtype, None)
    shape = _shape_of(function, args, keywords, elementwise)
    if shape is None or 0 in shape:
        return None
    with np.errstate(all="ignore"):  # of what no value of the step is
        corner = function(*mapped(args, np.ndarray, _corner), **mapped(keywords, np.ndarray, _corner))
    if not isinstance(corner, np.ndarray) or corner.ndim != len(shape) or prod(shape) * corner.itemsize < LEAST:
        return None
    return _blank(shape, corner.dtype, layout_of(corner))


def foreseen_by_rows(function: Any, args: Any, keywords: Any, rows: Container[int], results: str) -> Any:
    """The shadows of what a kernel gives that goes by rows, of a call with the first two; None where all are small.

    rows: the places of the operands that go by rows. results: for each result R, where it goes by rows, or S.
    """
    count = next(each.shape[0] for place, each in enumerate(args) if place in rows)
    if not count:
        return None
    with np.errstate(all="ignore"):
        some = function(*[each[:2] if place in rows else each for place, each in enumerate(args)], **keywords)
    found = []
    for each, kind in zip(some if isinstance(some, tuple) else (some,), results, strict=True):
        if each is None or kind == "S":
            found.append(each)
        else:
            found.append(_blank((count, *each.shape[1:]), each.dtype, layout_of(each)))
    if sum([each.nbytes for each in found if each is not None]) < LEAST:
        return None
    return tuple(found) if isinstance(some, tuple) else found[0]


def _corner(array: Any) -> Any:
    return array[(slice(2),) * array.ndim]


def _shape_of(function: Any, args: Any, keywords: Any, elementwise: bool) -> Any:
    """The shape of what a function gives, where it is known how that comes of its operands' shapes."""
    shapes = [each.shape for each in args if isinstance(each, np.ndarray)]
    if any(0 in shape for shape in shapes):
        return None
    if function in _JOINS:
        return _joined(function, args, keywords)
    if not shapes:
        return None
    if getattr(function, "__name__", "") == "reduce" and isinstance(getattr(function, "__self__", None), np.ufunc):
        return _reduced(*args)
    if function is np.matmul and len(args) == len(shapes) == 2 and not keywords:
        left, right = shapes
        if len(left) < 2 or len(right) < 2:
            return None
        return (*np.broadcast_shapes(left[:-2], right[:-2]), left[-2], right[-1])
    if function in _LIKE:
        return None if keywords.get("shape") is not None else shapes[0]
    single = isinstance(function, np.ufunc) and function.nout == 1 and function.signature is None
    if (single and not keywords) or elementwise or function in _ELEMENTWISE:
        return np.broadcast_shapes(*shapes)
    return None


def _reshaped(x: Any, shape: Any) -> Any:
    """None where it is a view."""
    if x.nbytes < LEAST:
        return None
    try:
        np.reshape(x, shape, copy=False)
    except ValueError:
        lengths = shape if isinstance(shape, tuple) else (shape,)
        rest = x.size // max(1, prod([each for each in lengths if each != -1]))
        return _blank(tuple([rest if each == -1 else each for each in lengths]), x.dtype, None)
    return None


def _reduced(x: Any, axis: Any, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    axes = range(x.ndim) if axis is None else [each % x.ndim for each in (axis if isinstance(axis, tuple) else (axis,))]
    if keepdims:
        return tuple([1 if place in axes else length for place, length in enumerate(x.shape)])
    return tuple([length for place, length in enumerate(x.shape) if place not in axes])


def _joined(function: Any, args: Any, keywords: Any) -> Any:
    axis = keywords.get("axis", args[1] if len(args) > 1 else 0)
    parts = args[0]
    if not isinstance(parts, (tuple, list)) or not all(isinstance(each, np.ndarray) for each in parts):
        return None
    if not parts or not isinstance(axis, int) or set(keywords) - {"axis"} or any(0 in each.shape for each in parts):
        return None
    if function is np.stack:
        axis %= parts[0].ndim + 1
        return (*parts[0].shape[:axis], len(parts), *parts[0].shape[axis:])
    axis %= max(1, parts[0].ndim)
    return (*parts[0].shape[:axis], sum([each.shape[axis] for each in parts]), *parts[0].shape[axis + 1 :])


_JOINS = {np.concat, np.concatenate, np.stack}
_LIKE = {np.zeros_like, np.ones_like, np.full_like, np.copy}
_ELEMENTWISE = {np.where, np.clip}


def _pages(size: int) -> mmap.mmap:
    """Fresh pages, which are all one page of zeros until they are written; shared ones would be made when read."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


__all__ = ["ENOUGH", "LEAST", "HeavyError", "UnknownValueError", "foreseen", "foreseen_by_rows", "shadow"]
