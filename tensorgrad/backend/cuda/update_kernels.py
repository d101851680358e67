"""Optimizers' updates on a GPU: small parameters side by side in one array, Adam and weighted sums in one launch.

A launch takes some microseconds of the host, however little it does. So a step over a hundred parameters copies those
below a megabyte or so together, by a list of their addresses, updates them as one, and copies them back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend.cpu.parameter_blocks import Joining, joinings
from tensorgrad.backend.cuda.launch import FLOATS, Source, address_of
from tensorgrad.backend.kernels import kernel

BELOW = 1 << 20  # numbers: beyond, copying takes longer than the launches it saves

_JOINING = Source(
    "copies together and apart",
    r"""
// The array that a place of the joined one belongs to: the first that ends behind it.
__device__ inline I owner_of(const long long* ends, I count, I at) {
    I low = 0, high = count - 1;
    while (low < high) {
        const I middle = (low + high) / 2;
        if (ends[middle] <= at) low = middle + 1; else high = middle;
    }
    return low;
}
extern "C" __global__ void together(const long long* addresses, const long long* ends, T* joined, I count, I n) {
    for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x) {
        const I owner = owner_of(ends, count, at);
        joined[at] = ((const T*)addresses[owner])[at - (owner ? (I)ends[owner - 1] : 0)];
    }
}
extern "C" __global__ void apart(const long long* addresses, const long long* ends, const T* joined, I count, I n) {
    for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x) {
        const I owner = owner_of(ends, count, at);
        ((T*)addresses[owner])[at - (owner ? (I)ends[owner - 1] : 0)] = joined[at];
    }
}
""",
)
_UPDATES = Source(
    "updates",
    r"""
extern "C" __global__ void blend(T* y, const T* x, A keep, A weight, I n) {
    for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x) {
        y[at] = down(keep * up(y[at]) + weight * up(x[at]));
    }
}
// Kingma & Ba, "Adam: a method for stochastic optimization", 2015, Algorithm 1.
extern "C" __global__ void adam(T* theta, const T* g, T* m, T* v, A beta1, A beta2, A rate, A eps, I n) {
    for (I at = (I)blockIdx.x * blockDim.x + threadIdx.x; at < n; at += (I)gridDim.x * blockDim.x) {
        const A each = up(g[at]);
        const A mean = beta1 * up(m[at]) + ((A)1 - beta1) * each;
        const A square = beta2 * up(v[at]) + ((A)1 - beta2) * each * each;
        m[at] = down(mean);
        v[at] = down(square);
        theta[at] = down(up(theta[at]) - rate * mean / (sqrt(square) + eps));
    }
}
""",
)


def _alike(y: Any, *others: Any) -> bool:
    """Whether arrays have one shape and dtype and no gaps, so that their numbers lie in one order."""
    return _UPDATES.serves(y, *others) and all(
        each.shape == y.shape and each.flags.c_contiguous for each in (y, *others)
    )


@kernel("blend", "cupy")
def _blend(y: Any, keep: float, x: Any, weight: float) -> bool:
    """y = keep y + weight x, written over y; False where arrays are not alike, and nothing was done."""
    if not _alike(y, x):
        return False
    _UPDATES.over("blend", y.size, y, y, x, float(keep), float(weight), y.size)
    return True


@kernel("adam_in_one_pass", "cupy")
def _adam(theta: Any, g: Any, m: Any, v: Any, betas: tuple[float, float], rate: float, eps: float) -> bool:
    if not _alike(theta, g, m, v):
        return False
    numbers = [float(each) for each in (*betas, rate, eps)]
    _UPDATES.over("adam", theta.size, theta, theta, g, m, v, *numbers, theta.size)
    return True


def _table(xp: Any, arrays: list[Any]) -> tuple[Any, Any]:
    """The addresses of arrays, and where each ends in the joined one, both on their device."""
    ends = np.cumsum([each.size for each in arrays])
    both = np.stack([np.asarray([address_of(each) for each in arrays], np.int64), ends.astype(np.int64)])
    there = xp.asarray(both, device=arrays[0].device)
    return there[0], there[1]


def _together(xp: Any, arrays: list[Any], joined: Any) -> None:
    arrays = [each if each.flags.c_contiguous else each.copy(order="C") for each in arrays]
    _JOINING.over("together", joined.size, joined, *_table(xp, arrays), joined, len(arrays), joined.size)


def _apart(xp: Any, joined: Any, arrays: list[Any]) -> None:
    _JOINING.over("apart", joined.size, joined, *_table(xp, arrays), joined, len(arrays), joined.size)


joinings["cupy"] = Joining(BELOW, tuple(FLOATS), _together, _apart)
