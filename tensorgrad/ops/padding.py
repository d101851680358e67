"""Borders around an array, by one of five rules."""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorgrad.ops.arrays import device_of, full
from tensorgrad.ops.indexing import getitem
from tensorgrad.ops.shape import concat

MODES = {"constant": None, "reflect": "reflect", "symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: float = 0.0) -> Any:
    """Values added around an array: pad_width is ((before, after), ...), a pair per axis.   (n, ...) -> (b+n+a, ...)

    mode: "constant", "reflect" (mirror, the edge not repeated), "symmetric" (mirror, the edge repeated),
    "replicate" (the edge's value) or "circular". Raises ValueError for widths below 0 or not a pair per axis.

    >>> import tensorgrad as tg
    >>> tg.pad(tg.asarray([1.0, 2.0, 3.0]), ((2, 1),), mode="reflect")
    Tensor([3., 2., 1., 2., 3., 2.], dtype=float32)
    """
    if mode not in MODES:
        raise ValueError(f"pad: mode is {mode!r}; it may be {', '.join(map(repr, MODES))}")
    widths = (
        [(pad_width, pad_width)] * len(x.shape) if isinstance(pad_width, int) else [tuple(each) for each in pad_width]
    )
    if len(widths) != len(x.shape) or any(len(each) != 2 or min(each) < 0 for each in widths):
        raise ValueError(
            f"pad: pad_width is {pad_width!r}; expected {len(x.shape)} pairs (before, after) for the shape "
            f"{tuple(x.shape)}, none below 0"
        )
    for axis, (before, after) in enumerate(widths):
        if before or after:
            x = _pad_axis(x, axis, before, after, mode, constant_values)
    return x


def _pad_axis(x: Any, axis: int, before: int, after: int, mode: str, value: float) -> Any:
    rule = MODES[mode]
    if rule is None:
        parts = [x]
        for size, end in ((before, 0), (after, 1)):
            if size:
                shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
                border = full(shape, value, dtype=x.dtype, device=device_of(x))
                parts = [*parts, border] if end else [border, *parts]
        return concat(parts, axis=axis)
    if not x.shape[axis]:
        raise ValueError(f"pad: mode {mode!r} needs a value on axis {axis}, which is empty")
    places = np.pad(np.arange(x.shape[axis]), (before, after), mode=rule)  # type: ignore[call-overload]
    return getitem(x, (*(slice(None),) * axis, places))
