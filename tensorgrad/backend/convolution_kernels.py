"""Convolution with the channels last, by products of blocks: windows are written out for as many as fit the cache.

Results are (n, c, h, ..) as everywhere, on memory in the order (n, h, .., c). Elementwise functions keep that order, so
from one convolution to the next nothing is moved. Inside this file arrays are (n, h, .., c), and a kernel is
(kh, .., c, o). Nothing of the size of all windows is kept: backward writes them out again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tensorgrad.backend.kernels import kernel
from tensorgrad.backend.window_kernels import Pads, Sizes, counts_of

Block = tuple[slice, slice]

_BLOCK = 1 << 18  # numbers of windows that are written out at once: a megabyte of float32, half of a core's cache
_SHORT = 8  # numbers along a window's row below which windows are copied place by place, along the image's rows


def _last(x: Any, padding: Pads) -> Any:
    """Channels last and padded, or cut where padding is negative.   (n, c, h, ..) -> (n, h', .., c), contiguous"""
    x = np.moveaxis(x, 1, -1)
    cut = [slice(max(0, -b), size - max(0, -a)) for size, (b, a) in zip(x.shape[1:-1], padding, strict=True)]
    x = x[(slice(None), *cut)]
    padding = tuple([(max(0, b), max(0, a)) for b, a in padding])
    if not any(map(any, padding)):
        return np.ascontiguousarray(x)
    sizes = x.shape[1:-1]
    wide = [size + b + a for size, (b, a) in zip(sizes, padding, strict=True)]
    whole = np.zeros((len(x), *wide, x.shape[-1]), x.dtype)
    inner = [slice(b, b + size) for size, (b, _) in zip(sizes, padding, strict=True)]
    whole[(slice(None), *inner)] = x
    return whole


def _blocks(n: int, counts: Sizes, window: int) -> Iterator[Block]:
    """(images, rows): several images at a time, or some rows of one; `window` numbers for every pixel."""
    row = max(1, prod(counts[1:]) * window)
    if counts[0] * row <= _BLOCK:
        images = _BLOCK // max(1, counts[0] * row)
        for i in range(0, n, images):
            yield slice(i, min(n, i + images)), slice(0, counts[0])
    else:
        rows = max(1, _BLOCK // row)
        for i, a in product(range(n), range(0, counts[0], rows)):
            yield slice(i, i + 1), slice(a, min(counts[0], a + rows))


def _columns(x: Any, kernel_size: Sizes, stride: Sizes, dilation: Sizes, counts: Sizes) -> Iterator[tuple[Block, Any]]:
    """Windows by blocks, a row for each.   (n, h, .., c) -> blocks, each with its (pixels, kh .. c)"""
    n, *_, c = x.shape
    steps = x.strides[1:-1]
    window = prod(kernel_size) * c
    if prod(kernel_size) == 1 and prod(stride) == 1:
        yield (slice(0, n), slice(0, counts[0])), x.reshape(-1, c)
        return
    view = as_strided(
        x,
        (n, *counts, *kernel_size, c),
        (
            x.strides[0],
            *[step * s for step, s in zip(steps, stride, strict=True)],
            *[step * d for step, d in zip(steps, dilation, strict=True)],
            x.strides[-1],
        ),
        writeable=False,
    )
    axes = len(counts)
    by_place = (*range(1 + axes, 2 + 2 * axes), *range(1 + axes))
    short = (kernel_size[-1] if dilation[-1] == 1 else 1) * c < _SHORT
    buffer: Any = None
    for block in _blocks(n, counts, window):
        part = view[block]
        if buffer is None:  # the first block is the largest
            buffer = np.empty(part.size, x.dtype)
        if short:
            part = part.transpose(by_place)
        columns = buffer[: part.size].reshape(part.shape)
        np.copyto(columns, part)
        yield block, columns.reshape(window, -1).T if short else columns.reshape(-1, window)


def _correlate(x: Any, filters: Any, stride: Sizes, dilation: Sizes) -> Any:
    """(n, h, .., c), (kh, .., c, o) -> (n, h', .., o)"""
    *kernel_size, _, o = filters.shape
    counts = counts_of(x.shape[1:-1], tuple(kernel_size), stride, ((0, 0),) * len(kernel_size), dilation)
    out = np.empty((len(x), *counts, o), x.dtype)
    rows = filters.reshape(-1, o)
    for block, columns in _columns(x, tuple(kernel_size), stride, dilation, counts):
        np.matmul(columns, rows, out=out[block].reshape(-1, o))
    return out


def _correlate_filters(x: Any, y: Any, kernel_size: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    """(n, h, .., c), (n, h', .., o) -> (kh, .., c, o)"""
    c, o = x.shape[-1], y.shape[-1]
    total = np.zeros((prod(kernel_size) * c, o), x.dtype)
    for block, columns in _columns(x, kernel_size, stride, dilation, y.shape[1:-1]):
        total += columns.T @ y[block].reshape(-1, o)
    return total.reshape(*kernel_size, c, o)


def _grouped(filters: Any, groups: int) -> list[Any]:
    """(o, c / groups, kh, ..) -> groups of (kh, .., c / groups, o / groups)"""
    moved = np.moveaxis(filters, (0, 1), (-1, -2))
    return [np.ascontiguousarray(each) for each in np.split(moved, groups, axis=-1)]


def _parts(x: Any, padding: Pads, groups: int) -> list[Any]:
    """The channels of each group, each group contiguous: rows of a window are copied in one piece then."""
    return [_last(each, padding) for each in (np.split(x, groups, axis=1) if groups > 1 else [x])]


def _alike(first: Any, second: Any) -> tuple[Any, Any]:
    """Both of one dtype."""
    dtype = np.result_type(first, second)
    return first.astype(dtype, copy=False), second.astype(dtype, copy=False)


@kernel("correlate_windows", "numpy")
def _correlate_windows(xp: Any, x: Any, weight: Any, stride: Sizes, padding: Pads, dilation: Sizes, groups: int) -> Any:
    x, weight = _alike(x, weight)
    images = _parts(x, padding, groups)
    found = [_correlate(*each, stride, dilation) for each in zip(images, _grouped(weight, groups), strict=True)]
    return np.moveaxis(found[0] if groups == 1 else np.concatenate(found, axis=-1), -1, 1)


@kernel("correlate_windows_weight", "numpy")
def _correlate_windows_weight(
    xp: Any, x: Any, y: Any, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> Any:
    x, y = _alike(x, y)
    each = zip(_parts(x, padding, groups), _parts(y, ((0, 0),) * len(kernel_size), groups), strict=True)
    found = [_correlate_filters(image, result, kernel_size, stride, dilation) for image, result in each]
    return np.ascontiguousarray(np.moveaxis(np.concatenate(found, axis=-1), (-1, -2), (0, 1)))


class _Phase(NamedTuple):
    """Along one axis: the pixels of an image that the same places of a kernel reach, and what they read."""

    places: slice  # of the kernel
    dilation: int
    padding: tuple[int, int]  # of the pixels read
    pixels: slice  # of the image


def _phases(size: int, count: int, k: int, s: int, before: int, d: int) -> list[_Phase]:
    """Pixel p gets y[t] weight[i] wherever p + before = s t + d i.

    With g = gcd(s, d), the places i = first + j s / g are met by the same pixels, p = s u + d first - before, where
    they read y[u - j d / g]: a correlation of stride 1 with these places mirrored.
    """
    shared = gcd(s, d)
    found = []
    for first in range(min(s // shared, k)):
        low, high = -((d * first - before) // s), (before + size - 1 - d * first) // s
        if high >= low:
            span = d // shared * (len(range(first, k, s // shared)) - 1)
            start = s * low + d * first - before
            pixels = slice(start, start + s * (high - low) + 1, s)
            found.append(_Phase(slice(first, k, s // shared), d // shared, (span - low, high - count + 1), pixels))
    return found


@kernel("correlate_windows_x", "numpy")
def _correlate_windows_x(
    xp: Any, y: Any, weight: Any, size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> Any:
    y, weight = _alike(y, weight)
    counts, kernel_size = y.shape[2:], weight.shape[2:]
    geometry = zip(size, counts, kernel_size, stride, padding, dilation, strict=True)
    by_axis = [_phases(length, count, k, s, before, d) for length, count, k, s, (before, _), d in geometry]
    filters = np.moveaxis(weight, (0, 1), (-2, -1))  # (kh, .., o, c / groups)
    image: Any = None
    for phases in product(*by_axis):
        pieces = _parts(y, tuple([each.padding for each in phases]), groups)
        places = filters[tuple([each.places for each in phases])][(slice(None, None, -1),) * len(size)]
        kernels = np.split(places, groups, axis=-2)
        dilations = tuple([each.dilation for each in phases])
        found = [
            _correlate(piece, np.ascontiguousarray(part), (1,) * len(size), dilations)
            for piece, part in zip(pieces, kernels, strict=True)
        ]
        part = found[0] if groups == 1 else np.concatenate(found, axis=-1)
        if part.shape[1:-1] == size:
            return np.moveaxis(part, -1, 1)
        if image is None:
            image = np.zeros((len(y), *size, part.shape[-1]), part.dtype)
        image[(slice(None), *[each.pixels for each in phases])] = part
    if image is None:
        image = np.zeros((len(y), *size, weight.shape[1] * groups), y.dtype)
    return np.moveaxis(image, -1, 1)
