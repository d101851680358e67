"""Windows over lines, images and volumes: their geometry, and unfold and fold, each the other's adjoint.

Arrays are (n, c, spatial axes). Within this file the geometry of windows is written out: kernel, stride and dilation
are tuples with one number per spatial axis, padding has a pair (before, after) per axis.
"""

from __future__ import annotations

from itertools import product
from math import prod
from operator import index
from typing import Any

from tensorgrad.backend import Array
from tensorgrad.primitive import op

Size = int | tuple[int, ...]  # a number for all spatial axes, or one for each
Padding = int | str | tuple[int, ...] | tuple[tuple[int, int], ...]
Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


def per_axis(value: Any, axes: int, what: str, name: str, least: int = 0) -> Sizes:
    """A number for all spatial axes, or one for each. Raises ValueError for anything else, and below `least`."""
    try:
        sizes = tuple(map(index, value)) if isinstance(value, (tuple, list)) else (index(value),) * axes
    except TypeError:
        sizes = ()
    if len(sizes) != axes or min(sizes) < least:
        raise ValueError(
            f"{what}: {name} is {value!r}; expected an integer of at least {least}, or one for each of {axes} axes"
        )
    return sizes


def pads_of(padding: Any, kernel: Sizes, stride: Sizes, dilation: Sizes, what: str) -> Pads:
    """Padding as a pair per axis: numbers, pairs, "valid" (none) or "same" (what keeps the size at stride 1)."""
    axes = len(kernel)
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"{what}: padding is {padding!r}; it may be 'same', 'valid', numbers or pairs of them")
        if padding == "valid":
            return ((0, 0),) * axes
        if stride != (1,) * axes:
            raise ValueError(f"{what}: padding 'same' keeps the size at stride 1 only, and the stride is {stride}")
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple([(span // 2, span - span // 2) for span in spans])
    if isinstance(padding, (tuple, list)) and padding and isinstance(padding[0], (tuple, list)):
        pairs = tuple([per_axis(tuple(each), 2, what, "a pair of padding") for each in padding])
        if len(pairs) != axes:
            raise ValueError(f"{what}: padding is {padding!r}; expected {axes} pairs (before, after)")
        return tuple([(before, after) for before, after in pairs])
    return tuple([(each, each) for each in per_axis(padding, axes, what, "padding")])


def window_counts(sizes: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes, what: str) -> Sizes:
    """How many windows fit along each axis: floor((size + before + after - dilation (k - 1) - 1) / stride) + 1.

    Raises ValueError when not one does.
    """
    counts = []
    for size, k, s, (before, after), d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        room = size + before + after - d * (k - 1) - 1
        if room < 0:
            raise ValueError(
                f"{what}: the kernel {kernel} with dilation {dilation} does not fit into an image of "
                f"{' x '.join(map(str, sizes))} padded by {padding}"
            )
        counts.append(room // s + 1)
    return tuple(counts)


def windows_of(xp: Any, x: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """Every window along an axis of its own, by slices.   (n, c, h, ..) -> (n, c, kh .., h', ..)"""
    sizes = tuple(x.shape[2:])
    counts = window_counts(sizes, kernel, stride, padding, dilation, "unfold")
    for axis, (size, (before, after)) in enumerate(zip(sizes, padding, strict=True), 2):
        x = _placed(xp, x, axis, before, before + size + after)
    windows = []
    for place in product(*map(range, kernel)):
        reads = zip(place, counts, stride, dilation, strict=True)
        key = [slice(i * d, i * d + s * (count - 1) + 1, s) for i, count, s, d in reads]
        windows.append(xp.expand_dims(x[(slice(None), slice(None), *key)], axis=2))
    return xp.concat(windows, axis=2)


def columns_of(xp: Any, x: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """Every window as a column.   (n, c, h, ..) -> (n, c kh .., h' ..)"""
    windows = windows_of(xp, x, kernel, stride, padding, dilation)
    n, c, k, *counts = windows.shape
    return xp.reshape(windows, (n, c * k, prod(counts)))


def image_of(xp: Any, y: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """Columns added back into their windows.   (n, c kh .., h' ..) -> (n, c, h, ..)"""
    counts = window_counts(size, kernel, stride, padding, dilation, "fold")
    n, c = y.shape[0], y.shape[1] // prod(kernel)
    y = xp.reshape(y, (n, c, prod(kernel), *counts))
    wide = [length + before + after for length, (before, after) in zip(size, padding, strict=True)]
    image = xp.zeros((n, c, *wide), dtype=y.dtype, device=y.device)
    for number, place in enumerate(product(*map(range, kernel))):
        piece = y[(slice(None), slice(None), number, ...)]
        for axis, (i, s, d, total) in enumerate(zip(place, stride, dilation, wide, strict=True), 2):
            piece = _placed(xp, _spread(xp, piece, axis, s), axis, i * d, total)
        image = image + piece
    inner = [slice(before, before + length) for length, (before, _) in zip(size, padding, strict=True)]
    return image[(slice(None), slice(None), *inner)]


@op(linear=True)
def unfold_windows(xp: Any, x: Array, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """Every window as a column, geometry checked by its callers.   (n, c, h, ..) -> (n, c kh .., h' ..)"""
    return columns_of(xp, x, kernel, stride, padding, dilation)


@op(linear=True)
def fold_windows(xp: Any, y: Array, size: Sizes, kernel: Sizes, stride: Sizes, padding: Pads, dilation: Sizes) -> Array:
    """Columns added back into their windows, geometry checked.   (n, c kh .., h' ..) -> (n, c, h, ..)"""
    return image_of(xp, y, size, kernel, stride, padding, dilation)


def _zeros(xp: Any, x: Array, axis: int, size: int) -> Array:
    """Zeros like x, with `size` of them along an axis."""
    return xp.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), dtype=x.dtype, device=x.device)


def _placed(xp: Any, x: Array, axis: int, before: int, total: int) -> Array:
    """x among zeros along an axis: `before` of them first, `total` elements in all."""
    after = total - before - x.shape[axis]
    parts = [_zeros(xp, x, axis, before)] * (before > 0) + [x] + [_zeros(xp, x, axis, after)] * (after > 0)
    return xp.concat(parts, axis=axis) if len(parts) > 1 else x


def _spread(xp: Any, x: Array, axis: int, stride: int) -> Array:
    """stride - 1 zeros between the elements along an axis."""
    if stride == 1:
        return x
    apart = xp.expand_dims(x, axis=axis + 1)
    apart = xp.concat([apart, _zeros(xp, apart, axis + 1, stride - 1)], axis=axis + 1)
    wide = xp.reshape(apart, (*x.shape[:axis], x.shape[axis] * stride, *x.shape[axis + 1 :]))
    return wide[(*(slice(None),) * axis, slice(0, (x.shape[axis] - 1) * stride + 1), ...)]


unfold_windows.vjp(
    x=lambda g, kernel, stride, padding, dilation, x_shape: fold_windows(
        g, tuple(x_shape[2:]), kernel, stride, padding, dilation
    )
)
fold_windows.vjp(y=lambda g, kernel, stride, padding, dilation: unfold_windows(g, kernel, stride, padding, dilation))


def unfold(x: Any, /, kernel_size: Size, dilation: Size = 1, padding: Padding = 0, stride: Size = 1) -> Any:
    """Every window of an image as a column.   (n, c, h, w) -> (n, c kh kw, h' w')

    h' = floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1, and w' likewise, in windows. padding: as for
    `conv2d`. Raises ValueError when the kernel is larger than the padded image.

    >>> import tensorgrad as tg
    >>> tg.unfold(tg.ones((1, 2, 4, 4)), 3).shape
    (1, 18, 4)
    """
    if len(x.shape) != 4:
        raise ValueError(f"unfold: expected (n, c, h, w), got the shape {tuple(x.shape)}")
    kernel = per_axis(kernel_size, 2, "unfold", "kernel_size", 1)
    moves = moves_of("unfold", kernel, stride, padding, dilation)
    window_counts(tuple(x.shape[2:]), kernel, *moves, "unfold")
    return unfold_windows(x, kernel, *moves)


def fold(
    y: Any, /, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Padding = 0, stride: Size = 1
) -> Any:
    """Columns added back into the windows they came from: the adjoint of unfold.   (n, c kh kw, h' w') -> (n, c, h, w)

    Raises ValueError when the columns are not those of an image of output_size.

    >>> import tensorgrad as tg
    >>> tg.fold(tg.ones((1, 4, 4)), (3, 3), 2).tolist()
    [[[[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]]]
    """
    size = per_axis(output_size, 2, "fold", "output_size", 1)
    kernel = per_axis(kernel_size, 2, "fold", "kernel_size", 1)
    moves = moves_of("fold", kernel, stride, padding, dilation)
    columns, area = prod(window_counts(size, kernel, *moves, "fold")), prod(kernel)
    if len(y.shape) != 3 or y.shape[1] % area or y.shape[2] != columns:
        raise ValueError(
            f"fold: expected (n, c * {area}, {columns}) for an image of {size[0]} x {size[1]}, "
            f"got the shape {tuple(y.shape)}"
        )
    return fold_windows(y, size, kernel, *moves)


def moves_of(what: str, kernel: Sizes, stride: Any, padding: Any, dilation: Any) -> tuple[Sizes, Pads, Sizes]:
    """(stride, padding, dilation), written out for each axis of the kernel."""
    strides = per_axis(stride, len(kernel), what, "stride", 1)
    dilations = per_axis(dilation, len(kernel), what, "dilation", 1)
    return strides, pads_of(padding, kernel, strides, dilations, what), dilations
