"""A border of one number, in one pass and in the order in memory that the array has."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.kernels import kernel


@kernel("bordered", "numpy")
def _bordered(xp: Any, x: Any, widths: tuple[tuple[int, int], ...], value: Any) -> Any:
    sizes = [before + n + after for n, (before, after) in zip(x.shape, widths, strict=True)]
    out = np.empty_like(x, shape=sizes)
    inner = tuple([slice(before, before + n) for n, (before, _) in zip(x.shape, widths, strict=True)])
    for axis, part in enumerate(inner):
        out[(*inner[:axis], slice(0, part.start))] = value
        out[(*inner[:axis], slice(part.stop, None))] = value
    out[inner] = x
    return out
