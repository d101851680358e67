"""Arrays that stand for values nobody knows yet, so that tracing a large step takes no memory for them.

A trace needs shapes, dtypes and how values lie; what they are matters only where Python looks at one. So where the
values of a step would take much memory, each large one is let go of as soon as it is computed, and its shadow goes on:
pages that were never written, which take no memory. Whatever comes of a shadow is as unknown, however small.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from tensorgrad.program.calls import UntraceableError
from tensorgrad.program.layouts import laid_out, layout_of

LEAST = 1 << 20  # bytes of a value that is exchanged for its shadow
ENOUGH = 1 << 27  # bytes of large values, held together, from which a step is traced by shadows


class HeavyError(Exception):
    """The values of a trace take much memory: it is begun anew by shadows."""


class UnknownValueError(UntraceableError):
    """Python looked at a value that is not known: the step is traced with its values."""


def shadow(array: Any) -> Any:
    """An array of the same shape and dtype that lies as another does, and takes no memory until it is written.

    >>> shadow(np.ones((3, 2)).T).strides
    (8, 16)
    """
    layout = layout_of(array)
    shape = array.shape if layout is None else tuple([array.shape[axis] for axis in layout])
    pages = np.frombuffer(_pages(max(1, array.nbytes)), array.dtype, array.size).reshape(shape)
    return laid_out(pages, array.shape, layout)


def _pages(size: int) -> mmap.mmap:
    """Fresh pages, which are all one page of zeros until they are written; shared ones would be made when read."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


__all__ = ["ENOUGH", "LEAST", "HeavyError", "UnknownValueError", "shadow"]
