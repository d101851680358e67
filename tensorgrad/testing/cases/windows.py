"""Cases of ops/windows.py, against loops over every window."""

from __future__ import annotations

from itertools import product
from typing import Any

import hypothesis.strategies as st
import numpy as np

from tensorgrad import ops
from tensorgrad.testing.case import case
from tensorgrad.testing.strategies import reals

sizes = {"h": (3, 5), "w": (3, 5), "n": (1, 2), "c": (1, 2), "o": (1, 2)}
moves = {
    "stride": st.sampled_from([1, 2, (1, 2)]),
    "padding": st.sampled_from([0, 1, (1, 0), ((0, 1), (2, 1)), "valid"]),
    "dilation": st.sampled_from([1, (1, 2)]),
}


def by_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (value,) * axes if isinstance(value, int) else tuple(value)


def pads(padding: Any, kernel: Any, dilation: Any) -> list[tuple[int, int]]:
    if padding == "same":
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(span // 2, (span + 1) // 2) for span in spans]
    both = by_axis(0 if padding == "valid" else padding, len(kernel))
    return [(each, each) if isinstance(each, int) else each for each in both]


def windows(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, value: float = 0.0) -> Any:
    """All windows, (n, c, kh, .., h', ..), by loops."""
    axes = x.ndim - 2
    kernel, stride, dilation = (by_axis(value, axes) for value in (kernel, stride, dilation))
    x = np.pad(x, [(0, 0), (0, 0), *pads(padding, kernel, dilation)], constant_values=value)
    reaches = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    counts = [(size - reach) // s + 1 for size, reach, s in zip(x.shape[2:], reaches, stride, strict=True)]
    found: Any = np.zeros((*x.shape[:2], *kernel, *counts), x.dtype)
    for place in product(*map(range, kernel)):
        for window in product(*map(range, counts)):
            pixel = [w * s + i * d for w, s, i, d in zip(window, stride, place, dilation, strict=True)]
            found[(slice(None), slice(None), *place, *window)] = x[(slice(None), slice(None), *pixel)]
    return found


def _unfold(x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    found = windows(x, kernel_size, stride, padding, dilation)
    axes = x.ndim - 2
    return found.reshape(x.shape[0], -1, int(np.prod(found.shape[2 + axes :])))


def _unfold_windows(x: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    return _unfold(x, kernel, stride, padding, dilation)


def _fold(y: Any, output_size: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    axes = len(output_size)
    kernel, stride, dilation = (by_axis(value, axes) for value in (kernel_size, stride, dilation))
    around = pads(padding, kernel, dilation)
    n, c = y.shape[0], y.shape[1] // int(np.prod(kernel))
    wide = [size + before + after for size, (before, after) in zip(output_size, around, strict=True)]
    counts = [(size - d * (k - 1) - 1) // s + 1 for size, k, s, d in zip(wide, kernel, stride, dilation, strict=True)]
    y = y.reshape(n, c, *kernel, *counts)
    image = np.zeros((n, c, *wide), y.dtype)
    for place in product(*map(range, kernel)):
        for window in product(*map(range, counts)):
            pixel = [w * s + i * d for w, s, i, d in zip(window, stride, place, dilation, strict=True)]
            image[(slice(None), slice(None), *pixel)] += y[(slice(None), slice(None), *place, *window)]
    inner = [slice(before, before + size) for size, (before, _) in zip(output_size, around, strict=True)]
    return image[(slice(None), slice(None), *inner)]


def _fold_windows(y: Any, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Any:
    return _fold(y, size, kernel, stride, padding, dilation)


CASES = [
    case(
        ops.unfold_windows,
        _unfold_windows,
        x=reals(dims="n c h w"),
        kernel=(2, 2),
        stride=st.sampled_from([(1, 1), (1, 2)]),
        padding=st.sampled_from([((0, 0), (0, 0)), ((1, 0), (0, 2))]),
        dilation=st.sampled_from([(1, 1), (1, 2)]),
        _sizes=sizes,
        _complex=True,
    ),
    case(
        ops.unfold_windows,
        _unfold_windows,
        x=reals(dims="n c w"),
        kernel=(2,),
        stride=st.sampled_from([(1,), (2,)]),
        padding=st.sampled_from([((0, 0),), ((1, 2),)]),
        dilation=st.sampled_from([(1,), (2,)]),
        _sizes=sizes,
        _name="unfold_windows, a line",
    ),
    case(
        ops.fold_windows,
        _fold_windows,
        y=reals(dims="n 4 9"),
        size=(5, 5),
        kernel=(2, 2),
        stride=(2, 2),
        padding=((1, 1), (1, 1)),
        dilation=(2, 2),
        _sizes=sizes,
        _complex=True,
    ),
    case(
        ops.fold_windows,
        _fold_windows,
        y=reals(dims="n 4 12"),
        size=(5, 4),
        kernel=(1, 2),
        stride=(2, 1),
        padding=((0, 0), (2, 0)),
        dilation=(3, 2),
        _sizes=sizes,
        _name="fold_windows, uneven",
    ),
    case(
        ops.unfold,
        _unfold,
        x=reals(dims="n c h w"),
        kernel_size=st.sampled_from([1, 2, (1, 2)]),
        **moves,
        _sizes=sizes,
        _complex=True,
    ),
    case(
        ops.fold,
        _fold,
        y=reals(dims="n 4 6"),
        output_size=(3, 4),
        kernel_size=2,
        stride=1,
        padding=0,
        dilation=1,
        _sizes=sizes,
        _complex=True,
    ),
    case(
        ops.fold,
        _fold,
        y=reals(dims="n 4 4"),
        output_size=(4, 4),
        kernel_size=(2, 2),
        stride=(2, 2),
        padding=0,
        dilation=1,
        _sizes=sizes,
        _name="fold with strides",
        _complex=True,
    ),
]
