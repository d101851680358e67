"""Many numbers into few: sums, means, extremes, products, and questions about many."""

from __future__ import annotations

from math import prod as product
from typing import Any

from tensorgrad.backend import Array
from tensorgrad.ops.analytic import exp
from tensorgrad.ops.elementwise import astype, conj, isfinite, ones_like, where, zeros_like
from tensorgrad.ops.scan import cumulative_prod
from tensorgrad.ops.shape import broadcast_to, flip, normal_axes, permute_dims, reshape
from tensorgrad.primitive import op

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
    """Sum over axes, all without `axis`.   (...) -> (...) without them

    >>> import tensorgrad as tg
    >>> tg.sum(tg.asarray([[1, 2], [3, 4]]), axis=0)
    Tensor([4, 6])
    """
    if axis is not None:
        axis = checked(axis, x, "sum")
    return xp.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)


sum.vjp(x=lambda g, axis, keepdims, x_shape: broadcast_to(spread(g, axis, keepdims, x_shape), x_shape))


@op(lift="floating", linear=True)
def mean(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """Arithmetic mean over axes, all without `axis`.   (...) -> (...) without them

    >>> import tensorgrad as tg
    >>> tg.mean(tg.asarray([[1.0, 2.0], [3.0, 5.0]]), axis=1, keepdims=True)
    Tensor([[1.5],
            [4. ]], dtype=float32)
    """
    if axis is not None:
        axis = checked(axis, x, "mean")
    return xp.mean(x, axis=axis, keepdims=keepdims)


def _mean_dx(g: Array, axis: Any, keepdims: bool, x_shape: Any) -> Array:
    return broadcast_to(spread(g / (count(x_shape, axis) or 1), axis, keepdims, x_shape), x_shape)


mean.vjp(x=_mean_dx)


@op(lift="floating", saves=("centred",))
def var(xp: Any, x: Array, /, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Mean squared deviation from the mean, over n - correction.   (...) -> (...) without the axes

    >>> import tensorgrad as tg
    >>> tg.var(tg.asarray([1.0, 3.0]))
    Tensor(1., dtype=float32)
    >>> tg.var(tg.asarray([1.0, 3.0]), correction=1)
    Tensor(2., dtype=float32)
    """
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

    >>> import tensorgrad as tg
    >>> x = tg.asarray([2.0, 3.0, 3.0], requires_grad=True)
    >>> tg.max(x).backward()
    >>> x.grad
    Tensor([0. , 0.5, 0.5], dtype=float32)
    """
    return xp.max(x, axis=checked(axis, x, "max"), keepdims=keepdims)


@op
def min(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """The smallest element over axes, all without `axis`.   (...) -> (...) without them

    Elements that tie share the gradient equally.

    >>> import tensorgrad as tg
    >>> tg.min(tg.asarray([[2, 1], [0, 5]]), axis=1)
    Tensor([1, 0])
    """
    return xp.min(x, axis=checked(axis, x, "min"), keepdims=keepdims)


max.vjp(x=_tied)
min.vjp(x=_tied)


# ── products ────────────────────────────────────────────────────────────────────────────────────────────────


@op
def prod(xp: Any, x: Array, /, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """Product over axes, all without `axis`.   (...) -> (...) without them   Right with zeros.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([2.0, 0.0, 3.0], requires_grad=True)
    >>> tg.prod(x).backward()
    >>> x.grad
    Tensor([0., 6., 0.], dtype=float32)
    """
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


# ── logarithms of sums ──────────────────────────────────────────────────────────────────────────────────────


def finite_peak(xp: Any, x: Array, axis: Any) -> Array:
    """The largest element along axes, kept as axes of length 1, with 0 in place of an infinite one."""
    peak = xp.max(x, axis=axis, keepdims=True)
    return xp.where(xp.isfinite(peak), peak, xp.zeros_like(peak))


@op(lift="floating")
def logsumexp(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) over axes, without overflow.   (...) -> (...) without them

    >>> import tensorgrad as tg
    >>> tg.logsumexp(tg.asarray([1000.0, 1000.0], dtype=tg.float64))
    Tensor(1000.69314718, dtype=float64)
    """
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
    """Whether every element holds.   (...) -> (...) bool

    >>> import tensorgrad as tg
    >>> tg.all(tg.asarray([[True, False], [True, True]]), axis=1)
    Tensor([False,  True])
    """
    return xp.all(x, axis=checked(axis, x, "all"), keepdims=keepdims)


@op
def any(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """Whether some element holds.   (...) -> (...) bool

    >>> import tensorgrad as tg
    >>> tg.any(tg.asarray([[False, False], [True, False]]), axis=1)
    Tensor([False,  True])
    """
    return xp.any(x, axis=checked(axis, x, "any"), keepdims=keepdims)


@op
def argmax(xp: Any, x: Array, /, axis: int | None = None, keepdims: bool = False) -> Array:
    """The place of the largest element, the first of equals.   (...) -> (...) int64

    >>> import tensorgrad as tg
    >>> tg.argmax(tg.asarray([[1, 9, 9], [5, 2, 3]]), axis=1)
    Tensor([1, 0])
    """
    return xp.argmax(x, axis=checked(axis, x, "argmax"), keepdims=keepdims)


@op
def argmin(xp: Any, x: Array, /, axis: int | None = None, keepdims: bool = False) -> Array:
    """The place of the smallest element, the first of equals.   (...) -> (...) int64

    >>> import tensorgrad as tg
    >>> tg.argmin(tg.asarray([3.0, 1.0, 2.0])).item()
    1
    """
    return xp.argmin(x, axis=checked(axis, x, "argmin"), keepdims=keepdims)


@op
def count_nonzero(xp: Any, x: Array, /, axis: Axis = None, keepdims: bool = False) -> Array:
    """How many elements are not 0.   (...) -> (...) int64

    >>> import tensorgrad as tg
    >>> tg.count_nonzero(tg.asarray([0.0, 2.0, -1.0])).item()
    2
    """
    return xp.astype(xp.count_nonzero(x, axis=checked(axis, x, "count_nonzero"), keepdims=keepdims), xp.int64)
