"""Membership by NumPy's sorting and look-up tables, which compare no element with all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.kernels import kernel


@kernel("isin", "numpy")
def _isin(xp: Any, x1: Any, x2: Any, invert: bool = False) -> Any:
    return np.isin(x1, x2, invert=invert)
