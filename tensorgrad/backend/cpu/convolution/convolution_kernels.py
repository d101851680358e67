"""The three readings of a convolution on NumPy: which way each is computed, and its pieces of work.

Results are (n, c, h, ..) as everywhere, on memory in the order (n, h, .., c). Elementwise functions keep that order, so
from one convolution to the next nothing is moved. Inside, arrays are (n, h, .., c), and a kernel is (kh, .., c, o).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import gcd, prod
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend.cpu.buffers import room, zeros
from tensorgrad.backend.cpu.convolution import (
    column_products,
    depthwise_products,
    pointwise_products,
    winograd_products,
)
from tensorgrad.backend.cpu.convolution.choice import tile_of
from tensorgrad.backend.cpu.convolution.patches import Target, Work, done
from tensorgrad.backend.cpu.window_kernels import Pads, Sizes, counts_of
from tensorgrad.backend.cpu.workers import in_order
from tensorgrad.backend.kernels import kernel

_PARTIAL = 1 << 22  # numbers in all partial sums of a kernel's gradient together
_ELEMENTWISE = 32  # multiplications that one by elementwise functions takes as long as
_MOVED = 20  # multiplications that a number that is moved takes as long as
_PARTS = 8  # partial sums, so that as many cores have work


def _alike(*arrays: Any) -> tuple[Any, ...]:
    """All of one dtype; None stays None."""
    dtype = np.result_type(*[each for each in arrays if each is not None])
    return tuple([None if each is None else each.astype(dtype, copy=False) for each in arrays])


def _split(x: Any, groups: int) -> list[Any]:
    """The channels of each group, last.   (n, c, h, ..) -> groups of (n, h, .., c / groups), views"""
    return np.split(np.moveaxis(x, 1, -1), groups, axis=-1)


def _each(x: Any, filters: list[Any], out: Any, bias: Any, groups: int) -> Iterator[tuple[Any, ...]]:
    """Of each group the images, the kernel, where the result goes, and the bias."""
    shifts = [None] * groups if bias is None else np.split(bias, groups)
    return zip(_split(x, groups), filters, np.split(out, groups, axis=-1), shifts, strict=True)


def _is_pointwise(kernel_size: Sizes, padding: Pads, groups: int) -> bool:
    return prod(kernel_size) == 1 and groups == 1 and not any(map(any, padding))


def _is_depthwise(weight_shape: Sizes, groups: int) -> bool:
    return weight_shape[1] == 1 and groups >= depthwise_products.LEAST and weight_shape[0] <= 4 * groups


def _by_channel(weight: Any, groups: int) -> Any:
    """(groups m, 1, kh, ..) -> (kh, .., groups, m)"""
    apart = weight.reshape(groups, -1, *weight.shape[2:])
    return np.ascontiguousarray(np.moveaxis(apart, (0, 1), (-2, -1)))


def _effort(pixels: int, window: int, outputs: int) -> int:
    """What windows of so many numbers at so many pixels take: they are written out and multiplied, results written."""
    return pixels * (window * (outputs + _MOVED) + outputs * _MOVED)


def _strided(stride: Sizes) -> tuple[slice, ...]:
    return (slice(None), slice(None), *[slice(None, None, s) for s in stride])


def _matrix(weight: Any) -> Any:
    return weight.reshape(weight.shape[:2])


def _correlating(
    x: Any, starts: Sizes, filters: Any, stride: Sizes, dilation: Sizes, counts: Sizes, bias: Any, target: Target
) -> list[Work]:
    *sizes, c, o = filters.shape
    tile = tile_of(x.dtype, len(x), c, o, tuple(sizes), stride, dilation, counts)
    if tile is not None:
        return winograd_products.correlating(x, starts, filters, stride, tile, counts, bias, target)
    return column_products.correlating(x, starts, filters, stride, dilation, counts, bias, target)


@kernel("correlate_windows", "numpy")
def _correlate_windows(
    xp: Any, x: Any, weight: Any, stride: Sizes, padding: Pads, dilation: Sizes, groups: int, bias: Any = None
) -> Any:
    x, weight, bias = _alike(x, weight, bias)
    sizes = tuple(weight.shape[2:])
    if _is_pointwise(sizes, padding, groups):
        return pointwise_products.correlated(x[_strided(stride)], _matrix(weight), bias)
    counts = counts_of(x.shape[2:], sizes, stride, padding, dilation)
    out = room((len(x), *counts, len(weight)), x.dtype)
    if _is_depthwise(weight.shape, groups):
        starts, by_channel = tuple([-before for before, _ in padding]), _by_channel(weight, groups)
        image = np.moveaxis(x, 1, -1)
        works = depthwise_products.correlating(image, starts, by_channel, stride, dilation, counts, bias, out)
        done(works, out.size * prod(sizes) * _ELEMENTWISE)
        return np.moveaxis(out, -1, 1)
    filters = np.split(np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-1, -2))), groups, axis=-1)
    starts, nothing, ones = tuple([-before for before, _ in padding]), (0,) * len(sizes), (1,) * len(sizes)
    works = [
        work
        for image, part, result, shift in _each(x, filters, out, bias, groups)
        for work in _correlating(
            image,
            starts,
            np.ascontiguousarray(part),
            stride,
            dilation,
            counts,
            shift,
            Target(result, nothing, ones, ones),
        )
    ]
    done(works, _effort(len(x) * prod(counts) * groups, prod(weight.shape[1:]), len(weight) // groups))
    return np.moveaxis(out, -1, 1)


@kernel("correlate_windows_weight", "numpy")
def _correlate_windows_weight(
    xp: Any, x: Any, y: Any, kernel_size: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, groups: int
) -> Any:
    x, y = _alike(x, y)
    counts = y.shape[2:]
    if _is_pointwise(kernel_size, padding, groups):
        strided = x[_strided(stride)][(..., *[slice(0, count) for count in counts])]
        return pointwise_products.correlated_filters(strided, y).reshape(y.shape[1], x.shape[1], *kernel_size)
    starts = tuple([-before for before, _ in padding])
    if _is_depthwise((y.shape[1], x.shape[1] // groups), groups):
        last = np.moveaxis(x, 1, -1), starts, np.moveaxis(y, 1, -1)
        works = depthwise_products.correlating_filters(*last, kernel_size, stride, dilation, _PARTS)
        parts = done(works, y.size * prod(kernel_size) * _ELEMENTWISE)
        whole = in_order(parts) if parts else np.zeros((*kernel_size, groups, y.shape[1] // groups), x.dtype)
        return np.ascontiguousarray(np.moveaxis(whole, (-2, -1), (0, 1))).reshape(y.shape[1], 1, *kernel_size)
    c, o = x.shape[1] // groups, y.shape[1] // groups
    tile = tile_of(x.dtype, len(x), c, o, kernel_size, stride, dilation, counts)
    of_groups: list[list[Work]] = []
    for image, result in zip(_split(x, groups), _split(y, groups), strict=True):
        most = max(1, min(_PARTS, _PARTIAL // max(1, prod(kernel_size) * c * o)))
        if tile is None:
            of_groups.append(
                column_products.correlating_filters(image, starts, result, kernel_size, stride, dilation, most)
            )
        else:
            of_groups.append(
                winograd_products.correlating_filters(image, starts, result, kernel_size, stride, tile, most)
            )
    effort = _effort(len(x) * prod(counts) * groups, c * prod(kernel_size), o)
    partial = done([work for some in of_groups for work in some], effort)
    filters = []
    for some in of_groups:
        mine, partial = partial[: len(some)], partial[len(some) :]
        total = in_order(mine) if mine else np.zeros((*kernel_size, c, o), x.dtype)
        if mine and tile is not None:
            total = winograd_products.filters_of(total, kernel_size, stride, tile)
        filters.append(total)
    return np.ascontiguousarray(np.moveaxis(np.concatenate(filters, axis=-1), (-1, -2), (0, 1)))


class _Phase(NamedTuple):
    """Along one axis: the pixels of an image that the same places of a kernel reach, and what they read."""

    places: slice  # of the kernel
    dilation: int
    start: int  # the first pixel read
    pixel: int  # the first pixel of the image ...
    step: int  # ... how far apart they are, ...
    many: int  # ... and how many


def _phases(size: int, k: int, s: int, before: int, d: int) -> list[_Phase]:
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
            found.append(_Phase(slice(first, k, s // shared), d // shared, low - span, start, s, high - low + 1))
    return found


@kernel("correlate_windows_x", "numpy")
def _correlate_windows_x(
    xp: Any,
    y: Any,
    weight: Any,
    size: Sizes,
    stride: Sizes,
    padding: Pads,
    dilation: Sizes,
    groups: int,
    bias: Any = None,
) -> Any:
    y, weight, bias = _alike(y, weight, bias)
    counts, sizes = y.shape[2:], tuple(weight.shape[2:])
    if _is_pointwise(sizes, padding, groups) and (bias is None or counts == size):
        found = pointwise_products.correlated(y, _matrix(weight).T, bias)
        return found if counts == size else _spread(found, size, stride)
    axes = len(size)
    if _is_depthwise(weight.shape, groups):
        image = room((len(y), *size, groups), y.dtype)
        starts, by_channel = tuple([-before for before, _ in padding]), _by_channel(weight, groups)
        last = np.moveaxis(y, 1, -1)
        if weight.shape[0] == groups and set(stride) == {1}:
            spans = [(k - 1) * d for k, d in zip(sizes, dilation, strict=True)]
            starts = tuple([before - span for (before, _), span in zip(padding, spans, strict=True)])
            flipped = np.ascontiguousarray(by_channel[(slice(None, None, -1),) * axes])
            works = depthwise_products.correlating(last, starts, flipped, stride, dilation, size, bias, image)
        else:
            works = depthwise_products.spreading(last, starts, by_channel, stride, dilation, bias, image)
        done(works, y.size * prod(sizes) * _ELEMENTWISE)
        return np.moveaxis(image, -1, 1)
    filters = np.split(np.moveaxis(weight, (0, 1), (-2, -1)), groups, axis=-2)  # (kh, .., o / groups, c / groups)
    works = []
    if set(dilation) == {1} and not any(k % s for k, s in zip(sizes, stride, strict=True)):
        image = room((len(y), *size, weight.shape[1] * groups), y.dtype)
        # Pixel s u + i - before reads y[u - a] by the place s a + i of the kernel: one correlation for all i together.
        taps = [k // s for k, s in zip(sizes, stride, strict=True)]
        first = [before // s for (before, _), s in zip(padding, stride, strict=True)]
        last = [(length - 1 + before) // s for length, (before, _), s in zip(size, padding, stride, strict=True)]
        grid = tuple([b - a + 1 for a, b in zip(first, last, strict=True)])
        starts = tuple([u - (r - 1) for u, r in zip(first, taps, strict=True)])
        begin = tuple([s * u - before for s, u, (before, _) in zip(stride, first, padding, strict=True)])
        ones = (1,) * axes
        for piece, part, result, shift in _each(y, filters, image, bias, groups):
            target = Target(result, begin, stride, stride)
            shift = None if shift is None else np.tile(shift, prod(stride))
            works += _correlating(piece, starts, _mirrored(part, stride), ones, ones, grid, shift, target)
    else:
        image = zeros((len(y), *size, weight.shape[1] * groups), y.dtype)
        if bias is not None:
            image += bias
        geometry = zip(size, sizes, stride, padding, dilation, strict=True)
        by_axis = [_phases(length, k, s, before, d) for length, k, s, (before, _), d in geometry]
        for phases in product(*by_axis):
            places, dilations, starts, begin, steps, grid = zip(*phases, strict=True)
            for piece, part, result, shift in _each(y, filters, image, bias, groups):
                flipped = np.ascontiguousarray(part[places][(slice(None, None, -1),) * axes])
                target = Target(result, begin, steps, (1,) * axes)
                works += _correlating(piece, starts, flipped, (1,) * axes, dilations, grid, shift, target)
    done(works, _effort(len(y) * prod(counts) * groups, prod(weight.shape[1:]), len(weight) // groups))
    return np.moveaxis(image, -1, 1)


def _mirrored(filters: Any, stride: Sizes) -> Any:
    """(kh, .., o, c) -> (kh / s mirrored, .., o, s .. c)"""
    *sizes, o, c = filters.shape
    axes = len(stride)
    taps = [k // s for k, s in zip(sizes, stride, strict=True)]
    apart = filters.reshape(*[length for pair in zip(taps, stride, strict=True) for length in pair], o, c)
    moved = apart.transpose(*range(0, 2 * axes, 2), 2 * axes, *range(1, 2 * axes, 2), 2 * axes + 1)
    mirrored = moved[(slice(None, None, -1),) * axes]
    return np.ascontiguousarray(mirrored.reshape(*taps, o, prod(stride) * c))


def _spread(found: Any, size: Sizes, stride: Sizes) -> Any:
    """Results of single pixels at every stride of an image of zeros, in the order in memory that they have."""
    n, c, *counts = found.shape
    if found.flags.c_contiguous:
        image = zeros((n, c, *size), found.dtype)
    else:
        image = np.moveaxis(zeros((n, *size, c), found.dtype), -1, 1)
    writes = [slice(0, s * (count - 1) + 1, s) for s, count in zip(stride, counts, strict=True)]
    image[(slice(None), slice(None), *writes)] = found
    return image
