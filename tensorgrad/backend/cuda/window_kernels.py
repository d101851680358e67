"""Windows on a GPU: unfold and fold over one to three axes, each number read and written once.

A thread of unfold goes through the places of one window, a thread of fold through the windows that hold one pixel,
which it adds up in their order: nothing is scattered, so results are the same in every run.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tensorgrad.backend.cpu.window_kernels import Pads, Sizes, counts_of
from tensorgrad.backend.cuda.launch import FLOATS, INTEGERS, Source, contiguous, empty
from tensorgrad.backend.kernels import kernel, picky

AXES = 3  # lines and images are volumes whose first axes have one place

# How an image, a kernel and its moves are handed over, the first axis first: sizes, kernel, stride, padding before,
# dilation, counts of windows.
GEOMETRY = r"""
#define GEOMETRY I z, I y, I x, I kz, I ky, I kx, I sz, I sy, I sx, I pz, I py, I px, I dz, I dy, I dx, I cz, I cy, I cx
#define EACH(at, n) for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x)
#define PLACES                                                                                                  \
    for (I a = 0, place = 0; a < kz; a++) for (I b = 0; b < ky; b++) for (I c = 0; c < kx; c++, place++)
// The window of this place that holds a position, or -1.
__device__ inline I window_at(I position, I place, I stride, I dilation, I count) {
    const I start = position - place * dilation;
    return start >= 0 && start % stride == 0 && start / stride < count ? start / stride : -1;
}
"""

_SOURCE = Source(
    "windows",
    GEOMETRY
    + r"""
extern "C" __global__ void unfold(const T* image, T* columns, I channels, GEOMETRY) {
    const I windows = cz * cy * cx;
    EACH(at, channels * windows) {
        const I channel = at / windows, window = at % windows;
        const I u = window / (cy * cx) * sz - pz, v = window / cx % cy * sy - py, w = window % cx * sx - px;
        const T* from = image + channel * z * y * x;
        T* to = columns + channel * kz * ky * kx * windows + window;
        PLACES {
            const I k = u + a * dz, i = v + b * dy, j = w + c * dx;
            const bool inside = k >= 0 && k < z && i >= 0 && i < y && j >= 0 && j < x;
            to[place * windows] = inside ? from[(k * y + i) * x + j] : down((A)0);
        }
    }
}
extern "C" __global__ void fold(const T* columns, T* image, I channels, GEOMETRY) {
    const I windows = cz * cy * cx, pixels = z * y * x;
    EACH(at, channels * pixels) {
        const I channel = at / pixels, pixel = at % pixels;
        const I k = pixel / (y * x) + pz, i = pixel / x % y + py, j = pixel % x + px;
        const T* from = columns + channel * kz * ky * kx * windows;
        A total = 0;
        PLACES {
            const I u = window_at(k, a, sz, dz, cz), v = window_at(i, b, sy, dy, cy), w = window_at(j, c, sx, dx, cx);
            if (u >= 0 && v >= 0 && w >= 0) total += up(from[place * windows + (u * cy + v) * cx + w]);
        }
        image[at] = down(total);
    }
}
""",
    dtypes=(*FLOATS, *INTEGERS),
)


def geometry(
    size: Sizes, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, counts: Sizes
) -> tuple[int, ...]:
    """The arguments that GEOMETRY names."""
    missing = AXES - len(size)
    before = tuple([each for each, _ in padding])
    parts = ((1, size), (1, kernel_size), (1, stride), (0, before), (1, dilation), (1, counts))
    return tuple([number for fill, each in parts for number in ((fill,) * missing + tuple(each))])


def unfold_into(
    columns: Any, x: Any, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, counts: Sizes
) -> None:
    """Every window of images without gaps as a column."""
    channels = x.shape[0] * x.shape[1]
    numbers = geometry(tuple(x.shape[2:]), kernel_size, stride, padding, dilation, counts)
    _SOURCE.over("unfold", channels * prod(counts), x, x, columns, channels, *numbers, largest=columns.size)


def fold_into(
    image: Any, y: Any, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, counts: Sizes
) -> None:
    """Columns without gaps added up in an image."""
    channels = image.shape[0] * image.shape[1]
    numbers = geometry(tuple(image.shape[2:]), kernel_size, stride, padding, dilation, counts)
    _SOURCE.over("fold", image.size, y, y, image, channels, *numbers, largest=y.size)


@kernel("unfold_windows", "cupy")
@picky
def _unfold(xp: Any, x: Any, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Any:
    if not _SOURCE.serves(x) or x.ndim > 2 + AXES:
        return NotImplemented
    counts = counts_of(x.shape[2:], kernel_size, stride, padding, dilation)
    x = contiguous(x)
    columns = empty(xp, x, (x.shape[0], x.shape[1] * prod(kernel_size), prod(counts)))
    unfold_into(columns, x, kernel_size, stride, padding, dilation, counts)
    return columns


@kernel("fold_windows", "cupy")
@picky
def _fold(xp: Any, y: Any, size: Sizes, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Any:
    if not _SOURCE.serves(y) or len(size) > AXES:
        return NotImplemented
    counts = counts_of(size, kernel_size, stride, padding, dilation)
    y = contiguous(y)
    image = empty(xp, y, (y.shape[0], y.shape[1] // prod(kernel_size), *size))
    fold_into(image, y, kernel_size, stride, padding, dilation, counts)
    return image
