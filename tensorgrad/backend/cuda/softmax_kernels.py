"""Softmax, its logarithm and cross-entropy on a GPU: a group of threads for each row, one launch for all.

A row is read for its largest number, for the sum of its exponentials, and for the result; after the first time it comes
from the cache. Sums are taken in an order that the length of a row decides, so results are the same in every run.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tensorgrad.backend.cuda.index_flag import index_flag
from tensorgrad.backend.cuda.launch import Source, contiguous, empty
from tensorgrad.backend.kernels import kernel, picky

_SOURCE = Source(
    "softmax",
    r"""
__device__ inline A peak_of(const T* x, int lane, I d) {
    A peak = lane < d ? up(x[lane]) : -1 / (A)0;
    for (I k = lane + G; k < d; k += G) peak = fmax(peak, up(x[k]));
    peak = group_max(peak);
    return isfinite(peak) ? peak : (A)0;  // an infinite one would make NaN of all
}
__device__ inline A sum_of_exponentials(const T* x, int lane, I d, A peak) {
    A total = 0;
    for (I k = lane; k < d; k += G) total += exp(up(x[k]) - peak);
    return group_sum(total);
}
// Rows beyond the last are worked on like the last, and not written: all threads of a warp must take part in its sums.
#define ROWS(n)                                                                                                   \
    const int lane = threadIdx.x % G;                                                                             \
    for (I first = (I)blockIdx.x * (blockDim.x / G); first < n; first += (I)gridDim.x * (blockDim.x / G))
#define ROW(n)                                                                                                    \
    const bool live = first + threadIdx.x / G < n;                                                                \
    const I row = live ? first + threadIdx.x / G : n - 1;

extern "C" __global__ void softmax(const T* x, T* out, I n, I d) {
    ROWS(n) {
        ROW(n)
        const T* from = x + row * d;
        const A peak = peak_of(from, lane, d);
        const A total = sum_of_exponentials(from, lane, d, peak);
        if (live) for (I k = lane; k < d; k += G) out[row * d + k] = down(exp(up(from[k]) - peak) / total);
    }
}
extern "C" __global__ void softmax_back(const T* g, const T* p, T* out, I n, I d) {
    ROWS(n) {
        ROW(n)
        A along = 0;
        for (I k = lane; k < d; k += G) along += up(g[row * d + k]) * up(p[row * d + k]);
        along = group_sum(along);
        if (live) for (I k = lane; k < d; k += G) {
            out[row * d + k] = down(up(p[row * d + k]) * (up(g[row * d + k]) - along));
        }
    }
}
extern "C" __global__ void log_softmax(const T* x, T* out, I n, I d) {
    ROWS(n) {
        ROW(n)
        const T* from = x + row * d;
        const A peak = peak_of(from, lane, d);
        const A total = log(sum_of_exponentials(from, lane, d, peak));
        if (live) for (I k = lane; k < d; k += G) out[row * d + k] = down(up(from[k]) - peak - total);
    }
}
extern "C" __global__ void log_softmax_back(const T* g, const T* log_p, T* out, I n, I d) {
    ROWS(n) {
        ROW(n)
        A total = 0;
        for (I k = lane; k < d; k += G) total += up(g[row * d + k]);
        total = group_sum(total);
        if (live) for (I k = lane; k < d; k += G) {
            out[row * d + k] = down(up(g[row * d + k]) - exp(up(log_p[row * d + k])) * total);
        }
    }
}
extern "C" __global__ void cross_entropy(
    const T* logits, const long long* labels, T* losses, T* p, long long* flag, I n, I d
) {
    ROWS(n) {
        ROW(n)
        const T* from = logits + row * d;
        const A peak = peak_of(from, lane, d);
        const A total = sum_of_exponentials(from, lane, d, peak);
        const long long label = labels[row];
        const bool there = label >= 0 && label < d;
        if (live) {
            for (I k = lane; k < d; k += G) p[row * d + k] = down(exp(up(from[k]) - peak) / total);
            if (lane == 0) losses[row] = down(there ? log(total) - (up(from[label]) - peak) : (A)0);
            if (lane == 0 && !there) { flag[1] = label; flag[2] = d; flag[0] = 1; }
        }
    }
}
extern "C" __global__ void cross_entropy_back(const T* g, const T* p, const long long* labels, T* out, I n, I d) {
    for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n * d; at += (I)gridDim.x * blockDim.x) {
        const I row = at / d;
        out[at] = down(up(g[row]) * (up(p[at]) - (labels[row] == at % d ? (A)1 : (A)0)));
    }
}
""",
    grouped=True,
)


def _rows_of(axis: Any, *arrays: Any) -> tuple[int, int] | None:
    """How many rows there are and how long they are; None where the kernels cannot take them."""
    x = arrays[0]
    if not (x.ndim and isinstance(axis, int) and axis % x.ndim == x.ndim - 1 and x.shape[-1]):
        return None
    if any(each.shape != x.shape for each in arrays) or not _SOURCE.serves(*arrays):
        return None
    return prod(x.shape[:-1]), x.shape[-1]


def _by_rows(name: str, xp: Any, axis: Any, *arrays: Any) -> Any:
    rows = _rows_of(axis, *arrays)
    if rows is None:
        return NotImplemented
    arrays = tuple([contiguous(each) for each in arrays])
    out = empty(xp, arrays[0], arrays[0].shape)
    _SOURCE.over_rows(name, *rows, arrays[0], *arrays, out, *rows)
    return out


@kernel("softmax", "cupy")
@picky
def _softmax(xp: Any, x: Any, axis: Any = -1) -> Any:
    return _by_rows("softmax", xp, axis, x)


@kernel("softmax_back", "cupy")
@picky
def _softmax_back(xp: Any, g: Any, p: Any, axis: Any = -1) -> Any:
    return _by_rows("softmax_back", xp, axis, g, p)


@kernel("log_softmax", "cupy")
@picky
def _log_softmax(xp: Any, x: Any, axis: Any = -1) -> Any:
    return _by_rows("log_softmax", xp, axis, x)


@kernel("log_softmax_back", "cupy")
@picky
def _log_softmax_back(xp: Any, g: Any, log_p: Any, axis: Any = -1) -> Any:
    return _by_rows("log_softmax_back", xp, axis, g, log_p)


@kernel("softmax_cross_entropy", "cupy")
@picky
def _softmax_cross_entropy(xp: Any, logits: Any, labels: Any) -> Any:
    rows = _rows_of(-1, logits) if logits.ndim == 2 else None
    if rows is None:
        return NotImplemented
    logits, labels = contiguous(logits), contiguous(xp.astype(labels, xp.int64, copy=False))
    losses, p = empty(xp, logits, logits.shape[:1]), empty(xp, logits, logits.shape)
    _SOURCE.over_rows("cross_entropy", *rows, logits, logits, labels, losses, p, index_flag(xp, logits), *rows)
    return losses, p


@kernel("softmax_cross_entropy_back", "cupy")
@picky
def _softmax_cross_entropy_back(xp: Any, g: Any, p: Any, labels: Any) -> Any:
    if not _SOURCE.serves(g, p):
        return NotImplemented
    g, p, labels = contiguous(g), contiguous(p), contiguous(xp.astype(labels, xp.int64, copy=False))
    out = empty(xp, p, p.shape)
    _SOURCE.over("cross_entropy_back", p.size, p, g, p, labels, out, *p.shape)
    return out
