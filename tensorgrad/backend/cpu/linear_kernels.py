"""Linear layers as one product of matrices, the bias added in place."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.cpu.row_blocks import SHARED, over_rows
from tensorgrad.backend.kernels import kernel, picky


@kernel("linear", "numpy")
@picky
def _linear(xp: Any, x: Any, weight: Any, bias: Any = None) -> Any:
    if x.ndim < 2 or weight.ndim != 2 or x.shape[-1] != weight.shape[1] or x.dtype is not weight.dtype:
        return NotImplemented
    if bias is not None and (bias.dtype is not x.dtype or bias.shape != weight.shape[:1]):
        return NotImplemented
    # A stack of matrices times one matrix is one product of all rows: NumPy would take one after the other.
    y = xp.matmul(x if x.ndim == 2 else x.reshape(-1, x.shape[-1]), weight.T)
    if bias is not None:
        if y.size < SHARED:
            np.add(y, bias, out=y)
        else:
            over_rows(lambda s: np.add(y[s], bias, out=y[s]), *y.shape)
    return y if x.ndim == 2 else y.reshape(*x.shape[:-1], len(weight))
