"""Borders around an array, by one of five rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.backend import Array
from tensorgrad.ops.arrays import number_of
from tensorgrad.ops.indexing import getitem
from tensorgrad.ops.shape import broadcast_to, concat
from tensorgrad.primitive import op
from tensorgrad.tape import Traced

# numpy.pad's names for the rules that repeat what is there.
MODES = {
    "constant": "constant",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "replicate": "edge",
    "circular": "wrap",
}


@op
def bordered(xp: Any, x: Array, widths: tuple[tuple[int, int], ...], value: float) -> Array:
    """An array with a border of one number.   (n, ...) -> (before + n + after, ...)"""
    for axis, pair in enumerate(widths):
        shapes = [(*x.shape[:axis], width, *x.shape[axis + 1 :]) for width in pair]
        before, after = (xp.full(shape, value, dtype=x.dtype, device=x.device) for shape in shapes)
        x = xp.concat([before, x, after], axis=axis)
    return x


bordered.vjp(
    x=lambda g, widths, x_shape: getitem(
        g, tuple([slice(before, before + n) for n, (before, _) in zip(x_shape, widths, strict=True)])
    )
)


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Any:
    """Values added around an array.   (n, ...) -> (before + n + after, ...)

    pad_width: ((before, after), ...), a pair per axis, first axis first, as numpy.pad takes it (PyTorch's flat list
    starts at the last axis); one pair, or one number, stands for all axes.
    mode: "constant", "reflect" (mirror, the edge not repeated), "symmetric" (mirror, the edge repeated),
    "replicate" (the edge's value) or "circular"; a border wider than the axis mirrors, or goes round, again.
    constant_values: what a constant border holds, one number.
    Raises ValueError for another mode, for widths below 0 or not a pair per axis, and where there is nothing to repeat.

    >>> import tensorgrad as tg
    >>> tg.pad(tg.asarray([1.0, 2.0, 3.0]), ((2, 1),), mode="reflect")
    Tensor([3., 2., 1., 2., 3., 2.], dtype=float32)
    """
    if mode not in MODES:
        raise ValueError(f"pad: mode is {mode!r}; it may be {', '.join(map(repr, MODES))}")
    widths = _widths(pad_width, tuple(x.shape))
    if mode == "constant":
        value = number_of(constant_values, "pad")
        return bordered(x, tuple(widths), value) if any(map(any, widths)) else x
    for axis, (before, after) in enumerate(widths):
        if before or after:
            x = _pad_axis(x, axis, before, after, mode)
    return x


def _widths(pad_width: Any, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """A pair for each axis. Raises ValueError for what is none."""
    if isinstance(pad_width, Traced):
        pad_width = pad_width.tolist()  # type: ignore[attr-defined]
    try:
        asked = np.asarray(pad_width)
        whole = asked.dtype.kind in "iu" or not asked.size
        widths = np.broadcast_to(asked, (len(shape), 2)) if shape and whole else np.zeros((0, 2))
    except ValueError:  # ragged, or not to be broadcast
        widths = np.full((1, 2), -1)
    if len(widths) != len(shape) or (widths.size and widths.min() < 0):
        raise ValueError(
            f"pad: pad_width is {pad_width!r}; expected {len(shape)} pairs (before, after) of integers for the shape "
            f"{shape}, none below 0"
        )
    return [(int(before), int(after)) for before, after in widths]


def _pad_axis(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    parts = [_border(x, axis, before, mode, False), x, _border(x, axis, after, mode, True)]
    if any(part is None for part in parts):
        places = np.pad(np.arange(x.shape[axis]), (before, after), mode=MODES[mode])  # type: ignore[call-overload]
        return getitem(x, (*(slice(None),) * axis, places))
    return concat([part for part in parts if part is x or part.shape[axis]], axis=axis)


def _border(x: Any, axis: int, width: int, mode: str, end: bool) -> Any:
    """The border at one end of an axis; None where it is wider than one stretch of x.

    Stretches are slices, whose gradient is written in place: a hundred times as fast as one added place by place.
    """
    n = x.shape[axis]
    shape = (*x.shape[:axis], width, *x.shape[axis + 1 :])
    if not n:
        raise ValueError(f"pad: mode {mode!r} needs a value on axis {axis}, which is empty")
    before = (slice(None),) * axis
    if mode == "replicate":
        return broadcast_to(getitem(x, (*before, slice(n - 1, n) if end else slice(0, 1))), shape)
    if mode == "circular":
        return getitem(x, (*before, slice(0, width) if end else slice(n - width, n))) if width <= n else None
    skipped = mode == "reflect"  # the edge itself
    if width > n - skipped:
        return None
    stretch = slice(n - width - skipped, n - skipped) if end else slice(int(skipped), width + skipped)
    return getitem(getitem(x, (*before, stretch)), (*before, slice(None, None, -1)))
