"""einsum by the library's own contraction, which finds matrix products in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.dtypes import is_half
from tensorgrad.backend.kernels import kernel


@kernel("einsum_parts", "numpy")
def _einsum(xp: Any, subscripts: str, *operands: Any) -> Any:
    if any(is_half(each.dtype) for each in operands):  # their products are of float32, and sums too
        single = [each.astype(np.float32) if is_half(each.dtype) else each for each in operands]
        found = np.einsum(subscripts, *single, optimize=len(operands) > 1)
        return found.astype(operands[0].dtype) if len({each.dtype for each in operands}) == 1 else found
    return np.einsum(subscripts, *operands, optimize=len(operands) > 1)
