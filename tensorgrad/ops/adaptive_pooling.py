"""So many windows that cover the image, of whatever size that takes; and one window that is all of it.

Arrays are (n, c, spatial axes). Values that tie in a window share its gradient equally.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.ops.arrays import device_of
from tensorgrad.ops.elementwise import asarray
from tensorgrad.ops.indexing import array_of, take, take_along_axis, wrapped_as
from tensorgrad.ops.padding import pad
from tensorgrad.ops.pooling import loser, max_pool1d, max_pool2d, max_pool3d
from tensorgrad.ops.products import matmul
from tensorgrad.ops.reduction import argmax, max, mean
from tensorgrad.ops.shape import broadcast_to, moveaxis, permute_dims, reshape
from tensorgrad.ops.windows import Sizes, per_axis


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


def adaptive_max_pool1d(x: Any, output_size: int | tuple[int | None, ...] | None, return_indices: bool = False) -> Any:
    """The largest of so many stretches of a line.   (n, c, l) -> (n, c, output_size)   See `adaptive_max_pool2d`.

    >>> import tensorgrad as tg
    >>> tg.adaptive_max_pool1d(tg.asarray([[[1.0, 3.0, 5.0]]]), 2).tolist()
    [[[3.0, 5.0]]]
    """
    return _adaptive_max("adaptive_max_pool1d", 1, x, output_size, return_indices)


def adaptive_max_pool2d(x: Any, output_size: int | tuple[int | None, ...] | None, return_indices: bool = False) -> Any:
    """The largest of so many windows that cover the image.   (n, c, h, w) -> (n, c, *output_size)

    Windows, arguments and errors are those of `adaptive_avg_pool2d`. Values that tie share the gradient equally.
    return_indices: also the place of each value in its plane, as `max_pool2d` gives them.

    >>> import tensorgrad as tg
    >>> tg.adaptive_max_pool2d(tg.asarray([[[[1.0, 3.0, 5.0]]]]), (1, 2)).tolist()
    [[[[3.0, 5.0]]]]
    """
    return _adaptive_max("adaptive_max_pool2d", 2, x, output_size, return_indices)


def adaptive_max_pool3d(x: Any, output_size: int | tuple[int | None, ...] | None, return_indices: bool = False) -> Any:
    """The largest of so many windows of a volume.   (n, c, d, h, w) -> (n, c, *output_size)   See the 2-D form.

    >>> import tensorgrad as tg
    >>> tg.adaptive_max_pool3d(tg.ones((1, 2, 3, 4, 5)), (1, None, 2)).shape
    (1, 2, 1, 4, 2)
    """
    return _adaptive_max("adaptive_max_pool3d", 3, x, output_size, return_indices)


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


def _adaptive_max(what: str, axes: int, x: Any, output_size: Any, return_indices: bool) -> Any:
    sizes = tuple(x.shape[2:])
    counts = _adaptive_sizes(what, axes, x, output_size)
    if all(size % count == 0 for size, count in zip(sizes, counts, strict=True)):
        kernel = tuple([size // count for size, count in zip(sizes, counts, strict=True)])
        return (max_pool1d, max_pool2d, max_pool3d)[axes - 1](x, kernel, return_indices=return_indices)
    # Every window along axes of its own, as long as the longest: short ones end in a place beyond the image, which
    # holds minus infinity, so that no value is named twice and ties are shared as they should be.
    windows = pad(x, ((0, 0), (0, 0), *[(0, 1)] * axes), constant_values=loser(x, -1))
    reads = [_reads(size, count) for size, count in zip(sizes, counts, strict=True)]
    for place, each in enumerate(reads):
        windows = take(windows, asarray(each, device=device_of(x)), axis=2 + 2 * place)
    within = tuple(range(3, 3 + 2 * axes, 2))
    largest = max(windows, axis=within)
    if not return_indices:
        return largest
    by_window = (0, 1, *[axis - 1 for axis in within], *within)
    lines = reshape(permute_dims(array_of(windows), by_window), (*largest.shape, -1))
    best = argmax(lines, axis=-1, keepdims=True)
    places = np.zeros((1,) * (2 * axes), np.int64)
    for axis, each in enumerate(reads):
        along = [1] * (2 * axes)
        along[axis], along[axes + axis] = each.shape
        places = places * sizes[axis] + each.reshape(along)
    table = asarray(places.reshape(1, 1, *counts, -1), device=device_of(best))
    found = take_along_axis(broadcast_to(table, lines.shape), best, axis=-1)
    return largest, wrapped_as(x, reshape(found, largest.shape))


def _reads(size: int, count: int) -> Any:
    """The places that each window reads, as many as the longest, with `size` for those beyond its end."""
    starts, ends = _stretches(size, count)
    reads = starts[:, None] + np.arange((ends - starts).max())
    return np.where(reads < ends[:, None], reads, size)
