"""Functions known by samples: interpolation, integrals, differences and convolution along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend import Array, to_numpy
from tensorgrad.ops.elementwise import isnan, ones_like, where
from tensorgrad.ops.indexing import add_at, array_of, getitem
from tensorgrad.ops.reduction import sum
from tensorgrad.ops.scan import along, cumulative_sum
from tensorgrad.ops.shape import concat, flip, normal_axes, reshape
from tensorgrad.ops.sorting import searchsorted
from tensorgrad.primitive import op

MODES = ("full", "same", "valid")


def _part(x: Any, axis: int, start: int | None, stop: int | None) -> Any:
    return getitem(x, along(axis, slice(start, stop)))


def diff(x: Any, /, *, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along an axis, taken n times.   (.., k, ..) -> (.., k - n, ..)

    prepend, append: what stands before and after x on that axis. Raises ValueError for an n below 0.

    >>> import tensorgrad as tg
    >>> tg.diff(tg.asarray([1.0, 4.0, 9.0]))
    Tensor([3., 5.], dtype=float32)
    """
    if n < 0:
        raise ValueError(f"diff: n is {n}; differences are taken 0 times or more")
    axis = normal_axes(axis, len(x.shape), "diff")[0]
    ends = [each for each in (prepend, x, append) if each is not None]
    x = concat(ends, axis=axis) if len(ends) > 1 else x
    for _ in range(n):
        x = _part(x, axis, 1, None) - _part(x, axis, None, -1)
    return x


# ── integrals ───────────────────────────────────────────────────────────────────────────────────────────────


def _panels(y: Any, x: Any, dx: float, axis: int, what: str) -> tuple[Any, int]:
    """The area between each two neighbours, and the axis counted from 0."""
    axis = normal_axes(axis, len(y.shape), what)[0]
    n = y.shape[axis]
    means = (_part(y, axis, 1, None) + _part(y, axis, None, -1)) * 0.5
    if x is None:
        return means * dx, axis
    if len(x.shape) == 1 and x.shape[0] == n:
        return means * reshape(diff(x), (-1,) + (1,) * (len(y.shape) - axis - 1)), axis
    if tuple(x.shape) != tuple(y.shape):
        raise ValueError(
            f"{what}: x is a vector of the {n} places along axis {axis}, or has the shape of y {tuple(y.shape)}; "
            f"got {tuple(x.shape)}"
        )
    return means * diff(x, axis=axis), axis


def trapezoid(y: Any, x: Any = None, /, *, dx: float = 1.0, axis: int = -1) -> Any:
    """The integral of a function by straight lines between its samples.   (.., n, ..)[, (n,)] -> (.., ..)

    x: where the samples are, a vector, or as many as y has; else they are dx apart. Raises ValueError for places that
    do not belong to the samples.

    >>> import tensorgrad as tg
    >>> tg.trapezoid(tg.asarray([0.0, 1.0, 2.0]), dx=2.0)
    Tensor(4., dtype=float32)
    """
    panels, axis = _panels(y, x, dx, axis, "trapezoid")
    return sum(panels, axis=axis)


def cumulative_trapezoid(y: Any, x: Any = None, /, *, dx: float = 1.0, axis: int = -1) -> Any:
    """The running integral of a function, from the second sample on.   (.., n, ..)[, (n,)] -> (.., n - 1, ..)

    x: where the samples are, a vector, or as many as y has; else they are dx apart. Raises ValueError for places that
    do not belong to the samples.

    >>> import tensorgrad as tg
    >>> tg.cumulative_trapezoid(tg.asarray([0.0, 1.0, 2.0]))
    Tensor([0.5, 2. ], dtype=float32)
    """
    panels, axis = _panels(y, x, dx, axis, "cumulative_trapezoid")
    return cumulative_sum(panels, axis=axis)


# ── derivatives ─────────────────────────────────────────────────────────────────────────────────────────────


def gradient(f: Any, /, *spacing: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """The slopes of a function along each axis, from its samples.   (...) -> (...), or a list of one per axis

    Inside by both neighbours, right to second order also where they are not equally far; at the ends by one side, to
    first order or, with edge_order 2, to second.
    spacing: nothing (1), one number for all axes, or for each axis a number or the vector of its places. axis: one,
    which gives one array, or a tuple of them, in whose order the slopes come.
    Raises ValueError for an axis with fewer than edge_order + 1 samples and for spacings that do not fit the axes.

    >>> import tensorgrad as tg
    >>> tg.gradient(tg.asarray([1.0, 2.0, 4.0, 7.0]))
    Tensor([1. , 1.5, 2.5, 3. ], dtype=float32)
    """
    if edge_order not in (1, 2):
        raise ValueError(f"gradient: edge_order is {edge_order}; it may be 1 or 2")
    axes = normal_axes(axis, len(f.shape), "gradient")
    steps = spacing or (1.0,)
    if len(steps) == 1 and not len(getattr(steps[0], "shape", ())):
        steps = steps * len(axes)
    if len(steps) != len(axes):
        raise ValueError(f"gradient: {len(axes)} axes need one spacing, or {len(axes)}, got {len(spacing)}")
    slopes = [_slopes(f, step, each, edge_order) for step, each in zip(steps, axes, strict=True)]
    return slopes[0] if len(slopes) == 1 else slopes


def _slopes(f: Any, step: Any, axis: int, edge_order: int) -> Any:
    n = f.shape[axis]
    if n < edge_order + 1:
        raise ValueError(
            f"gradient: axis {axis} has {n} samples; edge_order {edge_order} needs {edge_order + 1} or more"
        )
    rises, share = diff(f, axis=axis), 0.5  # the share of the slope after a sample, the one before has the rest
    if not len(getattr(step, "shape", ())):
        rises = rises / step
    else:
        if tuple(step.shape) != (n,):
            raise ValueError(f"gradient: the places along axis {axis} must be {n}, got the shape {tuple(step.shape)}")
        gaps = reshape(diff(step), (-1,) + (1,) * (len(f.shape) - axis - 1))
        rises = rises / gaps
        left, right = _part(gaps, 0, None, -1), _part(gaps, 0, 1, None)
        share = left / (left + right)
    first, last = _part(rises, axis, None, 1), _part(rises, axis, -1, None)
    if n == 2:
        return concat([first, last], axis=axis)
    before, after = _part(rises, axis, None, -1), _part(rises, axis, 1, None)
    inner = before + (after - before) * share
    if edge_order == 2:  # a parabola's slope changes as much before its second sample as after it
        first = first + first - _part(inner, axis, None, 1)
        last = last + last - _part(inner, axis, -1, None)
    return concat([first, inner, last], axis=axis)


# ── between samples ─────────────────────────────────────────────────────────────────────────────────────────


def interp(x: Any, xp: Any, fp: Any, /, left: Any = None, right: Any = None) -> Any:
    """A function at x, by straight lines between its samples fp at the rising places xp.   (...), (n,), (n,) -> (...)

    Before the first sample it is `left`, or the first sample; after the last `right`, or the last sample. The gradient
    goes to x, to xp and to fp; at a sample the slope is that of the line after it, and 0 outside and at the last one.
    Raises ValueError for samples that are not two vectors of one length, or none.

    >>> import tensorgrad as tg
    >>> tg.interp(tg.asarray([0.5, 3.0]), tg.asarray([0.0, 1.0]), tg.asarray([10.0, 20.0]))
    Tensor([15., 20.], dtype=float32)
    """
    if len(xp.shape) != 1 or tuple(xp.shape) != tuple(fp.shape) or not xp.shape[0]:
        raise ValueError(
            f"interp: xp and fp are vectors of one length, at least 1, got {tuple(xp.shape)} and {tuple(fp.shape)}"
        )
    n = xp.shape[0]
    shape = tuple(x.shape)
    x = reshape(x, (-1,))
    after = np.asarray(to_numpy(array_of(searchsorted(xp, x, side="right"))))
    start, end = np.clip(after - 1, 0, n - 1), np.clip(after, 0, n - 1)
    x0, f0 = getitem(xp, (start,)), getitem(fp, (start,))
    width = getitem(xp, (end,)) - x0
    flat = width == 0.0  # before the first sample, and from the last one on
    share = (x - x0) / where(flat, ones_like(width), width)
    rise = getitem(fp, (end,)) - f0
    value = f0 + where(flat, 0.0, share) * rise
    value = where(isnan(x), np.nan, value)
    if left is not None:
        value = where(x < getitem(xp, 0), left, value)
    if right is not None:
        value = where(x > getitem(xp, -1), right, value)
    return reshape(value, shape)


# ── convolution ─────────────────────────────────────────────────────────────────────────────────────────────


def _window(n: int, m: int, mode: str) -> tuple[int, int]:
    """The part of the full convolution that a mode keeps."""
    if mode == "full":
        return 0, n + m - 1
    short, long = sorted((n, m))
    return ((short - 1) // 2, (short - 1) // 2 + long) if mode == "same" else (short - 1, long)


@op(lift="operands", linear=True)
def convolve_vectors(xp: Any, x1: Array, x2: Array, mode: str) -> Array:
    """sum_j x1[i - j] x2[j], the part of it that a mode keeps.   (n,), (m,) -> (k,)"""
    n, m = x1.shape[0], x2.shape[0]
    start, stop = _window(n, m, mode)
    zeros = xp.zeros((m - 1,), dtype=x1.dtype, device=x1.device)
    padded = xp.concat([zeros, x1, zeros], axis=0)
    rows = xp.expand_dims(xp.arange(start, stop, dtype=xp.int64, device=x1.device), axis=1)
    places = rows + xp.expand_dims(xp.arange(m, dtype=xp.int64, device=x1.device), axis=0)
    windows = xp.reshape(xp.take(padded, xp.reshape(places, (-1,)), axis=0), (stop - start, m))
    return xp.matmul(windows, xp.flip(x2, axis=0))


def _convolve_d(g: Array, other: Array, n: int, mode: str) -> Array:
    """The gradient of one vector, of length n: g against the other, where they overlap wholly."""
    m = other.shape[0]
    whole = add_at(g, (slice(*_window(n, m, mode)),), (n + m - 1,))
    return convolve_vectors(whole, flip(other), "valid")


convolve_vectors.vjp(
    x1=lambda g, x2, mode, x1_shape: _convolve_d(g, x2, x1_shape[0], mode),
    x2=lambda g, x1, mode, x2_shape: _convolve_d(g, x1, x2_shape[0], mode),
)


def convolve(x1: Any, x2: Any, /, mode: str = "full") -> Any:
    """sum_j x1[i - j] x2[j], the product of polynomials, of two vectors.   (n,), (m,) -> (k,)

    mode: "full", k = n + m - 1; "same", the middle max(n, m) of these; "valid", the max(n, m) - min(n, m) + 1 where the
    vectors overlap wholly. Raises ValueError for another word, for arrays of other than one axis, and for empty ones.

    >>> import tensorgrad as tg
    >>> tg.convolve(tg.asarray([1.0, 2.0]), tg.asarray([1.0, 1.0]))
    Tensor([1., 3., 2.], dtype=float32)
    """
    if mode not in MODES:
        raise ValueError(f"convolve: mode is {mode!r}; it may be {', '.join(map(repr, MODES))}")
    if len(x1.shape) != 1 or len(x2.shape) != 1 or not (x1.shape[0] and x2.shape[0]):
        raise ValueError(
            f"convolve: expected two vectors with elements, got the shapes {tuple(x1.shape)} and {tuple(x2.shape)}"
        )
    return convolve_vectors(x1, x2, mode)
