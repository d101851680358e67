"""Images at another size on a GPU: each pixel reads its taps and adds them up, in one launch for an axis."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cuda.launch import HALVES, Source, contiguous, empty
from tensorgrad.backend.kernels import kernel, picky
from tensorgrad.backend.stretch_taps import Stretch, taps_back, taps_of

KEPT = 256  # tables that stay on their devices

_SOURCE = Source(
    "stretching",
    r"""
// (outer, before, inner) -> (outer, after, inner)
extern "C" __global__ void stretch(
    const T* x, const long long* places, const A* weights, T* out, I n, I before, I after, I taps, I inner
) {
    for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x) {
        const I pixel = at / inner % after;
        const T* from = x + at / (inner * after) * before * inner + at % inner;
        A total = 0;
        for (I tap = pixel * taps; tap < (pixel + 1) * taps; tap++) {
            total += up(from[(I)places[tap] * inner]) * weights[tap];
        }
        out[at] = down(total);
    }
}
""",
)
_tables: dict[Any, tuple[Any, Any]] = {}


def _table(xp: Any, x: Any, stretch: Stretch, adjoint: bool) -> tuple[Any, Any]:
    """The places and weights of a stretch on the device of an array."""
    number = np.dtype(np.float32) if x.dtype.name in HALVES else x.dtype
    key = (stretch, adjoint, number.name, str(x.device))
    found = _tables.get(key)
    if found is None:
        places, weights = (taps_back if adjoint else taps_of)(stretch)
        given = np.ascontiguousarray(places, np.int64), np.ascontiguousarray(weights, number)
        found = tuple([xp.asarray(each, device=x.device) for each in given])
        if len(_tables) >= KEPT:
            _tables.clear()
        _tables[key] = found
    return found


@kernel("stretch_axis", "cupy")
@picky
def _stretch_axis(xp: Any, x: Any, axis: int, stretch: Stretch, adjoint: bool) -> Any:
    if not _SOURCE.serves(x):
        return NotImplemented
    x = contiguous(x)
    places, weights = _table(xp, x, stretch, adjoint)
    (after, taps), before, inner = places.shape, x.shape[axis], prod(x.shape[axis + 1 :])
    out = empty(xp, x, (*x.shape[:axis], after, *x.shape[axis + 1 :]))
    _SOURCE.over("stretch", out.size, x, x, places, weights, out, out.size, before, after, taps, inner)
    return out
