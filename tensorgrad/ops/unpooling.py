"""The way back from the places of the largest: values where a pooling found them, zeros elsewhere."""

from __future__ import annotations

from math import prod
from typing import Any

from tensorgrad.ops.arithmetic import add, multiply
from tensorgrad.ops.arrays import arange, device_of, zeros
from tensorgrad.ops.indexing import array_of, check_range, setitem
from tensorgrad.ops.shape import reshape
from tensorgrad.ops.windows import Size, per_axis


def max_unpool1d(
    x: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: tuple[int, ...] | None = None,
) -> Any:
    """Values put back where `max_pool1d` found them.   (n, c, l'), the same int -> (n, c, l)   See `max_unpool2d`.

    >>> import tensorgrad as tg
    >>> tg.max_unpool1d(tg.asarray([[[3.0, 2.0]]]), tg.asarray([[[1, 2]]]), 2).tolist()
    [[[0.0, 3.0, 2.0, 0.0]]]
    """
    return _max_unpool("max_unpool1d", 1, x, indices, kernel_size, stride, padding, output_size)


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
    return _max_unpool("max_unpool2d", 2, x, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    x: Any,
    indices: Any,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: tuple[int, ...] | None = None,
) -> Any:
    """Values put back where `max_pool3d` found them.   (n, c, d', h', w'), the same int -> (n, c, d, h, w)

    Arguments and errors are those of `max_unpool2d`.

    >>> import tensorgrad as tg
    >>> values, places = tg.max_pool3d(tg.reshape(tg.arange(8.0), (1, 1, 2, 2, 2)), 2, return_indices=True)
    >>> tg.max_unpool3d(values, places, 2).tolist()
    [[[[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 7.0]]]]]
    """
    return _max_unpool("max_unpool3d", 3, x, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    what: str, axes: int, x: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Any:
    if len(x.shape) != axes + 2 or tuple(indices.shape) != tuple(x.shape):
        raise ValueError(
            f"{what}: expected values and indices of one shape (n, c, {', '.join('dhw'[-axes:])}), got "
            f"{tuple(x.shape)} and {tuple(indices.shape)}"
        )
    kernel = per_axis(kernel_size, axes, what, "kernel_size", 1)
    strides = kernel if stride is None else per_axis(stride, axes, what, "stride", 1)
    paddings = per_axis(padding, axes, what, "padding")
    if output_size is None:
        geometry = zip(x.shape[2:], kernel, strides, paddings, strict=True)
        sizes: Any = tuple([(count - 1) * s - 2 * p + k for count, k, s, p in geometry])
    else:
        sizes = per_axis(tuple(output_size)[-axes:], axes, what, "output_size", 1)
    planes, area = prod(x.shape[:2]), prod(sizes)
    places = array_of(indices)
    check_range(places, area, what)
    starts = reshape(multiply(arange(planes, device=device_of(x)), area), (planes, 1))
    key = reshape(add(starts, reshape(places, (planes, prod(x.shape[2:])))), (-1,))
    empty = zeros((planes * area,), dtype=x.dtype, device=device_of(x))
    return reshape(setitem(empty, reshape(x, (-1,)), (key,)), (*x.shape[:2], *sizes))
