"""Values brought together by an index: sums at places, sums over segments, counts and histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend import Array, get_default_dtype, is_floating, move, raises_later, to_numpy
from tensorgrad.backend.cuda import index_flag
from tensorgrad.ops.arithmetic import divide
from tensorgrad.ops.arrays import device_of
from tensorgrad.ops.elementwise import astype, maximum, ones_like
from tensorgrad.ops.indexing import add_at, array_of, check_range, getitem, like, take
from tensorgrad.ops.reduction import sum
from tensorgrad.ops.shape import flatten, normal_axes, reshape
from tensorgrad.primitive import op
from tensorgrad.tape import Traced, is_recording


def _whole(index: Any, what: str, name: str) -> Any:
    """The values of an index, in host memory unless a GPU has them. Raises TypeError where they are no integers."""
    raw = array_of(index)
    if not hasattr(raw, "dtype") or raw.dtype.kind not in "iu":
        raise TypeError(f"{what}: {name} must be integers, got {getattr(raw, 'dtype', type(raw).__name__)}")
    return raw if raises_later(raw) else to_numpy(raw)


def scatter_add(x: Any, axis: int, index: Any, src: Any, /) -> Any:
    """x, and each element of src added at the place along an axis that index names.   (...), (...) int, (...) -> (...)

    Element (i, j, k) of src goes, for axis 1, to (i, index[i, j, k], k). index may be shorter than src on any axis, and
    than x on all but `axis`; what of src is beyond it is left out. Values that meet at a place are summed.
    Raises IndexError for a place that is not there, ValueError for shapes that do not belong together, TypeError for
    an index that is not of integers.

    >>> import tensorgrad as tg
    >>> tg.scatter_add(tg.zeros(3), 0, tg.asarray([2, 2]), tg.asarray([1.0, 4.0]))
    Tensor([0., 0., 5.], dtype=float32)
    """
    places = _whole(index, "scatter_add", "the index")
    shape, given = tuple(x.shape), tuple(src.shape)
    axis = normal_axes(axis, len(shape), "scatter_add")[0]
    if not len(shape) == places.ndim == len(given):
        raise ValueError(
            f"scatter_add: x, index and src have as many axes each, got the shapes {shape}, {places.shape}, {given}"
        )
    for place, size in enumerate(places.shape):
        if size > given[place] or (place != axis and size > shape[place]):
            raise ValueError(
                f"scatter_add: the index {places.shape} is longer on axis {place} than src {given} or x {shape}"
            )
    check_range(places, shape[axis], "scatter_add")
    key: list[Any] = list(np.ogrid[tuple(slice(size) for size in places.shape)])
    key[axis] = places
    if given != places.shape:
        src = getitem(src, tuple(slice(size) for size in places.shape))
    return x + add_at(src, tuple(key), shape)


# ── segments ────────────────────────────────────────────────────────────────────────────────────────────────


def _segments(x: Any, segment_ids: Any, num_segments: int | None, what: str) -> tuple[Any, int]:
    """The number of the segment of each row, in host memory unless a GPU has them, and how many there are."""
    ids = _whole(segment_ids, what, "segment_ids")
    if ids.ndim != 1 or not len(x.shape) or x.shape[0] != ids.size:
        raise ValueError(
            f"{what}: x of shape {tuple(x.shape)} needs a segment number for each of its rows, got {ids.shape}"
        )
    if num_segments is not None and raises_later(ids):
        index_flag.note(ids, num_segments, lowest=0)
        return ids, num_segments
    ids = to_numpy(ids)
    if num_segments is None:
        num_segments = int(ids.max()) + 1 if ids.size else 0
    if ids.size and (ids.min() < 0 or ids.max() >= num_segments):
        worst = ids.min() if ids.min() < 0 else ids.max()
        raise IndexError(f"{what}: there is no segment {int(worst)} among {num_segments}, numbered from 0")
    return ids, num_segments


def segment_sum(x: Any, segment_ids: Any, num_segments: int | None = None) -> Any:
    """The sum of the rows of each segment; 0 for one without rows.   (n, ...), (n,) int -> (num_segments, ...)

    segment_ids: the number of the segment that each row belongs to, in any order. num_segments: one more than the
    largest number unless given. Raises IndexError for a segment that is not there.

    >>> import tensorgrad as tg
    >>> tg.segment_sum(tg.asarray([1.0, 2.0, 4.0]), tg.asarray([0, 1, 0]))
    Tensor([5., 2.], dtype=float32)
    """
    ids, num_segments = _segments(x, segment_ids, num_segments, "segment_sum")
    return add_at(x, ids, (num_segments, *x.shape[1:]))


def segment_mean(x: Any, segment_ids: Any, num_segments: int | None = None) -> Any:
    """The mean of the rows of each segment; 0 for one without rows.   (n, ...), (n,) int -> (num_segments, ...)

    segment_ids: the number of the segment that each row belongs to, in any order. num_segments: one more than the
    largest number unless given. Raises IndexError for a segment that is not there.

    >>> import tensorgrad as tg
    >>> tg.segment_mean(tg.asarray([1.0, 2.0, 4.0]), tg.asarray([0, 1, 0]))
    Tensor([2.5, 2. ], dtype=float32)
    """
    ids, num_segments = _segments(x, segment_ids, num_segments, "segment_mean")
    total = add_at(x, ids, (num_segments, *x.shape[1:]))
    if raises_later(ids):
        sizes = maximum(add_at(ones_like(ids), ids, (num_segments,)), 1)
    else:
        sizes = move(np.maximum(np.bincount(ids, minlength=num_segments), 1), device_of(x))
    return divide(total, reshape(sizes, (num_segments,) + (1,) * (len(x.shape) - 1)))


def segment_max(x: Any, segment_ids: Any, num_segments: int | None = None) -> Any:
    """The largest of the rows of each segment, elementwise.   (n, ...), (n,) int -> (num_segments, ...)

    A segment without rows has minus infinity, or the smallest integer. Rows that tie share the gradient equally.
    segment_ids: the number of the segment that each row belongs to, in any order. num_segments: one more than the
    largest number unless given. Raises IndexError for a segment that is not there.

    >>> import tensorgrad as tg
    >>> tg.segment_max(tg.asarray([1.0, 2.0, 4.0]), tg.asarray([0, 1, 0]))
    Tensor([4., 2.], dtype=float32)
    """
    ids, num_segments = _segments(x, segment_ids, num_segments, "segment_max")
    return largest_of_segments(x, move(ids, device_of(x)), num_segments)


@op
def largest_of_segments(xp: Any, x: Array, segment_ids: Array, num_segments: int) -> Array:
    """The largest of the rows of each segment, -inf without rows.   (n, ...), (n,) int -> (num_segments, ...)"""
    if xp.isdtype(x.dtype, "complex floating"):
        raise TypeError("complex numbers have no order")
    lowest = -xp.inf if xp.isdtype(x.dtype, "real floating") else int(xp.iinfo(x.dtype).min)
    none = xp.full((num_segments, 1, *x.shape[1:]), lowest, dtype=x.dtype, device=x.device)
    numbers = xp.arange(num_segments, dtype=segment_ids.dtype, device=x.device)
    belongs = xp.expand_dims(numbers, axis=1) == xp.expand_dims(segment_ids, axis=0)
    belongs = xp.reshape(belongs, (*belongs.shape, *(1,) * (len(x.shape) - 1)))
    rows = xp.where(belongs, xp.expand_dims(x, axis=0), none)
    return xp.max(xp.concat([none, rows], axis=1), axis=1)


def _largest_of_segments_dx(g: Array, x: Array, out: Array, segment_ids: Array, num_segments: int) -> Array:
    best = astype(x == take(out, segment_ids, axis=0), out.dtype)
    ties = add_at(best, array_of(segment_ids), out.shape)
    ties = ties + astype(ties == 0.0, ties.dtype)  # a NaN equals nothing
    return take(g / ties, segment_ids, axis=0) * best


largest_of_segments.vjp(x=_largest_of_segments_dx)


# ── counts ──────────────────────────────────────────────────────────────────────────────────────────────────


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each number from 0 occurs, or the sum of its weights.   (n,) int[, (n,)] -> (k,)

    k is one more than the largest number, and minlength at least. The gradient goes to the weights.
    Raises ValueError for numbers below 0 and for weights in another shape.

    >>> import tensorgrad as tg
    >>> tg.bincount(tg.asarray([0, 2, 2]))
    Tensor([1, 0, 2])
    """
    numbers = to_numpy(_whole(x, "bincount", "the numbers"))
    if numbers.ndim != 1 or (numbers.size and numbers.min() < 0):
        raise ValueError(
            f"bincount: expected a vector of integers from 0, got the shape {numbers.shape}"
            + (f" and a smallest number of {numbers.min()}" if numbers.size else "")
        )
    if weights is not None and tuple(weights.shape) != numbers.shape:
        raise ValueError(f"bincount: {numbers.size} numbers need as many weights, got the shape {tuple(weights.shape)}")
    size = max(int(numbers.max()) + 1 if numbers.size else 0, minlength)
    if weights is None:
        weights = ones_like(x, dtype=np.dtype("int64"))
    return add_at(weights, numbers, (size,))


def histogram(
    x: Any,
    bins: Any = 10,
    *,
    range: tuple[float, float] | None = None,
    weight: Any = None,
    density: bool = False,
) -> tuple[Any, Any]:
    """How many elements lie in each of several bins, and the bins' edges.   (...) -> (bins,), (bins + 1,)

    bins: how many of equal width there are, over `range`, or else from the smallest element to the largest; or a
    vector of rising edges. A bin has its lower edge in it, the last one both. Elements outside count nowhere.
    weight: what each element counts, 1 by default; the gradient goes to it. density: divide by the total and by the
    widths, so that the integral is 1.
    There is no gradient with respect to x: raises TypeError where it requires one. Raises ValueError for edges that
    fall, for no bins, and for a range that is not finite.

    >>> import tensorgrad as tg
    >>> counts, edges = tg.histogram(tg.asarray([1.0, 2.0, 2.5, 3.0]), bins=2)
    >>> counts, edges
    (Tensor([1, 3]), Tensor([1., 2., 3.], dtype=float32))
    """
    if isinstance(x, Traced) and x.record is not None and is_recording():
        raise TypeError(
            "histogram has no gradient with respect to x, and x requires one; pass x.detach(), or call it under "
            "tensorgrad.no_grad()"
        )
    values = to_numpy(array_of(x)).reshape(-1)
    edges = _edges(values, bins, range)
    places = np.searchsorted(edges, values, side="right") - 1
    places = np.where(values == edges[-1], edges.size - 2, places)
    inside = np.flatnonzero((places >= 0) & (places < edges.size - 1))
    if weight is not None and tuple(weight.shape) != tuple(x.shape):
        raise ValueError(
            f"histogram: x of shape {tuple(x.shape)} needs weights of that shape, got {tuple(weight.shape)}"
        )
    counted = flatten(ones_like(x, dtype=np.dtype("int64")) if weight is None else weight)
    counts = add_at(getitem(counted, (inside,)), places[inside], (edges.size - 1,))
    where = like(x, edges if edges.dtype == array_of(x).dtype else edges.astype(get_default_dtype()))
    if not density:
        return counts, where
    floating = counts if is_floating(counts.dtype) else astype(counts, edges.dtype)
    return floating / sum(floating) / like(x, np.diff(edges).astype(where.dtype)), where


def _edges(values: Any, bins: Any, range: tuple[float, float] | None) -> Any:
    """The edges of a histogram's bins, in host memory."""
    dtype = values.dtype if is_floating(values.dtype) else np.dtype("float64")
    if isinstance(bins, (int, np.integer)):
        if bins < 1:
            raise ValueError(f"histogram: expected at least one bin, got {bins}")
        if range is None:
            range = (values.min(), values.max()) if values.size else (0.0, 1.0)
        low, high = (float(each) for each in range)
        if not (np.isfinite(low) and np.isfinite(high) and low <= high):
            raise ValueError(
                f"histogram: the range from {low} to {high} has no bins of equal width; give finite bounds"
            )
        if low == high:
            low, high = low - 0.5, high + 0.5
        return np.linspace(low, high, bins + 1, dtype=dtype)
    edges = np.asarray(to_numpy(array_of(bins)))
    if edges.ndim != 1 or edges.size < 2 or np.any(edges[1:] < edges[:-1]):
        raise ValueError(f"histogram: the edges must be a vector of two or more that never falls, got {edges.tolist()}")
    return edges


__all__ = ["bincount", "histogram", "scatter_add", "segment_max", "segment_mean", "segment_sum"]
