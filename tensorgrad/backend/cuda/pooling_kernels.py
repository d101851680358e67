"""Pooling on a GPU: a thread for each window, or for each pixel where a gradient comes back; nothing is scattered."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cpu.window_kernels import Sizes, counts_of
from tensorgrad.backend.cuda.launch import FLOATS, INTEGERS, Source, contiguous, empty
from tensorgrad.backend.cuda.window_kernels import AXES, GEOMETRY, geometry
from tensorgrad.backend.kernels import kernel, picky

# What a thread of a window does first: it finds the window's own image and first pixel.
_WINDOW = r"""
#define WINDOW(from_image)                                                                                      \
    const I channel = at / windows, window = at % windows;                                                      \
    const I u = window / (cy * cx) * sz, v = window / cx % cy * sy, w = window % cx * sx;                       \
    const T* from = from_image + channel * z * y * x;
#define PIXEL from[((u + a * dz) * y + v + b * dy) * x + w + c * dx]
"""
# A NaN is larger and smaller than all else, and stays.
_EXTREME = r"""
extern "C" __global__ void NAME_windows(const T* image, T* out, I channels, GEOMETRY) {
    const I windows = cz * cy * cx;
    EACH(at, channels * windows) {
        WINDOW(image)
        A best = up(from[(u * y + v) * x + w]);
        PLACES { const A value = up(PIXEL); if (value OVER best || value != value) best = value; }
        out[at] = down(best);
    }
}
"""
_ORDERED = Source(
    "extremes of windows",
    GEOMETRY
    + _WINDOW
    + _EXTREME.replace("NAME", "max").replace("OVER", ">")
    + _EXTREME.replace("NAME", "min").replace("OVER", "<")
    + r"""
extern "C" __global__ void attained_windows(const T* image, const T* found, bool* best, I channels, GEOMETRY) {
    const I windows = cz * cy * cx;
    EACH(at, channels * windows) {
        WINDOW(image)
        bool* to = best + channel * kz * ky * kx * windows + window;
        PLACES { to[place * windows] = up(PIXEL) == up(found[at]); }
    }
}
""",
    dtypes=(*FLOATS, *INTEGERS),
)
_SUMMED = Source(
    "sums of windows",
    GEOMETRY
    + _WINDOW
    + r"""
extern "C" __global__ void sum_windows(const T* image, T* out, I channels, GEOMETRY) {
    const I windows = cz * cy * cx;
    EACH(at, channels * windows) {
        WINDOW(image)
        A total = 0;
        PLACES { total += up(PIXEL); }
        out[at] = down(total);
    }
}
extern "C" __global__ void gather_windows(const T* image, const bool* best, T* out, I channels, GEOMETRY) {
    const I windows = cz * cy * cx;
    EACH(at, channels * windows) {
        WINDOW(image)
        const bool* mine = best + channel * kz * ky * kx * windows + window;
        A total = 0;
        int ties = 0;
        PLACES { if (mine[place * windows]) { total += up(PIXEL); ties++; } }
        out[at] = down(ties > 1 ? total / ties : total);
    }
}
extern "C" __global__ void shares(const T* given, const bool* best, T* out, I places, I windows, I n) {
    EACH(at, n) {
        const bool* mine = best + at / windows * places * windows + at % windows;
        int ties = 0;
        for (I place = 0; place < places; place++) ties += mine[place * windows];
        out[at] = down(ties > 1 ? up(given[at]) / ties : up(given[at]));
    }
}
// best: which places of a window have a share; all where it is not there.
extern "C" __global__ void spread_windows(const T* given, const bool* best, T* image, I channels, GEOMETRY) {
    const I windows = cz * cy * cx, pixels = z * y * x;
    EACH(at, channels * pixels) {
        const I channel = at / pixels, pixel = at % pixels;
        const I k = pixel / (y * x), i = pixel / x % y, j = pixel % x;
        A total = 0;
        PLACES {
            const I u = window_at(k, a, sz, dz, cz), v = window_at(i, b, sy, dy, cy), w = window_at(j, c, sx, dx, cx);
            if (u < 0 || v < 0 || w < 0) continue;
            const I window = (u * cy + v) * cx + w;
            if (best == 0 || best[(channel * kz * ky * kx + place) * windows + window]) {
                total += up(given[channel * windows + window]);
            }
        }
        image[at] = down(total);
    }
}
""",
)


def _geometry(size: Sizes, kernel_size: Sizes, stride: Sizes, dilation: Sizes, counts: Sizes) -> tuple[int, ...]:
    return geometry(tuple(size), kernel_size, stride, ((0, 0),) * len(size), dilation, counts)


def _reduced(name: str, source: Source) -> Callable[..., Any]:
    """One number for each window."""

    @picky
    def run(xp: Any, x: Any, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
        if not source.serves(x) or x.ndim > 2 + AXES:
            return NotImplemented
        counts = counts_of(x.shape[2:], kernel_size, stride, ((0, 0),) * len(kernel_size), dilation)
        x = contiguous(x)
        out = empty(xp, x, (*x.shape[:2], *counts))
        numbers = _geometry(x.shape[2:], kernel_size, stride, dilation, counts)
        source.over(name, out.size, x, x, out, x.shape[0] * x.shape[1], *numbers)
        return out

    return run


for _name, _source in (("max_windows", _ORDERED), ("min_windows", _ORDERED), ("sum_windows", _SUMMED)):
    kernel(_name, "cupy")(_reduced(_name, _source))


@kernel("attained_windows", "cupy")
@picky
def _attained(xp: Any, x: Any, y: Any, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    if not _ORDERED.serves(x, y) or x.ndim > 2 + AXES:
        return NotImplemented
    x, y = contiguous(x), contiguous(y)
    n, c, *counts = y.shape
    best = empty(xp, x, (n, c, prod(kernel_size), *counts), np.dtype(bool))
    numbers = _geometry(x.shape[2:], kernel_size, stride, dilation, tuple(counts))
    _ORDERED.over("attained_windows", y.size, x, x, y, best, n * c, *numbers, largest=best.size)
    return best


@kernel("share_windows", "cupy")
@picky
def _share(xp: Any, y: Any, best: Any, size: Sizes, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    if not _SUMMED.serves(y) or len(size) > AXES:
        return NotImplemented
    y, best = contiguous(y), contiguous(best)
    places, windows = best.shape[2], prod(y.shape[2:])
    shares = empty(xp, y, y.shape)
    _SUMMED.over("shares", y.size, y, y, best, shares, places, windows, y.size, largest=best.size)
    return _spread_over(xp, shares, best, size, kernel_size, stride, dilation)


@kernel("spread_windows", "cupy")
@picky
def _spread(xp: Any, y: Any, size: Sizes, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    if not _SUMMED.serves(y) or len(size) > AXES:
        return NotImplemented
    return _spread_over(xp, contiguous(y), None, size, kernel_size, stride, dilation)


def _spread_over(xp: Any, y: Any, best: Any, size: Sizes, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    """Each y added to its window, or to the best of it."""
    n, c, *counts = y.shape
    image = empty(xp, y, (n, c, *size))
    numbers = _geometry(size, kernel_size, stride, dilation, tuple(counts))
    largest = y.size * prod(kernel_size)
    _SUMMED.over("spread_windows", image.size, y, y, best, image, n * c, *numbers, largest=largest)
    return image


@kernel("gather_windows", "cupy")
@picky
def _gather(xp: Any, x: Any, best: Any, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    if not _SUMMED.serves(x) or x.ndim > 2 + AXES:
        return NotImplemented
    x, best = contiguous(x), contiguous(best)
    n, c, _, *counts = best.shape
    out = empty(xp, x, (n, c, *counts))
    numbers = _geometry(x.shape[2:], kernel_size, stride, dilation, tuple(counts))
    _SUMMED.over("gather_windows", out.size, x, x, best, out, n * c, *numbers, largest=best.size)
    return out
