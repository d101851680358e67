"""One-dimensional convolution by NumPy's own loop, which makes no matrix of windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.kernels import kernel


@kernel("convolve_vectors", "numpy")
def _convolve_vectors(xp: Any, x1: Any, x2: Any, mode: Any) -> Any:
    return np.convolve(x1, x2, mode)
