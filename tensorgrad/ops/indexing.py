"""Elements by their places: indexing, its adjoint add_at, take, and functional writes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from tensorgrad.backend import Array, is_array, move, raises_later, to_numpy
from tensorgrad.backend.cuda import index_flag
from tensorgrad.ops.arrays import arange, device_of, floating
from tensorgrad.ops.elementwise import astype
from tensorgrad.ops.shape import expand_dims, flatten, normal_axes, reshape
from tensorgrad.primitive import op
from tensorgrad.tape import Traced, is_recording


def array_of(x: Any) -> Any:
    """The array of a tensor; anything else as it is."""
    return x.data if isinstance(x, Traced) else x


def wrapped_as(x: Any, array: Array) -> Any:
    """An array as x is: a tensor, not recorded, where x is one."""
    if not isinstance(x, Traced):
        return array
    tensor = x.plain.__new__(x.plain)  # type: ignore[attr-defined]
    tensor.data, tensor.record, tensor.grad = array, None, None
    return tensor


def like(x: Any, values: Any) -> Any:
    """Values in host memory as x is: on its device, and a tensor where x is one."""
    return wrapped_as(x, move(values, device_of(x)))


def as_key(key: Any) -> Any:
    """An index as the op keeps it: tensors in it replaced by their arrays, lists by index arrays.

    An ndarray is copied while recording: a shuffle of it before the sweep would send the gradient elsewhere.
    """
    if isinstance(key, tuple):
        return tuple([as_key(each) for each in key])
    if isinstance(key, Traced):
        key = key.data
    elif type(key) is np.ndarray and is_recording():
        key = key.copy()
    elif isinstance(key, list):
        key = np.asarray(key, dtype=np.int64 if not key else None)
    if is_array(key) and key.dtype.kind not in "biu":
        raise IndexError(f"an index array holds integers or booleans, not {key.dtype}; use astype first")
    return key


def flat_places(key: Any, shape: tuple[int, ...]) -> Any:
    """The flat positions that an index names in an array of this shape, in host memory, in the shape of x[key]."""
    parts = key if isinstance(key, tuple) else (key,)
    host = tuple([to_numpy(each) if is_array(each) else each for each in parts])
    return np.arange(prod(shape), dtype=np.int64).reshape(shape)[host]


@op(linear=True)
def getitem(xp: Any, x: Array, key: Any) -> Array:
    """x[key] by NumPy's rules: slices, integers, None, ..., integer and boolean arrays.   (...) -> (...)"""
    places = flat_places(key, tuple(x.shape))
    index = xp.asarray(np.ravel(places).tolist(), dtype=xp.int64, device=x.device)
    return xp.reshape(xp.take(xp.reshape(x, (-1,)), index, axis=0), places.shape)


@op(linear=True)
def add_at(xp: Any, values: Array, key: Any, shape: Any) -> Array:
    """Zeros, and the values added where x[key] would read them; repeated places sum.   (...) -> shape

    The adjoint of x[key]. The sum over a repeated place is always taken in the same order.
    """
    places = flat_places(key, tuple(shape))
    flat = xp.reshape(xp.broadcast_to(values, places.shape), (-1, 1))
    index = xp.asarray(np.ravel(places).tolist(), dtype=xp.int64, device=values.device)
    hot = xp.expand_dims(index, axis=0) == xp.expand_dims(
        xp.arange(prod(shape), dtype=xp.int64, device=values.device), axis=1
    )
    return xp.reshape(xp.matmul(xp.astype(hot, values.dtype), flat), tuple(shape))


getitem.vjp(x=lambda g, key, x_shape: add_at(g, key, x_shape))
add_at.vjp(values=lambda g, key: getitem(g, key))


@op(lift="operands")
def setitem(xp: Any, x: Array, value: Array, key: Any) -> Array:
    """A copy of x with x[key] = value.   (...), (...) -> (...)

    Where a place is named twice the last value stands, and only it has a gradient.
    """
    places = flat_places(key, tuple(x.shape))
    taken, source = survivors(places)
    if not hasattr(value, "dtype"):
        value = xp.full((), value, dtype=x.dtype, device=x.device)
    flat = xp.reshape(xp.broadcast_to(xp.astype(value, x.dtype), places.shape), (-1,))
    size = prod(x.shape)
    written = np.zeros(size, bool)
    written[taken] = True
    order = np.arange(size)
    order[taken] = size + source
    both = xp.concat([xp.reshape(x, (-1,)), flat], axis=0)
    index = xp.asarray(order.tolist(), dtype=xp.int64, device=x.device)
    return xp.reshape(xp.take(both, index, axis=0), tuple(x.shape))


def survivors(places: Any) -> tuple[Any, Any]:
    """The distinct flat places written, and for each the number of the last value written there."""
    flat = places.reshape(-1)
    taken, first_from_the_end = np.unique(flat[::-1], return_index=True)
    return taken, flat.size - 1 - first_from_the_end


def _setitem_dvalue(g: Array, key: Any, x_shape: Any) -> Array:
    read = getitem(g, key)
    places = flat_places(key, tuple(x_shape))
    _, source = survivors(places)
    if source.size == places.size:
        return read
    stands = np.zeros(places.size, bool)
    stands[source] = True
    return multiply_by(read, stands.reshape(places.shape))


def multiply_by(x: Array, mask: Any) -> Array:
    """x where a mask in host memory holds, 0 elsewhere."""
    index = np.flatnonzero(mask)
    flat = flatten(x)
    return reshape(add_at(getitem(flat, (index,)), (index,), (mask.size,)), tuple(mask.shape))


setitem.vjp(x=lambda g, key: setitem(g, 0.0, key), value=_setitem_dvalue)


# ── the standard's own ──────────────────────────────────────────────────────────────────────────────────────


@op(linear=True)
def take(xp: Any, x: Array, indices: Array, /, *, axis: int | None = None) -> Array:
    """The slices of x that the indices name, along one axis.   (.., n, ..), (k,) int -> (.., k, ..)

    The axis may be left out for a 1-D x. Raises IndexError for an index that is not there.

    >>> import tensorgrad as tg
    >>> tg.take(tg.asarray([[1, 2], [3, 4]]), tg.asarray([1, 0, 1]), axis=0)
    Tensor([[3, 4],
            [1, 2],
            [3, 4]])
    """
    if axis is None:
        if len(x.shape) != 1:
            raise ValueError(f"take: an axis must be named for an array of {len(x.shape)} axes")
        axis = 0
    axis = normal_axes(axis, len(x.shape), "take")[0]
    if len(indices.shape) == 1:
        return xp.take(x, indices, axis=axis)
    taken = xp.take(x, xp.reshape(indices, (-1,)), axis=axis)
    return xp.reshape(taken, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


def _take_dx(g: Array, indices: Array, axis: int | None, x_shape: Any) -> Array:
    before = (slice(None),) * (0 if axis is None else axis % len(x_shape))
    return add_at(g, (*before, array_of(indices)), x_shape)


take.vjp(x=_take_dx)


@op(linear=True)
def take_along_axis(xp: Any, x: Array, indices: Array, /, *, axis: int = -1) -> Array:
    """For each place, the element of its line that the index names.   (.., n, ..), (.., k, ..) int -> (.., k, ..)

    Shapes agree, or broadcast, on all axes but one.

    >>> import tensorgrad as tg
    >>> x = tg.asarray([[3, 1, 2]])
    >>> tg.take_along_axis(x, tg.argsort(x))
    Tensor([[1, 2, 3]])
    """
    return xp.take_along_axis(x, indices, axis=axis)


def _take_along_dx(g: Array, indices: Array, axis: int, x_shape: Any) -> Array:
    return add_at(g, grid_key(array_of(indices), axis, x_shape), x_shape)


def grid_key(indices: Any, axis: int, shape: Any) -> tuple[Any, ...]:
    """take_along_axis(x, indices) as an index: x[key]."""
    axis %= len(shape)

    def along(place: int, size: int) -> Any:
        """All places of another axis; where x has one and the indices have more, that one again and again."""
        places = np.arange(max(size, indices.shape[place])) % max(size, 1)
        return places.reshape([len(places) if k == place else 1 for k in range(len(shape))])

    return tuple([indices if place == axis else along(place, size) for place, size in enumerate(shape)])


take_along_axis.vjp(x=_take_along_dx)


# ── compositions ────────────────────────────────────────────────────────────────────────────────────────────


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis.   (.., n, ..) -> n x (...)

    >>> import tensorgrad as tg
    >>> [float(each) for each in tg.unstack(tg.asarray([1.0, 2.0]))]
    [1.0, 2.0]
    """
    axis = normal_axes(axis, len(x.shape), "unstack")[0]
    return tuple(_slices(x, (slice(None),) * axis, x.shape[axis]))


def _slices(x: Any, before: tuple[slice, ...], count: int) -> list[Any]:
    # The gradient of a slice is as large as what it was cut from, and n of those would be added up for n slices. Cut in
    # halves first, they are log n arrays of the size of x: steps of a recurrent layer take half of the time.
    if count <= 4:
        return [getitem(x, (*before, place)) for place in range(count)]
    middle = count // 2
    halves = ((slice(middle), middle), (slice(middle, None), count - middle))
    return [each for part, size in halves for each in _slices(getitem(x, (*before, part)), before, size)]


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Any:
    """Each element repeated; `repeats` is a number, or one per element.   (.., n, ..) -> (.., total, ..)

    >>> import tensorgrad as tg
    >>> tg.repeat(tg.asarray([1.0, 2.0]), 2)
    Tensor([1., 1., 2., 2.], dtype=float32)
    """
    if axis is None:
        x, axis = flatten(x), 0
    axis = normal_axes(axis, len(x.shape), "repeat")[0]
    counts = to_numpy(array_of(repeats)) if not isinstance(repeats, int) else repeats
    if np.size(counts) not in (1, x.shape[axis]):
        raise ValueError(
            f"repeat: {np.size(counts)} counts were given for an axis of length {x.shape[axis]}; give one for each, or "
            "one for all"
        )
    places = np.repeat(np.arange(x.shape[axis]), counts)
    return getitem(x, (*(slice(None),) * axis, places))


def embedding(indices: Any, weight: Any, /) -> Any:
    """Rows of a table: weight[indices].   (...) int, (n, d) -> (..., d)

    The gradient of a row is the sum over all places that name it, always in the same order.
    Raises IndexError for an index outside the table, TypeError for indices that are not integers.

    >>> import tensorgrad as tg
    >>> tg.embedding(tg.asarray([1, 1]), tg.asarray([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[3., 4.],
            [3., 4.]], dtype=float32)
    """
    raw = array_of(indices)
    if not hasattr(raw, "dtype") or raw.dtype.kind not in "iu":
        raise TypeError(f"embedding: indices must be integers, got {getattr(raw, 'dtype', type(raw).__name__)}")
    check_range(raw, weight.shape[0], "embedding")
    return getitem(weight, (raw,))


def check_range(indices: Array, size: int, what: str) -> None:
    """Raise IndexError, naming the op, the worst index and the size, for an index that is out of range.

    On a GPU it is raised later, when the host waits.
    """
    if raises_later(indices):
        index_flag.note(indices, size)
        return
    host = to_numpy(indices)
    if host.size and not (-size <= host.min() and host.max() < size):
        worst = host.min() if host.min() < -size else host.max()
        raise IndexError(
            f"{what}: index {int(worst)} is out of bounds for an axis of length {size}; the last index is {size - 1}"
        )


def one_hot(indices: Any, num_classes: int, /, *, dtype: Any = None) -> Any:
    """1 at the place each index names, 0 elsewhere.   (...) int -> (..., num_classes)

    >>> import tensorgrad as tg
    >>> tg.one_hot(tg.asarray([1, 0]), 2)
    Tensor([[0., 1.],
            [1., 0.]], dtype=float32)
    """
    check_range(array_of(indices), num_classes, "one_hot")
    classes = arange(num_classes, dtype=array_of(indices).dtype, device=device_of(indices))
    return astype(expand_dims(indices, axis=-1) == classes, floating(dtype))
