"""What an index is made of: questions that kernels of several libraries ask before they choose a way."""

from __future__ import annotations

from typing import Any

import numpy as np


def is_basic(key: Any) -> bool:
    """Whether an index is made of slices, integers, None and Ellipsis alone: it then names no element twice."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(
        part is None or part is Ellipsis or (isinstance(part, (slice, int, np.integer)) and not isinstance(part, bool))
        for part in parts
    )


def are_whole(parts: tuple[Any, ...]) -> bool:
    """Whether an index is made of integers and arrays of them alone."""
    return all(
        part.dtype.kind in "iu" if hasattr(part, "dtype") else isinstance(part, int) and not isinstance(part, bool)
        for part in parts
    )
