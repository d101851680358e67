"""Windows by strides: unfold as one copy of a strided view, fold by adding in place."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tensorgrad.backend.kernels import kernel

Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]
_WHOLE = (slice(None), slice(None))  # the axes before the spatial ones: n and c


def counts_of(sizes: Sizes, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Sizes:
    """How many windows fit along each axis."""
    each = zip(sizes, kernel_size, stride, padding, dilation, strict=True)
    return tuple([(size + sum(p) - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in each])


def _inner(sizes: Sizes, padding: Pads) -> tuple[slice, ...]:
    """Where an image lies within its padding."""
    return (*_WHOLE, *[slice(before, before + size) for size, (before, _) in zip(sizes, padding, strict=True)])


def _padded(x: Any, padding: Pads) -> Any:
    sizes = x.shape[2:]
    whole = np.zeros((*x.shape[:2], *[size + sum(p) for size, p in zip(sizes, padding, strict=True)]), x.dtype)
    whole[_inner(sizes, padding)] = x
    return whole


def reads(place: Sizes, counts: Sizes, stride: Sizes, dilation: Sizes) -> tuple[slice, ...]:
    """What one place of the kernel reads, over all windows."""
    each = zip(place, counts, stride, dilation, strict=True)
    return (*_WHOLE, *[slice(i * d, i * d + s * (count - 1) + 1, s) for i, count, s, d in each])


@kernel("unfold_windows", "numpy")
def _unfold(xp: Any, x: Any, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Any:
    counts = counts_of(x.shape[2:], kernel_size, stride, padding, dilation)
    if any(map(any, padding)):
        x = _padded(x, padding)
    n, c = x.shape[:2]
    steps = x.strides[2:]
    view = as_strided(
        x,
        (n, c, *kernel_size, *counts),
        (
            *x.strides[:2],
            *[step * d for step, d in zip(steps, dilation, strict=True)],
            *[step * s for step, s in zip(steps, stride, strict=True)],
        ),
        writeable=False,
    )
    return np.array(view, order="C").reshape(n, c * prod(kernel_size), prod(counts))


@kernel("fold_windows", "numpy")
def _fold(xp: Any, y: Any, size: Sizes, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Any:
    counts = counts_of(size, kernel_size, stride, padding, dilation)
    n, c = y.shape[0], y.shape[1] // prod(kernel_size)
    y = y.reshape(n, c, *kernel_size, *counts)
    image = np.zeros((n, c, *[length + sum(p) for length, p in zip(size, padding, strict=True)]), y.dtype)
    for place in product(*map(range, kernel_size)):
        image[reads(place, counts, stride, dilation)] += y[(*_WHOLE, *place)]
    return image[_inner(size, padding)]
