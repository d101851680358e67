"""Special functions by SciPy, which is imported when one is first used."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend.kernels import kernel


@kernel("erf", "numpy")
def _erf(xp: Any, x: Any) -> Any:
    from scipy.special import erf

    return erf(x)
