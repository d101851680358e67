"""Extremes of segments by sorting rows, where the composition compares every row with every segment."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.dtypes import is_floating
from tensorgrad.backend.kernels import kernel


@kernel("largest_of_segments", "numpy")
def _largest_of_segments(xp: Any, x: Any, segment_ids: Any, num_segments: int) -> Any:
    if x.dtype.kind == "c":
        raise TypeError("complex numbers have no order")
    lowest = -np.inf if is_floating(x.dtype) else np.iinfo(x.dtype).min
    result = np.full((num_segments, *x.shape[1:]), lowest, x.dtype)
    if segment_ids.size:
        order = np.argsort(segment_ids, kind="stable")
        ids = segment_ids[order]
        starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
        result[ids[starts]] = np.maximum.reduceat(x[order], starts, axis=0)
    return result
