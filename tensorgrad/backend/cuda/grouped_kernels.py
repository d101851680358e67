"""Convolutions in many small groups on a GPU, at the extreme each channel on its own: sums, not products of matrices.

A thread makes one number of an image, a group of threads one of a kernel; nothing is scattered.
"""

from __future__ import annotations

from typing import Any

from tensorgrad.backend.cuda.launch import Source
from tensorgrad.backend.cuda.window_kernels import GEOMETRY

_SOURCE = Source(
    "convolutions in groups",
    GEOMETRY
    + r"""
// x (n, g gc, z y x), weight (g go, gc, k), y (n, g go, c): channels of a group that come in, and that go out.
extern "C" __global__ void correlate(const T* image, const T* weight, T* out, I n, I g, I gc, I go, GEOMETRY) {
    const I windows = cz * cy * cx, places = kz * ky * kx, o = g * go;
    EACH(at, n * o * windows) {
        const I window = at % windows, channel = at / windows % o, instance = at / (windows * o);
        const I u = window / (cy * cx) * sz - pz, v = window / cx % cy * sy - py, w = window % cx * sx - px;
        A total = 0;
        for (I q = 0; q < gc; q++) {
            const T* from = image + (instance * g * gc + channel / go * gc + q) * z * y * x;
            const T* by = weight + (channel * gc + q) * places;
            PLACES {
                const I k = u + a * dz, i = v + b * dy, j = w + c * dx;
                const bool inside = k >= 0 && k < z && i >= 0 && i < y && j >= 0 && j < x;
                if (inside) total += up(from[(k * y + i) * x + j]) * up(by[place]);
            }
        }
        out[at] = down(total);
    }
}
extern "C" __global__ void correlate_x(const T* given, const T* weight, T* image, I n, I g, I gc, I go, GEOMETRY) {
    const I windows = cz * cy * cx, places = kz * ky * kx, pixels = z * y * x, channels = g * gc;
    EACH(at, n * channels * pixels) {
        const I pixel = at % pixels, channel = at / pixels % channels, instance = at / (pixels * channels);
        const I k = pixel / (y * x) + pz, i = pixel / x % y + py, j = pixel % x + px;
        A total = 0;
        for (I q = 0; q < go; q++) {
            const I from = channel / gc * go + q;
            const T* by = weight + (from * gc + channel % gc) * places;
            const T* mine = given + (instance * g * go + from) * windows;
            PLACES {
                const I u = window_at(k, a, sz, dz, cz), v = window_at(i, b, sy, dy, cy);
                const I w = window_at(j, c, sx, dx, cx);
                if (u >= 0 && v >= 0 && w >= 0) total += up(mine[(u * cy + v) * cx + w]) * up(by[place]);
            }
        }
        image[at] = down(total);
    }
}
extern "C" __global__ void correlate_weight(
    const T* image, const T* given, T* weight, I n, I g, I gc, I go, GEOMETRY
) {
    const I windows = cz * cy * cx, places = kz * ky * kx, rows = g * go * gc * places;
    const int lane = threadIdx.x % G;
    for (I first = (I)blockIdx.x * (blockDim.x / G); first < rows; first += (I)gridDim.x * (blockDim.x / G)) {
        const bool live = first + threadIdx.x / G < rows;
        const I row = live ? first + threadIdx.x / G : rows - 1;
        const I place = row % places, channel = row / (places * gc), q = row / places % gc;
        const I a = place / (ky * kx), b = place / kx % ky, c = place % kx;
        A total = 0;
        for (I at = lane; at < n * windows; at += G) {
            const I instance = at / windows, window = at % windows;
            const I k = window / (cy * cx) * sz - pz + a * dz, i = window / cx % cy * sy - py + b * dy;
            const I j = window % cx * sx - px + c * dx;
            if (k < 0 || k >= z || i < 0 || i >= y || j < 0 || j >= x) continue;
            const T* from = image + (instance * g * gc + channel / go * gc + q) * z * y * x;
            total += up(from[(k * y + i) * x + j]) * up(given[(instance * g * go + channel) * windows + window]);
        }
        total = group_sum(total);
        if (live && lane == 0) weight[row] = down(total);
    }
}
""",
    grouped=True,
)
NARROW = 4  # channels of a group below which a product of matrices is mostly made of copies


def small(weight: Any, groups: int) -> bool:
    """Whether groups are so small, and so many, that they are better summed up by hand."""
    return groups > 1 and min(weight.shape[1], weight.shape[0] // groups) < NARROW


def correlate(image: Any, weight: Any, out: Any, groups: int, geometry: tuple[int, ...]) -> None:
    """Images and kernels into windows' results, all without gaps."""
    _launch("correlate", out.size, image, weight, out, image, weight, groups, geometry)


def correlate_x(y: Any, weight: Any, image: Any, groups: int, geometry: tuple[int, ...]) -> None:
    """Windows' gradients and kernels into images."""
    _launch("correlate_x", image.size, y, weight, image, image, weight, groups, geometry)


def _launch(
    name: str, count: int, x: Any, y: Any, out: Any, image: Any, weight: Any, groups: int, geometry: tuple[int, ...]
) -> None:
    sizes = (image.shape[0], groups, weight.shape[1], weight.shape[0] // groups)
    _SOURCE.over(name, count, x, x, y, out, *sizes, *geometry, largest=max(y.size, out.size))


def correlate_weight(image: Any, y: Any, weight: Any, groups: int, geometry: tuple[int, ...]) -> None:
    """Images and windows' gradients into kernels."""
    n = image.shape[0]
    sizes = (n, groups, weight.shape[1], weight.shape[0] // groups)
    length = max(1, y.size // max(1, y.shape[1]), image.size // max(1, weight.size), y.size // max(1, weight.size))
    _SOURCE.over_rows("correlate_weight", weight.size, length, image, image, y, weight, *sizes, *geometry)
