"""Layer, root-mean-square, group and batch norm on a GPU.

A group of threads takes a row: its mean, and the mean square of what is left when the mean is taken off, so that no
digits are lost far from zero. Batch norm sees a row per instance and channel, and puts rows of equal length together: a
mean of their means, a variance of both. Gradients of weights are sums over rows in two steps, first of so many rows at
a time, then of those sums, in an order that shapes decide. What lies in between is in float where arrays are halves.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend.cuda.launch import HALVES, Source, contiguous, empty
from tensorgrad.backend.kernels import kernel, picky

_AT_ONCE = 64  # rows that one thread adds up for a column

_ROWS = r"""
#define EACH(at, n) for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x)
#define ROWS(n)                                                                                                   \
    const int lane = threadIdx.x % G;                                                                             \
    for (I first = (I)blockIdx.x * (blockDim.x / G); first < n; first += (I)gridDim.x * (blockDim.x / G))
// Rows beyond the last are worked on like the last, and not written: all threads of a warp must take part in its sums.
#define ROW(n)                                                                                                    \
    const bool live = first + threadIdx.x / G < n;                                                                \
    const I row = live ? first + threadIdx.x / G : n - 1;
__device__ inline A mean_of(const T* x, int lane, I d) {
    A total = 0;
    for (I k = lane; k < d; k += G) total += up(x[k]);
    return group_sum(total) / (A)d;
}
__device__ inline A mean_square_of(const T* x, int lane, I d, A average) {
    A total = 0;
    for (I k = lane; k < d; k += G) { const A c = up(x[k]) - average; total += c * c; }
    return group_sum(total) / (A)d;
}
"""
_SOURCE = Source(
    "norms",
    _ROWS
    + r"""
// average: not there for the root mean square, which leaves the mean where it is.
extern "C" __global__ void normalize_rows(
    const T* x, const T* weight, const T* bias, T* out, T* averages, T* rstds, A eps, I n, I d
) {
    ROWS(n) {
        ROW(n)
        const T* from = x + row * d;
        const A average = averages ? mean_of(from, lane, d) : (A)0;
        const A rstd = (A)1 / sqrt(mean_square_of(from, lane, d, average) + eps);
        if (!live) continue;
        if (lane == 0 && averages) averages[row] = down(average);
        if (lane == 0) rstds[row] = down(rstd);
        for (I k = lane; k < d; k += G) {
            A y = (up(from[k]) - average) * rstd;
            if (weight) y *= up(weight[k]);
            if (bias) y += up(bias[k]);
            out[row * d + k] = down(y);
        }
    }
}
extern "C" __global__ void normalize_rows_back(
    const T* g, const T* x, const T* averages, const T* rstds, const T* weight, T* out, I n, I d
) {
    ROWS(n) {
        ROW(n)
        const A average = averages ? up(averages[row]) : (A)0, rstd = up(rstds[row]);
        A of_h = 0, along = 0;
        for (I k = lane; k < d; k += G) {
            const A h = up(g[row * d + k]) * (weight ? up(weight[k]) : (A)1);
            of_h += h;
            along += h * (up(x[row * d + k]) - average) * rstd;
        }
        of_h = averages ? group_sum(of_h) / (A)d : (A)0;
        along = group_sum(along) / (A)d;
        if (live) for (I k = lane; k < d; k += G) {
            const A h = up(g[row * d + k]) * (weight ? up(weight[k]) : (A)1);
            out[row * d + k] = down(rstd * (h - of_h - (up(x[row * d + k]) - average) * rstd * along));
        }
    }
}
// The sums over some rows of g and of g xhat, for each column.   -> (pieces, d) twice
extern "C" __global__ void columns(
    const T* g, const T* x, const T* averages, const T* rstds, A* of_g, A* of_product, I rows, I n, I d, I pieces
) {
    EACH(at, pieces * d) {
        const I piece = at / d, k = at % d;
        const I end = (piece + 1) * rows < n ? (piece + 1) * rows : n;
        A sum = 0, product = 0;
        for (I row = piece * rows; row < end; row++) {
            const A each = up(g[row * d + k]);
            sum += each;
            product += each * (up(x[row * d + k]) - (averages ? up(averages[row]) : (A)0)) * up(rstds[row]);
        }
        if (of_g) of_g[at] = sum;
        of_product[at] = product;
    }
}
extern "C" __global__ void add_pieces(const A* of_g, const A* of_product, T* d_bias, T* d_weight, I pieces, I d) {
    EACH(k, d) {
        A sum = 0, product = 0;
        for (I piece = 0; piece < pieces; piece++) {
            if (of_g) sum += of_g[piece * d + k];
            product += of_product[piece * d + k];
        }
        if (of_g) d_bias[k] = down(sum);
        d_weight[k] = down(product);
    }
}

// ── channels ──────────────────────────────────────────────────────────────────────────────────────────────────

extern "C" __global__ void moments(const T* x, A* averages, A* variances, I n, I d) {
    ROWS(n) {
        ROW(n)
        const A average = mean_of(x + row * d, lane, d);
        const A variance = mean_square_of(x + row * d, lane, d, average);
        if (live && lane == 0) { averages[row] = average; variances[row] = variance; }
    }
}
// Rows (n, c) of equal length put together by channel.
extern "C" __global__ void join_moments(A* averages, A* variances, A* average, A* variance, A* rstd, A eps, I n, I c) {
    EACH(k, c) {
        A mean = 0, square = 0;
        for (I row = 0; row < n; row++) mean += averages[row * c + k];
        mean /= (A)n;
        for (I row = 0; row < n; row++) {
            const A away = averages[row * c + k] - mean;
            square += variances[row * c + k] + away * away;
        }
        average[k] = mean; variance[k] = square / (A)n; rstd[k] = (A)1 / sqrt(square / (A)n + eps);
    }
}
extern "C" __global__ void rstd_of(const A* variance, A* rstd, A eps, I n) {
    EACH(at, n) rstd[at] = (A)1 / sqrt(variance[at] + eps);
}
// Positions are d in a row, and rows are (n, c). `same` rows of one instance have the same statistics, `kinds` in turn.
#define KIND(row) ((row) / same % kinds)
extern "C" __global__ void scale_rows(
    const T* x, const A* average, const A* rstd, const T* weight, const T* bias, T* out,
    I same, I kinds, I c, I d, I size
) {
    EACH(at, size) {
        const I row = at / d, kind = KIND(row), channel = row % c;
        A y = (up(x[at]) - average[kind]) * rstd[kind];
        if (weight) y *= up(weight[channel]);
        if (bias) y += up(bias[channel]);
        out[at] = down(y);
    }
}
extern "C" __global__ void row_sums(
    const T* g, const T* x, const T* average, const T* rstd, A* of_g, A* of_product, I same, I kinds, I n, I d
) {
    ROWS(n) {
        ROW(n)
        const A mean = up(average[KIND(row)]), scale = up(rstd[KIND(row)]);
        A sum = 0, product = 0;
        for (I k = lane; k < d; k += G) {
            const A each = up(g[row * d + k]);
            sum += each;
            product += each * (up(x[row * d + k]) - mean) * scale;
        }
        sum = group_sum(sum);
        product = group_sum(product);
        if (live && lane == 0) { of_g[row] = sum; of_product[row] = product; }
    }
}
// What a row's gradient is made of: of_g g + of_x xhat + shift, by statistics.
extern "C" __global__ void batch_factors(
    const T* d_weight, const T* d_bias, const T* g_mean, const T* g_variance, const T* rstd, const T* weight,
    A* of_x, A* shift, A size, I c
) {
    EACH(k, c) {
        const A slope = up(rstd[k]) * (weight ? up(weight[k]) : (A)1);
        of_x[k] = -(slope * up(d_weight[k]) - 2 * up(g_variance[k]) / up(rstd[k])) / size;
        shift[k] = -(slope * up(d_bias[k]) - up(g_mean[k])) / size;
    }
}
extern "C" __global__ void group_factors(
    const A* of_g, const A* of_product, const T* rstd, const T* weight, A* of_x, A* shift, A size, I same, I c, I n
) {
    EACH(k, n) {
        A sum = 0, product = 0;
        for (I row = k * same; row < (k + 1) * same; row++) {
            const A scale = weight ? up(weight[row % c]) : (A)1;
            sum += scale * of_g[row];
            product += scale * of_product[row];
        }
        of_x[k] = -up(rstd[k]) * product / size;
        shift[k] = -up(rstd[k]) * sum / size;
    }
}
extern "C" __global__ void mix_rows(
    const T* g, const T* x, const T* average, const T* rstd, const T* weight, const A* of_x, const A* shift, T* out,
    I same, I kinds, I c, I d, I size
) {
    EACH(at, size) {
        const I row = at / d, kind = KIND(row);
        const A scale = up(rstd[kind]), slope = scale * (weight ? up(weight[row % c]) : (A)1);
        out[at] = down(slope * up(g[at]) + (up(x[at]) - up(average[kind])) * scale * of_x[kind] + shift[kind]);
    }
}
""",
    grouped=True,
)


def _numbers(x: Any) -> Any:
    """The dtype that is computed with."""
    return np.dtype(np.float32) if x.dtype.name in HALVES else x.dtype


def _rows(x: Any) -> tuple[int, int]:
    return prod(x.shape[:-1]), x.shape[-1]


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────


def _normalized(xp: Any, x: Any, weight: Any, bias: Any, eps: float, centred: bool) -> Any:
    if not _SOURCE.serves(x, weight, bias) or not x.ndim or not x.shape[-1]:
        return NotImplemented
    x, weight, bias = contiguous(x), contiguous(weight), contiguous(bias)
    column = (*x.shape[:-1], 1)
    out, rstd = empty(xp, x, x.shape), empty(xp, x, column)
    average = empty(xp, x, column) if centred else None
    _SOURCE.over_rows("normalize_rows", *_rows(x), x, x, weight, bias, out, average, rstd, float(eps), *_rows(x))
    return (out, average, rstd) if centred else (out, rstd)


def _normalized_back(xp: Any, g: Any, x: Any, average: Any, rstd: Any, weight: Any) -> Any:
    if not _SOURCE.serves(g, x, average, rstd, weight) or not x.ndim or not x.shape[-1]:
        return NotImplemented
    g, x, weight = contiguous(g), contiguous(x), contiguous(weight)
    average, rstd = contiguous(average), contiguous(rstd)
    n, d = _rows(x)
    out = empty(xp, x, x.shape)
    _SOURCE.over_rows("normalize_rows_back", n, d, x, g, x, average, rstd, weight, out, n, d)
    pieces = -(-n // _AT_ONCE)
    of_g = None if average is None else empty(xp, x, (pieces, d), _numbers(x))
    of_product = empty(xp, x, (pieces, d), _numbers(x))
    given = (g, x, average, rstd, of_g, of_product, _AT_ONCE, n, d, pieces)
    _SOURCE.over("columns", pieces * d, x, *given)
    d_bias, d_weight = None if average is None else empty(xp, x, (d,)), empty(xp, x, (d,))
    _SOURCE.over("add_pieces", d, x, of_g, of_product, d_bias, d_weight, pieces, d)
    return (out, d_weight) if average is None else (out, d_weight, d_bias)


@kernel("layer_norm_rows", "cupy")
@picky
def _layer_norm_rows(xp: Any, x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    return _normalized(xp, x, weight, bias, eps, True)


@kernel("layer_norm_rows_back", "cupy")
@picky
def _layer_norm_rows_back(xp: Any, g: Any, x: Any, average: Any, rstd: Any, weight: Any = None) -> Any:
    return _normalized_back(xp, g, x, average, rstd, weight)


@kernel("rms_norm_rows", "cupy")
@picky
def _rms_norm_rows(xp: Any, x: Any, weight: Any = None, eps: float = 1e-6) -> Any:
    return _normalized(xp, x, weight, None, eps, False)


@kernel("rms_norm_rows_back", "cupy")
@picky
def _rms_norm_rows_back(xp: Any, g: Any, x: Any, rstd: Any, weight: Any = None) -> Any:
    return _normalized_back(xp, g, x, None, rstd, weight)


# ── channels ────────────────────────────────────────────────────────────────────────────────────────────────


def _moments(xp: Any, x: Any, rows: int) -> tuple[Any, Any]:
    """The mean and the variance of each of so many rows."""
    average, variance = (empty(xp, x, (rows,), _numbers(x)) for _ in range(2))
    _SOURCE.over_rows("moments", rows, x.size // rows, x, x, average, variance, rows, x.size // rows)
    return average, variance


def _row_sums(xp: Any, g: Any, x: Any, average: Any, rstd: Any, same: int) -> tuple[Any, Any]:
    """By instance and channel: the sums of g and of g xhat."""
    rows = x.shape[0] * x.shape[1]
    of_g, of_product = (empty(xp, x, (rows,), _numbers(x)) for _ in range(2))
    given = (g, x, average, rstd, of_g, of_product, same, average.size, rows, x.size // rows)
    _SOURCE.over_rows("row_sums", rows, x.size // rows, x, *given)
    return of_g, of_product


def _by_channel(xp: Any, x: Any, of_g: Any, of_product: Any) -> tuple[Any, Any]:
    """(d_weight, d_bias)"""
    n, c = x.shape[:2]
    d_bias, d_weight = empty(xp, x, (c,)), empty(xp, x, (c,))
    _SOURCE.over("add_pieces", c, x, of_g, of_product, d_bias, d_weight, n, c)
    return d_weight, d_bias


def _mixed(xp: Any, g: Any, x: Any, average: Any, rstd: Any, weight: Any, of_x: Any, shift: Any, same: int) -> Any:
    out = empty(xp, x, x.shape)
    d = prod(x.shape[2:])
    given = (g, x, average, rstd, weight, of_x, shift, out, same, average.size, x.shape[1], d, x.size)
    _SOURCE.over("mix_rows", x.size, x, *given)
    return out


@kernel("batch_norm_train", "cupy")
@picky
def _batch_norm_train(xp: Any, x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if not _SOURCE.serves(x, weight, bias) or not x.size:
        return NotImplemented
    x, weight, bias = contiguous(x), contiguous(weight), contiguous(bias)
    n, c = x.shape[:2]
    average, variance, rstd = (empty(xp, x, (c,), _numbers(x)) for _ in range(3))
    given = (*_moments(xp, x, n * c), average, variance, rstd, float(eps), n, c)
    _SOURCE.over("join_moments", c, x, *given)
    y = empty(xp, x, x.shape)
    d = prod(x.shape[2:])
    _SOURCE.over("scale_rows", x.size, x, x, average, rstd, weight, bias, y, 1, c, c, d, x.size)
    average, variance, rstd = (xp.astype(each, x.dtype, copy=False) for each in (average, variance, rstd))
    shape = (1, c) + (1,) * (x.ndim - 2)
    return y, average, variance, average.reshape(shape), rstd.reshape(shape)


@kernel("batch_norm_train_back", "cupy")
@picky
def _batch_norm_train_back(
    xp: Any, g: Any, g_mean: Any, g_variance: Any, x: Any, average: Any, rstd: Any, weight: Any = None
) -> Any:
    if not _SOURCE.serves(g, g_mean, g_variance, x, average, rstd, weight) or not x.size:
        return NotImplemented
    g, x, weight = contiguous(g), contiguous(x), contiguous(weight)
    g_mean, g_variance = contiguous(g_mean), contiguous(g_variance)
    average, rstd = contiguous(average).reshape(-1), contiguous(rstd).reshape(-1)
    c = x.shape[1]
    d_weight, d_bias = _by_channel(xp, x, *_row_sums(xp, g, x, average, rstd, 1))
    of_x, shift = (empty(xp, x, (c,), _numbers(x)) for _ in range(2))
    given = (d_weight, d_bias, g_mean, g_variance, rstd, weight, of_x, shift, float(x.size // c), c)
    _SOURCE.over("batch_factors", c, x, *given)
    return _mixed(xp, g, x, average, rstd, weight, of_x, shift, 1), d_weight, d_bias


@kernel("group_norm_parts", "cupy")
@picky
def _group_norm_parts(
    xp: Any, x: Any, weight: Any = None, bias: Any = None, num_groups: int = 1, eps: float = 1e-5
) -> Any:
    if not _SOURCE.serves(x, weight, bias) or not x.size:
        return NotImplemented
    x, weight, bias = contiguous(x), contiguous(weight), contiguous(bias)
    n, c = x.shape[:2]
    groups, d = n * num_groups, prod(x.shape[2:])
    average, variance = _moments(xp, x, groups)
    rstd, y = empty(xp, x, (groups,), _numbers(x)), empty(xp, x, x.shape)
    _SOURCE.over("rstd_of", groups, x, variance, rstd, float(eps), groups)
    given = (x, average, rstd, weight, bias, y, c // num_groups, groups, c, d, x.size)
    _SOURCE.over("scale_rows", x.size, x, *given)
    average, rstd = (xp.astype(each, x.dtype, copy=False) for each in (average, rstd))
    return y, average.reshape(n, num_groups, 1), rstd.reshape(n, num_groups, 1)


@kernel("group_norm_parts_back", "cupy")
@picky
def _group_norm_parts_back(xp: Any, g: Any, x: Any, average: Any, rstd: Any, weight: Any = None) -> Any:
    if not _SOURCE.serves(g, x, average, rstd, weight) or not x.size:
        return NotImplemented
    g, x, weight = contiguous(g), contiguous(x), contiguous(weight)
    same, groups = x.shape[1] // average.shape[1], average.size
    average, rstd = contiguous(average).reshape(-1), contiguous(rstd).reshape(-1)
    of_g, of_product = _row_sums(xp, g, x, average, rstd, same)
    of_x, shift = (empty(xp, x, (groups,), _numbers(x)) for _ in range(2))
    given = (of_g, of_product, rstd, weight, of_x, shift, float(x.size // groups), same, x.shape[1], groups)
    _SOURCE.over("group_factors", groups, x, *given)
    d_x = _mixed(xp, g, x, average, rstd, weight, of_x, shift, same)
    return d_x, *_by_channel(xp, x, of_g, of_product)
