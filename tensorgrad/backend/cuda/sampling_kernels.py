"""Images read between their pixels on a GPU: each result reads its taps and adds them up, in one launch.

The way back into an image goes pixel by pixel: taps are sorted by the pixels that they read, and a thread adds up what
comes to its own, in the same order in every run. With `set_deterministic(False)` taps add as they come.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cuda import settings as cuda_settings
from tensorgrad.backend.cuda.index_kernels import sorted_rows
from tensorgrad.backend.cuda.launch import HALVES, Source, contiguous, empty, zeros
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
# Images are (n, c, m), places and weights (n, taps, p), what is read (n, c, p). A place below 0 is no pixel.
_TAPS = Source(
    "taps",
    r"""
#define EACH(at, n) for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x)
#define WEIGHT(tap) (weight ? up(weight[tap]) : (A)1)
extern "C" __global__ void read_taps(
    const T* x, const long long* places, const T* weight, T* out, I c, I m, I taps, I p, I n
) {
    EACH(at, n) {
        const T* from = x + at / p * m;
        I tap = at / p / c * taps * p + at % p;
        A total = 0;
        for (I count = 0; count < taps; count++, tap += p) {
            const long long place = places[tap];
            if (place >= 0) total += up(from[place]) * WEIGHT(tap);
        }
        out[at] = down(total);
    }
}
extern "C" __global__ void read_taps_weight(
    const T* x, const T* y, const long long* places, T* out, I c, I m, I taps, I p, I n
) {
    EACH(at, n) {
        const I image = at / p / taps;
        const long long place = places[at];
        A total = 0;
        if (place >= 0) for (I channel = image * c; channel < (image + 1) * c; channel++) {
            total += up(x[channel * m + (I)place]) * up(y[channel * p + at % p]);
        }
        out[at] = down(total);
    }
}
// Where the taps of each pixel begin among the sorted ones; the last one is where those of all end.
extern "C" __global__ void starts_of(const long long* rows, long long* starts, I taps, I n) {
    EACH(at, n) {
        I low = 0, high = taps;
        while (low < high) {
            const I middle = low + (high - low) / 2;
            if (rows[middle] < at) low = middle + 1; else high = middle;
        }
        starts[at] = low;
    }
}
extern "C" __global__ void read_taps_x(
    const T* y, const long long* order, const long long* starts, const T* weight, T* out, I c, I m, I p, I n
) {
    EACH(at, n) {
        const I channel = at / m, row = channel / c * m + at % m;
        const long long end = starts[row + 1];
        A total = 0;
        for (long long k = starts[row]; k < end; k++) {
            const I tap = (I)order[k];
            total += up(y[channel * p + tap % p]) * WEIGHT(tap);
        }
        out[at] = down(total);
    }
}
extern "C" __global__ void add_taps(
    const T* y, const long long* places, const T* weight, A* out, I c, I m, I taps, I p, I n
) {
    EACH(at, n) {
        const A each = up(y[at]);
        I tap = at / p / c * taps * p + at % p;
        for (I count = 0; count < taps; count++, tap += p) {
            const long long place = places[tap];
            if (place >= 0) atomicAdd(out + at / p * m + place, each * WEIGHT(tap));
        }
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


@kernel("read_taps", "cupy")
@picky
def _read_taps(xp: Any, x: Any, places: Any, weight: Any = None) -> Any:
    if not _TAPS.serves(x, weight):
        return NotImplemented
    x, places, weight = contiguous(x), contiguous(places), contiguous(weight)
    (n, c, m), (_, taps, p) = x.shape, places.shape
    out = empty(xp, x, (n, c, p))
    _TAPS.over("read_taps", out.size, x, x, places, weight, out, c, m, taps, p, out.size, largest=places.size)
    return out


@kernel("read_taps_weight", "cupy")
@picky
def _read_taps_weight(xp: Any, x: Any, y: Any, places: Any) -> Any:
    if not _TAPS.serves(x, y):
        return NotImplemented
    x, y, places = contiguous(x), contiguous(y), contiguous(places)
    (_, c, m), (_, taps, p) = x.shape, places.shape
    out = empty(xp, x, places.shape)
    _TAPS.over("read_taps_weight", out.size, x, x, y, places, out, c, m, taps, p, out.size, largest=y.size)
    return out


@kernel("read_taps_x", "cupy")
@picky
def _read_taps_x(xp: Any, y: Any, places: Any, size: int, weight: Any = None) -> Any:
    if not _TAPS.serves(y, weight):
        return NotImplemented
    y, places, weight = contiguous(y), contiguous(places), contiguous(weight)
    (n, c, p), taps = y.shape, places.shape[1]
    if not cuda_settings.get_deterministic():
        table = zeros(xp, y, (n, c, size), np.dtype(np.float32) if y.dtype.name in HALVES else y.dtype)
        given = (y, places, weight, table, c, size, taps, p, y.size)
        _TAPS.over("add_taps", y.size, y, *given, largest=max(table.size, places.size))
        return xp.astype(table, y.dtype, copy=False)
    first = xp.reshape(xp.arange(n, dtype=xp.int64, device=y.device) * size, (n, 1, 1))
    order, rows = sorted_rows(xp, xp.where(places < 0, -1, places + first))
    starts = empty(xp, y, (n * size + 1,), xp.int64)
    _TAPS.over("starts_of", starts.size, y, rows, starts, rows.size, starts.size, largest=rows.size)
    out = empty(xp, y, (n, c, size))
    given = (y, order, starts, weight, out, c, size, p, out.size)
    _TAPS.over("read_taps_x", out.size, y, *given, largest=max(rows.size, starts.size))
    return out
