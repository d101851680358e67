"""One number per window: the largest, the smallest, the mean; and the way back from the places of the largest.

Arrays are (n, c, spatial axes). Values that tie in a window share its gradient equally.
"""

from __future__ import annotations

from math import inf, prod
from typing import Any

import numpy as np

from tensorgrad.backend import Array
from tensorgrad.ops.arrays import arange, device_of, isdtype, zeros
from tensorgrad.ops.convolution import (
    Padding,
    Pads,
    Size,
    Sizes,
    fold_windows,
    pads_of,
    per_axis,
    unfold_windows,
    windows_of,
)
from tensorgrad.ops.elementwise import asarray, astype, clip
from tensorgrad.ops.indexing import array_of, check_range, setitem, take, wrapped_as
from tensorgrad.ops.padding import pad
from tensorgrad.ops.products import matmul
from tensorgrad.ops.reduction import argmax, max, mean, sum
from tensorgrad.ops.shape import broadcast_to, expand_dims, moveaxis, reshape
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


def _folded(windows: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, x_shape: Any) -> Array:
    """The adjoint of `_unfolded`."""
    n, c, k, *counts = windows.shape
    columns = reshape(windows, (n, c * k, prod(counts)))
    return fold_windows(columns, tuple(x_shape[2:]), kernel, stride, _unpadded(kernel), dilation)


def _shared(g: Array, x: Array, out: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, x_shape: Any) -> Array:
    """The gradient of an extreme: in each window shared equally among the values that attain it."""
    best = _unfolded(x, kernel, stride, dilation, out.shape[2:]) == expand_dims(out, axis=2)
    best = astype(best, out.dtype)
    ties = sum(best, axis=2)
    ties = ties + astype(ties == 0.0, ties.dtype)  # a NaN equals nothing
    return _folded(best * expand_dims(g / ties, axis=2), kernel, stride, dilation, x_shape)


def _spread(g: Array, kernel: Sizes, stride: Sizes, dilation: Sizes, x_shape: Any) -> Array:
    n, c, *counts = g.shape
    windows = broadcast_to(expand_dims(g, axis=2), (n, c, prod(kernel), *counts))
    return _folded(windows, kernel, stride, dilation, x_shape)


max_windows.vjp(x=_shared)
min_windows.vjp(x=_shared)
sum_windows.vjp(x=_spread)


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


def _max_pool(
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
    (kernel, strides, pads, dilations), _ = _geometry(what, axes, x, kernel_size, stride, padding, dilation, ceil_mode)
    bordered = _bordered(x, pads, _extreme(x, -1))
    largest = max_windows(bordered, kernel, strides, dilations)
    if not return_indices:
        return largest
    best = argmax(_unfolded(array_of(bordered), kernel, strides, dilations, largest.shape[2:]), axis=2)
    return largest, wrapped_as(x, _places(best, tuple(x.shape[2:]), kernel, strides, pads, dilations))


def _extreme(x: Any, sign: int) -> float:
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


def min_pool2d(
    x: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Padding = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
) -> Any:
    """The smallest value in each window; padding counts as infinity.   (n, c, h, w) -> (n, c, h', w')

    Arguments and errors are those of `max_pool2d`. Values that tie share the gradient equally.

    >>> import tensorgrad as tg
    >>> tg.min_pool2d(tg.reshape(tg.arange(16.0), (1, 1, 4, 4)), 2).tolist()
    [[[[0.0, 2.0], [8.0, 10.0]]]]
    """
    (kernel, strides, pads, dilations), _ = _geometry(
        "min_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode
    )
    return min_windows(_bordered(x, pads, _extreme(x, 1)), kernel, strides, dilations)


def max_unpool2d(
    x: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: tuple[int, ...] | None = None,
) -> Any:
    """Values put back where `max_pool2d` found them, zeros elsewhere.   (n, c, h', w'), the same int -> (n, c, h, w)

    h = (h' - 1) stride - 2 padding + kh unless output_size gives h and w (or a whole shape, of which the last two
    count). Where windows overlapped and name a place twice the last value stands, and only it has a gradient.
    Raises ValueError when the shapes differ, IndexError for a place that is not in the plane.

    >>> import tensorgrad as tg
    >>> values, places = tg.max_pool2d(tg.asarray([[[[1.0, 3.0], [2.0, 0.0]]]]), 2, return_indices=True)
    >>> tg.max_unpool2d(values, places, 2).tolist()
    [[[[0.0, 3.0], [0.0, 0.0]]]]
    """
    what = "max_unpool2d"
    if len(x.shape) != 4 or tuple(indices.shape) != tuple(x.shape):
        raise ValueError(
            f"{what}: expected values and indices of one shape (n, c, h, w), got {tuple(x.shape)} and "
            f"{tuple(indices.shape)}"
        )
    kernel = per_axis(kernel_size, 2, what, "kernel_size", 1)
    strides = kernel if stride is None else per_axis(stride, 2, what, "stride", 1)
    paddings = per_axis(padding, 2, what, "padding")
    if output_size is None:
        geometry = zip(x.shape[2:], kernel, strides, paddings, strict=True)
        sizes: Any = tuple([(count - 1) * s - 2 * p + k for count, k, s, p in geometry])
    else:
        sizes = per_axis(tuple(output_size)[-2:], 2, what, "output_size", 1)
    planes, area = prod(x.shape[:2]), prod(sizes)
    places = array_of(indices)
    check_range(places, area, what)
    starts = reshape(arange(planes, device=device_of(x)) * area, (planes, 1))
    key = reshape(starts + reshape(places, (planes, prod(x.shape[2:]))), (-1,))
    empty = zeros((planes * area,), dtype=x.dtype, device=device_of(x))
    return reshape(setitem(empty, reshape(x, (-1,)), (key,)), (*x.shape[:2], *sizes))


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


def global_avg_pool(x: Any, keepdims: bool = False) -> Any:
    """The mean over all spatial axes.   (n, c, ...) -> (n, c)

    keepdims: keep them, as axes of length 1. Raises ValueError when x has none.

    >>> import tensorgrad as tg
    >>> tg.global_avg_pool(tg.asarray([[[1.0, 3.0]], [[2.0, 4.0]]])).tolist()
    [[2.0], [3.0]]
    """
    return mean(x, axis=_spatial("global_avg_pool", x), keepdims=keepdims)


def global_max_pool(x: Any, keepdims: bool = False) -> Any:
    """The largest value over all spatial axes.   (n, c, ...) -> (n, c)   Ties share the gradient equally.

    keepdims: keep them, as axes of length 1. Raises ValueError when x has none.

    >>> import tensorgrad as tg
    >>> tg.global_max_pool(tg.asarray([[[1.0, 3.0]], [[2.0, 4.0]]])).tolist()
    [[3.0], [4.0]]
    """
    return max(x, axis=_spatial("global_max_pool", x), keepdims=keepdims)


def _spatial(what: str, x: Any) -> Sizes:
    if len(x.shape) < 3:
        raise ValueError(f"{what}: expected (n, c, spatial axes), got the shape {tuple(x.shape)}")
    return tuple(range(2, len(x.shape)))


# ── adaptive: so many windows, of whatever size ─────────────────────────────────────────────────────────────


def adaptive_avg_pool1d(x: Any, output_size: int | tuple[int | None, ...] | None) -> Any:
    """Means of so many stretches of a line.   (n, c, l) -> (n, c, output_size)   See `adaptive_avg_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.adaptive_avg_pool1d(tg.asarray([[[1.0, 3.0, 5.0]]]), 2).tolist()
    [[[2.0, 4.0]]]
    """
    return _adaptive_avg("adaptive_avg_pool1d", 1, x, output_size)


def adaptive_avg_pool2d(x: Any, output_size: int | tuple[int | None, ...] | None) -> Any:
    """Means of so many windows that cover the image.   (n, c, h, w) -> (n, c, *output_size)

    Along an axis window i goes from floor(i n / m) up to, but not including, ceil((i + 1) n / m), for m windows of n
    pixels. output_size: a number, or one for each axis; None keeps the axis as it is.
    Raises ValueError for sizes below 1 and for an empty image.

    >>> import tensorgrad as tg
    >>> tg.adaptive_avg_pool2d(tg.asarray([[[[1.0, 3.0, 5.0]]]]), (1, 2)).tolist()
    [[[[2.0, 4.0]]]]
    """
    return _adaptive_avg("adaptive_avg_pool2d", 2, x, output_size)


def adaptive_avg_pool3d(x: Any, output_size: int | tuple[int | None, ...] | None) -> Any:
    """Means of so many windows of a volume.   (n, c, d, h, w) -> (n, c, *output_size)   See `adaptive_avg_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.adaptive_avg_pool3d(tg.ones((1, 2, 3, 4, 5)), (1, None, 2)).shape
    (1, 2, 1, 4, 2)
    """
    return _adaptive_avg("adaptive_avg_pool3d", 3, x, output_size)


def adaptive_max_pool1d(x: Any, output_size: int | tuple[int | None, ...] | None) -> Any:
    """The largest of so many stretches of a line.   (n, c, l) -> (n, c, output_size)   See `adaptive_max_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.adaptive_max_pool1d(tg.asarray([[[1.0, 3.0, 5.0]]]), 2).tolist()
    [[[3.0, 5.0]]]
    """
    return _adaptive_max("adaptive_max_pool1d", 1, x, output_size)


def adaptive_max_pool2d(x: Any, output_size: int | tuple[int | None, ...] | None) -> Any:
    """The largest of so many windows that cover the image.   (n, c, h, w) -> (n, c, *output_size)

    Windows, arguments and errors are those of `adaptive_avg_pool2d`. Values that tie share the gradient equally.

    >>> import tensorgrad as tg
    >>> tg.adaptive_max_pool2d(tg.asarray([[[[1.0, 3.0, 5.0]]]]), (1, 2)).tolist()
    [[[[3.0, 5.0]]]]
    """
    return _adaptive_max("adaptive_max_pool2d", 2, x, output_size)


def adaptive_max_pool3d(x: Any, output_size: int | tuple[int | None, ...] | None) -> Any:
    """The largest of so many windows of a volume.   (n, c, d, h, w) -> (n, c, *output_size)   See the 2-D form.

    >>> import tensorgrad as tg
    >>> tg.adaptive_max_pool3d(tg.ones((1, 2, 3, 4, 5)), (1, None, 2)).shape
    (1, 2, 1, 4, 2)
    """
    return _adaptive_max("adaptive_max_pool3d", 3, x, output_size)


def _adaptive_sizes(what: str, axes: int, x: Any, output_size: Any) -> Sizes:
    if len(x.shape) != axes + 2 or not prod(x.shape[2:]):
        raise ValueError(
            f"{what}: expected (n, c, {', '.join('dhw'[-axes:])}) with pixels, got the shape {tuple(x.shape)}"
        )
    asked = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    if len(asked) == axes:
        asked = tuple([size if each is None else each for each, size in zip(asked, x.shape[2:], strict=True)])
    return per_axis(asked, axes, what, "output_size", 1)


def _stretches(size: int, count: int) -> tuple[Any, Any]:
    """(starts, ends) of `count` windows that cover an axis."""
    places = np.arange(count)
    return places * size // count, -((-(places + 1) * size) // count)


def _adaptive_avg(what: str, axes: int, x: Any, output_size: Any) -> Any:
    counts = _adaptive_sizes(what, axes, x, output_size)
    for axis, count in enumerate(counts, 2):
        size = x.shape[axis]
        if count == size:
            continue
        if size % count == 0:
            x = mean(reshape(x, (*x.shape[:axis], count, size // count, *x.shape[axis + 1 :])), axis=axis + 1)
            continue
        starts, ends = _stretches(size, count)
        places = np.arange(size)[:, None]
        weights = ((starts <= places) & (places < ends)) / (ends - starts)
        line = moveaxis(x, axis, -1)
        line = matmul(line, asarray(weights, dtype=line.dtype, device=device_of(x)))
        x = moveaxis(line, -1, axis)
    return x


def _adaptive_max(what: str, axes: int, x: Any, output_size: Any) -> Any:
    counts = _adaptive_sizes(what, axes, x, output_size)
    if all(size % count == 0 for size, count in zip(x.shape[2:], counts, strict=True)):
        kernel = tuple([size // count for size, count in zip(x.shape[2:], counts, strict=True)])
        return max_windows(x, kernel, kernel, (1,) * axes)
    # Every window along axes of its own, as long as the longest: short ones end in a place beyond the image, which
    # holds minus infinity, so that no value is named twice and ties are shared as they should be.
    x = pad(x, ((0, 0), (0, 0), *[(0, 1)] * axes), constant_values=_extreme(x, -1))
    for place, count in enumerate(counts):
        axis = 2 + 2 * place
        size = x.shape[axis] - 1
        starts, ends = _stretches(size, count)
        reads = starts[:, None] + np.arange((ends - starts).max())
        reads = np.where(reads < ends[:, None], reads, size)
        x = take(x, asarray(reads, device=device_of(x)), axis=axis)
    return max(x, axis=tuple(range(3, 3 + 2 * axes, 2)))
