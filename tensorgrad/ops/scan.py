"""Running results along an axis: sums, products, extremes, and logarithms of sums."""

from __future__ import annotations

from typing import Any

from tensorgrad.backend import Array
from tensorgrad.ops.analytic import exp
from tensorgrad.ops.elementwise import isfinite, where, zeros_like
from tensorgrad.ops.indexing import take_along_axis
from tensorgrad.ops.shape import concat, flip, normal_axes
from tensorgrad.primitive import op


def scan_axis(x: Array, axis: int | None, what: str) -> int:
    """The axis of a scan, counted from 0. Raises ValueError where it must be named, or is not there."""
    if axis is None:
        if len(x.shape) != 1:
            raise ValueError(f"{what}: an axis must be named for an array of {len(x.shape)} axes")
        return 0
    return normal_axes(axis, len(x.shape), what)[0]


def along(axis: int, part: slice) -> tuple[Any, ...]:
    """The index of a part of one axis, all others whole."""
    return (*(slice(None),) * axis, part, ...)


def _one_start(include_initial: bool, exclusive: bool, what: str) -> bool:
    if include_initial and exclusive:
        raise ValueError(f"{what}: include_initial and exclusive do not go together; name one of them")
    return include_initial or exclusive


@op(linear=True)
def cumulative_sum(
    xp: Any,
    x: Array,
    /,
    *,
    axis: int | None = None,
    dtype: Any = None,
    include_initial: bool = False,
    exclusive: bool = False,
) -> Array:
    """Running sums along an axis; with include_initial, from 0.   (.., n, ..) -> (.., n or n + 1, ..)

    exclusive: each element's sum leaves out the element itself.

    >>> import tensorgrad as tg
    >>> tg.cumulative_sum(tg.asarray([1, 2, 3]))
    Tensor([1, 3, 6])
    >>> tg.cumulative_sum(tg.asarray([1, 2, 3]), include_initial=True)
    Tensor([0, 1, 3, 6])
    """
    axis = scan_axis(x, axis, "cumulative_sum")
    initial = _one_start(include_initial, exclusive, "cumulative_sum")
    result = xp.cumulative_sum(x, axis=axis, dtype=dtype, include_initial=initial)
    return result[along(axis, slice(None, x.shape[axis]))] if exclusive else result


def _cumulative_sum_dx(g: Array, axis: int | None, include_initial: bool, exclusive: bool, x_shape: Any) -> Array:
    axis = 0 if axis is None else axis % len(x_shape)
    if include_initial:
        g = g[along(axis, slice(1, None))]
    return flip(cumulative_sum(flip(g, axis=axis), axis=axis, exclusive=exclusive), axis=axis)


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

    >>> import tensorgrad as tg
    >>> tg.cumulative_prod(tg.asarray([1.0, 2.0, 3.0]))
    Tensor([1., 2., 6.], dtype=float32)
    """
    axis = scan_axis(x, axis, "cumulative_prod")
    initial = _one_start(include_initial, exclusive, "cumulative_prod")
    result = xp.cumulative_prod(x, axis=axis, dtype=dtype, include_initial=initial)
    return result[along(axis, slice(None, x.shape[axis]))] if exclusive else result


def _from_the_end(a: Array, b: Array, axis: int) -> Array:
    """r with r_i = b_i + a_i r_{i+1}, where a is one shorter than b, so that the last r is the last b.

    In log2(n) steps: after the one over d places, b_i holds what 2 d places from i on give, and a_i the product of 2 d.
    """
    n = b.shape[axis]
    for doubling in range((n - 1).bit_length()):
        d = 1 << doubling
        ahead = b[along(axis, slice(None, n - d))] + a * b[along(axis, slice(d, None))]
        b = concat([ahead, b[along(axis, slice(n - d, None))]], axis=axis)
        if 2 * d < n:
            a = a[along(axis, slice(None, n - 2 * d))] * a[along(axis, slice(d, None))]
    return b


def _cumulative_prod_dx(
    g: Array, x: Array, axis: int | None, include_initial: bool, exclusive: bool, x_shape: Any
) -> Array:
    """sum_{k >= i} g_k prod_{j <= k, j != i} x_j, as one pass from the end: r_i = g_i + x_{i+1} r_{i+1}.

    Then dx_i = (prod_{j < i} x_j) r_i, which divides by nothing.
    """
    axis = 0 if axis is None else axis % len(x_shape)
    if not x_shape[axis]:
        return zeros_like(x)
    following = x[along(axis, slice(1, None))]
    if include_initial:
        g = g[along(axis, slice(1, None))]
    elif exclusive:  # element i is in the results after its own place
        g = concat([g[along(axis, slice(1, None))], zeros_like(g[along(axis, slice(0, 1))])], axis=axis)
    return cumulative_prod(x, axis=axis, exclusive=True) * _from_the_end(following, g, axis)


cumulative_prod.vjp(x=_cumulative_prod_dx)


# ── logarithms of sums ──────────────────────────────────────────────────────────────────────────────────────


@op(lift="floating")
def running_logsumexp(xp: Any, x: Array, /, axis: int) -> Array:
    """log(cumulative_sum(exp(x))) along an axis counted from 0.   (.., n, ..) -> (.., n, ..)"""
    n, d = x.shape[axis], 1
    while d < n:
        joined = xp.logaddexp(x[along(axis, slice(d, n))], x[along(axis, slice(0, n - d))])
        x = xp.concat([x[along(axis, slice(0, d))], joined], axis=axis)
        d = 2 * d
    return +x if n < 2 else x


def _running_logsumexp_dx(g: Array, x: Array, out: Array, axis: int) -> Array:
    """sum_{i >= j} g_i exp(x_j - out_i), by way of out_j: no exponent is above 0, because out never falls."""
    if not out.shape[axis]:
        return g
    out = where(isfinite(out), out, zeros_like(out))
    here, following = out[along(axis, slice(None, -1))], out[along(axis, slice(1, None))]
    return exp(x - out) * _from_the_end(exp(here - following), g, axis)


running_logsumexp.vjp(x=_running_logsumexp_dx)


def logcumsumexp(x: Any, /, *, axis: int | None = None) -> Any:
    """log(cumulative_sum(exp(x))) along an axis, without overflow.   (.., n, ..) -> (.., n, ..)

    The axis may be left out for a 1-D x. Minus infinities have gradient 0. Raises TypeError for complex numbers.

    >>> import tensorgrad as tg
    >>> tg.logcumsumexp(tg.asarray([1000.0, 1000.0]))
    Tensor([1000.    , 1000.6932], dtype=float32)
    """
    if x.dtype.kind == "c":
        raise TypeError("logcumsumexp: complex numbers have no order to be stable by; take log(cumulative_sum(exp(x)))")
    return running_logsumexp(x, scan_axis(x, axis, "logcumsumexp"))


# ── running extremes ────────────────────────────────────────────────────────────────────────────────────────


@op
def running_places(xp: Any, x: Array, /, axis: int, largest: bool) -> Array:
    """Where the largest (or smallest) element so far is, the last of equals; a NaN is it.   (...) -> (...) int64"""
    if xp.isdtype(x.dtype, "complex floating"):
        raise TypeError("complex numbers have no order")
    n, d = x.shape[axis], 1
    line = xp.reshape(
        xp.arange(n, dtype=xp.int64, device=x.device), tuple([n if each == axis else 1 for each in range(x.ndim)])
    )
    places = xp.asarray(xp.broadcast_to(line, x.shape), copy=True)
    while d < n:
        first, later = along(axis, slice(0, n - d)), along(axis, slice(d, n))
        wins = x[later] >= x[first] if largest else x[later] <= x[first]
        wins = xp.logical_or(wins, x[later] != x[later])
        start = along(axis, slice(0, d))
        places = xp.concat([places[start], xp.where(wins, places[later], places[first])], axis=axis)
        x = xp.concat([x[start], xp.where(wins, x[later], x[first])], axis=axis)
        d = 2 * d
    return places


def cummax(x: Any, /, *, axis: int | None = None) -> tuple[Any, Any]:
    """The largest element so far along an axis, and where it is.   (.., n, ..) -> (.., n, ..), (.., n, ..) int64

    Among equals the last one counts, and has the gradient. From a NaN on, the result is NaN. The axis may be left out
    for a 1-D x. Raises TypeError for complex numbers.

    >>> import tensorgrad as tg
    >>> tg.cummax(tg.asarray([1.0, 3.0, 2.0]))
    (Tensor([1., 3., 3.], dtype=float32), Tensor([0, 1, 1]))
    """
    axis = scan_axis(x, axis, "cummax")
    places = running_places(x, axis, True)
    return take_along_axis(x, places, axis=axis), places


def cummin(x: Any, /, *, axis: int | None = None) -> tuple[Any, Any]:
    """The smallest element so far along an axis, and where it is.   (.., n, ..) -> (.., n, ..), (.., n, ..) int64

    Among equals the last one counts, and has the gradient. From a NaN on, the result is NaN. The axis may be left out
    for a 1-D x. Raises TypeError for complex numbers.

    >>> import tensorgrad as tg
    >>> tg.cummin(tg.asarray([2.0, 1.0, 3.0]))
    (Tensor([2., 1., 1.], dtype=float32), Tensor([0, 1, 1]))
    """
    axis = scan_axis(x, axis, "cummin")
    places = running_places(x, axis, False)
    return take_along_axis(x, places, axis=axis), places
