"""Order: sorting, the elements at given ranks, the distinct ones, and where things are."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from tensorgrad.backend import Array, get_default_dtype, is_floating, to_numpy
from tensorgrad.ops.elementwise import astype, isnan, where
from tensorgrad.ops.indexing import array_of, getitem, like, take, take_along_axis
from tensorgrad.ops.shape import flatten, moveaxis, normal_axes, permute_dims, reshape
from tensorgrad.primitive import op
from tensorgrad.tape import Traced

Axis = int | tuple[int, ...] | None


def _refuse_complex(xp: Any, x: Array) -> None:
    if xp.isdtype(x.dtype, "complex floating"):
        raise TypeError("complex numbers have no order")


@op
def argsort(xp: Any, x: Array, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The order that sorts x along an axis; equals keep theirs.   (...) -> (...) int64

    >>> import tensorgrad as tg
    >>> tg.argsort(tg.asarray([3.0, 1.0, 2.0]))
    Tensor([1, 2, 0])
    """
    _refuse_complex(xp, x)
    axis = normal_axes(axis, len(x.shape), "argsort")[0]
    if not descending:
        return xp.argsort(x, axis=axis, stable=stable)
    # Equal elements keep their order: sort the reversed array upwards, then count from the other end.
    last = x.shape[axis] - 1
    return last - xp.flip(xp.argsort(xp.flip(x, axis=axis), axis=axis, stable=stable), axis=axis)


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """The elements in order along an axis.   (...) -> (...)   The gradient goes back to where each came from.

    NaN counts as the largest. Raises TypeError for complex numbers.

    >>> import tensorgrad as tg
    >>> tg.sort(tg.asarray([2.0, 1.0]))
    Tensor([1., 2.], dtype=float32)
    """
    order = argsort(x, axis=axis, descending=descending, stable=stable)
    return take_along_axis(x, order, axis=axis)


def topk(x: Any, k: int, /, axis: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Any, Any]:
    """The k largest (or smallest) elements along an axis, and their places.   (.., n, ..) -> 2 x (.., k, ..)

    They come in order, the best first, whether `sorted` asks for it or not; equals in the order of their places. NaN
    counts as the largest. Raises ValueError for a k below 0 or above n.

    >>> import tensorgrad as tg
    >>> tg.topk(tg.asarray([1.0, 3.0, 2.0]), 2)
    (Tensor([3., 2.], dtype=float32), Tensor([1, 2]))
    """
    axis = normal_axes(axis, len(x.shape), "topk")[0]
    if not 0 <= k <= x.shape[axis]:
        raise ValueError(f"topk: k is {k}, but axis {axis} of the shape {tuple(x.shape)} has {x.shape[axis]} elements")
    order = argsort(x, axis=axis, descending=largest)
    places = order[(*(slice(None),) * axis, slice(None, k), ...)]
    return take_along_axis(x, places, axis=axis), places


@op
def searchsorted(xp: Any, x1: Array, x2: Array, /, *, side: str = "left", sorter: Array = None) -> Array:
    """Where each x2 belongs in the sorted x1.   (n,), (...) -> (...) int64

    >>> import tensorgrad as tg
    >>> tg.searchsorted(tg.asarray([1.0, 2.0, 3.0]), tg.asarray([0.5, 2.0]))
    Tensor([0, 1])
    """
    if len(x1.shape) != 1:
        raise ValueError(f"searchsorted: x1 must be sorted values along one axis, got the shape {tuple(x1.shape)}")
    return xp.searchsorted(x1, x2, side=side, sorter=sorter)


# ── ranks ───────────────────────────────────────────────────────────────────────────────────────────────────

INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(x: Any, q: Any, /, axis: Axis = None, keepdims: bool = False, *, interpolation: str = "linear") -> Any:
    """What a share q of the elements is not above, over axes, all without `axis`.   (...), () or (k,) -> (k, ...)

    q: a number from 0 to 1, or a vector of them, whose axis comes first in the result; its rank is q (n - 1).
    interpolation: between the two elements around that rank, "linear", or their "midpoint", the "lower", the "higher"
    or the "nearest" one. The gradient goes to those elements, and with "linear" to q. Where a NaN is among the
    elements the result is NaN and the gradient 0.
    Raises ValueError for q outside 0 to 1, for no elements and for another word; TypeError for complex numbers.

    >>> import tensorgrad as tg
    >>> tg.quantile(tg.asarray([1.0, 2.0, 4.0]), 0.75)
    Tensor(3., dtype=float32)
    """
    if interpolation not in INTERPOLATIONS:
        allowed = ", ".join(map(repr, INTERPOLATIONS))
        raise ValueError(f"quantile: interpolation is {interpolation!r}; it may be {allowed}")
    return _at_shares(x, q, axis, keepdims, interpolation, "quantile")


def _at_shares(x: Any, q: Any, axis: Axis, keepdims: bool, interpolation: str, what: str) -> Any:
    """The quantiles, for whoever asked for them."""
    shares = np.asarray(to_numpy(array_of(q)), dtype=np.float64)
    if shares.ndim > 1 or not np.all((shares >= 0) & (shares <= 1)):
        raise ValueError(f"quantile: q is a number from 0 to 1 or a vector of them, got {shares.tolist()}")
    lines = _lines(x, axis, what)
    n = lines.shape[-1]
    ordered = sort(lines)
    ranks = shares * (n - 1)
    below, above = np.floor(ranks), np.ceil(ranks)
    if interpolation == "nearest":
        below = above = np.round(ranks)
    lower = _at_ranks(ordered, above if interpolation == "higher" else below)
    result = lower
    if interpolation in ("linear", "midpoint"):
        upper = _at_ranks(ordered, above)
        result = lower + (upper - lower) * (0.5 if interpolation == "midpoint" else _weight(q, below, n, lines))
    last = getitem(ordered, (..., slice(-1, None) if shares.ndim else -1))
    result = where(isnan(last), np.nan, result)
    if keepdims:
        result = reshape(result, (*_ones_at(x, axis), *shares.shape))
    return moveaxis(result, -1, 0) if shares.ndim else result


def _at_ranks(ordered: Any, ranks: Any) -> Any:
    return getitem(ordered, (..., ranks.astype(np.int64) if ranks.ndim else int(ranks)))


def _lines(x: Any, axis: Axis, what: str) -> Any:
    """The elements that are reduced together along a last axis, after the other axes."""
    if array_of(x).dtype.kind == "c":
        raise TypeError(f"{what}: complex numbers have no order")
    axes = normal_axes(axis, len(x.shape), what)
    rest = [place for place in range(len(x.shape)) if place not in axes]
    shape = tuple(x.shape[place] for place in rest)
    n = prod(x.shape[place] for place in axes)
    if not n:
        raise ValueError(f"{what}: no elements to choose from along axis {axis} of the shape {tuple(x.shape)}")
    x = x if is_floating(array_of(x).dtype) else astype(x, get_default_dtype())
    return reshape(permute_dims(x, (*rest, *axes)), (*shape, n))


def _ones_at(x: Any, axis: Axis) -> tuple[int, ...]:
    axes = normal_axes(axis, len(x.shape), "quantile")
    return tuple(1 if place in axes else size for place, size in enumerate(x.shape))


def _weight(q: Any, below: Any, n: int, lines: Any) -> Any:
    """How far the rank of q is above the one below, recorded where q is."""
    if isinstance(q, Traced):
        return astype(q, lines.dtype) * (n - 1) - like(array_of(lines), below.astype(lines.dtype))
    return like(array_of(lines), (np.asarray(to_numpy(q), np.float64) * (n - 1) - below).astype(lines.dtype))


def median(x: Any, /, axis: Axis = None, keepdims: bool = False) -> Any:
    """The middle element over axes, all without `axis`.   (...) -> (...) without them

    Where two are in the middle, their mean, as NumPy has it; PyTorch's is the lower of the two, `quantile(x, 0.5,
    interpolation="lower")`. Where a NaN is among the elements the result is NaN and the gradient 0.
    Raises ValueError for no elements, TypeError for complex numbers.

    >>> import tensorgrad as tg
    >>> tg.median(tg.asarray([4.0, 1.0, 2.0]))
    Tensor(2., dtype=float32)
    """
    return _at_shares(x, 0.5, axis, keepdims, "midpoint", "median")


# ── distinct elements ───────────────────────────────────────────────────────────────────────────────────────


class UniqueAll(NamedTuple):
    """What `unique_all` finds."""

    values: Any
    indices: Any
    inverse_indices: Any
    counts: Any


class UniqueCounts(NamedTuple):
    """What `unique_counts` finds."""

    values: Any
    counts: Any


class UniqueInverse(NamedTuple):
    """What `unique_inverse` finds."""

    values: Any
    inverse_indices: Any


@op(results=3)
def unique_places(xp: Any, x: Array, /) -> Any:
    """Of distinct elements, the first places, each one's number, the counts.   (...) -> (k,), (...), (k,) int64"""
    found = xp.unique_all(x)
    return tuple([xp.astype(each, xp.int64) for each in (found.indices, found.inverse_indices, found.counts)])


def unique_all(x: Any, /) -> UniqueAll:
    """The distinct elements, and all that is known of them.   (...) -> (k,), (k,), (...), (k,)

    values; indices, where each stands first in the flat x; inverse_indices, which of them each element is; counts.
    The values come in order. Their gradient goes to where each stands first. Each NaN is a value of its own.

    >>> import tensorgrad as tg
    >>> tg.unique_all(tg.asarray([2, 1, 2])).counts
    Tensor([1, 2])
    """
    indices, inverse, counts = unique_places(x)
    return UniqueAll(take(flatten(x), indices), indices, inverse, counts)


def unique_counts(x: Any, /) -> UniqueCounts:
    """The distinct elements, and how often each is.   (...) -> values (k,), counts (k,)

    The values come in order. Their gradient goes to where each stands first. Each NaN is a value of its own.

    >>> import tensorgrad as tg
    >>> tg.unique_counts(tg.asarray([2, 1, 2])).values
    Tensor([1, 2])
    """
    indices, _, counts = unique_places(x)
    return UniqueCounts(take(flatten(x), indices), counts)


def unique_inverse(x: Any, /) -> UniqueInverse:
    """The distinct elements, and which of them each element is.   (...) -> values (k,), inverse_indices (...)

    The values come in order. Their gradient goes to where each stands first. Each NaN is a value of its own.

    >>> import tensorgrad as tg
    >>> tg.unique_inverse(tg.asarray([2, 1, 2])).inverse_indices
    Tensor([1, 0, 1])
    """
    indices, inverse, _ = unique_places(x)
    return UniqueInverse(take(flatten(x), indices), inverse)


def unique_values(x: Any, /) -> Any:
    """The distinct elements, in order.   (...) -> (k,)

    Their gradient goes to where each stands first. Each NaN is a value of its own.

    >>> import tensorgrad as tg
    >>> tg.unique_values(tg.asarray([2.0, 1.0, 2.0]))
    Tensor([1., 2.], dtype=float32)
    """
    return take(flatten(x), unique_places(x)[0])


@op
def isin(xp: Any, x1: Array, x2: Array, /, *, invert: bool = False) -> Array:
    """Which elements of x1 are among those of x2; with invert, which are not.   (...), (...) -> (...) bool

    >>> import tensorgrad as tg
    >>> tg.isin(tg.asarray([1, 2, 3]), tg.asarray([2, 5]))
    Tensor([False,  True, False])
    """
    if not hasattr(x1, "dtype"):
        found = xp.any(x2 == x1)
    elif not hasattr(x2, "dtype"):
        found = x1 == x2
    else:
        found = xp.any(xp.expand_dims(x1, axis=-1) == xp.reshape(x2, (-1,)), axis=-1)
    return xp.logical_not(found) if invert else found


# ── where things are ────────────────────────────────────────────────────────────────────────────────────────


def nonzero(x: Any, /) -> tuple[Any, ...]:
    """The places of the elements that are not 0, one index tensor per axis.   (...) -> ndim x (k,) int64

    >>> import tensorgrad as tg
    >>> tg.nonzero(tg.asarray([0.0, 2.0, 3.0]))
    (Tensor([1, 2]),)
    """
    if not len(x.shape):
        raise ValueError("nonzero: an array without axes has no places; reshape it to (1,)")
    places = np.nonzero(to_numpy(array_of(x)))
    return tuple([like(x, each.astype(np.int64)) for each in places])
