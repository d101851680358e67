"""Many numbers into few: sums, means, extremes, products, running sums, sorting, and where things are."""

from __future__ import annotations

from math import prod as product
from typing import Any

import numpy as np

from tensorgrad.backend import Array, namespace, to_numpy
from tensorgrad.ops.arrays import device_of
from tensorgrad.ops.elementwise import astype, conj, exp, isfinite, ones_like, where, zeros_like
from tensorgrad.ops.indexing import take_along_axis
from tensorgrad.ops.shape import broadcast_to, concat, flip, normal_axes, permute_dims, reshape
from tensorgrad.primitive import op
from tensorgrad.tape import Traced

Axis = int | tuple[int, ...] | None


def kept_shape(shape: Any, axis: Any) -> tuple[int, ...]:
    """The shape of a reduction with keepdims."""
    axes = normal_axes(axis, len(shape), "reduction")
    return tuple([1 if place in axes else size for place, size in enumerate(shape)])


def spread(g: Array, axis: Any, keepdims: bool, shape: Any) -> Array:
    """A reduction's gradient with the reduced axes back as axes of length 1."""
    return g if keepdims else reshape(g, kept_shape(shape, axis))


def count(shape: Any, axis: Any) -> int:
    """How many elements go into each result of a reduction."""
    return product([shape[each] for each in normal_axes(axis, len(shape), "reduction")])


def checked(axis: Any, x: Array, what: str) -> Any:
    if axis is not None:
        normal_axes(axis, len(x.shape), what)
    return tuple(axis) if isinstance(axis, list) else axis


@op(linear=True)
def sum(xp: Any, x: Array, /, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """Sum over axes, all without `axis`.   (...) -> (...) without them"""
    if axis is not None:
        axis = checked(axis, x, "sum")
    return xp.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


sum.vjp(x=lambda g, axis, keepdims, x_shape: broadcast_to(spread(g, axis, keepdims, x_shape), x_shape))


@op(lift="floating", linear=True)
def mean(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """Arithmetic mean over axes, all without `axis`.   (...) -> (...) without them"""
    if axis is not None:
        axis = checked(axis, x, "mean")
    return xp.mean(x, axis=axis, keepdims=keepdims)


def _mean_dx(g: Array, axis: Any, keepdims: bool, x_shape: Any) -> Array:
    return broadcast_to(spread(g / (count(x_shape, axis) or 1), axis, keepdims, x_shape), x_shape)


mean.vjp(x=_mean_dx)


@op(lift="floating", saves=("centred",))
def var(xp: Any, x: Array, /, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Mean squared deviation from the mean, over n - correction.   (...) -> (...) without the axes"""
    axis = checked(axis, x, "var")
    centred = x - xp.mean(x, axis=axis, keepdims=True)
    size = count(x.shape, axis)
    is_complex = xp.isdtype(x.dtype, "complex floating")
    squares = xp.real(centred * xp.conj(centred)) if is_complex else centred * centred
    total = xp.sum(squares, axis=axis, keepdims=keepdims)
    if size <= correction:
        return total * xp.nan, centred
    return total / (size - correction), centred


def _var_dx(g: Array, axis: Any, correction: float, keepdims: bool, x_shape: Any, centred: Array) -> Array:
    size = count(x_shape, axis)
    return spread(g * (2.0 / (size - correction)), axis, keepdims, x_shape) * conj(centred)


var.vjp(x=_var_dx)


def std(x: Any, /, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """The square root of the variance.   (...) -> (...) without the axes

    Where all elements are equal the gradient is 0.

    >>> import tensorgrad as tg
    >>> tg.std(tg.asarray([1.0, 3.0]))
    Tensor(1., dtype=float32)
    """
    return safe_sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


@op(blocks="all", lift="floating")
def safe_sqrt(xp: Any, x: Array, /) -> Array:
    """The square root, with gradient 0 at 0.   (...) -> (...)"""
    return xp.sqrt(x)


def _safe_sqrt_dx(g: Array, out: Array) -> Array:
    zero = out == 0
    return g * 0.5 / where(zero, ones_like(out), out) * astype(~zero, out.dtype)


safe_sqrt.vjp(x=_safe_sqrt_dx)


# ── extremes ────────────────────────────────────────────────────────────────────────────────────────────────


def _tied(g: Array, x: Array, out: Array, axis: Any, keepdims: bool, x_shape: Any) -> Array:
    """The gradient of max and min: shared equally among the elements that attain it."""
    best = astype(x == spread(out, axis, keepdims, x_shape), out.dtype)
    ties = sum(best, axis=axis, keepdims=True)
    ties = ties + astype(ties == 0.0, ties.dtype)  # a NaN equals nothing
    return spread(g, axis, keepdims, x_shape) * best / ties


@op
def max(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """The largest element over axes, all without `axis`.   (...) -> (...) without them

    Elements that tie share the gradient equally.
    """
    return xp.max(x, axis=checked(axis, x, "max"), keepdims=keepdims)


@op
def min(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest element over axes, all without `axis`.   (...) -> (...) without them

    Elements that tie share the gradient equally.
    """
    return xp.min(x, axis=checked(axis, x, "min"), keepdims=keepdims)


max.vjp(x=_tied)
min.vjp(x=_tied)


# ── products ────────────────────────────────────────────────────────────────────────────────────────────────


@op
def prod(xp: Any, x: Array, /, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """Product over axes, all without `axis`.   (...) -> (...) without them   Right with zeros."""
    return xp.prod(x, axis=checked(axis, x, "prod"), dtype=dtype, keepdims=keepdims)


def _others(x: Array, axis: int) -> Array:
    """For each element, the product of all others along an axis, without dividing."""
    before = cumulative_prod(x, axis=axis, exclusive=True)
    after = flip(cumulative_prod(flip(x, axis=axis), axis=axis, exclusive=True), axis=axis)
    return before * after


def _prod_dx(g: Array, x: Array, axis: Any, keepdims: bool, x_shape: Any) -> Array:
    axes = normal_axes(axis, len(x_shape), "prod")
    g = spread(g, axis, keepdims, x_shape)
    if len(axes) == 1:
        return g * _others(x, axes[0])
    rest = [place for place in range(len(x_shape)) if place not in axes]
    order = (*rest, *axes)
    moved = permute_dims(x, order)
    lines = reshape(moved, (*[x_shape[place] for place in rest], count(x_shape, axes)))
    others = reshape(_others(lines, len(rest)), tuple(moved.shape))
    return g * permute_dims(others, tuple(order.index(place) for place in range(len(order))))


prod.vjp(x=_prod_dx)


def _scan_axis(x: Array, axis: int | None, what: str) -> int:
    if axis is None:
        if len(x.shape) != 1:
            raise ValueError(f"{what}: an axis must be named for an array of {len(x.shape)} axes")
        return 0
    return normal_axes(axis, len(x.shape), what)[0]


@op(linear=True)
def cumulative_sum(
    xp: Any, x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Running sums along an axis; with include_initial, from 0.   (.., n, ..) -> (.., n or n + 1, ..)"""
    axis = _scan_axis(x, axis, "cumulative_sum")
    return xp.cumulative_sum(x, axis=axis, dtype=dtype, include_initial=include_initial)


def _without_first(g: Array, axis: int) -> Array:
    return g[(*(slice(None),) * axis, slice(1, None), ...)]


def _cumulative_sum_dx(g: Array, axis: int | None, include_initial: bool, x_shape: Any) -> Array:
    axis = 0 if axis is None else axis % len(x_shape)
    if include_initial:
        g = _without_first(g, axis)
    return flip(cumulative_sum(flip(g, axis=axis), axis=axis), axis=axis)


cumulative_sum.vjp(x=_cumulative_sum_dx)


@op
def cumulative_prod(
    xp: Any,
    x: Array,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
    exclusive: bool = False,
) -> Array:
    """Running products along an axis; with include_initial, from 1.   (.., n, ..) -> (.., n or n + 1, ..)

    exclusive: each element's product leaves out the element itself. Right with zeros.
    """
    axis = _scan_axis(x, axis, "cumulative_prod")
    if include_initial and exclusive:
        raise ValueError("cumulative_prod: include_initial and exclusive do not go together")
    initial = include_initial or exclusive
    result = xp.cumulative_prod(x, axis=axis, dtype=dtype, include_initial=initial)
    if exclusive:
        result = result[(*(slice(None),) * axis, slice(None, x.shape[axis]), ...)]
    return result


def _cumulative_prod_dx(
    g: Array, x: Array, axis: int | None, include_initial: bool, exclusive: bool, x_shape: Any
) -> Array:
    """sum_{k >= i} g_k prod_{j <= k, j != i} x_j, as one pass from the end: r_i = g_i + x_{i+1} r_{i+1}.

    Then dx_i = (prod_{j < i} x_j) r_i, which divides by nothing. The recurrence runs over the axis in Python.
    """
    axis = 0 if axis is None else axis % len(x_shape)
    n = x_shape[axis]
    before = (slice(None),) * axis
    if include_initial:
        g = _without_first(g, axis)
    elif exclusive:  # element i is in the results after its own place
        g = concat([g[(*before, slice(1, None), ...)], g[(*before, slice(0, 1), ...)] * 0.0], axis=axis)
    if n < 2:
        return g
    running = g[(*before, slice(n - 1, n), ...)]
    pieces = [running]
    for place in range(n - 2, -1, -1):
        following = x[(*before, slice(place + 1, place + 2), ...)]
        running = g[(*before, slice(place, place + 1), ...)] + following * running
        pieces.append(running)
    return cumulative_prod(x, axis=axis, exclusive=True) * concat(pieces[::-1], axis=axis)


cumulative_prod.vjp(x=_cumulative_prod_dx)


# ── logarithms of sums ──────────────────────────────────────────────────────────────────────────────────────


def finite_peak(xp: Any, x: Array, axis: Any) -> Array:
    """The largest element along axes, kept as axes of length 1, with 0 in place of an infinite one."""
    peak = xp.max(x, axis=axis, keepdims=True)
    return xp.where(xp.isfinite(peak), peak, xp.zeros_like(peak))


@op(lift="floating")
def logsumexp(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) over axes, without overflow.   (...) -> (...) without them"""
    axis = checked(axis, x, "logsumexp")
    peak = finite_peak(xp, x, axis)
    total = xp.log(xp.sum(xp.exp(x - peak), axis=axis, keepdims=True)) + peak
    if keepdims:
        return total
    return xp.reshape(total, tuple(xp.sum(x, axis=axis).shape))


def _logsumexp_dx(g: Array, x: Array, out: Array, axis: Any, keepdims: bool, x_shape: Any) -> Array:
    total = spread(out, axis, keepdims, x_shape)
    total = where(isfinite(total), total, zeros_like(total))
    return spread(g, axis, keepdims, x_shape) * exp(x - total)


logsumexp.vjp(x=_logsumexp_dx)


# ── questions about many ────────────────────────────────────────────────────────────────────────────────────


@op
def all(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether every element holds.   (...) -> (...) bool"""
    return xp.all(x, axis=checked(axis, x, "all"), keepdims=keepdims)


@op
def any(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether some element holds.   (...) -> (...) bool"""
    return xp.any(x, axis=checked(axis, x, "any"), keepdims=keepdims)


@op
def argmax(xp: Any, x: Array, /, axis: int | None = None, keepdims: bool = False) -> Array:
    """The place of the largest element, the first of equals.   (...) -> (...) int64"""
    return xp.argmax(x, axis=checked(axis, x, "argmax"), keepdims=keepdims)


@op
def argmin(xp: Any, x: Array, /, axis: int | None = None, keepdims: bool = False) -> Array:
    """The place of the smallest element, the first of equals.   (...) -> (...) int64"""
    return xp.argmin(x, axis=checked(axis, x, "argmin"), keepdims=keepdims)


@op
def count_nonzero(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements are not 0.   (...) -> (...) int64"""
    return xp.astype(xp.count_nonzero(x, axis=checked(axis, x, "count_nonzero"), keepdims=keepdims), xp.int64)


@op
def searchsorted(xp: Any, x1: Array, x2: Array, /, *, side: str = "left", sorter: Array = None) -> Array:
    """Where each x2 belongs in the sorted x1.   (n,), (...) -> (...) int64"""
    if len(x1.shape) != 1:
        raise ValueError(f"searchsorted: x1 must be sorted values along one axis, got the shape {tuple(x1.shape)}")
    return xp.searchsorted(x1, x2, side=side, sorter=sorter)


def nonzero(x: Any, /) -> tuple[Any, ...]:
    """The places of the elements that are not 0, one index tensor per axis.   (...) -> ndim x (k,) int64

    >>> import tensorgrad as tg
    >>> tg.nonzero(tg.asarray([0.0, 2.0, 3.0]))
    (Tensor([1, 2]),)
    """
    return _indices_like(x, np.nonzero(to_numpy(_raw(x))))


def _raw(x: Any) -> Any:
    return x.data if isinstance(x, Traced) else x


def _indices_like(x: Any, places: tuple[Any, ...]) -> tuple[Any, ...]:
    """Index arrays from host memory, where and as what x is."""
    raw = _raw(x)
    moved = [namespace(raw).asarray(each.tolist(), dtype=np.dtype("int64"), device=device_of(raw)) for each in places]
    return tuple([positive_of(x, each) for each in moved])


def positive_of(x: Any, array: Array) -> Any:
    """An array as x is: a tensor where x is one."""
    if not isinstance(x, Traced):
        return array
    tensor = x.plain.__new__(x.plain)  # type: ignore[attr-defined]
    tensor.data, tensor.record, tensor.grad = array, None, None
    return tensor


# ── sorting ─────────────────────────────────────────────────────────────────────────────────────────────────


@op
def argsort(xp: Any, x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The order that sorts x along an axis.   (...) -> (...) int64"""
    if xp.isdtype(x.dtype, "complex floating"):
        raise TypeError("complex numbers have no order")
    axis = normal_axes(axis, len(x.shape), "argsort")[0]
    if not descending:
        return xp.argsort(x, axis=axis, stable=stable)
    # Equal elements keep their order: sort the reversed array upwards, then count from the other end.
    last = x.shape[axis] - 1
    return last - xp.flip(xp.argsort(xp.flip(x, axis=axis), axis=axis, stable=stable), axis=axis)


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The elements in order along an axis.   (...) -> (...)   The gradient goes back to where each came from.

    >>> import tensorgrad as tg
    >>> tg.sort(tg.asarray([2.0, 1.0]))
    Tensor([1., 2.], dtype=float32)
    """
    order = argsort(detached(x), axis=axis, descending=descending, stable=stable)
    return take_along_axis(x, order, axis=axis)


def detached(x: Any) -> Any:
    """The values alone: what asks for an order has no gradient."""
    return _raw(x)
