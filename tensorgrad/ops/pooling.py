"""One number per window: the largest, the smallest, the mean.

Arrays are (n, c, spatial axes). Values that tie in a window share its gradient equally.
"""

from __future__ import annotations

from math import inf, prod
from typing import Any

import numpy as np

from tensorgrad.backend import Array, beside
from tensorgrad.ops.arrays import arange, device_of, isdtype
from tensorgrad.ops.elementwise import asarray, clip
from tensorgrad.ops.indexing import array_of, wrapped_as
from tensorgrad.ops.padding import pad
from tensorgrad.ops.reduction import argmax, argmin
from tensorgrad.ops.shape import reshape
from tensorgrad.ops.windows import (
    Padding,
    Pads,
    Size,
    Sizes,
    image_of,
    pads_of,
    per_axis,
    unfold_windows,
    windows_of,
)
from tensorgrad.primitive import op

Geometry = tuple[Sizes, Sizes, Pads, Sizes]  # kernel, stride, padding, dilation


# ── windows without padding, reduced ────────────────────────────────────────────────────────────────────────


@op
def max_windows(xp: Any, x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """The largest value in each window.   (n, c, h, ..) -> (n, c, h', ..)   Ties share the gradient equally."""
    return xp.max(windows_of(xp, x, kernel, stride, _unpadded(kernel), dilation), axis=2)


@op
def min_windows(xp: Any, x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """The smallest value in each window.   (n, c, h, ..) -> (n, c, h', ..)   Ties share the gradient equally."""
    return xp.min(windows_of(xp, x, kernel, stride, _unpadded(kernel), dilation), axis=2)


@op(lift="floating", linear=True)
def sum_windows(xp: Any, x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """The sum of each window.   (n, c, h, ..) -> (n, c, h', ..)"""
    return xp.sum(windows_of(xp, x, kernel, stride, _unpadded(kernel), dilation), axis=2)


def _unpadded(kernel: Sizes) -> Pads:
    return ((0, 0),) * len(kernel)


def _unfolded(x: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, counts: Any) -> Array:
    """Every window along an axis of its own.   (n, c, h, ..) -> (n, c, kh .., h', ..)"""
    columns = unfold_windows(x, kernel, stride, _unpadded(kernel), dilation)
    return reshape(columns, (*x.shape[:2], prod(kernel), *counts))


@op(constant=True)
def attained_windows(xp: Any, x: Array, y: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """Which values of each window equal its y.   (n, c, h, ..), (n, c, h', ..) -> (n, c, kh .., h', ..) bool"""
    return windows_of(xp, x, kernel, stride, _unpadded(kernel), dilation) == xp.expand_dims(y, axis=2)


def _shares(xp: Any, best: Array, dtype: Any) -> Array:
    """One for each window, shared equally among its best values.   (n, c, kh .., h', ..) bool -> the same"""
    marks = xp.astype(best, dtype)
    ties = xp.sum(marks, axis=2, keepdims=True)
    return marks / (ties + xp.astype(ties == 0.0, dtype))  # where none is best there was a NaN, which equals nothing


@op
def share_windows(xp: Any, y: Array, best: Array, size: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """Each y shared among the best of its window.   (n, c, h', ..), (n, c, kh .., h', ..) bool -> (n, c, h, ..)"""
    n, c, *counts = y.shape
    windows = _shares(xp, best, y.dtype) * xp.expand_dims(y, axis=2)
    columns = xp.reshape(windows, (n, c * prod(kernel), prod(counts)))
    return image_of(xp, columns, size, kernel, stride, _unpadded(kernel), dilation)


@op
def gather_windows(xp: Any, x: Array, best: Array, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """The mean of the best of each window.   (n, c, h, ..), (n, c, kh .., h', ..) bool -> (n, c, h', ..)"""
    windows = windows_of(xp, x, kernel, stride, _unpadded(kernel), dilation)
    return xp.sum(windows * _shares(xp, best, x.dtype), axis=2)


@op(lift="floating", linear=True)
def spread_windows(xp: Any, y: Array, size: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """Each y added to its whole window.   (n, c, h', ..) -> (n, c, h, ..)"""
    n, c, *counts = y.shape
    windows = xp.broadcast_to(xp.expand_dims(y, axis=2), (n, c, prod(kernel), *counts))
    columns = xp.reshape(windows, (n, c * prod(kernel), prod(counts)))
    return image_of(xp, columns, size, kernel, stride, _unpadded(kernel), dilation)


def _shared(g: Array, x: Array, out: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, x_shape: Any) -> Array:
    """The gradient of an extreme: in each window shared equally among the values that attain it."""
    best = attained_windows(x, out, kernel, stride, dilation)
    return share_windows(g, best, tuple(x_shape[2:]), kernel, stride, dilation)


max_windows.vjp(x=_shared)
min_windows.vjp(x=_shared)
sum_windows.vjp(
    x=lambda g, kernel, stride, dilation, x_shape: spread_windows(g, tuple(x_shape[2:]), kernel, stride, dilation)
)
spread_windows.vjp(y=lambda g, kernel, stride, dilation: sum_windows(g, kernel, stride, dilation))
share_windows.vjp(y=lambda g, best, kernel, stride, dilation: gather_windows(g, best, kernel, stride, dilation))
gather_windows.vjp(
    x=lambda g, best, kernel, stride, dilation, x_shape: share_windows(
        g, best, tuple(x_shape[2:]), kernel, stride, dilation
    )
)


# ── geometry ────────────────────────────────────────────────────────────────────────────────────────────────


def _geometry(
    what: str, axes: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Geometry, Pads]:
    """The windows' geometry, with as much padding as they read, and the padding that was asked for.

    ceil_mode: a last window that hangs over the end counts too, if it starts before the padding at the end.
    """
    if len(x.shape) != axes + 2:
        raise ValueError(f"{what}: expected (n, c, {', '.join('dhw'[-axes:])}), got the shape {tuple(x.shape)}")
    kernel = per_axis(kernel_size, axes, what, "kernel_size", 1)
    strides = kernel if stride is None else per_axis(stride, axes, what, "stride", 1)
    dilations = per_axis(dilation, axes, what, "dilation", 1)
    asked = pads_of(padding, kernel, strides, dilations, what)
    needed = []
    for size, k, s, (before, after), d in zip(x.shape[2:], kernel, strides, asked, dilations, strict=True):
        reach = d * (k - 1) + 1
        if reach < 2 * before or reach < 2 * after:
            raise ValueError(
                f"{what}: padding {padding!r} is beyond half of the kernel {kernel}, dilated by {dilations}"
            )
        count = (size + before + after - reach + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (count - 1) * s >= size + before:
            count -= 1
        if count < 1:
            raise ValueError(
                f"{what}: the kernel {kernel} with dilation {dilations} does not fit into an image of "
                f"{' x '.join(map(str, x.shape[2:]))} padded by {asked}"
            )
        last = (count - 1) * s + reach - before  # where the last window ends
        needed.append((before, last - size if last > size else 0))
    return (kernel, strides, tuple(needed), dilations), asked


def _bordered(x: Any, padding: Pads, value: float) -> Any:
    return pad(x, ((0, 0), (0, 0), *padding), constant_values=value) if any(map(any, padding)) else x


# ── max and min ─────────────────────────────────────────────────────────────────────────────────────────────


def max_pool1d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value in each window of a line.   (n, c, l) -> (n, c, l')   Arguments are those of `max_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.max_pool1d(tg.asarray([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist()
    [[[3.0, 2.0]]]
    """
    return _max_pool("max_pool1d", 1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value in each window; padding counts as minus infinity.   (n, c, h, w) -> (n, c, h', w')

    h' = floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1; the stride is the kernel's size unless given.
    padding: a number, one for each axis, or pairs (before, after). ceil_mode: rounded up instead, with a window that
    hangs over the end, if it starts before it. return_indices: also the place h w of each value in its own plane,
    counted row by row, the first of equals, as `max_unpool2d` takes them.
    Values that tie share the gradient equally. Raises ValueError for padding beyond half of the kernel.

    >>> import tensorgrad as tg
    >>> tg.max_pool2d(tg.reshape(tg.arange(16.0), (1, 1, 4, 4)), 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    return _max_pool("max_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value in each window of a volume.   (n, c, d, h, w) -> (n, c, d', h', w')   See `max_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.max_pool3d(tg.reshape(tg.arange(8.0), (1, 1, 2, 2, 2)), 2).tolist()
    [[[[[7.0]]]]]
    """
    return _max_pool("max_pool3d", 3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def min_pool1d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The smallest value in each window of a line.   (n, c, l) -> (n, c, l')   Arguments are those of `max_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.min_pool1d(tg.asarray([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist()
    [[[1.0, 0.0]]]
    """
    return _min_pool("min_pool1d", 1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def min_pool2d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The smallest value in each window; padding counts as infinity.   (n, c, h, w) -> (n, c, h', w')

    Arguments and errors are those of `max_pool2d`. Values that tie share the gradient equally.

    >>> import tensorgrad as tg
    >>> tg.min_pool2d(tg.reshape(tg.arange(16.0), (1, 1, 4, 4)), 2).tolist()
    [[[[0.0, 2.0], [8.0, 10.0]]]]
    """
    return _min_pool("min_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def min_pool3d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The smallest value in each window of a volume.   (n, c, d, h, w) -> (n, c, d', h', w')   See `max_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.min_pool3d(tg.reshape(tg.arange(8.0), (1, 1, 2, 2, 2)), 2).tolist()
    [[[[[0.0]]]]]
    """
    return _min_pool("min_pool3d", 3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_pool(what: str, axes: int, x: Any, *geometry: Any) -> Any:
    return _extremes((max_windows, argmax, -1), what, axes, x, *geometry)


def _min_pool(what: str, axes: int, x: Any, *geometry: Any) -> Any:
    return _extremes((min_windows, argmin, 1), what, axes, x, *geometry)


def _extremes(
    kind: tuple[Any, Any, int],
    what: str,
    axes: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    of_windows, place_of, sign = kind
    (kernel, strides, pads, dilations), _ = _geometry(what, axes, x, kernel_size, stride, padding, dilation, ceil_mode)
    bordered = _bordered(x, pads, loser(x, sign))
    found = of_windows(bordered, kernel, strides, dilations)
    if not return_indices:
        return found
    best = place_of(_unfolded(array_of(bordered), kernel, strides, dilations, found.shape[2:]), axis=2)
    return found, wrapped_as(x, _places(best, tuple(x.shape[2:]), kernel, strides, pads, dilations))


def loser(x: Any, sign: int) -> float:
    """What loses against every value of x: -inf or inf, or the end of an integer's range."""
    if isdtype(x.dtype, "real floating"):
        return sign * inf
    if not isdtype(x.dtype, "integral"):
        raise TypeError(f"pooling: {x.dtype} values have no largest; pool real numbers")
    limits = np.iinfo(x.dtype)
    return int(limits.min if sign < 0 else limits.max)


def _places(best: Any, sizes: Sizes, kernel: Sizes, strides: Sizes, pads: Pads, dilations: Sizes) -> Any:
    """Places within the kernel as places within the plane, row by row.   (n, c, h', ..) int -> (n, c, h', ..) int"""
    flat, step = 0, 1
    with beside(array_of(best)):
        for axis in range(len(sizes) - 1, -1, -1):
            k = best % kernel[axis]
            best = best // kernel[axis]
            count = best.shape[2 + axis]
            starts = arange(count, device=device_of(best)) * strides[axis] - pads[axis][0]
            starts = reshape(starts, (count, *[1] * (len(sizes) - 1 - axis)))
            # Where a window holds nothing above minus infinity the first of equals may be its padding.
            flat = flat + clip(starts + k * dilations[axis], 0, sizes[axis] - 1) * step
            step *= sizes[axis]
    return flat


# ── means ───────────────────────────────────────────────────────────────────────────────────────────────────


def avg_pool1d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window of a line.   (n, c, l) -> (n, c, l')   Arguments are those of `avg_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.avg_pool1d(tg.asarray([[[1.0, 3.0, 2.0, 0.0]]]), 2).tolist()
    [[[2.0, 1.0]]]
    """
    return _avg_pool("avg_pool1d", 1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window.   (n, c, h, w) -> (n, c, h', w')

    h' = floor((h + 2 padding - kh) / stride) + 1; the stride is the kernel's size unless given.
    padding: zeros around the image: a number, one for each axis, or pairs (before, after). count_include_pad: whether
    they count among the values of a window. ceil_mode: h' rounded up, with a window that hangs over the end, if it
    starts before it; what lies beyond the padding never counts. divisor_override: what to divide sums by instead.
    Raises ValueError for padding beyond half of the kernel.

    >>> import tensorgrad as tg
    >>> tg.avg_pool2d(tg.reshape(tg.arange(16.0), (1, 1, 4, 4)), 2).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    return _avg_pool("avg_pool2d", 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window of a volume.   (n, c, d, h, w) -> (n, c, d', h', w')   See `avg_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.avg_pool3d(tg.reshape(tg.arange(8.0), (1, 1, 2, 2, 2)), 2).tolist()
    [[[[[3.5]]]]]
    """
    return _avg_pool("avg_pool3d", 3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def _avg_pool(
    what: str,
    axes: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Any:
    (kernel, strides, pads, dilations), asked = _geometry(what, axes, x, kernel_size, stride, padding, 1, ceil_mode)
    total = sum_windows(_bordered(x, pads, 0.0), kernel, strides, dilations)
    if divisor_override is not None:
        return total / divisor_override
    sizes = np.ones(())
    for axis, count in enumerate(total.shape[2:]):
        size, (before, after) = x.shape[2 + axis], asked[axis]
        starts = np.arange(count) * strides[axis] - before
        ends = np.minimum(starts + kernel[axis], size + after)
        if not count_include_pad:
            starts, ends = np.maximum(starts, 0), np.minimum(ends, size)
        sizes = sizes[..., None] * (ends - starts)
    if np.all(sizes == sizes.flat[0]):
        return total / float(sizes.flat[0])
    return total / asarray(sizes, dtype=total.dtype, device=device_of(total))
