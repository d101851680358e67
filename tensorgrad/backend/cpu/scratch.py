"""Memory that a thread writes intermediate numbers into, block after block, so that pages are touched once.

A fresh array of a megabyte costs as much in page faults as in arithmetic. What is taken here is never handed out of the
kernel that took it.
"""

from __future__ import annotations

from math import prod
from threading import local
from typing import Any

import numpy as np

_LARGEST = 1 << 24  # bytes that a thread keeps under one name
_kept = local()


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """An uninitialised array of this thread. What was taken under the same name before is overwritten.

    >>> scratch("an example", (2, 3), np.float32).shape
    (2, 3)
    """
    dtype = np.dtype(dtype)
    size = prod(shape) * dtype.itemsize
    if size > _LARGEST:
        return np.empty(shape, dtype)
    memory = _kept.__dict__.get(name)
    if memory is None or memory.size < size:
        memory = _kept.__dict__[name] = np.empty(size, np.uint8)
    return memory[:size].view(dtype).reshape(shape)
