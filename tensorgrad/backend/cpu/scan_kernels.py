"""Scans by NumPy's own accumulation: one pass instead of log2(n)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.kernels import kernel


@kernel("running_logsumexp", "numpy")
def _running_logsumexp(xp: Any, x: Any, axis: int) -> Any:
    return np.logaddexp.accumulate(x, axis=axis)


@kernel("running_places", "numpy")
def _running_places(xp: Any, x: Any, axis: int, largest: bool) -> Any:
    if x.dtype.kind == "c":
        raise TypeError("complex numbers have no order")
    extremes = np.maximum.accumulate(x, axis=axis) if largest else np.minimum.accumulate(x, axis=axis)
    line = np.arange(x.shape[axis], dtype=np.int64).reshape([-1 if each == axis else 1 for each in range(x.ndim)])
    found = (x == extremes) | (x != x)
    return np.maximum.accumulate(np.where(found, line, 0), axis=axis)
