"""The same values in another arrangement: reshape, permute, broadcast and its adjoint, flip, roll, join."""

from __future__ import annotations

from math import prod
from operator import index
from typing import Any

from tensorgrad.backend import Array, is_array
from tensorgrad.primitive import op
from tensorgrad.tape import Traced


def normal_axes(axis: Any, ndim: int, what: str) -> tuple[int, ...]:
    """Axes as a tuple of numbers from 0. Raises ValueError, naming the op, for one that is not there, or twice."""
    axes = range(ndim) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    normal = []
    for each in axes:
        try:
            inside = -ndim <= each < ndim
        except TypeError:
            raise TypeError(f"{what}: an axis is an integer, or a tuple of them, not {axis!r}") from None
        if not inside:
            raise ValueError(f"{what}: axis {each} is out of bounds for an array of {_axes(ndim)}")
        normal.append(each % ndim)
    if len(set(normal)) != len(normal):
        raise ValueError(f"{what}: the same axis is named twice in {axis}")
    return tuple(normal)


def _axes(count: int) -> str:
    return f"{count} axis" if count == 1 else f"{count} axes"


@op(linear=True)
def reshape(xp: Any, x: Array, /, shape: Any, *, copy: bool | None = None) -> Array:
    """The same elements, in the same order, in another shape; one -1 is worked out.   (...) -> shape

    >>> import tensorgrad as tg
    >>> tg.reshape(tg.asarray([1, 2, 3, 4]), (2, -1))
    Tensor([[1, 2],
            [3, 4]])
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    try:
        return xp.reshape(x, shape, copy=copy)
    except ValueError as error:
        if copy is False:
            raise
        raise ValueError(
            f"reshape: the {prod(x.shape)} elements of shape {tuple(x.shape)} do not fill the shape {shape}; "
            "the lengths must multiply to that, one of them may be -1"
        ) from error


reshape.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@op(linear=True)
def permute_dims(xp: Any, x: Array, /, axes: Any) -> Array:
    """Axes in another order.   (n0, n1, ...) -> (n[axes[0]], n[axes[1]], ...)

    >>> import tensorgrad as tg
    >>> tg.permute_dims(tg.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    order = normal_axes(axes, len(x.shape), "permute_dims")
    if len(order) != len(x.shape):
        raise ValueError(
            f"permute_dims: {axes} names {_axes(len(order))} of an array that has {len(x.shape)}; name each"
        )
    return xp.permute_dims(x, order)


def _inverse(axes: Any) -> tuple[int, ...]:
    axes = normal_axes(axes, len(axes), "permute_dims")
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


permute_dims.vjp(x=lambda g, axes: permute_dims(g, _inverse(axes)))


@op(linear=True)
def matrix_transpose(xp: Any, x: Array, /) -> Array:
    """The last two axes exchanged.   (..., n, m) -> (..., m, n)

    >>> import tensorgrad as tg
    >>> tg.matrix_transpose(tg.asarray([[1, 2], [3, 4]]))
    Tensor([[1, 3],
            [2, 4]])
    """
    return xp.matrix_transpose(x)


matrix_transpose.vjp(x=lambda g: matrix_transpose(g))


@op(linear=True)
def expand_dims(xp: Any, x: Array, /, axis: int = 0) -> Array:
    """A new axis of length 1, which becomes `axis`.   (...) -> (..., 1, ...)

    Raises IndexError for an axis that the result does not have.

    >>> import tensorgrad as tg
    >>> tg.expand_dims(tg.asarray([1, 2]), axis=1)
    Tensor([[1],
            [2]])
    """
    count = len(x.shape) + 1
    if not -count <= index(axis) < count:
        raise IndexError(f"expand_dims: axis {axis} is none of the result's {count}, {-count} to {count - 1}")
    return xp.expand_dims(x, axis=axis)


expand_dims.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@op(linear=True)
def squeeze(xp: Any, x: Array, /, axis: Any) -> Array:
    """Without the axes named, which must have length 1.   (..., 1, ...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.squeeze(tg.zeros((1, 3, 1)), axis=(0, 2)).shape
    (3,)
    """
    axes = normal_axes(axis, len(x.shape), "squeeze")
    for each in axes:
        if x.shape[each] != 1:
            raise ValueError(f"squeeze: axis {each} has length {x.shape[each]}, not 1")
    return xp.squeeze(x, axis=axes)


squeeze.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@op(linear=True)
def broadcast_to(xp: Any, x: Array, /, shape: Any) -> Array:
    """Axes of length 1, and new leading ones, repeated.   (...) -> shape

    >>> import tensorgrad as tg
    >>> tg.broadcast_to(tg.asarray([1, 2]), (2, 2))
    Tensor([[1, 2],
            [1, 2]])
    """
    try:
        return xp.broadcast_to(x, tuple(shape))
    except ValueError as error:
        raise ValueError(
            f"broadcast_to: the shape {tuple(x.shape)} does not broadcast to {tuple(shape)}; from the last axis on, "
            "each length must be the same or 1"
        ) from error


broadcast_to.vjp(x=lambda g: g)  # the sweep sums it back to the shape of x


@op(linear=True)
def sum_to(xp: Any, x: Array, /, shape: Any) -> Array:
    """The adjoint of broadcast_to: axes that broadcasting made are summed away.   (...) -> shape"""
    extra = len(x.shape) - len(shape)
    if extra:
        x = xp.sum(x, axis=tuple(range(extra)))
    axes = tuple([place for place, size in enumerate(shape) if size == 1 and x.shape[place] != 1])
    if axes:
        x = xp.sum(x, axis=axes, keepdims=True)
    if tuple(x.shape) != tuple(shape):
        raise ValueError(f"sum_to: shape {tuple(shape)} does not broadcast to {tuple(x.shape)}")
    return x


sum_to.vjp(x=lambda g, x_shape: broadcast_to(g, x_shape))


@op(linear=True)
def flip(xp: Any, x: Array, /, *, axis: Any = None) -> Array:
    """Reversed along the axes named; along all without.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.flip(tg.asarray([1, 2, 3]))
    Tensor([3, 2, 1])
    """
    return xp.flip(x, axis=axis)


flip.vjp(x=lambda g, axis: flip(g, axis=axis))


@op(linear=True)
def roll(xp: Any, x: Array, /, shift: Any, *, axis: Any = None) -> Array:
    """Elements moved along by `shift`, those that fall off re-entering.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.roll(tg.asarray([1, 2, 3]), 1)
    Tensor([3, 1, 2])
    """
    return xp.roll(x, shift, axis=axis)


def _back(shift: Any) -> Any:
    return tuple(-each for each in shift) if isinstance(shift, tuple) else -shift


roll.vjp(x=lambda g, shift, axis: roll(g, _back(shift), axis=axis))


@op(linear=True)
def tril(xp: Any, x: Array, /, *, k: int = 0) -> Array:
    """Zeros above the k-th diagonal.   (..., n, m) -> (..., n, m)

    >>> import tensorgrad as tg
    >>> tg.tril(tg.asarray([[1, 2], [3, 4]]))
    Tensor([[1, 0],
            [3, 4]])
    """
    return xp.tril(x, k=k)


@op(linear=True)
def triu(xp: Any, x: Array, /, *, k: int = 0) -> Array:
    """Zeros below the k-th diagonal.   (..., n, m) -> (..., n, m)

    >>> import tensorgrad as tg
    >>> tg.triu(tg.asarray([[1, 2], [3, 4]]), k=1)
    Tensor([[0, 2],
            [0, 0]])
    """
    return xp.triu(x, k=k)


tril.vjp(x=lambda g, k: tril(g, k=k))
triu.vjp(x=lambda g, k: triu(g, k=k))


# ── joining ─────────────────────────────────────────────────────────────────────────────────────────────────


@op(lift="operands", linear=True)
def concat_parts(xp: Any, axis: int, *parts: Array) -> Array:
    """Arrays one after another along an axis.   (.., n0, ..), (.., n1, ..), ... -> (.., n0 + n1 + .., ..)"""
    shapes = [tuple(each.shape) for each in parts]
    if not shapes[0]:
        raise ValueError("concat: arrays of shape () have no axis to be joined along; use stack")
    place = normal_axes(axis, len(shapes[0]), "concat")[0]
    if len({(*shape[:place], "any", *shape[place + 1 :]) for shape in shapes}) > 1:
        listed = ", ".join(map(str, shapes[:6])) + (", ..." if len(shapes) > 6 else "")
        raise ValueError(
            f"concat: arrays joined along axis {axis} must agree on all other axes, got the shapes {listed}"
        )
    return xp.concat(list(parts), axis=axis)


def _concat_joint(g: Array, axis: int, parts_shape: Any, needed: tuple[bool, ...]) -> tuple[Any, ...]:
    """The stretch of g that came from each part. One rule for all: each stretch begins where the last one ended."""
    gradients, start = [], 0
    for shape, is_needed in zip(parts_shape, needed, strict=True):
        key = [slice(None)] * len(shape)
        key[axis] = slice(start, start + shape[axis])
        gradients.append(g[tuple(key)] if is_needed else None)
        start += shape[axis]
    return tuple(gradients)


concat_parts.vjp(joint=_concat_joint)


def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """Arrays one after another along an axis; flattened first if it is None.   n x (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.concat([tg.asarray([1.0]), tg.asarray([2.0])])
    Tensor([1., 2.], dtype=float32)
    """
    arrays = _several(arrays, "concat")
    if axis is None:
        return concat_parts(0, *[reshape(each, (-1,)) for each in arrays])
    return concat_parts(axis, *arrays)


def stack(arrays: Any, /, *, axis: int = 0) -> Any:
    """Arrays of one shape along a new axis.   n x (...) -> (..., n, ...)

    >>> import tensorgrad as tg
    >>> tg.stack([tg.asarray([1.0, 2.0]), tg.asarray([3.0, 4.0])], axis=1)
    Tensor([[1., 3.],
            [2., 4.]], dtype=float32)
    """
    arrays = _several(arrays, "stack")
    if len({tuple(each.shape) for each in arrays}) > 1:
        shapes = ", ".join(sorted({str(tuple(each.shape)) for each in arrays}))
        raise ValueError(f"stack: the arrays must all have one shape, got {shapes}; use concat to join along an axis")
    axis = normal_axes(axis, len(arrays[0].shape) + 1, "stack")[0]
    return concat_parts(axis, *[expand_dims(each, axis=axis) for each in arrays])


def _several(arrays: Any, what: str) -> list[Any]:
    if isinstance(arrays, Traced) or is_array(arrays):
        raise TypeError(f"{what}: expected a list or tuple of arrays, got one {type(arrays).__name__}")
    several = list(arrays)
    if not several:
        raise ValueError(f"{what}: expected at least one array, got an empty list")
    for each in arrays:
        if not (isinstance(each, Traced) or is_array(each)):
            raise TypeError(
                f"{what}: expected a list of arrays, got a {type(each).__name__} in it; make it one with "
                "tensorgrad.asarray(...)"
            )
    return several


# ── compositions ────────────────────────────────────────────────────────────────────────────────────────────


def moveaxis(x: Any, source: Any, destination: Any, /) -> Any:
    """Axes moved to other places, the rest in their order.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.moveaxis(tg.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    ndim = len(x.shape)
    sources, places = normal_axes(source, ndim, "moveaxis"), normal_axes(destination, ndim, "moveaxis")
    order = [axis for axis in range(ndim) if axis not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, tuple(order))


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that shapes broadcast to. Raises ValueError when they do not.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    result: list[int] = []
    for place in range(-max((len(shape) for shape in shapes), default=0), 0):
        sizes = {shape[place] for shape in shapes if len(shape) >= -place} - {1}
        if len(sizes) > 1:
            raise ValueError(f"broadcast: shapes {', '.join(map(str, shapes))} do not broadcast at axis {place}")
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def broadcast_arrays(*arrays: Any) -> list[Any]:
    """Arrays repeated to their common shape.   n x (...) -> n x broadcast

    >>> import tensorgrad as tg
    >>> [x.shape for x in tg.broadcast_arrays(tg.zeros((3, 1)), tg.zeros(4))]
    [(3, 4), (3, 4)]
    """
    shape = broadcast_shapes(*[tuple(each.shape) for each in arrays])
    return [broadcast_to(each, shape) for each in arrays]


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Any]:
    """Coordinate grids from coordinate vectors.   (n0,), (n1,), ... -> arrays (n1, n0, ...) or, "ij", (n0, n1, ...)

    >>> import tensorgrad as tg
    >>> [x.shape for x in tg.meshgrid(tg.arange(2), tg.arange(3))]
    [(3, 2), (3, 2)]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is {indexing!r}; it may be 'xy' or 'ij'")
    n = len(arrays)
    places = list(range(n))
    if indexing == "xy" and n > 1:
        places[:2] = [1, 0]
    grids = [
        reshape(each, tuple(-1 if axis == place else 1 for axis in range(n)))
        for each, place in zip(arrays, places, strict=True)
    ]
    return broadcast_arrays(*grids)


def tile(x: Any, repetitions: int | tuple[int, ...], /) -> Any:
    """The whole array repeated along each axis.   (n0, ...) -> (n0 r0, ...)

    >>> import tensorgrad as tg
    >>> tg.tile(tg.asarray([1.0, 2.0]), (2,))
    Tensor([1., 2., 1., 2.], dtype=float32)
    """
    repetitions = (repetitions,) if isinstance(repetitions, int) else tuple(repetitions)
    ndim = max(len(x.shape), len(repetitions))
    shape = (1,) * (ndim - len(x.shape)) + tuple(x.shape)
    repetitions = (1,) * (ndim - len(repetitions)) + repetitions
    pairs = tuple(each for pair in zip(repetitions, shape, strict=True) for each in pair)
    once = reshape(x, tuple(each for size in shape for each in (1, size)))
    return reshape(broadcast_to(once, pairs), tuple(r * n for r, n in zip(repetitions, shape, strict=True)))


def flatten(x: Any, /) -> Any:
    """All elements in one axis.   (...) -> (n,)

    >>> import tensorgrad as tg
    >>> tg.flatten(tg.zeros((2, 3))).shape
    (6,)
    """
    return reshape(x, (prod(x.shape),))


def swapaxes(x: Any, axis1: int, axis2: int, /) -> Any:
    """Two axes exchanged.   (...) -> (...)

    >>> import tensorgrad as tg
    >>> tg.swapaxes(tg.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    order = list(range(len(x.shape)))
    first, second = normal_axes((axis1,), len(order), "swapaxes")[0], normal_axes((axis2,), len(order), "swapaxes")[0]
    order[first], order[second] = order[second], order[first]
    return permute_dims(x, tuple(order))
