"""How an array lies in memory: a program writes a value into an array that lies as the value of the eager step does."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.cpu import buffers
from tensorgrad.backend.cpu.memory_order import axes_side_by_side, back

Layout = tuple[int, ...] | None


def layout_of(array: Any) -> Layout:
    """The axes of an array without gaps, the slowest first; None for C's order, and where there are gaps.

    >>> layout_of(np.ones((2, 3, 4)).transpose(0, 2, 1))
    (0, 2, 1)
    """
    if array.ndim < 2 or array.flags.c_contiguous:
        return None
    return axes_side_by_side(array)


def empty(shape: Any, dtype: Any, layout: Layout, shelved: bool = False) -> Any:
    """An array of any values that lies so; `shelved`: one for a user, which is taken from a shelf and finds back there.

    >>> empty((2, 3, 4), np.dtype("float32"), (0, 2, 1)).strides
    (48, 4, 12)
    """
    make = buffers.empty if shelved else np.empty
    if layout is None:
        return make(shape, dtype)
    return laid_out(make(tuple([shape[axis] for axis in layout]), dtype), shape, layout)


def laid_out(array: Any, shape: Any, layout: Layout) -> Any:
    """A view of an array in C's order as one of this shape that lies so."""
    if layout is None:
        return array.reshape(shape)
    return array.reshape([shape[axis] for axis in layout]).transpose(back(layout))


__all__ = ["Layout", "empty", "laid_out", "layout_of"]
